/* Implements dacapo.h with the calls of dacapo_host.h. */
#include "dacapo.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dacapo_host.h"

/* --- Memory: an arena, freed at the end of the run --- */

#define ALIGNMENT 8
#define CHUNK_SIZE 16384

typedef struct chunk {
    struct chunk *next;
    size_t size;
    size_t used;
    _Alignas(ALIGNMENT) char memory[];
} chunk;

static chunk *chunks;

static chunk *add_chunk(size_t size) {
    chunk *added = size > SIZE_MAX - sizeof(chunk) ? NULL : malloc(sizeof(chunk) + size);
    if (!added) DACAPO_PANIC("out of memory");
    added->next = chunks;
    added->size = size;
    added->used = 0;
    return chunks = added;
}

void *dacapo_alloc(size_t size) {
    size_t rounded = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (rounded < size) DACAPO_PANIC("out of memory");
    chunk *with_room = chunks;
    if (!with_room || with_room->size - with_room->used < rounded) {
        with_room = add_chunk(rounded > CHUNK_SIZE ? rounded : CHUNK_SIZE);
    }
    void *memory = with_room->memory + with_room->used;
    with_room->used += rounded;
    return memory;
}

void dacapo_end_run(void) {
    while (chunks) {
        chunk *next = chunks->next;
        free(chunks);
        chunks = next;
    }
}

#ifdef __wasm__
/* Allocates memory for the host. Adds a zero byte, which terminates texts. */
DACAPO_EXPORT("cabi_realloc") void *dacapo_realloc(void *old, size_t old_size, size_t align, size_t size) {
    (void)align; /* at most ALIGNMENT */
    char *memory = dacapo_alloc(size + 1);
    if (old) memcpy(memory, old, old_size < size ? old_size : size);
    memory[size] = 0;
    return memory;
}

/* Allocates memory for the adapter for WASI, if the app needs one. The adapter keeps it. */
DACAPO_EXPORT("cabi_realloc_adapter") void *dacapo_realloc_adapter(void *old, size_t old_size, size_t align, size_t size) {
    (void)old_size;
    (void)align; /* at most that of malloc */
    return realloc(old, size);
}
#endif

