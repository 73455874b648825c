/// Write durable orchestrations for Dacapo in C++23. The functions have the names of those in dacapo.h, which documents them.
///
///     #include "dacapo.hpp"
///
///     dacapo::result<std::string> hello(std::string city) {
///         return dacapo::call_activity<std::string>("say_hello", city).await();
///     }
///
///     dacapo::result<std::string> say_hello(std::string city) {
///         return "Hello " + city + "!";
///     }
///
///     DACAPO_APP(dacapo::orchestrator<hello>("hello"), dacapo::activity<say_hello>("say_hello"))
///
/// A function takes its input, or nothing, and returns a result. Inputs and outputs are any types that dacapo::json supports.
/// There are no exceptions: a result holds a value or a failure. Functions that need no C++ types are called as in C:
/// dacapo_log, dacapo_new_guid, dacapo_instance_id. A trigger takes a dacapo_trigger_call: see dacapo::trigger.
#pragma once

#include <array>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <expected>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "dacapo.h"

namespace dacapo {

using std::chrono::milliseconds;

/// Why a function did not succeed.
struct failure {
    std::string type;
    std::string message;
    std::optional<std::string> details = {};
    bool retriable = true;
};

/// A value, or why there is none.
template <class T>
using result = std::expected<T, failure>;

/// Makes the return value of a function that fails.
inline std::unexpected<failure> fail(failure why) {
    return std::unexpected(std::move(why));
}

/// The type of a missing value: null.
struct none {};

/// A JSON text of any type.
struct raw {
    std::string text;
};

// --- JSON ---

/// The conversion of a type to and from JSON. Specialize it for your own types.
template <class T>
struct json;

/// Writes a value as JSON.
template <class T>
std::string to_json(const T &value) {
    return json<std::decay_t<const T>>::write(value);
}

/// Reads a value from JSON. Returns nothing if the JSON is of another type.
template <class T>
std::optional<T> from_json(const char *text) {
    return json<T>::read(text);
}

template <>
struct json<none> {
    static std::string write(none) { return "null"; }
    static std::optional<none> read(const char *) { return none{}; }
};

template <>
struct json<raw> {
    static std::string write(const raw &value) { return value.text; }
    static std::optional<raw> read(const char *text) { return raw{text}; }
};

template <>
struct json<bool> {
    static std::string write(bool value) { return dacapo_json_bool(value); }
    static std::optional<bool> read(const char *text) {
        bool value;
        return dacapo_json_to_bool(text, &value) ? std::optional(value) : std::nullopt;
    }
};

/// Numbers, with the precision of a double. An integer is read only from a whole number in its range.
template <class T>
    requires std::integral<T> || std::floating_point<T>
struct json<T> {
    static std::string write(T value) { return dacapo_json_number(static_cast<double>(value)); }
    static std::optional<T> read(const char *text) {
        double value;
        if (!dacapo_json_to_number(text, &value)) return std::nullopt;
        if constexpr (std::integral<T>) {
            constexpr double exact_max = 9007199254740992.0;
            if (!(value >= -exact_max && value <= exact_max) || value != static_cast<double>(static_cast<std::int64_t>(value))) {
                return std::nullopt;
            }
            if (!std::in_range<T>(static_cast<std::int64_t>(value))) return std::nullopt;
        }
        return static_cast<T>(value);
    }
};

template <>
struct json<std::string> {
    static std::string write(const std::string &value) {
        std::string text = dacapo_json_string(value.c_str());
        // A zero byte terminates a text in C, but not in C++.
        for (size_t zero = value.find('\0'); zero != value.npos; zero = value.find('\0', zero + 1)) {
            text.replace(text.size() - 1, 1, "\\u0000").append(dacapo_json_string(value.c_str() + zero + 1) + 1);
        }
        return text;
    }
    static std::optional<std::string> read(const char *text) {
        const char *value = dacapo_json_to_string(text);
        return value ? std::optional<std::string>(value) : std::nullopt;
    }
};

template <>
struct json<const char *> {
    static std::string write(const char *value) { return dacapo_json_string(value); }
};

template <class T>
struct json<std::optional<T>> {
    static std::string write(const std::optional<T> &value) { return value ? to_json(*value) : "null"; }
    static std::optional<std::optional<T>> read(const char *text) {
        if (std::string_view(text) == "null") return std::optional<T>();
        std::optional<T> value = from_json<T>(text);
        return value ? std::optional(std::move(value)) : std::nullopt;
    }
};

template <class T>
struct json<std::vector<T>> {
    static std::string write(const std::vector<T> &values) {
        std::string text = "[";
        for (const T &value : values) {
            if (text.size() > 1) text += ',';
            text += to_json<T>(value);
        }
        return text += ']';
    }
    static std::optional<std::vector<T>> read(const char *text) {
        size_t count;
        const char *const *items = dacapo_json_items(text, &count);
        if (!items) return std::nullopt;
        std::vector<T> values;
        for (size_t i = 0; i < count; i++) {
            std::optional<T> value = from_json<T>(items[i]);
            if (!value) return std::nullopt;
            values.push_back(std::move(*value));
        }
        return values;
    }
};

/// For implementations of json: reads a member of an object.
template <class T>
std::optional<T> member(const char *object, const char *name) {
    const char *text = dacapo_json_member(object, name);
    return text ? from_json<T>(text) : std::nullopt;
}

namespace detail {

inline failure failure_from(const dacapo_failure &from) {
    failure why{from.type, from.message, {}, from.retriable};
    if (from.details) why.details = from.details;
    return why;
}

template <class T>
result<T> result_from(const dacapo_outcome &outcome) {
    if (outcome.failure) return fail(failure_from(*outcome.failure));
    std::optional<T> value = from_json<T>(outcome.output);
    if (value) return std::move(*value);
    return fail({"InvalidOutput", "what a task gave is of another type than expected", outcome.output, false});
}

/// Returns a copy that is valid until the end of the run.
inline const char *keep(const std::string &text) {
    return dacapo_format("%s", text.c_str());
}

template <class T>
dacapo_outcome outcome_of(const result<T> &given) {
    if (given) return dacapo_ok(keep(to_json<T>(*given)));
    const failure &why = given.error();
    return dacapo_fail({keep(why.type), keep(why.message), why.details ? keep(*why.details) : nullptr, why.retriable});
}

inline double count(milliseconds duration) {
    return static_cast<double>(duration.count());
}

}  // namespace detail

// --- Tasks ---

/// Something that was scheduled and completes once, with a T or a failure.
template <class T>
class task {
public:
    explicit task(dacapo_task handle) : handle_(handle) {}

