/* Write durable orchestrations for Dacapo in C.
 *
 * An orchestrator is a function that says what happens in which order. The host writes down each step, so an orchestration
 * survives crashes and restarts, and may take a second or a year. An activity is a function that does one piece of real
 * work. An entity is durable state with operations that run one after another. They are compiled to wasm, together with
 * dacapo.c, as an app:
 *
 *     #include "dacapo.h"
 *
 *     static dacapo_outcome hello(const char *city) {
 *         return dacapo_await(dacapo_call_activity("say_hello", city, NULL));
 *     }
 *
 *     static dacapo_outcome say_hello(const dacapo_activity_call *call) {
 *         const char *city = dacapo_json_to_string(call->input);
 *         return dacapo_ok(dacapo_json_string(dacapo_format("Hello %s!", city)));
 *     }
 *
 *     DACAPO_APP(DACAPO_ORCHESTRATOR(hello), DACAPO_ACTIVITY(say_hello))
 *
 * How it runs: when an orchestrator waits for something that has not happened yet, it is put to sleep, and may be
 * forgotten. Then the host runs it again from its beginning, and hands it what it has recorded. So it must do the same each
 * time: all that it knows of the world it learns from the functions below. An activity runs at least once.
 *
 * Texts are UTF-8 and end with a zero byte. Payloads (inputs, outputs, data of events) are JSON texts; where one is given,
 * NULL stands for `null`. Moments are milliseconds since 1970, durations are milliseconds.
 *
 * Memory: whatever the functions below return lives until the run has ended (the orchestrator, the activity, the
 * operation), and is freed then. So does what dacapo_alloc gives. Nothing has to be freed before.
 */
#ifndef DACAPO_H
#define DACAPO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define DACAPO_LIKE_PRINTF(text, arguments) __attribute__((format(printf, text, arguments)))
#define DACAPO_NO_RETURN __attribute__((noreturn))
#else
#define DACAPO_LIKE_PRINTF(text, arguments)
#define DACAPO_NO_RETURN
#endif

/* --- Outcomes --- */

/* Why a function did not succeed.
 *
 * The host makes failures of these types: ActivityNotFound, OrchestratorNotFound, EntityNotFound, InstanceNotFound,
 * InstanceAlreadyExists, VersionMismatch, InvalidArgument, InvalidOutput, LimitExceeded, LockingRulesViolation, Canceled,
 * Terminated, HttpRequestFailed, Unavailable; and for a function that came to no end: Panic, Trap, Timeout, FuelExhausted,
 * OutOfMemory, StackOverflow. */
typedef struct dacapo_failure {
    const char *type;    /* a short name that callers match on, such as InsufficientFunds */
    const char *message; /* one sentence for people */
    const char *details; /* anything longer, or NULL */
    bool retriable;      /* whether trying again may help; no retry policy retries a failure that says false */
} dacapo_failure;

/* How something ended: with an output, or with a failure. The other is NULL. */
typedef struct dacapo_outcome {
    const char *output; /* JSON */
    const dacapo_failure *failure;
} dacapo_outcome;

/* What a function returns that succeeded. */
dacapo_outcome dacapo_ok(const char *output);

/* What a function returns that did not. The failure is copied; its texts are not. */
dacapo_outcome dacapo_fail(dacapo_failure failure);

/* --- Functions of the app --- */

/* An orchestrator takes its input as JSON. */
typedef dacapo_outcome dacapo_orchestrator(const char *input);

/* One call of an activity. Instance id and task id together are an idempotency key that stays the same when the call is
 * repeated after a crash; a retry by policy is a new call. */
typedef struct dacapo_activity_call {
    const char *name;
    const char *input;       /* JSON */
    const char *instance_id; /* of the instance that called */
    uint32_t task_id;
    uint32_t attempt; /* 1 for the first under the caller's retry policy, then 2, and so on */
} dacapo_activity_call;

typedef dacapo_outcome dacapo_activity(const dacapo_activity_call *call);

typedef struct dacapo_entity_id {
    const char *name;
    const char *key;
} dacapo_entity_id;

/* One operation on an entity. It must not wait for anything, and one that fails changes nothing. */
typedef struct dacapo_entity_operation {
    dacapo_entity_id entity;
    const char *operation;
    const char *input; /* JSON */
    const char *state; /* JSON, or NULL if there is none: the operation leaves the new one here, and NULL deletes it */
} dacapo_entity_operation;

typedef dacapo_outcome dacapo_entity(dacapo_entity_operation *operation);

typedef enum dacapo_kind { DACAPO_KIND_ORCHESTRATOR, DACAPO_KIND_ACTIVITY, DACAPO_KIND_ENTITY } dacapo_kind;

/* One function of the app. It has the one of its three bodies that its kind says. */
typedef struct dacapo_function {
    const char *name;
    dacapo_kind kind;
    dacapo_orchestrator *orchestrate;
    dacapo_activity *act;
    dacapo_entity *operate;
} dacapo_function;

