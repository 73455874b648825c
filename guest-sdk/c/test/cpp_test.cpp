// Tests of dacapo.hpp, natively: see run.sh.
#include <cstdio>
#include <string>
#include <vector>

#include "dacapo.hpp"
#include "dacapo_test.h"

using dacapo::fail, dacapo::from_json, dacapo::milliseconds, dacapo::none, dacapo::result, dacapo::to_json;

static int failures;

#define CHECK(condition)                                                  \
    do {                                                                  \
        if (!(condition)) {                                               \
            std::fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
            failures++;                                                   \
        }                                                                 \
    } while (false)

struct point {
    int x, y;
    std::optional<std::string> label;
};

template <>
struct dacapo::json<point> {
    static std::string write(const point &p) {
        return "{\"x\":" + to_json(p.x) + ",\"y\":" + to_json(p.y) + ",\"label\":" + to_json(p.label) + "}";
    }
    static std::optional<point> read(const char *text) {
        auto x = member<int>(text, "x"), y = member<int>(text, "y");
        auto label = member<std::optional<std::string>>(text, "label");
        return x && y ? std::optional(point{*x, *y, label.value_or(std::nullopt)}) : std::nullopt;
    }
};

static void values_come_back() {
    CHECK(to_json(std::vector<std::string>{"a", "\""}) == "[\"a\",\"\\\"\"]");
    CHECK(to_json(std::string("\0a\0\0\"", 5)) == "\"\\u0000a\\u0000\\u0000\\\"\"" && to_json(std::string()) == "\"\"");
    CHECK(from_json<std::vector<int>>("[1, 2]") == (std::vector{1, 2}));
    CHECK(!from_json<std::vector<int>>("[1, \"2\"]") && !from_json<std::vector<int>>("{}"));
    CHECK(from_json<unsigned char>("255") == 255 && !from_json<unsigned char>("256") && !from_json<unsigned>("-1"));
    CHECK(!from_json<int>("1.5") && !from_json<long long>("1e300") && from_json<double>("1.5") == 1.5);
    CHECK(from_json<std::optional<bool>>("null").value() == std::nullopt && from_json<std::optional<bool>>("true").value() == true);
    CHECK(to_json(*from_json<point>("{\"y\":2,\"x\":1,\"label\":\"p\"}")) == "{\"x\":1,\"y\":2,\"label\":\"p\"}");
    CHECK(to_json(*from_json<point>("{\"y\":2,\"x\":1}")) == "{\"x\":1,\"y\":2,\"label\":null}" && !from_json<point>("[]"));
}

result<int> account(dacapo::operation<int> &operation) {
    if (operation.name() == "add") {
        result<int> amount = operation.input<int>();
        if (!amount) return amount;
        operation.state += *amount;
    } else if (operation.name() == "close") {
        operation.delete_state();
    } else if (operation.name() != "get") {
        return operation.not_found();
    }
    return operation.state;
}

static void an_operation_changes_the_state() {
    dacapo_entity_id id{"account", "ada"};
    dacapo_run run = dacapo_test_operation(id, "add", "2", "5");
    CHECK(from_json<int>(run.outcome.output) == 7 && from_json<int>(run.state) == 7);
    run = dacapo_test_operation(id, "get", nullptr, nullptr);
    CHECK(from_json<int>(run.outcome.output) == 0);
    run = dacapo_test_operation(id, "close", nullptr, "5");
    CHECK(!run.outcome.failure && !run.state);
    run = dacapo_test_operation(id, "add", "[]", "5");
    CHECK(run.outcome.failure && std::string(run.outcome.failure->type) == "InvalidInput");
    run = dacapo_test_operation(id, "halve", nullptr, "5");
    CHECK(run.outcome.failure && std::string(run.outcome.failure->type) == "OperationNotFound");
    run = dacapo_test_operation(id, "get", nullptr, "\"five\"");
    CHECK(run.outcome.failure && std::string(run.outcome.failure->message).contains("state"));
}

result<std::vector<int>> transfer(point amounts) {
    dacapo::entity_id from{"account", "ada"}, to{"account", "grace"};
    std::vector<int> balances;
    {
        result<dacapo::lock> lock = dacapo::lock_entities({from, to});
        if (!lock) return fail(lock.error());
        for (auto &[entity, amount] : {std::pair(from, -amounts.x), std::pair(to, amounts.y)}) {
            result<int> balance = dacapo::call_entity<int>(entity, "add", amount).await();
            if (!balance) return fail(balance.error());
            balances.push_back(*balance);
        }
    }
    dacapo::signal_entity(to, "note");
    dacapo::signal_entity_at(dacapo::now() + milliseconds(7), to, "note", "later");
    dacapo::send_event(dacapo::start_orchestration("mail", amounts.x), "Go", true);
    if (!dacapo::create_timer_at(dacapo::now()).await()) return fail({"Late", "the timer was"});
    auto slow = dacapo::call_sub_orchestrator<none>("audit", amounts, "audit-1");
    auto timer = dacapo::create_timer(milliseconds(500));
    if (dacapo::wait_any(slow, timer) == 1) return balances;
    return fail({"TooQuick", "the audit was", {}, false});
}

