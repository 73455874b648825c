/* Implements dacapo_host.h: a host that plays a script, and whose clock jumps to the next event or outcome. */
#include "dacapo_test.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dacapo_host.h"

/* 2026-01-01 */
#define START 1767225600000.0

/* --- The script --- */

typedef struct answer {
    struct answer *next;
    char *action;
    dacapo_outcome outcome;
    double after;
    bool is_real; /* the outcome is that of the app's activity */
    bool is_spent;
} answer;

typedef struct event {
    struct event *next;
    char *name;
    char *data;
    double at;
    bool is_taken;
} event;

struct dacapo_script {
    answer *answers;
    event *events; /* by time */
    char *version; /* or NULL */
};

static _Noreturn void give_up(const char *why, const char *action) {
    fprintf(stderr, "dacapo_test: %s: %s\n", why, action);
    abort();
}

static void *reserve(size_t size) {
    void *memory = calloc(1, size);
    if (!memory) give_up("out of memory", "");
    return memory;
}

static char *keep(const char *text) {
    if (!text) return NULL;
    char *kept = reserve(strlen(text) + 1);
    return strcpy(kept, text);
}

dacapo_script *dacapo_script_new(void) {
    return reserve(sizeof(dacapo_script));
}

static void free_answer(answer *one) {
    const dacapo_failure *failure = one->outcome.failure;
    if (failure) {
        free((void *)failure->type);
        free((void *)failure->message);
        free((void *)failure->details);
        free((void *)failure);
    }
    free((void *)one->outcome.output);
    free(one->action);
    free(one);
}

void dacapo_script_free(dacapo_script *script) {
    for (answer *one = script->answers, *next; one; one = next) {
        next = one->next;
        free_answer(one);
    }
    for (event *one = script->events, *next; one; one = next) {
        next = one->next;
        free(one->name);
        free(one->data);
        free(one);
    }
    free(script->version);
    free(script);
}

static answer *add_answer(dacapo_script *script, const char *action) {
    answer **last = &script->answers;
    while (*last) last = &(*last)->next;
    *last = reserve(sizeof(answer));
    (*last)->action = keep(action);
    return *last;
}

void dacapo_script_answer(dacapo_script *script, const char *action, const char *output) {
    dacapo_script_answer_after(script, action, output, 0);
}

void dacapo_script_answer_after(dacapo_script *script, const char *action, const char *output, double milliseconds) {
    answer *added = add_answer(script, action);
    added->outcome.output = keep(output ? output : "null");
    added->after = milliseconds;
}

void dacapo_script_failure(dacapo_script *script, const char *action, dacapo_failure failure) {
    dacapo_failure *kept = reserve(sizeof failure);
    *kept = (dacapo_failure){
        .type = keep(failure.type ? failure.type : "Error"),
        .message = keep(failure.message ? failure.message : ""),
        .details = keep(failure.details),
        .retriable = failure.retriable,
    };
    add_answer(script, action)->outcome.failure = kept;
}

void dacapo_script_real_activity(dacapo_script *script, const char *name) {
    add_answer(script, dacapo_format("call-activity %s", name))->is_real = true;
}

void dacapo_script_event(dacapo_script *script, const char *name, const char *data, double after) {
    event **place = &script->events;
    while (*place && (*place)->at <= START + after) place = &(*place)->next;
    event *added = reserve(sizeof *added);
    *added = (event){.next = *place, .name = keep(name), .data = keep(data ? data : "null"), .at = START + after};
    *place = added;
}

void dacapo_script_version(dacapo_script *script, const char *version) {
    free(script->version);
    script->version = keep(version);
}

/* --- One run of it --- */

/* A scheduled task, and its completion. */
typedef struct task {
    const char *action;
    double due; /* infinite if it does not complete by itself */
    dacapo_outcome outcome;
    bool is_done;
    bool is_timer;
    const char *waits_for; /* the name of an event, or NULL */
    event *event;          /* the one that it got */
    bool is_taken;         /* whether it keeps the event */
    double made;
} task;

static struct {
    dacapo_script *script;
    double now;
    task *tasks;
    size_t task_count, task_room;
    const char **actions;
    size_t action_count, action_room;
    unsigned started;
    uint64_t random;
} play;