const char *dacapo_format(const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    if (length < 0) DACAPO_PANIC("the format of dacapo_format is invalid");
    char *text = dacapo_alloc((size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    va_end(arguments);
    return text;
}

static const char *copy(const char *at, size_t length) {
    char *text = dacapo_alloc(length + 1);
    memcpy(text, at, length);
    text[length] = 0;
    return text;
}

/* --- Conversion of texts and failures --- */

/* The number of bytes of the character that begins here, or 0 if it is not UTF-8. */
static size_t character_bytes(const char *text) {
    const unsigned char *at = (const unsigned char *)text;
    if (at[0] < 0x80) return 1;
    if (at[0] < 0xc2 || at[0] > 0xf4) return 0;
    size_t bytes = at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    for (size_t i = 1; i < bytes; i++) {
        if ((at[i] & 0xc0) != 0x80) return 0;
    }
    /* An overlong encoding, a surrogate, or a code point beyond Unicode. */
    bool is_wrong = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) || (at[0] == 0xf0 && at[1] < 0x90) ||
                    (at[0] == 0xf4 && at[1] > 0x8f);
    return is_wrong ? 0 : bytes;
}

/* Invalid UTF-8 would trap: each invalid byte becomes U+FFFD. */
static dacapo_text text_of(const char *text) {
    const char *from = text;
    while (*from && character_bytes(from)) from += character_bytes(from);
    if (!*from) return (dacapo_text){text, (size_t)(from - text)};
    char *repaired = dacapo_alloc(3 * strlen(text) + 1), *to = repaired;
    for (from = text; *from;) {
        size_t bytes = character_bytes(from);
        memcpy(to, bytes ? from : "\xef\xbf\xbd", bytes ? bytes : 3);
        to += bytes ? bytes : 3;
        from += bytes ? bytes : 1;
    }
    *to = 0;
    return (dacapo_text){repaired, (size_t)(to - repaired)};
}

static dacapo_text payload_of(const char *json) {
    return text_of(json ? json : "null");
}

static dacapo_optional_text optional_text_of(const char *text) {
    return text ? (dacapo_optional_text){true, text_of(text)} : (dacapo_optional_text){.is_some = false};
}

/* The address of an empty text from the host is undefined. */
static const char *received(const char *at, size_t length) {
    return length ? at : "";
}

static const char *text_from(dacapo_text text) {
    return received(text.at, text.length);
}

static dacapo_abi_failure failure_of(const dacapo_failure *failure) {
    return (dacapo_abi_failure){
        .type = text_of(failure->type ? failure->type : "Error"),
        .message = text_of(failure->message ? failure->message : ""),
        .details = optional_text_of(failure->details),
        .retriable = failure->retriable,
    };
}

static dacapo_outcome outcome_from(const dacapo_abi_result *result) {
    if (!result->is_error) return dacapo_ok(text_from(result->of.output));
    const dacapo_abi_failure *failure = &result->of.failure;
    return dacapo_fail((dacapo_failure){
        .type = text_from(failure->type),
        .message = text_from(failure->message),
        .details = failure->details.is_some ? text_from(failure->details.text) : NULL,
        .retriable = failure->retriable,
    });
}

dacapo_outcome dacapo_ok(const char *output) {
    return (dacapo_outcome){.output = output ? output : "null"};
}

dacapo_outcome dacapo_fail(dacapo_failure failure) {
    dacapo_failure *kept = dacapo_alloc(sizeof failure);
    *kept = failure;
    return (dacapo_outcome){.failure = kept};
}

/* --- Waiting --- */

static bool outcome_of(dacapo_task task, dacapo_outcome *outcome) {
    dacapo_abi_outcome told;
    dacapo_host_outcome(task.handle, &told);
    if (told.is_some) *outcome = outcome_from(&told.result);
    return told.is_some;
}

bool dacapo_is_done(dacapo_task task) {
    dacapo_outcome outcome;
    return outcome_of(task, &outcome);
}

dacapo_outcome dacapo_await(dacapo_task task) {
    dacapo_outcome outcome;
    if (!outcome_of(task, &outcome)) {
        dacapo_wait_any(&task, 1);
        outcome_of(task, &outcome);
    }
    return outcome;
}

bool dacapo_await_for(dacapo_task task, double milliseconds, dacapo_outcome *outcome) {
    dacapo_task both[] = {task, dacapo_create_timer(milliseconds)};
    if (dacapo_wait_any(both, 2) == 0) {
        dacapo_cancel(both[1]);
        return outcome_of(task, outcome);
    }
    /* If the task completed together with the timer, return its outcome: an event that was taken would be lost otherwise. */
    return !dacapo_cancel(task) && outcome_of(task, outcome);
}

bool dacapo_cancel(dacapo_task task) {
    return dacapo_host_cancel(task.handle);
}

static dacapo_abi_indexes wait(const int32_t *handles, size_t count) {
    dacapo_abi_indexes completed;
    dacapo_host_wait(handles, count, &completed);
    return completed;
}

static int32_t *handles_of(const dacapo_task *tasks, size_t count) {
    int32_t *handles = dacapo_alloc(count * sizeof *handles);
    for (size_t i = 0; i < count; i++) handles[i] = tasks[i].handle;
    return handles;
}

size_t dacapo_wait_any(const dacapo_task *tasks, size_t count) {
    if (count == 0) DACAPO_PANIC("dacapo_wait_any was called without a task");
    return wait(handles_of(tasks, count), count).at[0];
}

void dacapo_wait_all(const dacapo_task *tasks, size_t count) {
    int32_t *open = handles_of(tasks, count);
    while (count > 0) {
        dacapo_abi_indexes completed = wait(open, count);
        for (size_t i = 0; i < completed.count; i++) open[completed.at[i]] = -1;
        size_t left = 0;
        for (size_t i = 0; i < count; i++) {
            if (open[i] != -1) open[left++] = open[i];
        }
        count = left;
    }
}

/* --- Calls of the host --- */

static dacapo_abi_retry retry_of(const dacapo_retry_policy *policy) {
    if (!policy) return (dacapo_abi_retry){.is_some = false};
    size_t count = 0;
    while (policy->not_retriable && policy->not_retriable[count]) count++;
    dacapo_text *types = dacapo_alloc(count * sizeof *types);
    for (size_t i = 0; i < count; i++) types[i] = text_of(policy->not_retriable[i]);
    return (dacapo_abi_retry){
        true,
        {
            .max_attempts = policy->max_attempts,
            .first_interval = policy->first_interval,
            .backoff = policy->backoff == 0 ? 1 : policy->backoff,
            .max_interval = {policy->max_interval != 0, policy->max_interval},
            .timeout = {policy->timeout != 0, policy->timeout},
            .not_retriable = types,
            .not_retriable_count = count,
        },
    };
}

dacapo_task dacapo_call_activity(const char *name, const char *input, const dacapo_retry_policy *policy) {
    dacapo_text called = text_of(name), given = payload_of(input);
    dacapo_abi_retry retry = retry_of(policy);
    const dacapo_abi_retry_policy *p = &retry.policy;
    return (dacapo_task){dacapo_host_call_activity(
        called.at, called.length, given.at, given.length, retry.is_some, p->max_attempts, p->first_interval, p->backoff,
        p->max_interval.is_some, p->max_interval.number, p->timeout.is_some, p->timeout.number, p->not_retriable,
        p->not_retriable_count)};
}

dacapo_task dacapo_call_sub_orchestrator(const char *name, const char *input, const char *instance_id,
                                         const dacapo_retry_policy *retry) {
    dacapo_abi_sub_orchestrator call = {text_of(name), payload_of(input), optional_text_of(instance_id), retry_of(retry)};
    return (dacapo_task){dacapo_host_call_sub_orchestrator(&call)};
}

dacapo_task dacapo_call_sub_orchestrator_with_version(const char *name, const char *input, const char *version,
                                                      const char *instance_id, const dacapo_retry_policy *retry) {
    if (!version) return dacapo_call_sub_orchestrator(name, input, instance_id, retry);
    dacapo_abi_versioned_sub_orchestrator call = {
        text_of(name), payload_of(input), text_of(version), optional_text_of(instance_id), retry_of(retry)};
    return (dacapo_task){dacapo_host_call_sub_orchestrator_with_version(&call)};
}

dacapo_task dacapo_create_timer(double milliseconds) {
    return dacapo_create_timer_at(dacapo_current_time() + milliseconds);
}

dacapo_task dacapo_create_timer_at(double fire_at) {
    return (dacapo_task){dacapo_host_create_timer(fire_at)};
}

dacapo_task dacapo_wait_for_external_event(const char *name) {
    dacapo_text event = text_of(name);
    return (dacapo_task){dacapo_host_wait_for_external_event(event.at, event.length)};
}

dacapo_task dacapo_call_entity(dacapo_entity_id entity, const char *operation, const char *input) {
    dacapo_text name = text_of(entity.name), key = text_of(entity.key), asked = text_of(operation), given = payload_of(input);
    return (dacapo_task){dacapo_host_call_entity(name.at, name.length, key.at, key.length, asked.at, asked.length, given.at,
                                                 given.length)};
}

static void signal_entity(dacapo_entity_id entity, const char *operation, const char *input, dacapo_optional_number deliver_at) {
    dacapo_text name = text_of(entity.name), key = text_of(entity.key), asked = text_of(operation), given = payload_of(input);
    dacapo_host_signal_entity(name.at, name.length, key.at, key.length, asked.at, asked.length, given.at, given.length,
                              deliver_at.is_some, deliver_at.number);
}

void dacapo_signal_entity(dacapo_entity_id entity, const char *operation, const char *input) {
    signal_entity(entity, operation, input, (dacapo_optional_number){.is_some = false});
}

void dacapo_signal_entity_at(dacapo_entity_id entity, const char *operation, const char *input, double deliver_at) {
    signal_entity(entity, operation, input, (dacapo_optional_number){true, deliver_at});
}

dacapo_task dacapo_lock_entities(const dacapo_entity_id *entities, size_t count) {
    dacapo_abi_entity_id *ids = dacapo_alloc(count * sizeof *ids);
    for (size_t i = 0; i < count; i++) {
        ids[i] = (dacapo_abi_entity_id){text_of(entities[i].name), text_of(entities[i].key)};
    }
    return (dacapo_task){dacapo_host_lock_entities(ids, count)};
}

bool dacapo_unlock_entities(void) {
    return dacapo_host_unlock_entities();
}

dacapo_task dacapo_call_http(const char *request) {
    dacapo_text sent = text_of(request);
    return (dacapo_task){dacapo_host_call_http(sent.at, sent.length)};
}

void dacapo_continue_as_new(const char *input) {
    dacapo_text given = payload_of(input);
    dacapo_host_continue_as_new(given.at, given.length);
}

void dacapo_set_custom_status(const char *status) {
    dacapo_text given = payload_of(status);
    dacapo_host_set_custom_status(given.at, given.length);
}

const char *dacapo_start_orchestration(const char *name, const char *input, const char *instance_id) {
    dacapo_text called = text_of(name), given = payload_of(input), started;
    dacapo_optional_text id = optional_text_of(instance_id);
    dacapo_host_start_orchestration(called.at, called.length, given.at, given.length, id.is_some, id.text.at, id.text.length, &started);
    return text_from(started);
}

void dacapo_send_event(const char *instance_id, const char *name, const char *data) {
    dacapo_text id = text_of(instance_id), event = text_of(name), given = payload_of(data);
    dacapo_host_send_event(id.at, id.length, event.at, event.length, given.at, given.length);
}

const dacapo_parent *dacapo_parent_instance(void) {
    dacapo_abi_parent told;
    dacapo_host_parent(&told);
    if (!told.is_some) return NULL;
    dacapo_parent *parent = dacapo_alloc(sizeof *parent);
    *parent = (dacapo_parent){text_from(told.name), text_from(told.instance_id)};
    return parent;
}

static const char *ask(void (*question)(dacapo_text *answer)) {
    dacapo_text answer;
    question(&answer);
    return text_from(answer);
}

const char *dacapo_instance_id(void) {
    return ask(dacapo_host_instance_id);
}

const char *dacapo_execution_id(void) {
    return ask(dacapo_host_execution_id);
}

const char *dacapo_version(void) {
    return ask(dacapo_host_version);
}

const char *dacapo_new_guid(void) {
    return ask(dacapo_host_new_guid);
}

double dacapo_current_time(void) {
    return dacapo_host_current_time();
}

bool dacapo_is_replaying(void) {
    return dacapo_host_is_replaying();
}

/* The maximum of the contract for one call. */
#define RANDOM_BYTES_MAX 65536

void dacapo_random_bytes(void *buffer, size_t length) {
    for (char *at = buffer; length > 0;) {
        dacapo_text bytes;
        dacapo_host_random_bytes((uint32_t)(length < RANDOM_BYTES_MAX ? length : RANDOM_BYTES_MAX), &bytes);
        memcpy(at, bytes.at, bytes.length);
        at += bytes.length;
        length -= bytes.length;
    }
}

dacapo_outcome dacapo_send_http(const char *request) {
    dacapo_text sent = text_of(request);
    dacapo_abi_result response;
    dacapo_host_send_http(sent.at, sent.length, &response);
    return outcome_from(&response);
}

/* --- The durable client --- */

/* NULL becomes an empty text. */
static dacapo_text text_or_none(const char *text) {
    return text_of(text ? text : "");
}

/* The outcome of a call that returns nothing, or a failure. */
static dacapo_outcome done(const dacapo_abi_result *result) {
    return result->is_error ? outcome_from(result) : dacapo_ok(NULL);
}

/* The outcome of a call that returns a text which is not JSON. */
static dacapo_outcome named(const dacapo_abi_result *result) {
    dacapo_outcome outcome = outcome_from(result);
    return outcome.failure ? outcome : dacapo_ok(dacapo_json_string(outcome.output));
}

static dacapo_outcome client_start(const char *name, const char *input, const char *instance_id, const char *version,
                                   dacapo_optional_number start_at) {
    dacapo_text called = text_of(name), given = payload_of(input);
    dacapo_optional_text id = optional_text_of(instance_id), asked = optional_text_of(version);
    dacapo_abi_result started;
    dacapo_host_client_start(called.at, called.length, given.at, given.length, id.is_some, id.text.at, id.text.length,
                             asked.is_some, asked.text.at, asked.text.length, start_at.is_some, start_at.number, &started);
    return named(&started);
}

dacapo_outcome dacapo_client_start_orchestration(const char *name, const char *input, const char *instance_id,
                                                 const char *version) {
    return client_start(name, input, instance_id, version, (dacapo_optional_number){.is_some = false});
}

dacapo_outcome dacapo_client_start_orchestration_at(const char *name, const char *input, const char *instance_id,
                                                    const char *version, double start_at) {
    return client_start(name, input, instance_id, version, (dacapo_optional_number){true, start_at});
}

dacapo_outcome dacapo_client_get_status(const char *instance_id, const char *options) {
    dacapo_text id = text_of(instance_id), given = text_or_none(options);
    dacapo_abi_result status;
    dacapo_host_get_status(id.at, id.length, given.at, given.length, &status);
    return outcome_from(&status);
}

dacapo_outcome dacapo_client_list_instances(const char *filter) {
    dacapo_text given = text_or_none(filter);
    dacapo_abi_result page;
    dacapo_host_list_instances(given.at, given.length, &page);
    return outcome_from(&page);
}

dacapo_outcome dacapo_client_raise_event(const char *instance_id, const char *name, const char *data) {
    dacapo_text id = text_of(instance_id), event = text_of(name), given = payload_of(data);
    dacapo_abi_result raised;
    dacapo_host_raise_event(id.at, id.length, event.at, event.length, given.at, given.length, &raised);
    return done(&raised);
}

typedef void change(const char *instance, size_t instance_length, const char *reason, size_t reason_length,
                    dacapo_abi_result *changed);

static dacapo_outcome change_instance(change *how, const char *instance_id, const char *reason) {
    dacapo_text id = text_of(instance_id), why = text_or_none(reason);
    dacapo_abi_result changed;
    how(id.at, id.length, why.at, why.length, &changed);
    return done(&changed);
}

dacapo_outcome dacapo_client_terminate(const char *instance_id, const char *reason) {
    return change_instance(dacapo_host_terminate, instance_id, reason);
}

dacapo_outcome dacapo_client_suspend(const char *instance_id, const char *reason) {
    return change_instance(dacapo_host_suspend, instance_id, reason);
}

dacapo_outcome dacapo_client_resume(const char *instance_id, const char *reason) {
    return change_instance(dacapo_host_resume, instance_id, reason);
}

dacapo_outcome dacapo_client_rewind(const char *instance_id, const char *reason) {
    return change_instance(dacapo_host_rewind, instance_id, reason);
}

dacapo_outcome dacapo_client_restart(const char *instance_id, const char *new_instance_id) {
    dacapo_text id = text_of(instance_id);
    dacapo_optional_text new_id = optional_text_of(new_instance_id);
    dacapo_abi_result restarted;
    dacapo_host_restart(id.at, id.length, new_id.is_some, new_id.text.at, new_id.text.length, &restarted);
    return named(&restarted);
}

dacapo_outcome dacapo_client_purge(const char *instance_id) {
    dacapo_text id = text_of(instance_id);
    dacapo_abi_result purged;
    dacapo_host_purge(id.at, id.length, &purged);
    return purged.is_error ? outcome_from(&purged) : dacapo_ok(dacapo_json_bool(purged.of.was_there));
}

dacapo_outcome dacapo_client_purge_instances(const char *filter) {
    dacapo_text given = text_or_none(filter);
    dacapo_abi_result purged;
    dacapo_host_purge_instances(given.at, given.length, &purged);
    return purged.is_error ? outcome_from(&purged) : dacapo_ok(dacapo_json_number(purged.of.count));
}

dacapo_outcome dacapo_client_wait_for_completion(const char *instance_id, double timeout) {
    dacapo_text id = text_of(instance_id);
    dacapo_abi_result status;
    dacapo_host_wait_for_completion(id.at, id.length, timeout, &status);
    return outcome_from(&status);
}

static dacapo_outcome client_signal(dacapo_entity_id entity, const char *operation, const char *input,
                                    dacapo_optional_number deliver_at) {
    dacapo_text name = text_of(entity.name), key = text_of(entity.key), asked = text_of(operation), given = payload_of(input);
    dacapo_abi_result signalled;
    dacapo_host_client_signal(name.at, name.length, key.at, key.length, asked.at, asked.length, given.at, given.length,
                              deliver_at.is_some, deliver_at.number, &signalled);
    return done(&signalled);
}

dacapo_outcome dacapo_client_signal_entity(dacapo_entity_id entity, const char *operation, const char *input) {
    return client_signal(entity, operation, input, (dacapo_optional_number){.is_some = false});
}

dacapo_outcome dacapo_client_signal_entity_at(dacapo_entity_id entity, const char *operation, const char *input,
                                              double deliver_at) {
    return client_signal(entity, operation, input, (dacapo_optional_number){true, deliver_at});
}

static dacapo_outcome client_enqueue(const char *queue, const char *const *messages, size_t count,
                                     dacapo_optional_number deliver_at) {
    dacapo_text named = text_of(queue), *texts = dacapo_alloc(count * sizeof *texts);
    for (size_t i = 0; i < count; i++) texts[i] = text_of(messages[i]);
    dacapo_abi_result put;
    dacapo_host_enqueue(named.at, named.length, texts, count, deliver_at.is_some, deliver_at.number, &put);
    return done(&put);
}

dacapo_outcome dacapo_client_enqueue(const char *queue, const char *const *messages, size_t count) {
    return client_enqueue(queue, messages, count, (dacapo_optional_number){.is_some = false});
}

dacapo_outcome dacapo_client_enqueue_at(const char *queue, const char *const *messages, size_t count, double deliver_at) {
    return client_enqueue(queue, messages, count, (dacapo_optional_number){true, deliver_at});
}

dacapo_outcome dacapo_client_read_entity(dacapo_entity_id entity) {
    dacapo_text name = text_of(entity.name), key = text_of(entity.key);
    dacapo_abi_result read;
    dacapo_host_read_entity(name.at, name.length, key.at, key.length, &read);
    if (read.is_error) return outcome_from(&read);
    return dacapo_ok(read.of.state.is_some ? text_from(read.of.state.text) : NULL);
}

dacapo_outcome dacapo_client_list_entities(const char *filter) {
    dacapo_text given = text_or_none(filter);
    dacapo_abi_result page;
    dacapo_host_list_entities(given.at, given.length, &page);
    return outcome_from(&page);
}

dacapo_outcome dacapo_client_links(const char *instance_id) {
    dacapo_text id = text_of(instance_id);
    dacapo_abi_result links;
    dacapo_host_links(id.at, id.length, &links);
    return outcome_from(&links);
}

void dacapo_log(dacapo_level level, const char *message) {
    dacapo_text line = text_of(message);
    dacapo_host_log((int32_t)level, line.at, line.length);
}

void dacapo_panic(const char *file, int line, const char *message) {
    /* The host makes the failure's message and location from this line. It is not in the arena, which may be full. */
    static char words[512];
    snprintf(words, sizeof words, "panicked at %s:%d: %s", file, line, message);
    dacapo_log(DACAPO_ERROR, words);
    abort();
}

/* --- JSON --- */

static const char *skip_space(const char *at) {
    return at + strspn(at, " \t\r\n");
}

/* Skips from the opening quote of a string past the closing one. Returns NULL if there is none. */
static const char *skip_string(const char *at) {
    for (at++; *at != '"'; at++) {
        if (*at == '\\') at++;
        if (!*at) return NULL;
    }
    return at + 1;
}

/* Skips past a value. Returns NULL if it is incomplete. Does not recurse, so the nesting depth is unlimited. */
static const char *skip_value(const char *at) {
    if (*at != '{' && *at != '[') {
        const char *end = *at == '"' ? skip_string(at) : at + strcspn(at, ",:]} \t\r\n");
        return end == at ? NULL : end;
    }
    size_t depth = 0;
    do {
        if (*at == '"') {
            if (!(at = skip_string(at))) return NULL;
            continue;
        }
        if (!*at) return NULL;
        if (*at == '{' || *at == '[') depth++;
        if (*at == '}' || *at == ']') depth--;
        at++;
    } while (depth > 0);
    return at;
}

/* Walks through the items of an array or the members of an object. */
typedef struct walk {
    const char *at;   /* the bracket or the comma before the next one; NULL at the end */
    bool is_whole;    /* the closing bracket was reached */
    const char *name; /* of a member, at its quote */
    const char *value;
    const char *end;
} walk;

static bool walk_on(walk *w, bool of_members) {
    if (!w->at) return false;
    bool is_first = *w->at != ',';
    const char *at = skip_space(w->at + 1);
    w->at = NULL;
    if (is_first && (*at == ']' || *at == '}')) {
        w->is_whole = true;
        return false;
    }
    if (of_members) {
        w->name = at;
        if (*at != '"' || !(at = skip_string(at))) return false;
        at = skip_space(at);
        if (*at != ':') return false;
        at = skip_space(at + 1);
    }
    w->value = at;
    w->end = skip_value(at);
    if (!w->end) return false;
    at = skip_space(w->end);
    if (*at == ',') w->at = at;
    w->is_whole = *at == ']' || *at == '}';
    return true;
}

static walk walk_through(const char *json, char bracket) {
    const char *at = skip_space(json);
    return (walk){.at = *at == bracket ? at : NULL};
}

const char *const *dacapo_json_items(const char *json, size_t *count) {
    walk w = walk_through(json, '[');
    *count = 0;
    while (walk_on(&w, false)) ++*count;
    if (!w.is_whole) {
        *count = 0;
        return NULL;
    }
    const char **items = dacapo_alloc(*count * sizeof *items), **item = items;
    for (w = walk_through(json, '['); walk_on(&w, false);) *item++ = copy(w.value, (size_t)(w.end - w.value));
    return items;
}

const char *dacapo_json_member(const char *json, const char *name) {
    const char *found = NULL;
    walk w = walk_through(json, '{');
    while (walk_on(&w, true)) {
        const char *end = skip_string(w.name);
        const char *decoded = dacapo_json_to_string(copy(w.name, (size_t)(end - w.name)));
        if (decoded && strcmp(decoded, name) == 0) found = copy(w.value, (size_t)(w.end - w.value));
    }
    return found;
}

/* Reads four hexadecimal digits. Returns -1 if they are not. */
static long hexadecimal(const char *at) {
    long code = 0;
    for (int i = 0; i < 4; i++) {
        static const char digits[] = "0123456789abcdef0123456789ABCDEF";
        const char *digit = at[i] ? strchr(digits, at[i]) : NULL;
        if (!digit) return -1;
        code = code * 16 + (digit - digits) % 16;
    }
    return code;
}

static char *put_utf8(char *to, long code) {
    if (code < 0x80) {
        *to++ = (char)code;
        return to;
    }
    int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const int lead[] = {0, 0xc0, 0xe0, 0xf0};
    *to++ = (char)(lead[more] | (code >> (6 * more)));
    while (more-- > 0) *to++ = (char)(0x80 | ((code >> (6 * more)) & 0x3f));
    return to;
}

/* Decodes the escape after a backslash. Returns NULL if it is invalid. */
static const char *unescape(const char *at, char **to) {
    static const char escapes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    if (*at != 'u') {
        const char *escape = *at ? strchr(escapes, *at) : NULL;
        if (!escape) return NULL;
        *(*to)++ = meanings[escape - escapes];
        return at + 1;
    }
    long code = hexadecimal(at + 1);
    if (code < 0) return NULL;
    at += 5;
    if (code >= 0xd800 && code < 0xdc00 && at[0] == '\\' && at[1] == 'u') {
        long low = hexadecimal(at + 2);
        if (low >= 0xdc00 && low <= 0xdfff) {
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            at += 6;
        }
    }
    if (code >= 0xd800 && code < 0xe000) code = 0xfffd;
    *to = put_utf8(*to, code);
    return at;
}

/* Reads a string, which may have zero bytes. */
static const char *bytes_from(const char *json, size_t *length) {
    const char *at = skip_space(json);
    if (*at != '"') return NULL;
    const char *end = skip_string(at);
    if (!end || *skip_space(end)) return NULL;
    /* No escape is shorter than its decoded form. */
    char *text = dacapo_alloc((size_t)(end - at)), *to = text;
    for (at++; at < end - 1;) {
        if (*at != '\\') {
            *to++ = *at++;
        } else if (!(at = unescape(at + 1, &to))) {
            return NULL;
        }
    }
    *to = 0;
    *length = (size_t)(to - text);
    return text;
}

const char *dacapo_json_to_string(const char *json) {
    size_t length;
    const char *text = bytes_from(json, &length);
    return text && strlen(text) == length ? text : NULL;
}

bool dacapo_json_to_number(const char *json, double *number) {
    const char *at = skip_space(json);
    size_t length = strspn(at, "0123456789+-.eE");
    if (length == 0 || *skip_space(at + length)) return false;
    char *end;
    double read = strtod(at, &end);
    if (end != at + length || !isfinite(read)) return false;
    *number = read;
    return true;
}

bool dacapo_json_to_bool(const char *json, bool *value) {
    const char *at = skip_space(json);
    bool is_true = strncmp(at, "true", 4) == 0;
    if (!is_true && strncmp(at, "false", 5) != 0) return false;
    if (*skip_space(at + (is_true ? 4 : 5))) return false;
    *value = is_true;
    return true;
}

const char *dacapo_json_string(const char *text) {
    char *json = dacapo_alloc(6 * strlen(text) + 3), *to = json;
    *to++ = '"';
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte < 0x20) {
            to += sprintf(to, "\\u%04x", byte);
            continue;
        }
        if (byte == '"' || byte == '\\') *to++ = '\\';
        *to++ = (char)byte;
    }
    *to++ = '"';
    *to = 0;
    return json;
}