/* Functions under their names in C, and under others. */
#define DACAPO_ORCHESTRATOR(function) DACAPO_ORCHESTRATOR_AS(#function, function)
#define DACAPO_ACTIVITY(function) DACAPO_ACTIVITY_AS(#function, function)
#define DACAPO_ENTITY(function) DACAPO_ENTITY_AS(#function, function)
#define DACAPO_ORCHESTRATOR_AS(name, function) {name, DACAPO_KIND_ORCHESTRATOR, function, NULL, NULL}
#define DACAPO_ACTIVITY_AS(name, function) {name, DACAPO_KIND_ACTIVITY, NULL, function, NULL}
#define DACAPO_ENTITY_AS(name, function) {name, DACAPO_KIND_ENTITY, NULL, NULL, function}

/* Names the functions of the app, once. */
#define DACAPO_APP(...) const dacapo_function dacapo_app[] = {__VA_ARGS__, {NULL, DACAPO_KIND_ORCHESTRATOR, NULL, NULL, NULL}};

extern const dacapo_function dacapo_app[];

/* --- Tasks, for orchestrators --- */

/* Something that was scheduled and completes once. */
typedef struct dacapo_task {
    int32_t handle;
} dacapo_task;

/* Waits for a task and gives how it ended. It may be called again. */
dacapo_outcome dacapo_await(dacapo_task task);

/* Waits so long at most. If the time is up it gives the task up as dacapo_cancel does, and returns false. */
bool dacapo_await_for(dacapo_task task, double milliseconds, dacapo_outcome *outcome);

/* Waits until one of the tasks has completed, and returns its index: that of the first one, if several have. The others go
 * on. At least one task. */
size_t dacapo_wait_any(const dacapo_task *tasks, size_t count);

/* Waits until all of the tasks have completed. */
void dacapo_wait_all(const dacapo_task *tasks, size_t count);

/* Whether a task has completed. It does not wait. */
bool dacapo_is_done(dacapo_task task);

/* Gives up a timer or a wait for an event: the task completes with the failure Canceled, and an event that comes later
 * stays for the next wait. Returns false, and does nothing, for other tasks and for what has completed already. */
bool dacapo_cancel(dacapo_task task);

/* When and how often something that failed is tried again. The host keeps the schedule. */
typedef struct dacapo_retry_policy {
    uint32_t max_attempts; /* the first one included; at least 1 */
    double first_interval; /* between the first failure and the second attempt */
    double backoff;        /* what each further interval is multiplied by; 0 and 1 keep them equal */
    double max_interval;   /* no interval is longer, unless it is 0 */
    double timeout;        /* no attempt begins so long after the first one, unless it is 0 */
    const char *const *not_retriable; /* types of failures that are final at once, then NULL; or NULL */
} dacapo_retry_policy;

/* Schedules an activity. Without a policy (NULL) a failure is final. */
dacapo_task dacapo_call_activity(const char *name, const char *input, const dacapo_retry_policy *retry);

/* Schedules a child orchestration. Without an instance id (NULL) the host derives one. */
dacapo_task dacapo_call_sub_orchestrator(const char *name, const char *input, const char *instance_id,
                                         const dacapo_retry_policy *retry);

/* The same for a child that asks for a version: it begins on the code that a client's start with this version would get, and
 * reads it with dacapo_version. A child that asks for none (NULL) begins on the code of its parent, if that has the function. */
dacapo_task dacapo_call_sub_orchestrator_with_version(const char *name, const char *input, const char *version,
                                                      const char *instance_id, const dacapo_retry_policy *retry);

/* Schedules a timer. Any duration is fine, years too; a moment in the past fires at once. */
dacapo_task dacapo_create_timer(double milliseconds);
dacapo_task dacapo_create_timer_at(double fire_at);

/* Waits for the next unread event of that name (compared ignoring case). Events that came earlier were kept. An event goes to a
 * task that is waited for, of several to the one that was made first: one that lost a race takes none. */
dacapo_task dacapo_wait_for_external_event(const char *name);

/* Schedules an operation of an entity, which is made if it does not exist. */
dacapo_task dacapo_call_entity(dacapo_entity_id entity, const char *operation, const char *input);

/* Schedules the lock of entities. When the task has completed the critical section has begun: no other instance's
 * operations reach them. In it there are no sub-orchestrations and no further lock, only locked entities are called, each by
 * one call at a time, and they are not signaled. */
dacapo_task dacapo_lock_entities(const dacapo_entity_id *entities, size_t count);

/* Ends the critical section. Returns false if there is none. */
bool dacapo_unlock_entities(void);

/* Sends an HTTP request to a host that the operator allowed. The request is JSON: {"method", "uri", "headers"?, "content"?,
 * "asynchronousPatternEnabled"?, "timeoutMs"?}, and so is the response: {"statusCode", "headers", "content"}. */
dacapo_task dacapo_call_http(const char *request);

/* Asks for a fresh start with a new input and an empty history once the orchestrator returns; its output is ignored then. */
void dacapo_continue_as_new(const char *input);

/* Replaces the custom status, JSON of at most 16 KiB, that status queries show. */
void dacapo_set_custom_status(const char *status);

/* The parent of a sub-orchestration. */
typedef struct dacapo_parent {
    const char *name;
    const char *instance_id;
} dacapo_parent;

