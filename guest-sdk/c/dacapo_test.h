/* Runs the functions of an app natively, without a host, against a script. Waiting takes no real time, whatever the duration.
 * A test is a separate program: the app, the SDK, dacapo_test.c, and
 *
 *     #include <assert.h>
 *     #include "dacapo_test.h"
 *
 *     int main(void) {
 *         dacapo_script *script = dacapo_script_new();
 *         dacapo_script_answer(script, "call-activity reserve", "\"reservation 17\"");
 *         dacapo_script_event(script, "Approval", "true", 96 * HOURS);
 *
 *         dacapo_run run = dacapo_script_run(script, "order", "\"a lamp\"");
 *
 *         assert(run.outcome.failure && strcmp(run.outcome.failure->type, "NotApproved") == 0);
 *         assert(run.elapsed == 72 * HOURS);
 *         assert(dacapo_did(&run, "call-activity reserve \"a lamp\""));
 *         dacapo_script_free(script);
 *     }
 *
 * The calls of a run are its actions, written with the names of dacapo.wit:
 *
 *     call-activity NAME INPUT                        start-orchestration NAME INPUT as ID
 *     call-sub-orchestrator NAME INPUT                send-event ID NAME DATA
 *     call-entity @NAME@KEY OPERATION INPUT           signal-entity @NAME@KEY OPERATION INPUT [at MOMENT]
 *     call-http REQUEST                               lock-entities @NAME@KEY ...
 *     create-timer MILLISECONDS                       unlock-entities
 *     wait-for-external-event NAME                    continue-as-new INPUT
 *     cancel ACTION                                   set-custom-status STATUS
 *     send-http REQUEST
 *
 * and those of the durable client:
 *
 *     start-orchestration NAME INPUT as ID            get-status ID [OPTIONS]
 *     raise-event ID NAME DATA                        list-instances [FILTER]
 *     terminate ID REASON                             purge ID
 *     suspend ID REASON                               purge-instances [FILTER]
 *     resume ID REASON                                wait-for-completion ID MILLISECONDS
 *     rewind ID REASON                                read-entity @NAME@KEY
 *     restart ID as ID                                list-entities [FILTER]
 *     signal-entity @NAME@KEY OPERATION INPUT [at MOMENT]
 *     enqueue QUEUE ARRAY OF TEXTS [at MOMENT]
 *
 * A call-sub-orchestrator with an id or a version ends with `as ID`, `version VERSION` or both; a start-orchestration of the
 * client may end with `version VERSION`, `at MOMENT` or both.
 *
 * If a run makes a call for which the script has no answer, or waits for something that never happens in the script, the
 * program prints an error and aborts. Calls of the client in the left column, signal-entity and enqueue succeed unless
 * dacapo_script_failure fails them. Links are made up. */
#ifndef DACAPO_TEST_H
#define DACAPO_TEST_H

#include "dacapo.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The answers and events of one run of an orchestrator, an activity or a trigger. */
typedef struct dacapo_script dacapo_script;

/* Makes an empty script. */
dacapo_script *dacapo_script_new(void);
void dacapo_script_free(dacapo_script *script);

/* Answers the actions with this beginning, such as "call-activity reserve", "call-http" or "get-status order-17". Each action
 * takes the next of several answers with the same beginning; the last one is repeated. A wait-for-completion whose answer takes
 * longer than its timeout returns the status Running. */
void dacapo_script_answer(dacapo_script *script, const char *action, const char *output);
void dacapo_script_answer_after(dacapo_script *script, const char *action, const char *output, double milliseconds);
void dacapo_script_failure(dacapo_script *script, const char *action, dacapo_failure failure);

/* Answers the calls of an activity by running the activity of the app. */
void dacapo_script_real_activity(dacapo_script *script, const char *name);

/* Raises an external event, a duration after the start. */
void dacapo_script_event(dacapo_script *script, const char *name, const char *data, double after);

/* Sets the version label that the instance was started with. The default is an empty text. */
void dacapo_script_version(dacapo_script *script, const char *version);

/* The actions and the outcome of a function. It is valid until the next run. */
typedef struct dacapo_run {
    dacapo_outcome outcome;
    double elapsed; /* milliseconds */
    const char *const *actions;
    size_t action_count;
    const char *state; /* after the operation of an entity; NULL if there is none */
} dacapo_run;

/* Whether a run has this action. */
bool dacapo_did(const dacapo_run *run, const char *action);

/* Runs an orchestrator of the app. */
dacapo_run dacapo_script_run(dacapo_script *script, const char *orchestrator, const char *input);

/* Runs an activity of the app, which may send HTTP requests and call the durable client. */
dacapo_run dacapo_script_run_activity(dacapo_script *script, const char *activity, const char *input, uint32_t attempt);

/* Runs a trigger of the app, which may do the same. The input is JSON in the form that dacapo.h describes. The output of the run
 * is null, or {"response"?: {"status", "headers": [[name, value], ...], "body" or "bodyBase64"}, "outputs"?: {binding: [message,
 * ...]}}. */
dacapo_run dacapo_script_run_trigger(dacapo_script *script, const char *trigger, const char *input, uint32_t attempt);

/* Runs an activity or a trigger of the app without a script. */
dacapo_run dacapo_test_activity(const char *name, const char *input, uint32_t attempt);
dacapo_run dacapo_test_trigger(const char *name, const char *input, uint32_t attempt);

/* Runs one operation of an entity of the app, on a state or on none (NULL). */
dacapo_run dacapo_test_operation(dacapo_entity_id entity, const char *operation, const char *input, const char *state);

#ifdef __cplusplus
}
#endif

#endif
