/* The interface between an app and its host: the contract of dacapo.wit, in the component model's canonical ABI for a 32-bit
 * module. Apps do not include this. In native tests, dacapo_test.c implements the host. */
#ifndef DACAPO_HOST_H
#define DACAPO_HOST_H

#include "dacapo.h"

#ifdef __wasm__
#define DACAPO_IMPORT(interface, name) __attribute__((import_module("dacapo:guest/" interface "@0.1.0"), import_name(name)))
#define DACAPO_EXPORT(name) __attribute__((export_name(name)))
#else
#define DACAPO_IMPORT(interface, name)
#define DACAPO_EXPORT(name)
#endif
#define DACAPO_ORCHESTRATION(name) DACAPO_IMPORT("orchestration", name)
#define DACAPO_CLIENT(name) DACAPO_IMPORT("client", name)

/* A string. Strings that the host writes are followed by a zero byte: see dacapo_realloc. */
typedef struct dacapo_text {
    const char *at;
    size_t length;
} dacapo_text;

typedef struct dacapo_optional_text {
    bool is_some;
    dacapo_text text;
} dacapo_optional_text;

typedef struct dacapo_optional_number {
    bool is_some;
    double number;
} dacapo_optional_number;

typedef struct dacapo_abi_failure {
    dacapo_text type;
    dacapo_text message;
    dacapo_optional_text details;
    bool retriable;
} dacapo_abi_failure;

/* result<T, failure>, where T is a string or what a call of the client returns */
typedef struct dacapo_abi_result {
    bool is_error;
    union {
        dacapo_text output;
        dacapo_optional_text state;
        uint32_t count;
        bool was_there;
        dacapo_abi_failure failure;
    } of;
} dacapo_abi_result;

/* option<result<string, failure>> */
typedef struct dacapo_abi_outcome {
    bool is_some;
    dacapo_abi_result result;
} dacapo_abi_outcome;

/* result<entity-result, failure> */
typedef struct dacapo_abi_entity_result {
    bool is_error;
    union {
        struct {
            dacapo_text output;
            dacapo_optional_text state;
        } entity;
        dacapo_abi_failure failure;
    } of;
} dacapo_abi_entity_result;

typedef struct dacapo_abi_retry_policy {
    uint32_t max_attempts;
    double first_interval;
    double backoff;
    dacapo_optional_number max_interval;
    dacapo_optional_number timeout;
    const dacapo_text *not_retriable;
    size_t not_retriable_count;
} dacapo_abi_retry_policy;

typedef struct dacapo_abi_retry {
    bool is_some;
    dacapo_abi_retry_policy policy;
} dacapo_abi_retry;

/* The parameters of call-sub-orchestrator. They exceed the maximum of 16, so they are passed in memory. */
typedef struct dacapo_abi_sub_orchestrator {
    dacapo_text name;
    dacapo_text input;
    dacapo_optional_text instance_id;
    dacapo_abi_retry retry;
} dacapo_abi_sub_orchestrator;

/* The parameters of call-sub-orchestrator-with-version. */
typedef struct dacapo_abi_versioned_sub_orchestrator {
    dacapo_text name;
    dacapo_text input;
    dacapo_text version;
    dacapo_optional_text instance_id;
    dacapo_abi_retry retry;
} dacapo_abi_versioned_sub_orchestrator;

typedef struct dacapo_abi_entity_id {
    dacapo_text name;
    dacapo_text key;
} dacapo_abi_entity_id;

/* option<parent-instance> */
typedef struct dacapo_abi_parent {
    bool is_some;
    dacapo_text name;
    dacapo_text instance_id;
} dacapo_abi_parent;

typedef struct dacapo_abi_indexes {
    const uint32_t *at;
    size_t count;
} dacapo_abi_indexes;

typedef struct dacapo_abi_function {
    dacapo_text name;
    uint8_t kind;
} dacapo_abi_function;

typedef struct dacapo_abi_functions {
    const dacapo_abi_function *at;
    size_t count;
} dacapo_abi_functions;

typedef struct dacapo_abi_trigger {
    dacapo_text name;
    dacapo_text bindings;
} dacapo_abi_trigger;

typedef struct dacapo_abi_triggers {
    const dacapo_abi_trigger *at;
    size_t count;
} dacapo_abi_triggers;