static void begin(dacapo_script *script) {
    dacapo_end_run();
    memset(&play, 0, sizeof play);
    play.script = script;
    play.now = START;
    for (answer *one = script ? script->answers : NULL; one; one = one->next) one->is_spent = false;
    for (event *one = script ? script->events : NULL; one; one = one->next) one->is_taken = false;
}

static dacapo_run end(dacapo_outcome outcome) {
    return (dacapo_run){
        .outcome = outcome,
        .elapsed = play.now - START,
        .actions = play.actions,
        .action_count = play.action_count,
    };
}

/* Returns the array with space for one more item. It is valid until the end of the run. */
static void *grown(void *items, size_t count, size_t *room, size_t size) {
    if (count < *room) return items;
    *room = *room ? 2 * *room : 16;
    void *more = dacapo_alloc(*room * size);
    if (count) memcpy(more, items, count * size);
    return more;
}

static const char *act(const char *action) {
    play.actions = grown(play.actions, play.action_count, &play.action_room, sizeof *play.actions);
    play.actions[play.action_count++] = action;
    return action;
}

static int32_t schedule(task scheduled) {
    play.tasks = grown(play.tasks, play.task_count, &play.task_room, sizeof *play.tasks);
    play.tasks[play.task_count] = scheduled;
    return (int32_t)play.task_count++;
}

bool dacapo_did(const dacapo_run *run, const char *action) {
    for (size_t i = 0; i < run->action_count; i++) {
        if (strcmp(run->actions[i], action) == 0) return true;
    }
    return false;
}

static dacapo_text text_of(const char *text) {
    return (dacapo_text){text, strlen(text)};
}

static dacapo_abi_result result_of(dacapo_outcome outcome) {
    const dacapo_failure *failure = outcome.failure;
    if (!failure) return (dacapo_abi_result){false, {.output = text_of(outcome.output)}};
    dacapo_abi_failure told = {
        text_of(failure->type), text_of(failure->message), {.is_some = failure->details != NULL}, failure->retriable};
    if (failure->details) told.details.text = text_of(failure->details);
    return (dacapo_abi_result){true, {.failure = told}};
}

static dacapo_outcome outcome_of(const dacapo_abi_result *result) {
    if (!result->is_error) return dacapo_ok(result->of.output.at);
    const dacapo_abi_failure *failure = &result->of.failure;
    return dacapo_fail((dacapo_failure){
        failure->type.at, failure->message.at, failure->details.is_some ? failure->details.text.at : NULL, failure->retriable});
}

static dacapo_outcome run_activity(const char *name, const char *input, uint32_t attempt) {
    return outcome_of(dacapo_run_activity(name, strlen(name), input, strlen(input), "test", 4, 1, attempt));
}

dacapo_run dacapo_script_run(dacapo_script *script, const char *orchestrator, const char *input) {
    begin(script);
    if (!input) input = "null";
    return end(outcome_of(dacapo_run_orchestrator(orchestrator, strlen(orchestrator), input, strlen(input))));
}

dacapo_run dacapo_script_run_activity(dacapo_script *script, const char *activity, const char *input, uint32_t attempt) {
    begin(script);
    return end(run_activity(activity, input ? input : "null", attempt));
}

dacapo_run dacapo_script_run_trigger(dacapo_script *script, const char *trigger, const char *input, uint32_t attempt) {
    begin(script);
    if (!input) input = "null";
    return end(outcome_of(dacapo_run_trigger(trigger, strlen(trigger), input, strlen(input), "test", 4, attempt)));
}

dacapo_run dacapo_test_trigger(const char *name, const char *input, uint32_t attempt) {
    return dacapo_script_run_trigger(NULL, name, input, attempt);
}

dacapo_run dacapo_test_activity(const char *name, const char *input, uint32_t attempt) {
    return dacapo_script_run_activity(NULL, name, input, attempt);
}

dacapo_run dacapo_test_operation(dacapo_entity_id entity, const char *operation, const char *input, const char *state) {
    begin(NULL);
    if (!input) input = "null";
    const dacapo_abi_entity_result *result =
        dacapo_run_entity_operation(entity.name, strlen(entity.name), entity.key, strlen(entity.key), operation,
                                    strlen(operation), input, strlen(input), state != NULL, state, state ? strlen(state) : 0);
    if (result->is_error) return end(outcome_of(&(dacapo_abi_result){true, {.failure = result->of.failure}}));
    dacapo_run run = end(dacapo_ok(result->of.entity.output.at));
    run.state = result->of.entity.state.is_some ? result->of.entity.state.text.at : NULL;
    return run;
}

