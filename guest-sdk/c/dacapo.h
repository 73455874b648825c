/* Write durable orchestrations for Dacapo in C.
 *
 * An orchestrator is a function that says what happens in which order. The host records each step, so an orchestration
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
 * How it runs: when an orchestrator waits for something that has not happened yet, it is suspended, and may be evicted from
 * memory. To resume it, the host then runs it again from the beginning, a replay, and gives it the results that it has
 * recorded. So it must do the same each time: its only access to the outside is the functions below. An activity runs at
 * least once.
 *
 * Texts are UTF-8 and end with a zero byte. Payloads (inputs, outputs, data of events) are JSON texts; as an argument, NULL
 * means `null`. Times are milliseconds since 1970, durations are milliseconds.
 *
 * Memory: results of the functions below, and memory from dacapo_alloc, stay valid until the end of the run (of the
 * orchestrator, activity or operation) and are freed then. You need not free anything. */
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
 * Terminated, HttpRequestFailed, Unavailable; and for a function that did not return: Panic, Trap, Timeout, FuelExhausted,
 * OutOfMemory, StackOverflow. */
typedef struct dacapo_failure {
    const char *type;    /* a short name that callers match on, such as InsufficientFunds */
    const char *message; /* one sentence for humans */
    const char *details; /* longer information, or NULL */
    bool retriable;      /* whether trying again may help; if false, no retry policy retries it */
} dacapo_failure;

/* How a function or a task ended: with an output, or with a failure. The other member is NULL. */
typedef struct dacapo_outcome {
    const char *output; /* JSON */
    const dacapo_failure *failure;
} dacapo_outcome;

/* Makes the outcome of a function that succeeded. */
dacapo_outcome dacapo_ok(const char *output);

/* Makes the outcome of a function that failed. Copies the failure, but not its texts. */
dacapo_outcome dacapo_fail(dacapo_failure failure);

/* --- Functions of the app --- */

/* An orchestrator. The input is JSON. */
typedef dacapo_outcome dacapo_orchestrator(const char *input);

/* One call of an activity. Instance id and task id together are an idempotency key, which is the same when the call is
 * repeated after a crash; a retry by policy is a new call. */
typedef struct dacapo_activity_call {
    const char *name;
    const char *input;       /* JSON */
    const char *instance_id; /* of the calling instance */
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
    const char *state; /* JSON, or NULL if there is none; the operation sets the new state here, NULL to delete it */
} dacapo_entity_operation;

typedef dacapo_outcome dacapo_entity(dacapo_entity_operation *operation);

typedef enum dacapo_kind { DACAPO_KIND_ORCHESTRATOR, DACAPO_KIND_ACTIVITY, DACAPO_KIND_ENTITY } dacapo_kind;

/* One function of the app. Only the body for its kind is set. */
typedef struct dacapo_function {
    const char *name;
    dacapo_kind kind;
    dacapo_orchestrator *orchestrate;
    dacapo_activity *act;
    dacapo_entity *operate;
} dacapo_function;

/* Functions with their C names, and (_AS) with other names. */
#define DACAPO_ORCHESTRATOR(function) DACAPO_ORCHESTRATOR_AS(#function, function)
#define DACAPO_ACTIVITY(function) DACAPO_ACTIVITY_AS(#function, function)
#define DACAPO_ENTITY(function) DACAPO_ENTITY_AS(#function, function)
#define DACAPO_ORCHESTRATOR_AS(name, function) {name, DACAPO_KIND_ORCHESTRATOR, function, NULL, NULL}
#define DACAPO_ACTIVITY_AS(name, function) {name, DACAPO_KIND_ACTIVITY, NULL, function, NULL}
#define DACAPO_ENTITY_AS(name, function) {name, DACAPO_KIND_ENTITY, NULL, NULL, function}

/* Defines the functions of the app. Use it once. */
#define DACAPO_APP(...) const dacapo_function dacapo_app[] = {__VA_ARGS__, {NULL, DACAPO_KIND_ORCHESTRATOR, NULL, NULL, NULL}};

extern const dacapo_function dacapo_app[];

/* --- Tasks, for orchestrators --- */

/* Something that was scheduled and completes once. */
typedef struct dacapo_task {
    int32_t handle;
} dacapo_task;