#ifdef __wasm__
#define DACAPO_LAYOUT(type, size) _Static_assert(sizeof(type) == (size), #type " does not have the layout of the canonical ABI")
DACAPO_LAYOUT(dacapo_text, 8);
DACAPO_LAYOUT(dacapo_abi_failure, 32);
DACAPO_LAYOUT(dacapo_abi_result, 36);
DACAPO_LAYOUT(dacapo_abi_outcome, 40);
DACAPO_LAYOUT(dacapo_abi_entity_result, 36);
DACAPO_LAYOUT(dacapo_abi_retry_policy, 64);
DACAPO_LAYOUT(dacapo_abi_sub_orchestrator, 104);
DACAPO_LAYOUT(dacapo_abi_versioned_sub_orchestrator, 112);
DACAPO_LAYOUT(dacapo_abi_parent, 20);
DACAPO_LAYOUT(dacapo_abi_function, 12);
DACAPO_LAYOUT(dacapo_abi_trigger, 16);
#endif

/* Imports. A text or a list is two parameters. */

DACAPO_ORCHESTRATION("wait") void dacapo_host_wait(const int32_t *tasks, size_t count, dacapo_abi_indexes *completed);
DACAPO_ORCHESTRATION("[method]task.outcome") void dacapo_host_outcome(int32_t task, dacapo_abi_outcome *outcome);
DACAPO_ORCHESTRATION("[method]task.cancel") bool dacapo_host_cancel(int32_t task);
DACAPO_ORCHESTRATION("call-activity")
int32_t dacapo_host_call_activity(const char *name, size_t name_length, const char *input, size_t input_length, bool has_retry,
                                  uint32_t max_attempts, double first_interval, double backoff, bool has_max_interval,
                                  double max_interval, bool has_timeout, double timeout, const dacapo_text *not_retriable,
                                  size_t not_retriable_count);
DACAPO_ORCHESTRATION("call-sub-orchestrator") int32_t dacapo_host_call_sub_orchestrator(const dacapo_abi_sub_orchestrator *call);
DACAPO_ORCHESTRATION("call-sub-orchestrator-with-version")
int32_t dacapo_host_call_sub_orchestrator_with_version(const dacapo_abi_versioned_sub_orchestrator *call);
DACAPO_ORCHESTRATION("create-timer") int32_t dacapo_host_create_timer(double fire_at);
DACAPO_ORCHESTRATION("wait-for-external-event") int32_t dacapo_host_wait_for_external_event(const char *name, size_t length);
DACAPO_ORCHESTRATION("start-orchestration")
void dacapo_host_start_orchestration(const char *name, size_t name_length, const char *input, size_t input_length, bool has_id,
                                     const char *id, size_t id_length, dacapo_text *instance_id);
DACAPO_ORCHESTRATION("send-event")
void dacapo_host_send_event(const char *instance, size_t instance_length, const char *name, size_t name_length, const char *data,
                            size_t data_length);
DACAPO_ORCHESTRATION("call-entity")
int32_t dacapo_host_call_entity(const char *name, size_t name_length, const char *key, size_t key_length, const char *operation,
                                size_t operation_length, const char *input, size_t input_length);
DACAPO_ORCHESTRATION("signal-entity")
void dacapo_host_signal_entity(const char *name, size_t name_length, const char *key, size_t key_length, const char *operation,
                               size_t operation_length, const char *input, size_t input_length, bool has_moment,
                               double deliver_at);
DACAPO_ORCHESTRATION("lock-entities") int32_t dacapo_host_lock_entities(const dacapo_abi_entity_id *entities, size_t count);
DACAPO_ORCHESTRATION("unlock-entities") bool dacapo_host_unlock_entities(void);
DACAPO_ORCHESTRATION("call-http") int32_t dacapo_host_call_http(const char *request, size_t length);
DACAPO_ORCHESTRATION("continue-as-new") void dacapo_host_continue_as_new(const char *input, size_t length);
DACAPO_ORCHESTRATION("set-custom-status") void dacapo_host_set_custom_status(const char *status, size_t length);
DACAPO_ORCHESTRATION("instance-id") void dacapo_host_instance_id(dacapo_text *id);
DACAPO_ORCHESTRATION("execution-id") void dacapo_host_execution_id(dacapo_text *id);
DACAPO_ORCHESTRATION("parent") void dacapo_host_parent(dacapo_abi_parent *parent);
DACAPO_ORCHESTRATION("version") void dacapo_host_version(dacapo_text *version);
DACAPO_ORCHESTRATION("current-time") double dacapo_host_current_time(void);
DACAPO_ORCHESTRATION("new-guid") void dacapo_host_new_guid(dacapo_text *guid);
DACAPO_ORCHESTRATION("random-bytes") void dacapo_host_random_bytes(uint32_t length, dacapo_text *bytes);
DACAPO_ORCHESTRATION("is-replaying") bool dacapo_host_is_replaying(void);
DACAPO_IMPORT("management", "send-http") void dacapo_host_send_http(const char *request, size_t length, dacapo_abi_result *response);
DACAPO_CLIENT("start-orchestration")
void dacapo_host_client_start(const char *name, size_t name_length, const char *input, size_t input_length, bool has_id,
                              const char *id, size_t id_length, bool has_version, const char *version, size_t version_length,
                              bool has_moment, double start_at, dacapo_abi_result *started);