const char *dacapo_json_number(double number) {
    static const double exact_max = 9007199254740992.0;
    if (!isfinite(number)) return "null";
    if (number == floor(number) && fabs(number) <= exact_max) return dacapo_format("%.0f", number);
    for (int digits = 15;; digits++) {
        const char *json = dacapo_format("%.*g", digits, number);
        if (digits == 17 || strtod(json, NULL) == number) return json;
    }
}

const char *dacapo_json_bool(bool value) {
    return value ? "true" : "false";
}

/* Joins parts with commas and encloses them in brackets. */
static const char *enclosed(char opening, const char *const *parts, size_t count, char closing) {
    size_t length = 2 + count;
    for (size_t i = 0; i < count; i++) length += strlen(parts[i]);
    char *json = dacapo_alloc(length + 1), *to = json;
    *to++ = opening;
    for (size_t i = 0; i < count; i++) {
        if (i > 0) *to++ = ',';
        size_t part = strlen(parts[i]);
        memcpy(to, parts[i], part);
        to += part;
    }
    *to++ = closing;
    *to = 0;
    return json;
}

const char *dacapo_json_array(const char *const *items, size_t count) {
    return enclosed('[', items, count, ']');
}

const char *dacapo_json_object(const dacapo_json_pair *members, size_t count) {
    const char **parts = dacapo_alloc(count * sizeof *parts);
    for (size_t i = 0; i < count; i++) {
        const char *name = dacapo_json_string(members[i].name);
        parts[i] = dacapo_format("%s:%s", name, members[i].value ? members[i].value : "null");
    }
    return enclosed('{', parts, count, '}');
}