static void a_lock_ends_with_its_scope() {
    dacapo_script *script = dacapo_script_new();
    dacapo_script_answer(script, "call-entity @account@ada add -3", "4");
    dacapo_script_answer(script, "call-entity @account@grace add 3", "8");
    dacapo_script_answer_after(script, "call-sub-orchestrator audit", nullptr, 1000);
    dacapo_run run = dacapo_script_run(script, "transfer", "{\"x\":3,\"y\":3}");
    CHECK(!run.outcome.failure && from_json<std::vector<int>>(run.outcome.output) == (std::vector{4, 8}) && run.elapsed == 500);
    CHECK(std::string(run.actions[3]) == "unlock-entities" && std::string(run.actions[4]) == "signal-entity @account@grace note null");
    CHECK(dacapo_did(&run, "signal-entity @account@grace note \"later\" at 1767225600007"));
    CHECK(dacapo_did(&run, "start-orchestration mail 3 as test:1") && dacapo_did(&run, "send-event test:1 Go true"));
    CHECK(dacapo_did(&run, "create-timer 0") && dacapo_did(&run, "create-timer 500"));
    CHECK(dacapo_did(&run, "call-sub-orchestrator audit {\"x\":3,\"y\":3,\"label\":null} as audit-1"));
    dacapo_script_free(script);

    script = dacapo_script_new();
    dacapo_script_failure(script, "call-entity", {"Broken", "as told", "why", false});
    run = dacapo_script_run(script, "transfer", "{\"x\":3,\"y\":3}");
    const dacapo_failure *why = run.outcome.failure;
    CHECK(why && std::string(why->type) == "Broken" && std::string(why->details) == "why" && !why->retriable);
    CHECK(dacapo_did(&run, "unlock-entities"));
    run = dacapo_script_run(script, "transfer", "3");
    CHECK(run.outcome.failure && std::string(run.outcome.failure->type) == "InvalidInput");
    dacapo_script_free(script);
}

result<std::string> version_of(int n) {
    return dacapo::call_sub_orchestrator_with_version<std::string>("child", n, "2.0", "child-1").await();
}

result<std::vector<std::string>> start_and_fetch(std::string item) {
    result<dacapo::raw> response = dacapo::send_http("{\"method\":\"GET\",\"uri\":\"https://example.org/\"}");
    if (!response) return fail(response.error());
    result<std::string> id = dacapo::client_start_orchestration("order", item, "order-1", "2.0");
    if (!id) return fail(id.error());
    return std::vector{*id, response->text};
}

static void versions_starts_and_http() {
    dacapo_script *script = dacapo_script_new();
    dacapo_script_answer(script, "call-sub-orchestrator child 7 as child-1 version 2.0", "\"2.0\"");
    dacapo_run run = dacapo_script_run(script, "version_of", "7");
    CHECK(from_json<std::string>(run.outcome.output) == "2.0");
    dacapo_script_answer(script, "send-http", "{}");
    run = dacapo_script_run_activity(script, "start_and_fetch", "\"a lamp\"", 1);
    CHECK(from_json<std::vector<std::string>>(run.outcome.output) == (std::vector<std::string>{"order-1", "{}"}));
    CHECK(dacapo_did(&run, "start-orchestration order \"a lamp\" as order-1 version 2.0"));
    dacapo_script_failure(script, "start-orchestration order", {"VersionMismatch", "no version takes it", nullptr, false});
    run = dacapo_script_run_activity(script, "start_and_fetch", "\"a lamp\"", 1);
    CHECK(run.outcome.failure && std::string(run.outcome.failure->type) == "VersionMismatch");
    dacapo_script_free(script);
}

result<dacapo::raw> start(const dacapo_trigger_call &call) {
    const auto item = from_json<std::string>(dacapo::request_body(call).c_str());
    if (!item) return fail({"InvalidInput", "an order names an item"});
    dacapo::moment at{milliseconds(1767225601000)};
    result<std::string> id = dacapo::client_start_orchestration("order", *item, "order-1", std::nullopt, at);
    if (!id) return fail(id.error());
    return dacapo::create_check_status_response(call, *id);
}