DACAPO_CLIENT("get-status")
void dacapo_host_get_status(const char *instance, size_t instance_length, const char *options, size_t options_length,
                            dacapo_abi_result *status);
DACAPO_CLIENT("list-instances") void dacapo_host_list_instances(const char *filter, size_t length, dacapo_abi_result *page);
DACAPO_CLIENT("raise-event")
void dacapo_host_raise_event(const char *instance, size_t instance_length, const char *name, size_t name_length, const char *data,
                             size_t data_length, dacapo_abi_result *raised);
DACAPO_CLIENT("terminate")
void dacapo_host_terminate(const char *instance, size_t instance_length, const char *reason, size_t reason_length,
                           dacapo_abi_result *terminated);
DACAPO_CLIENT("suspend")
void dacapo_host_suspend(const char *instance, size_t instance_length, const char *reason, size_t reason_length,
                         dacapo_abi_result *suspended);
DACAPO_CLIENT("resume")
void dacapo_host_resume(const char *instance, size_t instance_length, const char *reason, size_t reason_length,
                        dacapo_abi_result *resumed);
DACAPO_CLIENT("rewind")
void dacapo_host_rewind(const char *instance, size_t instance_length, const char *reason, size_t reason_length,
                        dacapo_abi_result *rewound);
DACAPO_CLIENT("restart")
void dacapo_host_restart(const char *instance, size_t instance_length, bool has_id, const char *id, size_t id_length,
                         dacapo_abi_result *restarted);
DACAPO_CLIENT("purge") void dacapo_host_purge(const char *instance, size_t length, dacapo_abi_result *purged);
DACAPO_CLIENT("purge-instances") void dacapo_host_purge_instances(const char *filter, size_t length, dacapo_abi_result *purged);
DACAPO_CLIENT("wait-for-completion")
void dacapo_host_wait_for_completion(const char *instance, size_t length, double timeout, dacapo_abi_result *status);
DACAPO_CLIENT("signal-entity")
void dacapo_host_client_signal(const char *name, size_t name_length, const char *key, size_t key_length, const char *operation,
                               size_t operation_length, const char *input, size_t input_length, bool has_moment,
                               double deliver_at, dacapo_abi_result *signalled);
DACAPO_CLIENT("enqueue")
void dacapo_host_enqueue(const char *queue, size_t queue_length, const dacapo_text *messages, size_t count, bool has_moment,
                         double deliver_at, dacapo_abi_result *put);
DACAPO_CLIENT("read-entity")
void dacapo_host_read_entity(const char *name, size_t name_length, const char *key, size_t key_length, dacapo_abi_result *read);
DACAPO_CLIENT("list-entities") void dacapo_host_list_entities(const char *filter, size_t length, dacapo_abi_result *page);
DACAPO_CLIENT("links") void dacapo_host_links(const char *instance, size_t length, dacapo_abi_result *links);
DACAPO_IMPORT("logging", "log") void dacapo_host_log(int32_t level, const char *message, size_t length);

/* Exports. dacapo_end_run frees their results. */

const dacapo_abi_functions *dacapo_describe(void);
const dacapo_abi_result *dacapo_run_orchestrator(const char *name, size_t name_length, const char *input, size_t input_length);
const dacapo_abi_result *dacapo_run_activity(const char *name, size_t name_length, const char *input, size_t input_length,
                                             const char *instance, size_t instance_length, uint32_t task_id, uint32_t attempt);
const dacapo_abi_entity_result *dacapo_run_entity_operation(const char *name, size_t name_length, const char *key,
                                                            size_t key_length, const char *operation, size_t operation_length,
                                                            const char *input, size_t input_length, bool has_state,
                                                            const char *state, size_t state_length);
const dacapo_abi_triggers *dacapo_describe_triggers(void);
const dacapo_abi_result *dacapo_run_trigger(const char *name, size_t name_length, const char *input, size_t input_length,
                                            const char *invocation, size_t invocation_length, uint32_t attempt);
void dacapo_end_run(void);

#endif