/* --- Base64 --- */

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static const char *base64_of(const char *bytes, size_t length) {
    char *text = dacapo_alloc((length + 2) / 3 * 4 + 1), *to = text;
    for (size_t at = 0; at < length; at += 3) {
        size_t left = length - at;
        uint32_t group = (uint32_t)(unsigned char)bytes[at] << 16;
        if (left > 1) group |= (uint32_t)(unsigned char)bytes[at + 1] << 8;
        if (left > 2) group |= (unsigned char)bytes[at + 2];
        *to++ = base64_digits[group >> 18];
        *to++ = base64_digits[group >> 12 & 63];
        *to++ = left > 1 ? base64_digits[group >> 6 & 63] : '=';
        *to++ = left > 2 ? base64_digits[group & 63] : '=';
    }
    *to = 0;
    return text;
}

/* Reads until the first character that is no digit. */
static const char *bytes_from_base64(const char *text, size_t *length) {
    char *bytes = dacapo_alloc(strlen(text) / 4 * 3 + 3), *to = bytes;
    uint32_t group = 0;
    int bits = 0;
    for (const char *digit; *text && (digit = strchr(base64_digits, *text)); text++) {
        group = (group << 6 | (uint32_t)(digit - base64_digits)) & 0xffff;
        bits += 6;
        if (bits >= 8) *to++ = (char)(group >> (bits -= 8));
    }
    *to = 0;
    *length = (size_t)(to - bytes);
    return bytes;
}