/* Waits for a task and returns its outcome. It may be called again. */
dacapo_outcome dacapo_await(dacapo_task task);

/* Waits with a timeout. After it, cancels the task as dacapo_cancel does, and returns false. */
bool dacapo_await_for(dacapo_task task, double milliseconds, dacapo_outcome *outcome);

/* Waits until a task has completed, and returns the index of the one that completed first. The others continue. There must
 * be at least one task. */
size_t dacapo_wait_any(const dacapo_task *tasks, size_t count);

/* Waits until all of the tasks have completed. */
void dacapo_wait_all(const dacapo_task *tasks, size_t count);

/* Whether a task has completed. It does not wait. */
bool dacapo_is_done(dacapo_task task);

/* Cancels a timer or a wait for an event: the task completes with the failure Canceled, and a later event is kept for the
 * next wait. Returns false, and does nothing, for other kinds of tasks and for completed tasks. */
bool dacapo_cancel(dacapo_task task);

/* When and how often a failed call is retried. The host keeps the schedule. */
typedef struct dacapo_retry_policy {
    uint32_t max_attempts; /* including the first one; at least 1 */
    double first_interval; /* between the first failure and the second attempt */
    double backoff;        /* the factor by which each further interval grows; 0 and 1 keep them equal */
    double max_interval;   /* the maximum length of an interval; 0 means no limit */
    double timeout;        /* no attempt starts this long after the start of the first one; 0 means no limit */
    const char *const *not_retriable; /* the types of failures that are not retried, then NULL; or NULL */
} dacapo_retry_policy;

/* Schedules an activity. Without a policy (NULL) a failure is final. */
dacapo_task dacapo_call_activity(const char *name, const char *input, const dacapo_retry_policy *retry);

/* Schedules a child orchestration. Without an instance id (NULL) the host derives one. */
dacapo_task dacapo_call_sub_orchestrator(const char *name, const char *input, const char *instance_id,
                                         const dacapo_retry_policy *retry);

/* The same for a child that asks for a version: it runs on the code that a client's start with this version would get, and
 * reads it with dacapo_version. A child that asks for none (NULL) runs on the code of its parent, if that has the function. */
dacapo_task dacapo_call_sub_orchestrator_with_version(const char *name, const char *input, const char *version,
                                                      const char *instance_id, const dacapo_retry_policy *retry);

/* Schedules a timer. Any duration is possible, even years; a timer in the past fires at once. */
dacapo_task dacapo_create_timer(double milliseconds);
dacapo_task dacapo_create_timer_at(double fire_at);

/* Waits for the next unread event of that name (compared ignoring case). Earlier events are kept. An event goes to a task that
 * is waited for, and if there are several to the oldest; a task that lost a race takes no event. */
dacapo_task dacapo_wait_for_external_event(const char *name);

/* Schedules an operation of an entity, which is created if it does not exist. */
dacapo_task dacapo_call_entity(dacapo_entity_id entity, const char *operation, const char *input);

/* Requests a lock on entities. When the task has completed, the critical section begins: only operations of this instance
 * reach the entities. Within it, an orchestration must not call sub-orchestrations, request another lock, call entities that
 * are not locked, call a locked entity twice at the same time, or signal a locked entity. */
dacapo_task dacapo_lock_entities(const dacapo_entity_id *entities, size_t count);

/* Ends the critical section. Returns false if there is none. */
bool dacapo_unlock_entities(void);

/* Sends an HTTP request to a host that the operator allowed. The request is JSON: {"method", "uri", "headers"?, "content"?,
 * "asynchronousPatternEnabled"?, "timeoutMs"?}, and so is the response: {"statusCode", "headers", "content"}. */
dacapo_task dacapo_call_http(const char *request);

/* Restarts the orchestration with a new input and an empty history, once the orchestrator returns. Its output is ignored. */
void dacapo_continue_as_new(const char *input);

/* Replaces the custom status, which status queries return: JSON of at most 16 KiB. */
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

/* The current time. It does not advance between waits, and is the same on replay. */
double dacapo_current_time(void);

/* Makes a new unique id, the same on replay. */
const char *dacapo_new_guid(void);

/* Fills a buffer with random bytes, the same on replay. Not for secrets. */
void dacapo_random_bytes(void *buffer, size_t length);