/* --- Answers --- */

static bool is_answer(const answer *one, const char *action) {
    size_t length = strlen(one->action);
    return strncmp(one->action, action, length) == 0 && (action[length] == ' ' || action[length] == 0);
}

/* Returns NULL if there is none. */
static answer *find_answer(const char *action) {
    answer *found = NULL;
    for (answer *one = play.script ? play.script->answers : NULL; one; one = one->next) {
        if (one->is_spent || !is_answer(one, action)) continue;
        if (!found) {
            found = one;
        } else if (strcmp(found->action, one->action) == 0) {
            found->is_spent = true; /* the next call takes the other one */
            break;
        }
    }
    return found;
}

static answer *next_answer(const char *action) {
    answer *found = find_answer(action);
    if (!found) give_up("the script has no answer to", action);
    return found;
}

static bool is_retried(const dacapo_abi_retry_policy *policy, const dacapo_failure *failure, uint32_t attempt) {
    if (!policy || !failure || !failure->retriable || attempt >= policy->max_attempts) return false;
    for (size_t i = 0; i < policy->not_retriable_count; i++) {
        if (strcmp(policy->not_retriable[i].at, failure->type) == 0) return false;
    }
    return true;
}

/* Runs an activity. The time that it waits is its duration; the orchestrator's clock does not advance. */
static dacapo_outcome run_beside(const char *name, const char *input, uint32_t attempt, double *until) {
    double now = play.now;
    dacapo_outcome outcome = run_activity(name, input, attempt);
    *until += play.now - now;
    play.now = now;
    return outcome;
}

/* Schedules a call with the script's answers, with as many attempts as the policy allows. */
static int32_t call(const char *action, const char *name, const char *input, const dacapo_abi_retry_policy *policy) {
    task scheduled = {.action = act(action), .due = play.now};
    double interval = policy ? policy->first_interval : 0;
    for (uint32_t attempt = 1;; attempt++) {
        answer *given = next_answer(action);
        scheduled.due += given->after;
        scheduled.outcome = given->is_real ? run_beside(name, input, attempt, &scheduled.due) : given->outcome;
        if (!is_retried(policy, scheduled.outcome.failure, attempt)) return schedule(scheduled);
        if (policy->max_interval.is_some) interval = fmin(interval, policy->max_interval.number);
        if (policy->timeout.is_some && scheduled.due + interval - play.now >= policy->timeout.number) return schedule(scheduled);
        scheduled.due += interval;
        interval *= policy->backoff;
    }
}

/* --- Waiting --- */

static bool is_same_name(const char *a, const char *b) {
    while (*a && tolower((unsigned char)*a) == tolower((unsigned char)*b)) a++, b++;
    return *a == *b;
}

/* Gives a wait the first unread event with its name, if there is one. */
static void give(task *wait) {
    for (event *one = play.script ? play.script->events : NULL; one && !wait->event; one = one->next) {
        if (one->is_taken || !is_same_name(wait->waits_for, one->name)) continue;
        one->is_taken = true;
        wait->event = one;
        wait->due = fmax(one->at, wait->made);
        wait->outcome = dacapo_ok(one->data);
    }
}

static void put_back(task *wait) {
    if (!wait->event) return;
    wait->event->is_taken = false;
    wait->event = NULL;
    wait->due = INFINITY;
    wait->is_done = false;
}

/* Gives events to the waits that are asked for, the oldest first. Before that it puts back the events that other waits got and
 * have not taken. */
static void deliver(const int32_t *asked, size_t count) {
    for (size_t i = 0; i < play.task_count; i++) {
        bool is_asked = false;
        for (size_t j = 0; j < count; j++) is_asked |= (size_t)asked[j] == i;
        if (!is_asked && !play.tasks[i].is_taken) put_back(&play.tasks[i]);
    }
    for (size_t i = 0; i < play.task_count; i++) {
        bool is_asked = false;
        for (size_t j = 0; j < count; j++) is_asked |= (size_t)asked[j] == i;
        if (is_asked && play.tasks[i].waits_for) give(&play.tasks[i]);
    }
}