    /// Waits for the task. It may be called again.
    result<T> await() const { return detail::result_from<T>(dacapo_await(handle_)); }

    /// Waits with a timeout. After it, cancels the task as cancel does, and the result is empty.
    result<std::optional<T>> await_for(milliseconds timeout) const {
        dacapo_outcome outcome;
        if (!dacapo_await_for(handle_, detail::count(timeout), &outcome)) return std::optional<T>();
        return detail::result_from<T>(outcome).transform([](T value) { return std::optional<T>(std::move(value)); });
    }

    bool is_done() const { return dacapo_is_done(handle_); }

    /// Cancels a timer or a wait for an event.
    bool cancel() const { return dacapo_cancel(handle_); }

    dacapo_task handle() const { return handle_; }

private:
    dacapo_task handle_;
};

/// Waits until a task has completed, and returns the index of the one that completed first.
template <class... T>
size_t wait_any(const task<T> &...tasks) {
    const dacapo_task handles[] = {tasks.handle()...};
    return dacapo_wait_any(handles, sizeof...(tasks));
}

template <class T>
size_t wait_any(const std::vector<task<T>> &tasks) {
    std::vector<dacapo_task> handles;
    for (const task<T> &one : tasks) handles.push_back(one.handle());
    return dacapo_wait_any(handles.data(), handles.size());
}

/// Waits until all of the tasks have completed. If some failed, the result is the failure of the first of them in the list.
template <class T>
result<std::vector<T>> wait_all(const std::vector<task<T>> &tasks) {
    std::vector<dacapo_task> handles;
    for (const task<T> &one : tasks) handles.push_back(one.handle());
    dacapo_wait_all(handles.data(), handles.size());
    std::vector<T> values;
    for (const task<T> &one : tasks) {
        result<T> value = one.await();
        if (!value) return fail(std::move(value.error()));
        values.push_back(std::move(*value));
    }
    return values;
}

// --- For orchestrators ---

/// When and how often a failed call is retried.
struct retry_policy {
    std::uint32_t max_attempts = 1;
    milliseconds first_interval{};
    double backoff = 1;
    milliseconds max_interval{};  // 0: no limit
    milliseconds timeout{};       // 0: no limit
    std::vector<std::string> not_retriable = {};
};

namespace detail {

/// A policy in the form of dacapo.h. It points into the C++ policy.
class c_retry_policy {
public:
    explicit c_retry_policy(const std::optional<retry_policy> &from) : is_some_(from.has_value()) {
        if (!from) return;
        for (const std::string &type : from->not_retriable) types_.push_back(type.c_str());
        types_.push_back(nullptr);
        policy_ = {from->max_attempts,        count(from->first_interval), from->backoff,
                   count(from->max_interval), count(from->timeout),        types_.data()};
    }