result<dacapo::response> mirror(const dacapo_trigger_call &call) {
    return dacapo::response{
        .status = 201, .body = dacapo::request_body(call), .headers = {{"set-cookie", "a"}, {"set-cookie", "b"}}};
}

result<none> pay(const dacapo_trigger_call &call) {
    size_t count;
    const char *const *messages = dacapo_messages(&call, &count);
    dacapo::entity_id ada{"account", "ada"};
    result<std::optional<int>> balance = dacapo::client_read_entity<int>(ada);
    if (!balance) return fail(balance.error());
    for (size_t i = 0; i < count; i++) {
        dacapo::output("receipts", std::string(messages[i]) + " of " + std::to_string(balance->value_or(0)));
    }
    dacapo::output("receipts", point{1, 2, {}});
    if (auto sent = dacapo::client_signal_entity(ada, "add", -1); !sent) return sent;
    if (auto sent = dacapo::client_signal_entity_at(dacapo::moment(milliseconds(7)), ada, "note"); !sent) return sent;
    if (auto put = dacapo::client_enqueue("points", std::vector<point>{{1, 2, {}}}); !put) return put;
    if (auto put = dacapo::client_enqueue<const char *>("notes", {"a", "b"}, dacapo::moment(milliseconds(7))); !put) return put;
    if (auto stopped = dacapo::outcome_to<none>(dacapo_client_terminate("order-1", "paid")); !stopped) return stopped;
    return dacapo::client_raise_event("order-2", "Paid", true);
}

static void triggers_run() {
    dacapo_run run = dacapo_test_trigger("start", R"({"url":"https://a.example/api/start","body":"\"a lamp\""})", 1);
    CHECK(dacapo_did(&run, "start-orchestration order \"a lamp\" as order-1 at 1767225601000"));
    CHECK(std::string(run.outcome.output).starts_with(R"({"response":{"status":202,"headers":[["content-type")"));
    CHECK(std::string(run.outcome.output).contains(R"(["location","https://a.example/runtime/)"));
    run = dacapo_test_trigger("start", R"({"body":"[]"})", 1);
    CHECK(run.outcome.failure && std::string(run.outcome.failure->type) == "InvalidInput");
    run = dacapo_test_trigger("mirror", R"({"bodyBase64":"AP8="})", 1);
    CHECK(std::string(run.outcome.output) ==
          R"({"response":{"status":201,"headers":[["set-cookie","a"],["set-cookie","b"]],"bodyBase64":"AP8="}})");

    dacapo_script *script = dacapo_script_new();
    dacapo_script_answer(script, "read-entity @account@ada", "7");
    run = dacapo_script_run_trigger(script, "pay", R"({"message":"a lamp"})", 1);
    CHECK(std::string(run.outcome.output) == R"({"outputs":{"receipts":["a lamp of 7",{"x":1,"y":2,"label":null}]}})");
    CHECK(dacapo_did(&run, "signal-entity @account@ada add -1") && dacapo_did(&run, "signal-entity @account@ada note null at 7"));
    CHECK(dacapo_did(&run, R"(enqueue points ["{\"x\":1,\"y\":2,\"label\":null}"])") && dacapo_did(&run, R"(enqueue notes ["a","b"] at 7)"));
    CHECK(dacapo_did(&run, "terminate order-1 paid") && dacapo_did(&run, "raise-event order-2 Paid true"));
    dacapo_script_failure(script, "raise-event", {"InstanceEnded", "too late", nullptr, false});
    run = dacapo_script_run_trigger(script, "pay", R"({"message":"a lamp"})", 1);
    CHECK(run.outcome.failure && std::string(run.outcome.failure->type) == "InstanceEnded");
    dacapo_script_free(script);
}

DACAPO_APP(
    dacapo::entity<account>("account"), dacapo::orchestrator<transfer>("transfer"), dacapo::orchestrator<version_of>("version_of"),
    dacapo::activity<start_and_fetch>("start_and_fetch"),
    dacapo::trigger<start>("start", DACAPO_HTTP_TRIGGER("start", "anonymous", "POST")),
    dacapo::trigger<mirror>("mirror", DACAPO_HTTP_TRIGGER_ANY("mirror", "function")),
    dacapo::trigger<pay>("pay", DACAPO_QUEUE_TRIGGER("payments") DACAPO_QUEUE_OUTPUT("receipts", "receipts"))
)

int main() {
    values_come_back();
    an_operation_changes_the_state();
    a_lock_ends_with_its_scope();
    versions_starts_and_http();
    triggers_run();
    return failures != 0;
}