/* Starts an orchestration that runs on its own, and returns its instance id. Without one (NULL) the host derives it. */
const char *dacapo_start_orchestration(const char *name, const char *input, const char *instance_id);

/* Raises an external event for another instance. If that does not exist, the event is dropped. */
void dacapo_send_event(const char *instance_id, const char *name, const char *data);

/* Sends a one-way operation to an entity. It runs as soon as possible, or not before deliver_at. */
void dacapo_signal_entity(dacapo_entity_id entity, const char *operation, const char *input);
void dacapo_signal_entity_at(dacapo_entity_id entity, const char *operation, const char *input, double deliver_at);

/* --- For activities --- */

/* Starts an orchestration that runs on its own, and returns its instance id, as JSON, once the start is durable. The instance
 * id may be NULL: the host derives one. The version may be NULL: none is requested. If the call of the activity is repeated
 * after a crash, orchestrations that it has started are not started again. Fails with OrchestratorNotFound, with
 * InstanceAlreadyExists if a live instance with the id was not started by this call, or with VersionMismatch.
 *
 *     dacapo_outcome id = dacapo_activity_start_orchestration("invoice", call->input, "invoice-17", NULL);
 *     if (id.failure && strcmp(id.failure->type, "InstanceAlreadyExists") != 0) return id; */
dacapo_outcome dacapo_activity_start_orchestration(const char *name, const char *input, const char *instance_id,
                                                   const char *version);

/* Sends an HTTP request to a host that the operator allowed, and returns the response, whatever its status. Both are JSON, as
 * for dacapo_call_http, but a 202 is not polled. Without any response it fails with HttpRequestFailed.
 *
 *     dacapo_json_pair request[] = {{"method", "\"GET\""}, {"uri", "\"https://example.org/stock\""}};
 *     dacapo_outcome response = dacapo_send_http(dacapo_json_object(request, 2));
 *     if (response.failure) return response;
 *     return dacapo_ok(dacapo_json_member(response.output, "content")); */
dacapo_outcome dacapo_send_http(const char *request);

/* The links for managing an instance over HTTP, as JSON. */
const char *dacapo_links(const char *instance_id);

/* --- For all functions --- */

typedef enum dacapo_level { DACAPO_TRACE, DACAPO_DEBUG, DACAPO_INFO, DACAPO_WARN, DACAPO_ERROR } dacapo_level;

/* Writes one line to the host's log. A replay does not write it again. */
void dacapo_log(dacapo_level level, const char *message);

/* Stops the function: it fails with the type Panic, the message, and the file and line of the macro. */
#define DACAPO_PANIC(message) dacapo_panic(__FILE__, __LINE__, message)
DACAPO_NO_RETURN void dacapo_panic(const char *file, int line, const char *message);

/* Allocates memory, aligned to 8 bytes, that is freed at the end of the run. Never returns NULL. */
void *dacapo_alloc(size_t size);

/* Formats a text like printf. */
const char *dacapo_format(const char *format, ...) DACAPO_LIKE_PRINTF(1, 2);

/* --- JSON --- */

/* Convert values to JSON. A number that JSON cannot represent becomes null. */
const char *dacapo_json_string(const char *text);
const char *dacapo_json_number(double number);
const char *dacapo_json_bool(bool value);

/* Makes an array of JSON texts. */
const char *dacapo_json_array(const char *const *items, size_t count);

/* Makes an object of members, whose values are JSON texts:
 *
 *     dacapo_json_object((dacapo_json_pair[]){{"method", "\"GET\""}, {"uri", dacapo_json_string(uri)}}, 2) */
typedef struct dacapo_json_pair {
    const char *name;
    const char *value;
} dacapo_json_pair;
const char *dacapo_json_object(const dacapo_json_pair *members, size_t count);

/* Read a value from a JSON text. They are safe with any text, and return NULL or false if it is not such a value. */
const char *dacapo_json_to_string(const char *json);
bool dacapo_json_to_number(const char *json, double *number);
bool dacapo_json_to_bool(const char *json, bool *value);

/* Returns the items of an array, as JSON, or NULL if the text is not an array. */
const char *const *dacapo_json_items(const char *json, size_t *count);

/* Returns a member of an object (the last one with that name), as JSON, or NULL if there is none. */
const char *dacapo_json_member(const char *json, const char *name);

#ifdef __cplusplus
}
#endif

#endif