    const dacapo_retry_policy *get() const { return is_some_ ? &policy_ : nullptr; }

private:
    bool is_some_;
    std::vector<const char *> types_;
    dacapo_retry_policy policy_{};
};

}  // namespace detail

template <class T, class In = none>
task<T> call_activity(const std::string &name, const In &input = {}, const std::optional<retry_policy> &retry = {}) {
    return task<T>(dacapo_call_activity(name.c_str(), to_json(input).c_str(), detail::c_retry_policy(retry).get()));
}

/// Without an instance id the host derives one.
template <class T, class In = none>
task<T> call_sub_orchestrator(const std::string &name, const In &input = {}, const std::optional<std::string> &instance_id = {},
                              const std::optional<retry_policy> &retry = {}) {
    const char *id = instance_id ? instance_id->c_str() : nullptr;
    return task<T>(
        dacapo_call_sub_orchestrator(name.c_str(), to_json(input).c_str(), id, detail::c_retry_policy(retry).get()));
}

/// The same for a child that asks for a version.
template <class T, class In>
task<T> call_sub_orchestrator_with_version(const std::string &name, const In &input, const std::string &version,
                                           const std::optional<std::string> &instance_id = {},
                                           const std::optional<retry_policy> &retry = {}) {
    const char *id = instance_id ? instance_id->c_str() : nullptr;
    return task<T>(dacapo_call_sub_orchestrator_with_version(name.c_str(), to_json(input).c_str(), version.c_str(), id,
                                                             detail::c_retry_policy(retry).get()));
}

/// A point in time, with the precision of the host.
using moment = std::chrono::sys_time<milliseconds>;

/// The current time. It does not advance between waits, and is the same on replay.
inline moment now() {
    return moment(milliseconds(static_cast<std::int64_t>(dacapo_current_time())));
}

inline task<none> create_timer(milliseconds duration) {
    return task<none>(dacapo_create_timer(detail::count(duration)));
}

inline task<none> create_timer_at(moment fire_at) {
    return task<none>(dacapo_create_timer_at(detail::count(fire_at.time_since_epoch())));
}

template <class T = none>
task<T> wait_for_external_event(const std::string &name) {
    return task<T>(dacapo_wait_for_external_event(name.c_str()));
}

template <class T = raw>
task<T> call_http(const std::string &request) {
    return task<T>(dacapo_call_http(request.c_str()));
}

/// Starts an orchestration that runs on its own, and returns its instance id.
template <class In = none>
std::string start_orchestration(const std::string &name, const In &input = {}, const std::optional<std::string> &instance_id = {}) {
    return dacapo_start_orchestration(name.c_str(), to_json(input).c_str(), instance_id ? instance_id->c_str() : nullptr);
}

/// Raises an external event for another instance.
template <class T = none>
void send_event(const std::string &instance_id, const std::string &name, const T &data = {}) {
    dacapo_send_event(instance_id.c_str(), name.c_str(), to_json(data).c_str());
}

template <class In>
void continue_as_new(const In &input) {
    dacapo_continue_as_new(to_json(input).c_str());
}

template <class T>
void set_custom_status(const T &status) {
    dacapo_set_custom_status(to_json(status).c_str());
}

// --- For activities and triggers ---

/// Sends an HTTP request and waits for the response.
template <class T = raw>
result<T> send_http(const std::string &request) {
    return detail::result_from<T>(dacapo_send_http(request.c_str()));
}

// The durable client. Its calls without an input are called as in C: dacapo_client_terminate, dacapo_client_list_instances;
// `outcome_to` converts their outcomes.

/// Converts an outcome of a function in C.
template <class T = raw>
result<T> outcome_to(const dacapo_outcome &outcome) {
    return detail::result_from<T>(outcome);
}

/// Starts an orchestration that runs on its own, and returns its instance id once the start is durable.
template <class In = none>
result<std::string> client_start_orchestration(const std::string &name, const In &input = {},
                                               const std::optional<std::string> &instance_id = {},
                                               const std::optional<std::string> &version = {},
                                               const std::optional<moment> &start_at = {}) {
    const char *id = instance_id ? instance_id->c_str() : nullptr, *asked = version ? version->c_str() : nullptr;
    const std::string given = to_json(input);
    if (!start_at) {
        return outcome_to<std::string>(dacapo_client_start_orchestration(name.c_str(), given.c_str(), id, asked));
    }
    const double at = detail::count(start_at->time_since_epoch());
    return outcome_to<std::string>(dacapo_client_start_orchestration_at(name.c_str(), given.c_str(), id, asked, at));
}

/// Raises an external event for an instance.
template <class T = none>
result<none> client_raise_event(const std::string &instance_id, const std::string &name, const T &data = {}) {
    return outcome_to<none>(dacapo_client_raise_event(instance_id.c_str(), name.c_str(), to_json(data).c_str()));
}

// --- Entities ---

struct entity_id {
    std::string name;
    std::string key;