void dacapo_host_wait(const int32_t *handles, size_t count, dacapo_abi_indexes *completed) {
    deliver(handles, count);
    double soonest = INFINITY;
    const char *waiting = "";
    for (size_t i = 0; i < count; i++) {
        task *one = &play.tasks[handles[i]];
        soonest = fmin(soonest, one->due);
        waiting = dacapo_format("%s%s%s", waiting, i ? ", " : "", one->action);
    }
    if (isinf(soonest)) give_up("the script has ended, but the orchestrator still waits for", waiting);
    play.now = fmax(play.now, soonest);
    for (size_t i = 0; i < play.task_count; i++) play.tasks[i].is_done |= play.tasks[i].due <= play.now;

    uint32_t *indexes = dacapo_alloc(count * sizeof *indexes);
    size_t done = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!play.tasks[handles[i]].is_done) continue;
        size_t place = done++;
        for (; place > 0 && play.tasks[handles[indexes[place - 1]]].due > play.tasks[handles[i]].due; place--) {
            indexes[place] = indexes[place - 1];
        }
        indexes[place] = i;
    }
    play.tasks[handles[indexes[0]]].is_taken = true;
    *completed = (dacapo_abi_indexes){indexes, done};
}

void dacapo_host_outcome(int32_t handle, dacapo_abi_outcome *told) {
    task *one = &play.tasks[handle];
    if (one->waits_for && !one->event) {
        give(one);
        one->is_done = one->due <= play.now;
        if (!one->is_done) put_back(one);
    }
    one->is_taken |= one->is_done;
    *told = (dacapo_abi_outcome){.is_some = one->is_done};
    if (one->is_done) told->result = result_of(one->outcome);
}

bool dacapo_host_cancel(int32_t handle) {
    task *one = &play.tasks[handle];
    if (one->is_done || (!one->is_timer && !one->waits_for)) return false;
    act(dacapo_format("cancel %s", one->action));
    put_back(one); /* the event is for the next wait */
    one->waits_for = NULL;
    one->is_done = true;
    one->due = play.now;
    one->outcome = dacapo_fail((dacapo_failure){.type = "Canceled", .message = "the task was canceled"});
    return true;
}

/* --- Calls of functions --- */

int32_t dacapo_host_call_activity(const char *name, size_t name_length, const char *input, size_t input_length, bool has_retry,
                                  uint32_t max_attempts, double first_interval, double backoff, bool has_max_interval,
                                  double max_interval, bool has_timeout, double timeout, const dacapo_text *not_retriable,
                                  size_t not_retriable_count) {
    dacapo_abi_retry_policy policy = {
        .max_attempts = max_attempts,
        .first_interval = first_interval,
        .backoff = backoff,
        .max_interval = {has_max_interval, max_interval},
        .timeout = {has_timeout, timeout},
        .not_retriable = not_retriable,
        .not_retriable_count = not_retriable_count,
    };
    (void)name_length, (void)input_length;
    return call(dacapo_format("call-activity %s %s", name, input), name, input, has_retry ? &policy : NULL);
}

/* Adds an option to an action, if it is set. */
static const char *with_option(const char *action, const char *option, dacapo_optional_text value) {
    return value.is_some ? dacapo_format("%s %s %s", action, option, value.text.at) : action;
}

/* Adds a point in time to an action, if there is one. */
static const char *with_moment(const char *action, bool has_moment, double moment) {
    return has_moment ? dacapo_format("%s at %s", action, dacapo_json_number(moment)) : action;
}

static int32_t call_child(const dacapo_abi_sub_orchestrator *wanted, dacapo_optional_text version) {
    const char *action = dacapo_format("call-sub-orchestrator %s %s", wanted->name.at, wanted->input.at);
    action = with_option(with_option(action, "as", wanted->instance_id), "version", version);
    return call(action, wanted->name.at, wanted->input.at, wanted->retry.is_some ? &wanted->retry.policy : NULL);
}

int32_t dacapo_host_call_sub_orchestrator(const dacapo_abi_sub_orchestrator *wanted) {
    return call_child(wanted, (dacapo_optional_text){.is_some = false});
}

int32_t dacapo_host_call_sub_orchestrator_with_version(const dacapo_abi_versioned_sub_orchestrator *wanted) {
    dacapo_abi_sub_orchestrator child = {wanted->name, wanted->input, wanted->instance_id, wanted->retry};
    return call_child(&child, (dacapo_optional_text){true, wanted->version});
}

