/* Write durable orchestrations for Dacapo in C.
 *
 * An orchestrator is a function that says what happens in which order. The host records each step, so an orchestration
 * survives crashes and restarts, and may take a second or a year. An activity is a function that does one piece of real
 * work. An entity is durable state with operations that run one after another. A trigger is a function that a request, a schedule
 * or a message starts. They are compiled to wasm, together with dacapo.c, as an app:
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
 * orchestrator, activity, operation or trigger) and are freed then. You need not free anything. */
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
 * InstanceAlreadyExists, InstanceEnded, InstanceNotEnded, NotRewindable, NotGranted, VersionMismatch, InvalidArgument,
 * InvalidOutput, LimitExceeded, LockingRulesViolation, Canceled, Terminated, HttpRequestFailed, Unavailable; and for a function
 * that did not return: Panic, Trap, Timeout, FuelExhausted, OutOfMemory, StackOverflow. */
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

/* One call of a trigger. See "For triggers" below. */
typedef struct dacapo_trigger_call {
    const char *name;
    const char *input;         /* JSON */
    const char *invocation_id; /* the same when the call is repeated, for example because a message is delivered again */
    uint32_t attempt;          /* 1 for the first time that the call is made, then 2, and so on */
} dacapo_trigger_call;

/* A trigger. That of a request over HTTP returns a response, see dacapo_respond; others return dacapo_ok(NULL). */
typedef dacapo_outcome dacapo_trigger(const dacapo_trigger_call *call);

typedef enum dacapo_kind { DACAPO_KIND_ORCHESTRATOR, DACAPO_KIND_ACTIVITY, DACAPO_KIND_ENTITY, DACAPO_KIND_TRIGGER } dacapo_kind;

/* One function of the app. Only what its kind has is set. */
typedef struct dacapo_function {
    const char *name;
    dacapo_kind kind;
    dacapo_orchestrator *orchestrate;
    dacapo_activity *act;
    dacapo_entity *operate;
    dacapo_trigger *fire;
    const char *bindings; /* the items of a JSON array */
} dacapo_function;

/* Functions with their C names, and (_AS) with other names. */
#define DACAPO_ORCHESTRATOR(function) DACAPO_ORCHESTRATOR_AS(#function, function)
#define DACAPO_ACTIVITY(function) DACAPO_ACTIVITY_AS(#function, function)
#define DACAPO_ENTITY(function) DACAPO_ENTITY_AS(#function, function)
#define DACAPO_TRIGGER(function, bindings) DACAPO_TRIGGER_AS(#function, function, bindings)
#define DACAPO_ORCHESTRATOR_AS(name, function) {name, DACAPO_KIND_ORCHESTRATOR, function, NULL, NULL, NULL, NULL}
#define DACAPO_ACTIVITY_AS(name, function) {name, DACAPO_KIND_ACTIVITY, NULL, function, NULL, NULL, NULL}
#define DACAPO_ENTITY_AS(name, function) {name, DACAPO_KIND_ENTITY, NULL, NULL, function, NULL, NULL}
#define DACAPO_TRIGGER_AS(name, function, bindings) {name, DACAPO_KIND_TRIGGER, NULL, NULL, NULL, function, bindings}

/* What starts a trigger: the first part of its bindings. Arguments are literals.
 *
 *     DACAPO_TRIGGER(start, DACAPO_HTTP_TRIGGER("orders/{id:int}", "anonymous", "GET", "POST"))
 *     DACAPO_TRIGGER(clean_up, DACAPO_TIMER_TRIGGER("0 30 3 * * *"))
 *
 * The route of an HTTP trigger has no prefix; callers need no key (anonymous), a key of a function (function) or that of an
 * administrator (admin). With DACAPO_HTTP_TRIGGER_ANY all methods are allowed. A schedule has six fields with seconds first,
 * five fields, or is a time span. An event-hub trigger of the cardinality "many" has a batch of events in a call, of "one" one. A
 * binding is JSON, in the form of the bindings in a function.json of Azure Functions, so you can also write one yourself. */
#define DACAPO_HTTP_TRIGGER(route, auth_level, ...) \
    DACAPO_IN("httpTrigger", "req") ",\"methods\":[" DACAPO_AS_JSON(__VA_ARGS__) "]" DACAPO_HTTP_REST(route, auth_level)