    dacapo_entity_id c() const { return {name.c_str(), key.c_str()}; }
};

template <class T, class In = none>
task<T> call_entity(const entity_id &entity, const std::string &operation, const In &input = {}) {
    return task<T>(dacapo_call_entity(entity.c(), operation.c_str(), to_json(input).c_str()));
}

template <class In = none>
void signal_entity(const entity_id &entity, const std::string &operation, const In &input = {}) {
    dacapo_signal_entity(entity.c(), operation.c_str(), to_json(input).c_str());
}

template <class In = none>
void signal_entity_at(moment deliver_at, const entity_id &entity, const std::string &operation, const In &input = {}) {
    const double at = detail::count(deliver_at.time_since_epoch());
    dacapo_signal_entity_at(entity.c(), operation.c_str(), to_json(input).c_str(), at);
}

template <class In = none>
result<none> client_signal_entity(const entity_id &entity, const std::string &operation, const In &input = {}) {
    return outcome_to<none>(dacapo_client_signal_entity(entity.c(), operation.c_str(), to_json(input).c_str()));
}

template <class In = none>
result<none> client_signal_entity_at(moment deliver_at, const entity_id &entity, const std::string &operation,
                                     const In &input = {}) {
    const double at = detail::count(deliver_at.time_since_epoch());
    return outcome_to<none>(dacapo_client_signal_entity_at(entity.c(), operation.c_str(), to_json(input).c_str(), at));
}

/// Puts messages into a queue: a text as it is, anything else as JSON.
template <class T>
result<none> client_enqueue(const std::string &queue, const std::vector<T> &messages, const std::optional<moment> &deliver_at = {}) {
    std::vector<std::string> texts;
    for (const T &message : messages) {
        if constexpr (std::is_convertible_v<T, std::string>) {
            texts.emplace_back(message);
        } else {
            texts.push_back(to_json(message));
        }
    }
    std::vector<const char *> ends;
    for (const std::string &text : texts) ends.push_back(text.c_str());
    if (!deliver_at) return outcome_to<none>(dacapo_client_enqueue(queue.c_str(), ends.data(), ends.size()));
    const double at = detail::count(deliver_at->time_since_epoch());
    return outcome_to<none>(dacapo_client_enqueue_at(queue.c_str(), ends.data(), ends.size(), at));
}

/// The state of an entity; empty if there is no such entity, or it has no state.
template <class State>
result<std::optional<State>> client_read_entity(const entity_id &entity) {
    return outcome_to<std::optional<State>>(dacapo_client_read_entity(entity.c()));
}

/// A critical section, which ends when this goes out of scope.
class lock {
public:
    lock() = default;
    lock(lock &&other) noexcept : is_held_(std::exchange(other.is_held_, false)) {}
    lock &operator=(lock &&other) noexcept {
        std::swap(is_held_, other.is_held_);
        return *this;
    }
    ~lock() { unlock(); }