/* --- Triggers --- */

static const char *text_member(const char *object, const char *name) {
    const char *json = dacapo_json_member(object, name);
    return json ? dacapo_json_to_string(json) : NULL;
}

static const char *text_or_empty(const char *text) {
    return text ? text : "";
}

const char *dacapo_request_method(const dacapo_trigger_call *call) {
    return text_or_empty(text_member(call->input, "method"));
}

const char *dacapo_request_url(const dacapo_trigger_call *call) {
    return text_or_empty(text_member(call->input, "url"));
}

static bool is_same_name(const char *a, const char *b, bool ignoring_case) {
    for (; *a && *b; a++, b++) {
        bool is_letter = (*a | 0x20) >= 'a' && (*a | 0x20) <= 'z';
        if (*a != *b && !(ignoring_case && is_letter && (*a ^ *b) == 0x20)) return false;
    }
    return *a == *b;
}

/* Finds the first value of a name in [[name, value], ...]. */
static const char *first_value(const dacapo_trigger_call *call, const char *pairs, const char *name, bool ignoring_case) {
    size_t count = 0, parts;
    const char *json = dacapo_json_member(call->input, pairs);
    const char *const *items = json ? dacapo_json_items(json, &count) : NULL;
    for (size_t i = 0; i < count; i++) {
        const char *const *pair = dacapo_json_items(items[i], &parts);
        const char *key = pair && parts == 2 ? dacapo_json_to_string(pair[0]) : NULL;
        if (key && is_same_name(key, name, ignoring_case)) return dacapo_json_to_string(pair[1]);
    }
    return NULL;
}