/* The parent, or NULL if there is none. */
const dacapo_parent *dacapo_parent_instance(void);

/* The id of this execution. Continue-as-new begins a new one. */
const char *dacapo_execution_id(void);

/* The version label that the instance was started with, or an empty text. */
const char *dacapo_version(void);

/* Whether the code is being replayed. For diagnostics only: a decision that depends on it diverges. */
bool dacapo_is_replaying(void);

/* --- For orchestrators and entities --- */

/* The id of this instance. */
const char *dacapo_instance_id(void);

/* The current time. It stands still between waits, and is the same again on replay. */
double dacapo_current_time(void);

/* A new unique id, the same again on replay. */
const char *dacapo_new_guid(void);

/* Fills a buffer with random bytes, the same again on replay. Not for secrets. */
void dacapo_random_bytes(void *buffer, size_t length);

/* Starts an orchestration that runs on its own, and returns its instance id. Without one (NULL) the host derives it. */
const char *dacapo_start_orchestration(const char *name, const char *input, const char *instance_id);

/* Raises an external event for another instance. One that does not exist ignores it. */
void dacapo_send_event(const char *instance_id, const char *name, const char *data);

/* Sends a one-way operation to an entity, at once or not before a moment. */
void dacapo_signal_entity(dacapo_entity_id entity, const char *operation, const char *input);
void dacapo_signal_entity_at(dacapo_entity_id entity, const char *operation, const char *input, double deliver_at);

/* --- For activities --- */

/* Starts an orchestration that runs on its own, and gives its instance id, as JSON, once the start is durable. Without an
 * instance id (NULL) the host derives it; without a version (NULL) it asks for none. A call of the activity that is repeated
 * after a crash starts nothing anew that it has started. It fails with OrchestratorNotFound, with InstanceAlreadyExists if
 * another instance lives under the id, or with VersionMismatch if no deployed version takes the version.
 *
 *     dacapo_outcome id = dacapo_activity_start_orchestration("invoice", call->input, "invoice-17", NULL);
 *     if (id.failure && strcmp(id.failure->type, "InstanceAlreadyExists") != 0) return id; */
dacapo_outcome dacapo_activity_start_orchestration(const char *name, const char *input, const char *instance_id,
                                                   const char *version);

/* Sends an HTTP request to a host that the operator allowed, and waits for the response, of whatever status. Both are JSON, as
 * for dacapo_call_http, but a 202 is not polled. No answer at all is the failure HttpRequestFailed.
 *
 *     dacapo_json_pair request[] = {{"method", "\"GET\""}, {"uri", "\"https://example.org/stock\""}};
 *     dacapo_outcome response = dacapo_send_http(dacapo_json_object(request, 2));
 *     if (response.failure) return response;
 *     return dacapo_ok(dacapo_json_member(response.output, "content")); */
dacapo_outcome dacapo_send_http(const char *request);

/* The links by which an instance is managed over HTTP, as JSON. */
const char *dacapo_links(const char *instance_id);

/* --- For all functions --- */

typedef enum dacapo_level { DACAPO_TRACE, DACAPO_DEBUG, DACAPO_INFO, DACAPO_WARN, DACAPO_ERROR } dacapo_level;

/* Writes one line to the host's log. From an orchestrator each line is written once, not once per replay. */
void dacapo_log(dacapo_level level, const char *message);

/* Stops the function: it fails with the type Panic, the message, and this line of the code. */
#define DACAPO_PANIC(message) dacapo_panic(__FILE__, __LINE__, message)
DACAPO_NO_RETURN void dacapo_panic(const char *file, int line, const char *message);

/* Memory, aligned to 8 bytes, that is freed when the run has ended. Never NULL. */
void *dacapo_alloc(size_t size);

/* A text, as printf writes it. */
const char *dacapo_format(const char *format, ...) DACAPO_LIKE_PRINTF(1, 2);

/* --- JSON --- */

/* Values as JSON. A number that JSON does not have is null. */
const char *dacapo_json_string(const char *text);
const char *dacapo_json_number(double number);
const char *dacapo_json_bool(bool value);

/* An array of JSON texts. */
const char *dacapo_json_array(const char *const *items, size_t count);

/* An object of members, whose values are JSON texts:
 *
 *     dacapo_json_object((dacapo_json_pair[]){{"method", "\"GET\""}, {"uri", dacapo_json_string(uri)}}, 2) */
typedef struct dacapo_json_pair {
    const char *name;
    const char *value;
} dacapo_json_pair;
const char *dacapo_json_object(const dacapo_json_pair *members, size_t count);

/* What a JSON text holds. Each is safe with any text, and says so if it holds something else: by false or NULL. */
const char *dacapo_json_to_string(const char *json);
bool dacapo_json_to_number(const char *json, double *number);
bool dacapo_json_to_bool(const char *json, bool *value);

/* The items of an array, as JSON. NULL if it is none. */
const char *const *dacapo_json_items(const char *json, size_t *count);

/* A member of an object (the last of that name), as JSON. NULL if there is none. */
const char *dacapo_json_member(const char *json, const char *name);

#ifdef __cplusplus
}
#endif

#endif
