/* Runs the functions of app.c without a host, against a script. Time is skipped. */
#include <stdio.h>
#include <string.h>

#include "dacapo_test.h"

static const double SECONDS = 1000, HOURS = 3600e3;
static int failures;

static void check(const char *what, dacapo_script *script, const char *output, double elapsed) {
    dacapo_run run = dacapo_script_run(script, "order", "\"a lamp\"");
    const char *got = run.outcome.failure ? run.outcome.failure->message : run.outcome.output;
    if (strcmp(got, output) != 0 || run.elapsed != elapsed) {
        printf("%s: got %s after %g ms, not %s after %g ms\n", what, got, run.elapsed, output, elapsed);
        failures++;
    }
    dacapo_script_free(script);
}

static void an_approved_order_is_sent(void) {
    dacapo_script *script = dacapo_script_new();
    dacapo_script_real_activity(script, "reserve");
    dacapo_script_event(script, "Approval", "true", 2 * HOURS);
    check(__func__, script, "\"the reservation of a lamp is on its way\"", 2 * HOURS);
}

static void without_an_answer_it_expires(void) {
    dacapo_script *script = dacapo_script_new();
    dacapo_script_real_activity(script, "reserve");
    check(__func__, script, "\"the reservation of a lamp has expired\"", 72 * HOURS);
}

static void a_reservation_is_tried_again(void) {
    dacapo_script *script = dacapo_script_new();
    dacapo_failure busy = {.type = "Busy", .message = "try later", .retriable = true};
    dacapo_script_failure(script, "call-activity reserve", busy);
    dacapo_script_failure(script, "call-activity reserve", busy);
    dacapo_script_answer(script, "call-activity reserve", "\"r-17\"");
    dacapo_script_event(script, "Approval", "false", 0);
    check(__func__, script, "\"r-17 was rejected\"", (1 + 2) * SECONDS);
}

static void check_response(const char *what, const char *request, const char *status, const char *action) {
    dacapo_run run = dacapo_test_trigger("start_order", request, 1);
    const char *response = run.outcome.failure ? NULL : dacapo_json_member(run.outcome.output, "response");
    const char *got = response ? dacapo_json_member(response, "status") : NULL;
    if (!got || strcmp(got, status) != 0 || run.action_count != (action != NULL) || (action && !dacapo_did(&run, action))) {
        printf("%s: got %s, not %s\n", what, got ? got : "no response", status);
        failures++;
    }
}

static void a_request_starts_an_order(void) {
    check_response(__func__, "{\"method\":\"POST\",\"body\":\"\\\"a lamp\\\"\"}", "202",
                   "start-orchestration order \"a lamp\" as test:1");
}

static void a_request_without_an_item_is_refused(void) {
    check_response(__func__, "{\"method\":\"POST\"}", "400", NULL);
}

int main(void) {
    an_approved_order_is_sent();
    without_an_answer_it_expires();
    a_reservation_is_tried_again();
    a_request_starts_an_order();
    a_request_without_an_item_is_refused();
    puts(failures == 0 ? "all tests passed" : "some tests failed");
    return failures;
}