const char *dacapo_request_header(const dacapo_trigger_call *call, const char *name) {
    return first_value(call, "headers", name, true);
}

const char *dacapo_request_query(const dacapo_trigger_call *call, const char *name) {
    return first_value(call, "query", name, false);
}

const char *dacapo_request_param(const dacapo_trigger_call *call, const char *name) {
    const char *params = dacapo_json_member(call->input, "params");
    return params ? text_member(params, name) : NULL;
}

const char *dacapo_request_body(const dacapo_trigger_call *call, size_t *length) {
    size_t unused;
    if (!length) length = &unused;
    *length = 0;
    const char *body = dacapo_json_member(call->input, "body");
    if (body) body = bytes_from(body, length);
    const char *encoded = text_member(call->input, "bodyBase64");
    if (!body && encoded) body = bytes_from_base64(encoded, length);
    return text_or_empty(body);
}

static bool is_text(const char *bytes, size_t length) {
    if (strlen(bytes) != length) return false;
    while (*bytes && character_bytes(bytes)) bytes += character_bytes(bytes);
    return !*bytes;
}

static const char *header_json(const char *name, const char *value) {
    const char *pair[] = {dacapo_json_string(name), dacapo_json_string(value)};
    return dacapo_json_array(pair, 2);
}

dacapo_outcome dacapo_respond(dacapo_response response) {
    size_t count = 0, headers = 0;
    while (response.headers && response.headers[count].name) count++;
    const char **pairs = dacapo_alloc((count + 1) * sizeof *pairs);
    if (response.content_type) pairs[headers++] = header_json("content-type", response.content_type);
    for (size_t i = 0; i < count; i++) pairs[headers++] = header_json(response.headers[i].name, response.headers[i].value);
    dacapo_json_pair members[3] = {
        {"status", dacapo_json_number(response.status ? response.status : 200)},
        {"headers", dacapo_json_array(pairs, headers)},
    };
    if (!response.body) return dacapo_ok(dacapo_json_object(members, 2));
    /* A copy ends with a zero byte. */
    size_t length = response.body_length ? response.body_length : strlen(response.body);
    const char *body = copy(response.body, length);
    if (is_text(body, length)) {
        members[2] = (dacapo_json_pair){"body", dacapo_json_string(body)};
    } else {
        members[2] = (dacapo_json_pair){"bodyBase64", dacapo_json_string(base64_of(body, length))};
    }
    return dacapo_ok(dacapo_json_object(members, 3));
}

