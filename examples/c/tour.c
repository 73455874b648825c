/* The tour: a chain, a fan-out, a race of an event against a timer, and a retry. */
#include "dacapo.h"

static dacapo_outcome hello_sequence(const char *input) {
    static const char *const cities[] = {"Tokyo", "Seattle", "London"};
    const char *greetings[3];
    (void)input;
    for (size_t i = 0; i < 3; i++) {
        dacapo_outcome greeting = dacapo_await(dacapo_call_activity("say_hello", dacapo_json_string(cities[i]), NULL));
        if (greeting.failure) return greeting;
        greetings[i] = greeting.output;
    }
    return dacapo_ok(dacapo_json_array(greetings, 3));
}

static dacapo_outcome not_a_number(void) {
    return dacapo_fail((dacapo_failure){.type = "InvalidInput", .message = "the input is not a number from 0 on"});
}

static dacapo_outcome fan_out(const char *input) {
    double n, result, sum = 0;
    if (!dacapo_json_to_number(input, &n) || n < 0 || n > 1e6) return not_a_number();
    size_t count = (size_t)n;
    dacapo_task *tasks = dacapo_alloc(count * sizeof *tasks);
    for (size_t i = 0; i < count; i++) tasks[i] = dacapo_call_activity("square", dacapo_json_number((double)(i + 1)), NULL);
    dacapo_wait_all(tasks, count);
    for (size_t i = 0; i < count; i++) {
        dacapo_outcome square = dacapo_await(tasks[i]);
        if (square.failure) return square;
        if (dacapo_json_to_number(square.output, &result)) sum += result;
    }
    return dacapo_ok(dacapo_json_number(sum));
}

static dacapo_outcome approval(const char *input) {
    double milliseconds;
    dacapo_outcome event;
    bool approved = false;
    if (!dacapo_json_to_number(input, &milliseconds)) return not_a_number();
    if (!dacapo_await_for(dacapo_wait_for_external_event("Approval"), milliseconds, &event)) return dacapo_ok("\"expired\"");
    if (event.failure) return event;
    dacapo_json_to_bool(event.output, &approved);
    return dacapo_ok(approved ? "\"approved\"" : "\"rejected\"");
}

static dacapo_outcome stubborn(const char *input) {
    dacapo_retry_policy policy = {.max_attempts = 3, .first_interval = 10, .backoff = 2};
    dacapo_outcome attempt = dacapo_await(dacapo_call_activity("flaky", input, &policy));
    if (!attempt.failure) return attempt;
    return dacapo_ok(dacapo_json_string(dacapo_format("gave up: %s", attempt.failure->message)));
}

static dacapo_outcome say_hello(const dacapo_activity_call *call) {
    const char *city = dacapo_json_to_string(call->input);
    return dacapo_ok(dacapo_json_string(dacapo_format("Hello %s!", city ? city : "nobody")));
}

static dacapo_outcome square(const dacapo_activity_call *call) {
    double n;
    return dacapo_json_to_number(call->input, &n) ? dacapo_ok(dacapo_json_number(n * n)) : not_a_number();
}

static dacapo_outcome flaky(const dacapo_activity_call *call) {
    double k;
    if (!dacapo_json_to_number(call->input, &k)) return not_a_number();
    if (call->attempt >= k) return dacapo_ok(dacapo_json_number(call->attempt));
    return dacapo_fail((dacapo_failure){
        .type = "NotYet",
        .message = dacapo_format("attempt %u of %s", (unsigned)call->attempt, dacapo_json_number(k)),
        .retriable = true,
    });
}

DACAPO_APP(
    DACAPO_ORCHESTRATOR(hello_sequence), DACAPO_ORCHESTRATOR(fan_out), DACAPO_ORCHESTRATOR(approval),
    DACAPO_ORCHESTRATOR(stubborn), DACAPO_ACTIVITY(say_hello), DACAPO_ACTIVITY(square), DACAPO_ACTIVITY(flaky)
)