#define DACAPO_HTTP_TRIGGER_ANY(route, auth_level) DACAPO_IN("httpTrigger", "req") DACAPO_HTTP_REST(route, auth_level)
#define DACAPO_TIMER_TRIGGER(schedule) DACAPO_TIMER_TRIGGER_WITH(schedule, false, true)
#define DACAPO_TIMER_TRIGGER_WITH(schedule, run_on_startup, use_monitor)      \
    DACAPO_IN("timerTrigger", "timer") DACAPO_MEMBER("schedule", schedule)    \
    ",\"runOnStartup\":" #run_on_startup ",\"useMonitor\":" #use_monitor "}"
#define DACAPO_QUEUE_TRIGGER(queue) DACAPO_IN("queueTrigger", "item") DACAPO_MEMBER("queueName", queue) "}"
#define DACAPO_EVENT_HUB_TRIGGER(event_hub, cardinality)                            \
    DACAPO_IN("eventHubTrigger", "events") DACAPO_MEMBER("eventHubName", event_hub) \
    DACAPO_MEMBER("cardinality", cardinality) "}"
#define DACAPO_EVENT_GRID_TRIGGER DACAPO_IN("eventGridTrigger", "event") "}"
#define DACAPO_MANUAL_TRIGGER DACAPO_IN("manualTrigger", "input") "}"

/* Where dacapo_output sends messages to. These follow what starts the trigger, without a comma:
 *
 *     DACAPO_TRIGGER(ship, DACAPO_QUEUE_TRIGGER("shipments") DACAPO_QUEUE_OUTPUT("notes", "notes-to-customers")) */
#define DACAPO_QUEUE_OUTPUT(name, queue) DACAPO_OUT("queue", name) DACAPO_MEMBER("queueName", queue) "}"
#define DACAPO_EVENT_HUB_OUTPUT(name, event_hub) DACAPO_OUT("eventHub", name) DACAPO_MEMBER("eventHubName", event_hub) "}"

/* Parts of the above. A string literal in C, written out, is a JSON string. */
#define DACAPO_IN(type, name) "{\"type\":\"" type "\",\"direction\":\"in\",\"name\":\"" name "\""
#define DACAPO_OUT(type, name) ",{\"type\":\"" type "\",\"direction\":\"out\"" DACAPO_MEMBER("name", name)
#define DACAPO_MEMBER(name, value) ",\"" name "\":" DACAPO_AS_JSON(value)
#define DACAPO_AS_JSON(...) DACAPO_WRITTEN_OUT(__VA_ARGS__)
#define DACAPO_WRITTEN_OUT(...) #__VA_ARGS__
#define DACAPO_HTTP_REST(route, auth_level) \
    DACAPO_MEMBER("route", route) DACAPO_MEMBER("authLevel", auth_level) "}" DACAPO_OUT("http", "$return") "}"

/* Defines the functions of the app. Use it once. */
#define DACAPO_APP(...) \
    const dacapo_function dacapo_app[] = {__VA_ARGS__, {NULL, DACAPO_KIND_ORCHESTRATOR, NULL, NULL, NULL, NULL, NULL}};

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

/* --- For activities and triggers --- */

/* Sends an HTTP request to a host that the operator allowed, and returns the response, whatever its status. Both are JSON, as
 * for dacapo_call_http, but a 202 is not polled. Without any response it fails with HttpRequestFailed.
 *
 *     dacapo_json_pair request[] = {{"method", "\"GET\""}, {"uri", "\"https://example.org/stock\""}};
 *     dacapo_outcome response = dacapo_send_http(dacapo_json_object(request, 2));
 *     if (response.failure) return response;
 *     return dacapo_ok(dacapo_json_member(response.output, "content")); */
dacapo_outcome dacapo_send_http(const char *request);

/* The durable client of the app's own task hub. What it may do is granted to the app: a call that is not granted fails with
 * NotGranted, and the message says who can grant it. An operation on a missing instance fails with InstanceNotFound, one that
 * needs an instance that goes on with InstanceEnded, one that needs an instance that has ended with InstanceNotEnded.
 *
 * Options and filters are JSON objects; NULL means none. Outputs are JSON, `null` if nothing else is said. */