int32_t dacapo_host_call_entity(const char *name, size_t name_length, const char *key, size_t key_length, const char *operation,
                                size_t operation_length, const char *input, size_t input_length) {
    (void)name_length, (void)key_length, (void)operation_length, (void)input_length;
    return call(dacapo_format("call-entity @%s@%s %s %s", name, key, operation, input), name, input, NULL);
}

int32_t dacapo_host_call_http(const char *request, size_t length) {
    (void)length;
    return call(dacapo_format("call-http %s", request), "", request, NULL);
}

int32_t dacapo_host_create_timer(double fire_at) {
    const char *action = act(dacapo_format("create-timer %s", dacapo_json_number(fire_at - play.now)));
    return schedule((task){.action = action, .due = fire_at, .outcome = dacapo_ok(NULL), .is_timer = true});
}

int32_t dacapo_host_wait_for_external_event(const char *name, size_t length) {
    (void)length;
    const char *action = act(dacapo_format("wait-for-external-event %s", name));
    return schedule((task){.action = action, .due = INFINITY, .waits_for = name, .made = play.now});
}

int32_t dacapo_host_lock_entities(const dacapo_abi_entity_id *entities, size_t count) {
    const char *action = "lock-entities";
    for (size_t i = 0; i < count; i++) action = dacapo_format("%s @%s@%s", action, entities[i].name.at, entities[i].key.at);
    return schedule((task){.action = act(action), .due = play.now, .outcome = dacapo_ok(NULL)});
}

bool dacapo_host_unlock_entities(void) {
    act("unlock-entities");
    return true;
}

static const char *id_of_started(bool has_id, const char *id) {
    return has_id ? id : dacapo_format("test:%u", ++play.started);
}

void dacapo_host_start_orchestration(const char *name, size_t name_length, const char *input, size_t input_length, bool has_id,
                                     const char *id, size_t id_length, dacapo_text *instance_id) {
    (void)name_length, (void)input_length, (void)id_length;
    *instance_id = text_of(id_of_started(has_id, id));
    act(dacapo_format("start-orchestration %s %s as %s", name, input, instance_id->at));
}

/* Returns an answer for an activity or trigger, after advancing the clock by the time that it takes. */
static dacapo_abi_result told_after(const answer *given) {
    play.now += given->after;
    return result_of(given->outcome);
}

void dacapo_host_send_http(const char *request, size_t length, dacapo_abi_result *response) {
    (void)length;
    *response = told_after(next_answer(act(dacapo_format("send-http %s", request))));
}

void dacapo_host_send_event(const char *instance, size_t instance_length, const char *name, size_t name_length, const char *data,
                            size_t data_length) {
    (void)instance_length, (void)name_length, (void)data_length;
    act(dacapo_format("send-event %s %s %s", instance, name, data));
}

void dacapo_host_signal_entity(const char *name, size_t name_length, const char *key, size_t key_length, const char *operation,
                               size_t operation_length, const char *input, size_t input_length, bool has_moment,
                               double deliver_at) {
    (void)name_length, (void)key_length, (void)operation_length, (void)input_length;
    act(with_moment(dacapo_format("signal-entity @%s@%s %s %s", name, key, operation, input), has_moment, deliver_at));
}

void dacapo_host_continue_as_new(const char *input, size_t length) {
    (void)length;
    act(dacapo_format("continue-as-new %s", input));
}

void dacapo_host_set_custom_status(const char *status, size_t length) {
    (void)length;
    act(dacapo_format("set-custom-status %s", status));
}

void dacapo_host_instance_id(dacapo_text *id) {
    *id = text_of("test");
}

void dacapo_host_execution_id(dacapo_text *id) {
    *id = text_of("execution");
}

void dacapo_host_parent(dacapo_abi_parent *parent) {
    *parent = (dacapo_abi_parent){.is_some = false};
}

void dacapo_host_version(dacapo_text *version) {
    *version = text_of(play.script && play.script->version ? play.script->version : "");
}

double dacapo_host_current_time(void) {
    return play.now;
}

static uint64_t next_random(void) {
    play.random = play.random * 6364136223846793005u + 1442695040888963407u;
    return play.random >> 32;
}