    bool unlock() { return std::exchange(is_held_, false) && dacapo_unlock_entities(); }

private:
    bool is_held_ = true;
};

/// Waits until the entities are locked.
[[nodiscard]] inline result<lock> lock_entities(std::initializer_list<entity_id> entities) {
    std::vector<dacapo_entity_id> ids;
    for (const entity_id &one : entities) ids.push_back(one.c());
    dacapo_outcome outcome = dacapo_await(dacapo_lock_entities(ids.data(), ids.size()));
    if (outcome.failure) return fail(detail::failure_from(*outcome.failure));
    return lock();
}

/// One operation on an entity whose state is a State. The initial state is State().
template <class State>
class operation {
public:
    explicit operation(const dacapo_entity_operation &wanted, State state) : state(std::move(state)), wanted_(wanted) {}

    State state;

    std::string_view name() const { return wanted_.operation; }
    std::string_view key() const { return wanted_.entity.key; }

    template <class In>
    result<In> input() const {
        if (std::optional<In> given = from_json<In>(wanted_.input)) return std::move(*given);
        return fail({"InvalidInput", "the input of the operation is of another type than expected", wanted_.input, false});
    }

    /// Deletes the state once the operation returns.
    void delete_state() { is_deleted_ = true; }
    bool is_deleted() const { return is_deleted_; }

