#include <stdio.h>
#include <string.h>

#include "dacapo_test.h"

static int failures;

static void expect(const dacapo_run *run, const char *output, double elapsed) {
    const char *got = run->outcome.failure ? run->outcome.failure->message : run->outcome.output;
    if (strcmp(got, output) == 0 && run->elapsed == elapsed) return;
    fprintf(stderr, "got %s after %g ms, expected %s after %g ms\n", got, run->elapsed, output, elapsed);
    failures++;
}

static void greets_one_after_the_other(void) {
    dacapo_script *script = dacapo_script_new();
    dacapo_script_answer(script, "call-activity say_hello", "\"one\"");
    dacapo_script_answer(script, "call-activity say_hello", "\"two\"");
    dacapo_script_answer_after(script, "call-activity say_hello", "\"three\"", 500);
    dacapo_run run = dacapo_script_run(script, "hello_sequence", NULL);
    expect(&run, "[\"one\",\"two\",\"three\"]", 500);
    if (run.action_count != 3 || !dacapo_did(&run, "call-activity say_hello \"Seattle\"")) failures++;
    dacapo_script_free(script);
}

static void adds_squares(void) {
    dacapo_script *script = dacapo_script_new();
    dacapo_script_real_activity(script, "square");
    dacapo_run run = dacapo_script_run(script, "fan_out", "10");
    expect(&run, "385", 0);
    dacapo_script_free(script);
}

static void waits_for_an_approval(const char *data, double after, const char *output, double elapsed) {
    dacapo_script *script = dacapo_script_new();
    dacapo_script_event(script, "approval", data, after);
    dacapo_run run = dacapo_script_run(script, "approval", "60000");
    expect(&run, output, elapsed);
    dacapo_script_free(script);
}

static void gives_up_after_three_attempts(void) {
    dacapo_script *script = dacapo_script_new();
    dacapo_script_real_activity(script, "flaky");
    dacapo_run run = dacapo_script_run(script, "stubborn", "3");
    expect(&run, "3", 30);
    run = dacapo_script_run(script, "stubborn", "4");
    expect(&run, "\"gave up: attempt 3 of 4\"", 30);
    dacapo_script_free(script);
}

int main(void) {
    greets_one_after_the_other();
    adds_squares();
    waits_for_an_approval("true", 10000, "\"approved\"", 10000);
    waits_for_an_approval("false", 10000, "\"rejected\"", 10000);
    waits_for_an_approval("true", 70000, "\"expired\"", 60000);
    gives_up_after_three_attempts();
    return failures != 0;
}