void dacapo_host_new_guid(dacapo_text *guid) {
    unsigned a = (unsigned)next_random(), b = (unsigned)next_random();
    *guid = text_of(dacapo_format("%08x-%04x-5%03x-8%03x-%012x", a, b >> 16, b >> 4 & 0xfff, b & 0xfff, (unsigned)next_random()));
}

void dacapo_host_random_bytes(uint32_t length, dacapo_text *bytes) {
    char *random = dacapo_alloc(length);
    for (uint32_t i = 0; i < length; i++) random[i] = (char)next_random();
    *bytes = (dacapo_text){random, length};
}

bool dacapo_host_is_replaying(void) {
    return false;
}

void dacapo_host_log(int32_t level, const char *message, size_t length) {
    static const char *const levels[] = {"trace", "debug", "info", "warn", "error"};
    fprintf(stderr, "%s: %.*s\n", levels[level], (int)length, message);
}

/* --- The durable client --- */

/* Adds a text to an action, unless it is empty. */
static const char *with_text(const char *action, const char *text) {
    return *text ? dacapo_format("%s %s", action, text) : action;
}

/* Makes a call that needs an answer. */
static dacapo_abi_result ask(const char *action) {
    return told_after(next_answer(act(action)));
}

/* Makes a call that succeeds unless the script has an answer that fails it. */
static dacapo_abi_result tell(const char *action, const char *output) {
    const answer *given = find_answer(act(action));
    dacapo_abi_result told = given ? told_after(given) : (dacapo_abi_result){.is_error = false};
    if (!told.is_error) told.of.output = text_of(output);
    return told;
}

void dacapo_host_client_start(const char *name, size_t name_length, const char *input, size_t input_length, bool has_id,
                              const char *id, size_t id_length, bool has_version, const char *version, size_t version_length,
                              bool has_moment, double start_at, dacapo_abi_result *started) {
    (void)name_length, (void)input_length, (void)id_length;
    id = id_of_started(has_id, id);
    const char *action = dacapo_format("start-orchestration %s %s as %s", name, input, id);
    action = with_option(action, "version", (dacapo_optional_text){has_version, {version, version_length}});
    *started = tell(with_moment(action, has_moment, start_at), id);
}

void dacapo_host_get_status(const char *instance, size_t instance_length, const char *options, size_t options_length,
                            dacapo_abi_result *status) {
    (void)instance_length, (void)options_length;
    *status = ask(with_text(dacapo_format("get-status %s", instance), options));
}

void dacapo_host_list_instances(const char *filter, size_t length, dacapo_abi_result *page) {
    (void)length;
    *page = ask(with_text("list-instances", filter));
}

void dacapo_host_raise_event(const char *instance, size_t instance_length, const char *name, size_t name_length, const char *data,
                             size_t data_length, dacapo_abi_result *raised) {
    (void)instance_length, (void)name_length, (void)data_length;
    *raised = tell(dacapo_format("raise-event %s %s %s", instance, name, data), "");
}

void dacapo_host_terminate(const char *instance, size_t instance_length, const char *reason, size_t reason_length,
                           dacapo_abi_result *terminated) {
    (void)instance_length, (void)reason_length;
    *terminated = tell(dacapo_format("terminate %s %s", instance, reason), "");
}

void dacapo_host_suspend(const char *instance, size_t instance_length, const char *reason, size_t reason_length,
                         dacapo_abi_result *suspended) {
    (void)instance_length, (void)reason_length;
    *suspended = tell(dacapo_format("suspend %s %s", instance, reason), "");
}

void dacapo_host_resume(const char *instance, size_t instance_length, const char *reason, size_t reason_length,
                        dacapo_abi_result *resumed) {
    (void)instance_length, (void)reason_length;
    *resumed = tell(dacapo_format("resume %s %s", instance, reason), "");
}

void dacapo_host_rewind(const char *instance, size_t instance_length, const char *reason, size_t reason_length,
                        dacapo_abi_result *rewound) {
    (void)instance_length, (void)reason_length;
    *rewound = tell(dacapo_format("rewind %s %s", instance, reason), "");
}

void dacapo_host_restart(const char *instance, size_t instance_length, bool has_id, const char *id, size_t id_length,
                         dacapo_abi_result *restarted) {
    (void)instance_length, (void)id_length;
    id = id_of_started(has_id, id);
    *restarted = tell(dacapo_format("restart %s as %s", instance, id), id);
}