    /// Makes the failure of an operation that the entity does not have.
    std::unexpected<failure> not_found() const {
        return fail({"OperationNotFound", "the entity has no operation `" + std::string(name()) + "`", {}, false});
    }

private:
    const dacapo_entity_operation &wanted_;
    bool is_deleted_ = false;
};

// --- Triggers ---

/// The response of an HTTP trigger.
struct response {
    int status = 200;
    std::string body = {};
    std::vector<std::pair<std::string, std::string>> headers = {};
};

template <>
struct json<response> {
    static std::string write(const response &value) {
        std::vector<dacapo_header> headers;
        for (const auto &[name, content] : value.headers) headers.push_back({name.c_str(), content.c_str()});
        headers.push_back({nullptr, nullptr});
        const char *body = value.body.empty() ? nullptr : value.body.data();
        return dacapo_respond({value.status, nullptr, headers.data(), body, value.body.size()}).output;
    }
};

/// The body of a request.
inline std::string request_body(const dacapo_trigger_call &call) {
    size_t length;
    const char *body = dacapo_request_body(&call, &length);
    return {body, length};
}

/// Adds a message to an output binding of the trigger. Messages are sent when the trigger has succeeded.
template <class T>
void output(const std::string &binding, const T &message) {
    dacapo_output(detail::keep(binding), detail::keep(to_json(message)));
}

/// Makes the response that tells a caller how to follow an instance.
inline result<raw> create_check_status_response(const dacapo_trigger_call &call, const std::string &instance_id) {
    return outcome_to(dacapo_create_check_status_response(&call, instance_id.c_str()));
}

/// The same, if the instance has not ended after the timeout; otherwise a response with its output.
inline result<raw> wait_for_completion_or_create_check_status_response(const dacapo_trigger_call &call,
                                                                       const std::string &instance_id, milliseconds timeout) {
    const double most = detail::count(timeout);
    return outcome_to(dacapo_wait_for_completion_or_create_check_status_response(&call, instance_id.c_str(), most));
}

// --- Functions of the app ---

namespace detail {

template <class Out, class In>
In input_of(result<Out> (*)(In));
template <class Out>
none input_of(result<Out> (*)());
template <class Out, class In>
In input_of(result<Out> (*)(const dacapo_activity_call &, In));
template <class Out, class State>
State state_of(result<Out> (*)(operation<State> &));

template <auto Function, class... Context>
dacapo_outcome call(const char *input, const Context &...context) {
    using In = std::decay_t<decltype(input_of(Function))>;
    std::optional<In> given = from_json<In>(input);
    if (!given) {
        failure why{"InvalidInput", "the input is of another type than the function takes", input, false};
        return outcome_of(result<none>(fail(std::move(why))));
    }
    if constexpr (std::is_invocable_v<decltype(Function), const Context &..., In> && sizeof...(Context) > 0) {
        return outcome_of(Function(context..., std::move(*given)));
    } else if constexpr (std::is_invocable_v<decltype(Function), In>) {
        return outcome_of(Function(std::move(*given)));
    } else {
        return outcome_of(Function());
    }
}

template <auto Function>
dacapo_outcome operate(dacapo_entity_operation *wanted) {
    using State = decltype(state_of(Function));
    std::optional<State> before = wanted->state ? from_json<State>(wanted->state) : State();
    if (!before) {
        failure why{"InvalidInput", "the state is of another type than the entity's", wanted->state, false};
        return outcome_of(result<none>(fail(std::move(why))));
    }
    operation<State> one(*wanted, std::move(*before));
    dacapo_outcome outcome = outcome_of(Function(one));
    wanted->state = one.is_deleted() ? nullptr : keep(to_json<State>(one.state));
    return outcome;
}

}  // namespace detail

/// Makes an orchestrator of a function `result<Out>(In)` or `result<Out>()`.
template <auto Function>
constexpr dacapo_function orchestrator(const char *name) {
    return DACAPO_ORCHESTRATOR_AS(name, [](const char *input) { return detail::call<Function>(input); });
}

/// Makes an activity of a function like that of an orchestrator, or `result<Out>(const dacapo_activity_call &, In)`.
template <auto Function>
constexpr dacapo_function activity(const char *name) {
    return DACAPO_ACTIVITY_AS(name, [](const dacapo_activity_call *call) { return detail::call<Function>(call->input, *call); });
}

/// Makes an entity of a function `result<Out>(operation<State> &)`.
template <auto Function>
constexpr dacapo_function entity(const char *name) {
    return DACAPO_ENTITY_AS(name, detail::operate<Function>);
}

/// Makes a trigger of a function `result<Out>(const dacapo_trigger_call &)`. Out is response or raw, a response as JSON, for an
/// HTTP trigger, and none for others. The bindings are written as in C:
///
///     dacapo::trigger<start>("start", DACAPO_HTTP_TRIGGER("orders", "anonymous", "POST"))
template <auto Function>
constexpr dacapo_function trigger(const char *name, const char *bindings) {
    auto fire = [](const dacapo_trigger_call *call) { return detail::outcome_of(Function(*call)); };
    return DACAPO_TRIGGER_AS(name, fire, bindings);
}

}  // namespace dacapo