/* Starts an orchestration that runs on its own, and returns its instance id, a JSON string, once the start is durable. The
 * instance id may be NULL: the host derives one. The version may be NULL: none is requested. If the call of the activity or
 * trigger is repeated after a crash, or because its message is delivered again, orchestrations that it has started are not
 * started again. Fails with OrchestratorNotFound, with InstanceAlreadyExists if a live instance with the id was not started by
 * this call, or with VersionMismatch. With dacapo_client_start_orchestration_at it does not begin before start_at.
 *
 *     dacapo_outcome id = dacapo_client_start_orchestration("invoice", call->input, "invoice-17", NULL);
 *     if (id.failure && strcmp(id.failure->type, "InstanceAlreadyExists") != 0) return id; */
dacapo_outcome dacapo_client_start_orchestration(const char *name, const char *input, const char *instance_id,
                                                 const char *version);
dacapo_outcome dacapo_client_start_orchestration_at(const char *name, const char *input, const char *instance_id,
                                                    const char *version, double start_at);

/* The status of an instance, an object with `runtimeStatus`, `output` and so on, or null if there is no such instance. Options:
 * `showInput`, `showHistory`, `showHistoryOutput`. */
dacapo_outcome dacapo_client_get_status(const char *instance_id, const char *options);

/* A page of instances: {"instances": [status, ...], "continuationToken": text or null}. Filters: `instanceIdPrefix`,
 * `createdTimeFrom`, `createdTimeTo`, `runtimeStatus` (an array), `functionName`, `version`, `showInput`, `top`, and the
 * `continuationToken` of the page before. */
dacapo_outcome dacapo_client_list_instances(const char *filter);

/* Raises an external event for an instance. */
dacapo_outcome dacapo_client_raise_event(const char *instance_id, const char *name, const char *data);

/* Ends an instance; its sub-orchestrations go on. */
dacapo_outcome dacapo_client_terminate(const char *instance_id, const char *reason);

/* Suspends an instance, whose messages then wait until it is resumed. */
dacapo_outcome dacapo_client_suspend(const char *instance_id, const char *reason);
dacapo_outcome dacapo_client_resume(const char *instance_id, const char *reason);

/* Brings a failed instance back to the state before its failure. Fails with NotRewindable if it has not failed. */
dacapo_outcome dacapo_client_rewind(const char *instance_id, const char *reason);

/* Starts an orchestration anew with its recorded input, and returns the id of the new instance, a JSON string. That may be NULL:
 * the host generates one. */
dacapo_outcome dacapo_client_restart(const char *instance_id, const char *new_instance_id);

/* Removes every trace of an instance that has ended, or of an entity. Returns whether there was one. */
dacapo_outcome dacapo_client_purge(const char *instance_id);

/* Removes all instances that match and have ended, and returns how many. Filters: as in dacapo_client_list_instances, with
 * `createdTimeFrom`, which is required, without `showInput`, `top` and `continuationToken`. */
dacapo_outcome dacapo_client_purge_instances(const char *filter);

/* Waits until an instance has ended, at most so many milliseconds, and returns its status then, or null if there is no such
 * instance. */
dacapo_outcome dacapo_client_wait_for_completion(const char *instance_id, double timeout);

/* Sends a one-way operation to an entity. It runs as soon as possible, or not before deliver_at. */
dacapo_outcome dacapo_client_signal_entity(dacapo_entity_id entity, const char *operation, const char *input);
dacapo_outcome dacapo_client_signal_entity_at(dacapo_entity_id entity, const char *operation, const char *input,
                                              double deliver_at);

/* Puts messages, which are texts, into a queue. They are delivered as soon as possible, or not before deliver_at; each waits until an
 * app has a trigger for the queue. If the call of the activity or trigger is repeated, those that it has put are not put again.
 *
 *     const char *items[] = {"a lamp", "a desk"};
 *     dacapo_outcome put = dacapo_client_enqueue("orders", items, 2); */
dacapo_outcome dacapo_client_enqueue(const char *queue, const char *const *messages, size_t count);
dacapo_outcome dacapo_client_enqueue_at(const char *queue, const char *const *messages, size_t count, double deliver_at);