static dacapo_outcome respond_json(int status, const char *json) {
    return dacapo_respond((dacapo_response){.status = status, .content_type = "application/json; charset=utf-8", .body = json});
}

/* The number of bytes of a URL that are its scheme and authority; 0 if it has none. */
static size_t origin_length(const char *url) {
    const char *authority = strstr(url, "://");
    if (!authority) return 0;
    authority += 3;
    return (size_t)(authority - url) + strcspn(authority, "/?#");
}

/* Replaces the origins of links by that of a URL. */
static const char *moved_to(const char *url, const char *links) {
    int length = (int)origin_length(url);
    size_t count = 0;
    for (walk w = walk_through(links, '{'); walk_on(&w, true);) count++;
    dacapo_json_pair *moved = dacapo_alloc(count * sizeof *moved), *to = moved;
    for (walk w = walk_through(links, '{'); walk_on(&w, true); to++) {
        to->name = text_or_empty(dacapo_json_to_string(copy(w.name, (size_t)(skip_string(w.name) - w.name))));
        to->value = copy(w.value, (size_t)(w.end - w.value));
        const char *link = dacapo_json_to_string(to->value);
        size_t before = link ? origin_length(link) : 0;
        if (length && before) to->value = dacapo_json_string(dacapo_format("%.*s%s", length, url, link + before));
    }
    return dacapo_json_object(moved, count);
}

dacapo_outcome dacapo_create_check_status_response(const dacapo_trigger_call *call, const char *instance_id) {
    dacapo_outcome links = dacapo_client_links(instance_id);
    if (links.failure) return links;
    if (call) links.output = moved_to(dacapo_request_url(call), links.output);
    const dacapo_header headers[] = {
        {"location", text_or_empty(text_member(links.output, "statusQueryGetUri"))},
        {"retry-after", "10"},
        {NULL, NULL},
    };
    return dacapo_respond((dacapo_response){
        .status = 202,
        .content_type = "application/json; charset=utf-8",
        .headers = headers,
        .body = links.output,
    });
}

dacapo_outcome dacapo_wait_for_completion_or_create_check_status_response(const dacapo_trigger_call *call,
                                                                          const char *instance_id, double timeout) {
    dacapo_outcome ended = dacapo_client_wait_for_completion(instance_id, timeout);
    if (ended.failure) return ended;
    if (strcmp(ended.output, "null") == 0) return dacapo_respond((dacapo_response){.status = 404});
    const char *status = text_or_empty(text_member(ended.output, "runtimeStatus"));
    if (strcmp(status, "Completed") == 0) {
        const char *output = dacapo_json_member(ended.output, "output");
        return respond_json(200, output ? output : "null");
    }
    if (strcmp(status, "Failed") == 0) return respond_json(500, ended.output);
    if (strcmp(status, "Terminated") == 0 || strcmp(status, "Canceled") == 0) return respond_json(200, ended.output);
    return dacapo_create_check_status_response(call, instance_id);
}

const char *const *dacapo_messages(const dacapo_trigger_call *call, size_t *count) {
    const char *batch = dacapo_json_member(call->input, "messages");
    const char *one = dacapo_json_member(call->input, "message");
    if (!one) one = dacapo_json_member(call->input, "input");
    const char *const *items = batch ? dacapo_json_items(batch, count) : &one;
    if (!batch) *count = one != NULL;
    const char **texts = dacapo_alloc(*count * sizeof *texts);
    for (size_t i = 0; i < *count; i++) texts[i] = dacapo_json_to_string(items[i]);
    return texts;
}

/* The messages for output bindings, the last one first. */
typedef struct message {
    struct message *before;
    const char *binding;
    const char *json;
    bool is_gathered;
} message;

static message *messages;

void dacapo_output(const char *binding, const char *json) {
    message *added = dacapo_alloc(sizeof *added);
    *added = (message){.before = messages, .binding = binding, .json = json ? json : "null"};
    messages = added;
}

/* The messages for the binding of one, which is the last of them, as an array. */
static const char *gathered(message *last) {
    size_t count = 0, place;
    for (message *one = last; one; one = one->before) count += strcmp(one->binding, last->binding) == 0;
    const char **items = dacapo_alloc(count * sizeof *items);
    place = count;
    for (message *one = last; one; one = one->before) {
        if (strcmp(one->binding, last->binding) != 0) continue;
        one->is_gathered = true;
        items[--place] = one->json;
    }
    return dacapo_json_array(items, count);
}

/* --- The exports: find functions of the app by name, and run them --- */

static size_t function_count(void) {
    size_t count = 0;
    while (dacapo_app[count].name) count++;
    return count;
}

DACAPO_EXPORT("describe") const dacapo_abi_functions *dacapo_describe(void) {
    dacapo_abi_functions *functions = dacapo_alloc(sizeof *functions);
    size_t count = 0;
    dacapo_abi_function *described = dacapo_alloc(function_count() * sizeof *described);
    for (const dacapo_function *function = dacapo_app; function->name; function++) {
        if (function->kind == DACAPO_KIND_TRIGGER) continue;
        described[count++] = (dacapo_abi_function){text_of(function->name), (uint8_t)function->kind};
    }
    *functions = (dacapo_abi_functions){described, count};
    return functions;
}