void dacapo_host_purge(const char *instance, size_t length, dacapo_abi_result *purged) {
    (void)length;
    *purged = ask(dacapo_format("purge %s", instance));
    if (purged->is_error) return;
    const char *told = purged->of.output.at;
    if (!dacapo_json_to_bool(told, &purged->of.was_there)) give_up("the answer to a purge is true or false, and not", told);
}

void dacapo_host_purge_instances(const char *filter, size_t length, dacapo_abi_result *purged) {
    (void)length;
    *purged = ask(with_text("purge-instances", filter));
    if (purged->is_error) return;
    double count;
    const char *told = purged->of.output.at;
    if (!dacapo_json_to_number(told, &count)) give_up("the answer to a purge-instances is a number, and not", told);
    purged->of.count = (uint32_t)count;
}

void dacapo_host_wait_for_completion(const char *instance, size_t length, double timeout, dacapo_abi_result *status) {
    (void)length;
    const char *action = act(dacapo_format("wait-for-completion %s %s", instance, dacapo_json_number(timeout)));
    const answer *given = next_answer(action);
    if (given->after <= timeout) {
        *status = told_after(given);
        return;
    }
    play.now += timeout;
    const char *running = dacapo_format("{\"instanceId\":%s,\"runtimeStatus\":\"Running\"}", dacapo_json_string(instance));
    *status = result_of(dacapo_ok(running));
}

void dacapo_host_client_signal(const char *name, size_t name_length, const char *key, size_t key_length, const char *operation,
                               size_t operation_length, const char *input, size_t input_length, bool has_moment,
                               double deliver_at, dacapo_abi_result *signalled) {
    (void)name_length, (void)key_length, (void)operation_length, (void)input_length;
    const char *action = dacapo_format("signal-entity @%s@%s %s %s", name, key, operation, input);
    *signalled = tell(with_moment(action, has_moment, deliver_at), "");
}

void dacapo_host_enqueue(const char *queue, size_t queue_length, const dacapo_text *messages, size_t count, bool has_moment,
                         double deliver_at, dacapo_abi_result *put) {
    (void)queue_length;
    const char **texts = dacapo_alloc(count * sizeof *texts);
    for (size_t i = 0; i < count; i++) texts[i] = dacapo_json_string(messages[i].at);
    const char *action = dacapo_format("enqueue %s %s", queue, dacapo_json_array(texts, count));
    *put = tell(with_moment(action, has_moment, deliver_at), "");
}

void dacapo_host_read_entity(const char *name, size_t name_length, const char *key, size_t key_length, dacapo_abi_result *read) {
    (void)name_length, (void)key_length;
    *read = ask(dacapo_format("read-entity @%s@%s", name, key));
    if (read->is_error) return;
    dacapo_text state = read->of.output;
    read->of.state = (dacapo_optional_text){strcmp(state.at, "null") != 0, state};
}

void dacapo_host_list_entities(const char *filter, size_t length, dacapo_abi_result *page) {
    (void)length;
    *page = ask(with_text("list-entities", filter));
}

/* Links are no action. They are made up unless the script has an answer. */
void dacapo_host_links(const char *instance, size_t length, dacapo_abi_result *links) {
    (void)length;
    static const char *const members[][2] = {
        {"statusQueryGetUri", ""},
        {"sendEventPostUri", "/raiseEvent/{eventName}"},
        {"terminatePostUri", "/terminate?reason={text}"},
        {"rewindPostUri", "/rewind?reason={text}"},
        {"purgeHistoryDeleteUri", ""},
        {"restartPostUri", "/restart"},
        {"suspendPostUri", "/suspend?reason={text}"},
        {"resumePostUri", "/resume?reason={text}"},
    };
    enum { COUNT = sizeof members / sizeof *members };
    const answer *given = find_answer(dacapo_format("links %s", instance));
    if (given) {
        *links = told_after(given);
        return;
    }
    dacapo_json_pair made_up[COUNT + 1] = {{"id", dacapo_json_string(instance)}};
    for (size_t i = 0; i < COUNT; i++) {
        const char *link =
            dacapo_format("http://localhost:7071/runtime/webhooks/durabletask/instances/%s%s", instance, members[i][1]);
        made_up[i + 1] = (dacapo_json_pair){members[i][0], dacapo_json_string(link)};
    }
    *links = result_of(dacapo_ok(dacapo_json_object(made_up, COUNT + 1)));
}