/* The state of an entity; null if there is no such entity, or it has no state. */
dacapo_outcome dacapo_client_read_entity(dacapo_entity_id entity);

/* A page of entities: {"entities": [...], "continuationToken": text or null}. Filters: `entityName`, `lastOperationTimeFrom`,
 * `lastOperationTimeTo`, `fetchState`, `top`, `continuationToken`. */
dacapo_outcome dacapo_client_list_entities(const char *filter);

/* The links for managing an instance over HTTP, an object: `id`, `statusQueryGetUri`, `sendEventPostUri`, `terminatePostUri`,
 * `rewindPostUri`, `purgeHistoryDeleteUri`, `restartPostUri`, `suspendPostUri`, `resumePostUri`. */
dacapo_outcome dacapo_client_links(const char *instance_id);

/* --- For triggers --- */

/* The input of a trigger is a JSON object:
 * - of an HTTP trigger {"method", "url", "headers": [[name, value], ...], "query": [[name, value], ...], "params": {name: value},
 *   "body" or "bodyBase64"}; names of headers are in lower case;
 * - of a timer trigger {"isPastDue", "schedule": {"adjustForDST"}, "scheduleStatus": {"last", "next", "lastUpdated"}};
 * - of a queue trigger {"message", "metadata": {"id", "dequeueCount", "insertionTime", "expirationTime", "nextVisibleTime",
 *   "popReceipt"}};
 * - of an event-hub trigger {"messages": [...], "metadata": [{"sequenceNumber", "enqueuedTime", "offset", "partitionKey"}, ...]};
 * - of an event-grid trigger {"event": object};
 * - of a manual trigger, and of any but an HTTP trigger that an operator runs, {"input"}.
 * Read it with dacapo_json_member, or with the functions below. */

/* The method and the URL of a request. */
const char *dacapo_request_method(const dacapo_trigger_call *call);
const char *dacapo_request_url(const dacapo_trigger_call *call);

/* The first value of a header (compared ignoring case) or of a query parameter; the value of a parameter of the route. NULL if
 * there is none. */
const char *dacapo_request_header(const dacapo_trigger_call *call, const char *name);
const char *dacapo_request_query(const dacapo_trigger_call *call, const char *name);
const char *dacapo_request_param(const dacapo_trigger_call *call, const char *name);

/* The body of a request: any bytes, followed by a zero byte. The length may be NULL. */
const char *dacapo_request_body(const dacapo_trigger_call *call, size_t *length);

typedef struct dacapo_header {
    const char *name;
    const char *value;
} dacapo_header;

typedef struct dacapo_response {
    int status;                   /* 0 means 200 */
    const char *content_type;     /* or NULL */
    const dacapo_header *headers; /* further ones, then one whose name is NULL; or NULL. Several may have one name */
    const char *body;             /* or NULL */
    size_t body_length;           /* 0 means that the body ends with a zero byte */
} dacapo_response;

/* Makes the outcome of an HTTP trigger. One that returns dacapo_ok(NULL) instead answers 204; one that fails, 500.
 *
 *     return dacapo_respond((dacapo_response){.status = 400, .body = "an order names an item"}); */
dacapo_outcome dacapo_respond(dacapo_response response);

/* Makes the response that tells a caller how to follow an instance: 202 with the links, and the address of the status as the
 * Location. The links begin like the URL of the request; if the call is NULL, like the host's own. */
dacapo_outcome dacapo_create_check_status_response(const dacapo_trigger_call *call, const char *instance_id);

/* Waits until an instance has ended, and makes a response with its output; for a failed one, 500 with its status; for a
 * terminated one, its status. After the timeout it makes the response of dacapo_create_check_status_response; if there is no such
 * instance, 404. */
dacapo_outcome dacapo_wait_for_completion_or_create_check_status_response(const dacapo_trigger_call *call,
                                                                          const char *instance_id, double timeout);

/* The texts of the messages of a queue trigger (one), an event-hub trigger, or what an operator gave. One that has a zero
 * character is NULL. */
const char *const *dacapo_messages(const dacapo_trigger_call *call, size_t *count);

/* Adds a message to an output binding of the trigger. The message is JSON: a string is sent as a text, anything else as JSON.
 * Messages are sent when the trigger has succeeded. */
void dacapo_output(const char *binding, const char *message);

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