DACAPO_EXPORT("describe-triggers") const dacapo_abi_triggers *dacapo_describe_triggers(void) {
    dacapo_abi_triggers *triggers = dacapo_alloc(sizeof *triggers);
    size_t count = 0;
    dacapo_abi_trigger *described = dacapo_alloc(function_count() * sizeof *described);
    for (const dacapo_function *function = dacapo_app; function->name; function++) {
        if (function->kind != DACAPO_KIND_TRIGGER) continue;
        const char *bindings = dacapo_format("[%s]", function->bindings);
        described[count++] = (dacapo_abi_trigger){text_of(function->name), text_of(bindings)};
    }
    *triggers = (dacapo_abi_triggers){described, count};
    return triggers;
}

static const dacapo_function *find(dacapo_kind kind, const char *name) {
    for (const dacapo_function *function = dacapo_app; function->name; function++) {
        if (function->kind == kind && strcmp(function->name, name) == 0) return function;
    }
    return NULL;
}

static dacapo_outcome not_found(const char *type, const char *name) {
    return dacapo_fail((dacapo_failure){.type = type, .message = dacapo_format("this app has no function `%s` of this kind", name)});
}

static const dacapo_abi_result *result_of(dacapo_outcome outcome) {
    dacapo_abi_result *result = dacapo_alloc(sizeof *result);
    result->is_error = outcome.failure != NULL;
    if (outcome.failure) {
        result->of.failure = failure_of(outcome.failure);
    } else {
        result->of.output = payload_of(outcome.output);
    }
    return result;
}

DACAPO_EXPORT("run-orchestrator")
const dacapo_abi_result *dacapo_run_orchestrator(const char *name, size_t name_length, const char *input, size_t input_length) {
    const char *wanted = received(name, name_length);
    const dacapo_function *function = find(DACAPO_KIND_ORCHESTRATOR, wanted);
    if (!function) return result_of(not_found("OrchestratorNotFound", wanted));
    return result_of(function->orchestrate(received(input, input_length)));
}

DACAPO_EXPORT("run-activity")
const dacapo_abi_result *dacapo_run_activity(const char *name, size_t name_length, const char *input, size_t input_length,
                                             const char *instance, size_t instance_length, uint32_t task_id, uint32_t attempt) {
    dacapo_activity_call call = {
        .name = received(name, name_length),
        .input = received(input, input_length),
        .instance_id = received(instance, instance_length),
        .task_id = task_id,
        .attempt = attempt,
    };
    const dacapo_function *function = find(DACAPO_KIND_ACTIVITY, call.name);
    if (!function) return result_of(not_found("ActivityNotFound", call.name));
    return result_of(function->act(&call));
}

static dacapo_outcome operate(dacapo_entity_operation *operation) {
    const dacapo_function *function = find(DACAPO_KIND_ENTITY, operation->entity.name);
    return function ? function->operate(operation) : not_found("EntityNotFound", operation->entity.name);
}

DACAPO_EXPORT("run-entity-operation")
const dacapo_abi_entity_result *dacapo_run_entity_operation(const char *name, size_t name_length, const char *key,
                                                            size_t key_length, const char *operation, size_t operation_length,
                                                            const char *input, size_t input_length, bool has_state,
                                                            const char *state, size_t state_length) {
    dacapo_entity_operation wanted = {
        .entity = {received(name, name_length), received(key, key_length)},
        .operation = received(operation, operation_length),
        .input = received(input, input_length),
        .state = has_state ? received(state, state_length) : NULL,
    };
    dacapo_outcome outcome = operate(&wanted);
    dacapo_abi_entity_result *result = dacapo_alloc(sizeof *result);
    result->is_error = outcome.failure != NULL;
    if (outcome.failure) {
        result->of.failure = failure_of(outcome.failure);
    } else {
        result->of.entity.output = payload_of(outcome.output);
        result->of.entity.state = optional_text_of(wanted.state);
    }
    return result;
}

/* The output of a trigger in the form of the contract. */
static dacapo_outcome with_messages(dacapo_outcome response) {
    size_t count = 0;
    for (message *one = messages; one; one = one->before) count++;
    bool has_response = strcmp(response.output, "null") != 0;
    if (!has_response && !count) return response;
    dacapo_json_pair *outputs = dacapo_alloc(count * sizeof *outputs), members[2];
    size_t bindings = 0, parts = 0;
    for (message *one = messages; one; one = one->before) {
        if (!one->is_gathered) outputs[bindings++] = (dacapo_json_pair){one->binding, gathered(one)};
    }
    if (has_response) members[parts++] = (dacapo_json_pair){"response", response.output};
    if (bindings) members[parts++] = (dacapo_json_pair){"outputs", dacapo_json_object(outputs, bindings)};
    return dacapo_ok(dacapo_json_object(members, parts));
}

DACAPO_EXPORT("run-trigger")
const dacapo_abi_result *dacapo_run_trigger(const char *name, size_t name_length, const char *input, size_t input_length,
                                            const char *invocation, size_t invocation_length, uint32_t attempt) {
    dacapo_trigger_call call = {
        .name = received(name, name_length),
        .input = received(input, input_length),
        .invocation_id = received(invocation, invocation_length),
        .attempt = attempt,
    };
    const dacapo_function *function = find(DACAPO_KIND_TRIGGER, call.name);
    if (!function) return result_of(not_found("TriggerNotFound", call.name));
    messages = NULL;
    dacapo_outcome outcome = function->fire(&call);
    return result_of(outcome.failure ? outcome : with_messages(outcome));
}

#ifdef __wasm__
/* Called after the host has read the result of an export. */
#define END_OF(name, function)                                          \
    DACAPO_EXPORT("cabi_post_" name) void function(const void *result) { \
        (void)result;                                                   \
        dacapo_end_run();                                               \
    }

END_OF("describe", dacapo_end_describe)
END_OF("run-orchestrator", dacapo_end_orchestrator)
END_OF("run-activity", dacapo_end_activity)
END_OF("run-entity-operation", dacapo_end_entity_operation)
END_OF("describe-triggers", dacapo_end_describe_triggers)
END_OF("run-trigger", dacapo_end_trigger)
#endif
