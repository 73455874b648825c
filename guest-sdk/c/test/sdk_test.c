/* Tests of the SDK, natively: see run.sh. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dacapo_test.h"

static int failures;

static void check(bool holds, int line, const char *what) {
    if (holds) return;
    fprintf(stderr, "line %d: %s\n", line, what);
    failures++;
}

#define CHECK(condition) check(condition, __LINE__, #condition)

static bool same(const char *a, const char *b) {
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* --- JSON --- */

static void strings_are_read(void) {
    CHECK(same(dacapo_json_to_string("\"\""), ""));
    CHECK(same(dacapo_json_to_string(" \"a\\n\\\"\\\\\\/b\" "), "a\n\"\\/b"));
    CHECK(same(dacapo_json_to_string("\"\\u00fc\\u20AC\\ud83d\\ude00\""), "ü€😀"));
    CHECK(same(dacapo_json_to_string("\"\\ud83d\\ud83d\\ude00x\\ude00\""), "\xef\xbf\xbd😀x\xef\xbf\xbd"));
    static const char *const wrong[] = {
        "",       "\"",       "\"a",       "\"a\\",      "\"\\\"",       "a",         "\"a\" b",      "\"\\x\"",
        "\"\\u\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\u0000\"", "\"\\ud83d\\u\"",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        check(!dacapo_json_to_string(wrong[i]), __LINE__, wrong[i]);
    }
}

static void strings_come_back(void) {
    const char *text = "\x01\t\"quoted\" \\ ü€😀\x7f";
    CHECK(same(dacapo_json_to_string(dacapo_json_string(text)), text));
    CHECK(same(dacapo_json_string("a\"\n"), "\"a\\\"\\u000a\""));
}

static void numbers_come_back(void) {
    static const double numbers[] = {0, -1, 385, 0.1, 1e15, 9007199254740991.0, 1e21, 1.0 / 3, 5e-324, 1.7976931348623157e308};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        double read;
        CHECK(dacapo_json_to_number(dacapo_json_number(numbers[i]), &read) && read == numbers[i]);
    }
    CHECK(same(dacapo_json_number(1795282021577.0), "1795282021577"));
    CHECK(same(dacapo_json_number(0.1), "0.1"));
    CHECK(same(dacapo_json_number(INFINITY), "null"));
    CHECK(same(dacapo_json_number(NAN), "null"));
    double read = 7;
    static const char *const wrong[] = {"", " ", "x", "0x10", "inf", "nan", "1e999", "1 2", "--1", "1e", "\"1\"", "[1]", "null"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        check(!dacapo_json_to_number(wrong[i], &read) && read == 7, __LINE__, wrong[i]);
    }
}

static void parts_are_found(void) {
    const char *json = " { \"a\" : [1, {\"b\":\"}]\"}, [] ] , \"\\u0062\":2,\"b\": \"last\" } ";
    size_t count;
    CHECK(same(dacapo_json_member(json, "a"), "[1, {\"b\":\"}]\"}, [] ]"));
    CHECK(same(dacapo_json_member(json, "b"), "\"last\""));
    CHECK(!dacapo_json_member(json, "c") && !dacapo_json_items(json, &count) && !dacapo_json_member("[1]", "a"));
    const char *const *found = dacapo_json_items(dacapo_json_member(json, "a"), &count);
    CHECK(count == 3 && same(found[0], "1") && same(found[1], "{\"b\":\"}]\"}") && same(found[2], "[]"));
    CHECK(same(dacapo_json_member(found[1], "b"), "\"}]\""));
    CHECK(dacapo_json_items(" [ ] ", &count) && count == 0);
    static const char *const wrong[] = {"7", "[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "{}"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        check(!dacapo_json_items(wrong[i], &count) && count == 0, __LINE__, wrong[i]);
    }
    const char *items[] = {"1", "\"a\"", "[]"};
    CHECK(same(dacapo_json_array(items, 3), "[1,\"a\",[]]") && same(dacapo_json_array(items, 0), "[]"));
    const dacapo_json_pair members[] = {{"a\"", "[1]"}, {"b", NULL}};
    CHECK(same(dacapo_json_object(members, 2), "{\"a\\\"\":[1],\"b\":null}") && same(dacapo_json_object(NULL, 0), "{}"));
    bool truth = false;
    CHECK(dacapo_json_to_bool(" true ", &truth) && truth && dacapo_json_to_bool("false", &truth) && !truth);
    CHECK(!dacapo_json_to_bool("truely", &truth) && !dacapo_json_to_bool("1", &truth) && !dacapo_json_to_bool("", &truth));
}

/* No text makes the reader read beyond its end: the sanitizer would detect that. */
static void any_text_is_safe(void) {
    static const char alphabet[] = "{}[]\",:\\u0dft 1-e.\xc3";
    srand(1);
    for (int round = 0; round < 200000; round++) {
        size_t length = (size_t)(rand() % 24);
        char *text = malloc(length + 1);
        for (size_t i = 0; i < length; i++) text[i] = alphabet[(size_t)rand() % (sizeof alphabet - 1)];
        text[length] = 0;
        double number;
        bool truth;
        size_t count;
        dacapo_json_to_string(text);
        dacapo_json_to_number(text, &number);
        dacapo_json_to_bool(text, &truth);
        dacapo_json_items(text, &count);
        dacapo_json_member(text, "u");
        free(text);
        if (round % 1000 == 0) dacapo_test_activity("echo", NULL, 1); /* empties the arena */
    }
    enum { DEEP = 1000000 };
    char *deep = malloc(DEEP + 1);
    memset(deep, '[', DEEP);
    deep[DEEP] = 0;
    size_t count;
    CHECK(!dacapo_json_items(deep, &count));
    free(deep);
}

/* --- Functions --- */

static dacapo_outcome echo(const dacapo_activity_call *call) {
    return dacapo_ok(call->input);
}

static dacapo_outcome everything(const char *input) {
    dacapo_entity_id both[] = {{"account", "a"}, {"account", "b"}};
    uint8_t random[70000];
    dacapo_random_bytes(random, sizeof random);
    CHECK(strlen(dacapo_new_guid()) == 36 && !dacapo_parent_instance() && !dacapo_is_replaying());
    dacapo_outcome child = dacapo_await(dacapo_call_sub_orchestrator("child", input, "c-1", NULL));
    dacapo_await(dacapo_call_sub_orchestrator_with_version("child", "2", "2.0", NULL, NULL));
    dacapo_await(dacapo_call_sub_orchestrator_with_version("child", "3", "2.0", "c-3", NULL));
    dacapo_await(dacapo_call_sub_orchestrator_with_version("child", "4", NULL, NULL, NULL));
    dacapo_await(dacapo_lock_entities(both, 2));
    dacapo_outcome balance = dacapo_await(dacapo_call_entity(both[0], "get", NULL));
    dacapo_unlock_entities();
    dacapo_outcome declined = dacapo_await(dacapo_call_activity("charge", "5", NULL));
    CHECK(declined.failure && same(declined.failure->type, "CardDeclined") && same(declined.failure->details, "{}"));
    dacapo_outcome response = dacapo_await(dacapo_call_http("{\"method\":\"GET\",\"uri\":\"https://example.org/\"}"));
    const char *id = dacapo_start_orchestration("other", NULL, NULL);
    dacapo_send_event(id, "Go", child.output);
    dacapo_signal_entity(both[0], "add", balance.output);
    dacapo_signal_entity_at(both[1], "add", balance.output, dacapo_current_time() + 1000);
    dacapo_set_custom_status(dacapo_json_member(response.output, "statusCode"));
    dacapo_continue_as_new("[2]");
    return dacapo_ok(NULL);
}

static void everything_is_asked_for(void) {
    static const char *const asked[] = {
        "call-sub-orchestrator child [1] as c-1",
        "call-sub-orchestrator child 2 version 2.0",
        "call-sub-orchestrator child 3 as c-3 version 2.0",
        "call-sub-orchestrator child 4",
        "lock-entities @account@a @account@b",
        "call-entity @account@a get null",
        "unlock-entities",
        "call-activity charge 5",
        "call-http {\"method\":\"GET\",\"uri\":\"https://example.org/\"}",
        "start-orchestration other null as test:1",
        "send-event test:1 Go \"grown\"",
        "signal-entity @account@a add 7",
        "signal-entity @account@b add 7 at 1767225601000",
        "set-custom-status 204",
        "continue-as-new [2]",
    };
    dacapo_script *script = dacapo_script_new();
    dacapo_script_answer(script, "call-sub-orchestrator child", "\"grown\"");
    dacapo_script_answer(script, "call-entity @account@a get", "7");
    dacapo_script_answer(script, "call-http", "{\"statusCode\":204}");
    dacapo_script_failure(script, "call-activity charge", (dacapo_failure){"CardDeclined", "no money", "{}", false});
    dacapo_run run = dacapo_script_run(script, "everything", "[1]");
    CHECK(!run.outcome.failure && run.action_count == sizeof asked / sizeof *asked);
    for (size_t i = 0; i < run.action_count; i++) check(same(run.actions[i], asked[i]), __LINE__, run.actions[i]);
    dacapo_script_free(script);
}

static dacapo_outcome order_all(const dacapo_activity_call *call) {
    size_t count, started = 0;
    const char *const *items = dacapo_json_items(call->input, &count);
    const char **ids = dacapo_alloc((count + 1) * sizeof *ids);
    for (size_t i = 0; i < count; i++) {
        const char *id = dacapo_format("order-%s", items[i]);
        dacapo_outcome order = dacapo_activity_start_orchestration("order", items[i], id, "2.0");
        if (!order.failure) ids[started++] = order.output;
        else if (strcmp(order.failure->type, "InstanceAlreadyExists") != 0) return order;
    }
    dacapo_outcome report = dacapo_activity_start_orchestration("report", NULL, NULL, NULL);
    if (report.failure) return report;
    ids[started++] = report.output;
    return dacapo_ok(dacapo_json_array(ids, started));
}

static void an_activity_starts_orchestrations(void) {
    dacapo_script *script = dacapo_script_new();
    dacapo_script_answer(script, "start-orchestration order", NULL);
    dacapo_script_failure(script, "start-orchestration order", (dacapo_failure){.type = "InstanceAlreadyExists"});
    dacapo_script_answer(script, "start-orchestration order", NULL);
    dacapo_run run = dacapo_script_run_activity(script, "order_all", "[1,2,3]", 1);
    CHECK(same(run.outcome.output, "[\"order-1\",\"order-3\",\"test:1\"]") && run.action_count == 4);
    CHECK(dacapo_did(&run, "start-orchestration order 2 as order-2 version 2.0"));
    CHECK(dacapo_did(&run, "start-orchestration report null as test:1"));
    dacapo_script_failure(script, "start-orchestration report", (dacapo_failure){.type = "OrchestratorNotFound"});
    run = dacapo_script_run_activity(script, "order_all", "[]", 1);
    CHECK(run.outcome.failure && same(run.outcome.failure->type, "OrchestratorNotFound"));
    dacapo_script_free(script);
}

static dacapo_outcome stock(const dacapo_activity_call *call) {
    dacapo_json_pair request[] = {{"method", "\"GET\""}, {"uri", call->input}};
    dacapo_outcome response = dacapo_send_http(dacapo_json_object(request, 2));
    return response.failure ? response : dacapo_ok(dacapo_json_member(response.output, "statusCode"));
}

static dacapo_outcome stocks(const char *input) {
    dacapo_task both[] = {dacapo_call_activity("stock", input, NULL), dacapo_call_activity("stock", input, NULL)};
    dacapo_wait_all(both, 2);
    return dacapo_await(both[1]);
}

static void an_activity_sends_http(void) {
    dacapo_script *script = dacapo_script_new();
    dacapo_script_real_activity(script, "stock");
    dacapo_script_answer_after(script, "send-http", "{\"statusCode\":202}", 5000);
    dacapo_run run = dacapo_script_run(script, "stocks", "\"https://example.org/\"");
    CHECK(same(run.outcome.output, "202") && run.elapsed == 5000 && run.action_count == 4);
    run = dacapo_script_run_activity(script, "stock", "\"https://example.org/\"", 1);
    CHECK(same(run.outcome.output, "202") && run.elapsed == 5000);
    CHECK(dacapo_did(&run, "send-http {\"method\":\"GET\",\"uri\":\"https://example.org/\"}"));
    dacapo_script_free(script);

    script = dacapo_script_new();
    dacapo_script_failure(script, "send-http", (dacapo_failure){"HttpRequestFailed", "refused", NULL, false});
    run = dacapo_script_run_activity(script, "stock", "null", 1);
    CHECK(run.outcome.failure && same(run.outcome.failure->message, "refused"));
    dacapo_script_free(script);
}

static dacapo_outcome my_version(const char *input) {
    (void)input;
    return dacapo_ok(dacapo_json_string(dacapo_version()));
}

static void an_instance_knows_its_version(void) {
    dacapo_script *script = dacapo_script_new();
    CHECK(same(dacapo_script_run(script, "my_version", NULL).outcome.output, "\"\""));
    dacapo_script_version(script, "2.0");
    CHECK(same(dacapo_script_run(script, "my_version", NULL).outcome.output, "\"2.0\""));
    dacapo_script_free(script);
}

static dacapo_outcome first_of_three(const char *input) {
    dacapo_task tasks[] = {
        dacapo_call_activity("slow", input, NULL),
        dacapo_create_timer(2000),
        dacapo_wait_for_external_event("Go"),
    };
    size_t first = dacapo_wait_any(tasks, 3);
    dacapo_wait_all(tasks, 3);
    CHECK(dacapo_is_done(tasks[0]) && dacapo_wait_any(tasks, 3) == first && !dacapo_cancel(tasks[1]));
    return dacapo_ok(dacapo_json_number((double)first));
}

static void a_race_is_won_by_what_completed_first(void) {
    dacapo_script *script = dacapo_script_new();
    dacapo_script_answer_after(script, "call-activity slow", "1", 5000);
    dacapo_script_event(script, "Go", NULL, 1000);
    dacapo_run run = dacapo_script_run(script, "first_of_three", NULL);
    CHECK(same(run.outcome.output, "2") && run.elapsed == 5000);
    dacapo_script_free(script);
}

static dacapo_outcome retried(const char *input) {
    static const char *const final[] = {"Final", NULL};
    dacapo_retry_policy policy = {
        .max_attempts = 5, .first_interval = 1000, .backoff = 10, .max_interval = 60000, .not_retriable = final};
    return dacapo_await(dacapo_call_activity("flaky", input, &policy));
}

/* Waits that lose a race are not cancelled. One event is raised during another wait. Invalid UTF-8 becomes U+FFFD. */
static dacapo_outcome rounds(const char *input) {
    const char *seen[4];
    (void)input;
    for (int i = 0; i < 4; i++) {
        dacapo_task both[] = {dacapo_wait_for_external_event("Go"), dacapo_create_timer(60e3)};
        seen[i] = dacapo_wait_any(both, 2) == 0 ? dacapo_await(both[0]).output : "\"late\"";
        if (i == 0) dacapo_await(dacapo_create_timer(60e3));
    }
    dacapo_send_event("me\xed\xa0\xbd", "\xf0\x9f", NULL);
    return dacapo_ok(dacapo_json_array(seen, 4));
}

static void a_wait_that_lost_takes_no_event(void) {
    dacapo_script *script = dacapo_script_new();
    dacapo_script_event(script, "Go", "\"while it slept\"", 90e3);
    dacapo_script_event(script, "Go", "\"in its round\"", 150e3);
    dacapo_run run = dacapo_script_run(script, "rounds", NULL);
    CHECK(same(run.outcome.output, "[\"late\",\"while it slept\",\"in its round\",\"late\"]"));
    CHECK(dacapo_did(&run, "send-event me\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd null"));
    dacapo_script_free(script);
}

static void retries_are_those_of_the_policy(void) {
    dacapo_failure not_yet = {.type = "NotYet", .message = "not yet", .retriable = true};
    dacapo_script *script = dacapo_script_new();
    for (int i = 0; i < 3; i++) dacapo_script_failure(script, "call-activity flaky", not_yet);
    dacapo_script_answer(script, "call-activity flaky", "4");
    dacapo_run run = dacapo_script_run(script, "retried", NULL);
    CHECK(same(run.outcome.output, "4") && run.elapsed == 71000);
    dacapo_script_free(script);

    script = dacapo_script_new();
    dacapo_script_failure(script, "call-activity flaky", (dacapo_failure){"Final", "no", NULL, true});
    run = dacapo_script_run(script, "retried", NULL);
    CHECK(run.outcome.failure && same(run.outcome.failure->type, "Final") && run.elapsed == 0);
    dacapo_script_free(script);
}

static double number_in(const char *object, const char *name) {
    double number = 0;
    const char *json = dacapo_json_member(object, name);
    if (json) dacapo_json_to_number(json, &number);
    return number;
}

/* The strings of an array, then NULL. */
static const char *const *strings_in(const char *object, const char *name, size_t *count) {
    const char *json = dacapo_json_member(object, name);
    const char *const *items = dacapo_json_items(json ? json : "[]", count);
    const char **strings = dacapo_alloc((*count + 1) * sizeof *strings);
    for (size_t i = 0; i < *count; i++) strings[i] = dacapo_json_to_string(items[i]);
    strings[*count] = NULL;
    return strings;
}

static size_t attempts;

/* Fails as a case of the table says. It waits for an HTTP response, for the duration of an attempt. */
static dacapo_outcome flaky(const dacapo_activity_call *call) {
    size_t count;
    const char *const *types = strings_in(call->input, "failures", &count);
    attempts++;
    dacapo_send_http("{}");
    if (call->attempt > count) return dacapo_ok(NULL);
    return dacapo_fail((dacapo_failure){.type = types[call->attempt - 1], .message = "not yet", .retriable = true});
}

static dacapo_outcome stubborn(const char *of) {
    size_t count;
    const char *policy = dacapo_json_member(of, "policy");
    dacapo_retry_policy retry = {
        .max_attempts = (uint32_t)number_in(policy, "maxAttempts"),
        .first_interval = number_in(policy, "firstInterval"),
        .backoff = number_in(policy, "backoffCoefficient"),
        .max_interval = number_in(policy, "maxInterval"),
        .timeout = number_in(policy, "timeout"),
        .not_retriable = strings_in(policy, "nonRetriableErrorTypes", &count),
    };
    return dacapo_await(dacapo_call_activity("flaky", of, &retry));
}

static void attempts_begin_as_in(const char *of) {
    dacapo_script *script = dacapo_script_new();
    double takes = number_in(of, "takes"), last = -1;
    dacapo_script_real_activity(script, "flaky");
    dacapo_script_answer_after(script, "send-http", "{}", takes);
    attempts = 0;
    dacapo_run run = dacapo_script_run(script, "stubborn", of);

    const char *what = dacapo_json_member(of, "what");
    size_t count;
    const char *const *begins = dacapo_json_items(dacapo_json_member(of, "attempts"), &count);
    bool succeeds = false;
    check(dacapo_json_to_bool(dacapo_json_member(of, "succeeds"), &succeeds), __LINE__, what);
    check(succeeds == !run.outcome.failure, __LINE__, what);
    check(attempts == count, __LINE__, what);
    check(count > 0 && dacapo_json_to_number(begins[count - 1], &last) && run.elapsed == last + takes, __LINE__, what);
    dacapo_script_free(script);
}

/* The host's own schedule is tested with the same cases. */
static void attempts_begin_when_those_of_the_host_do(void) {
    static char table[1 << 16], of[1 << 12];
    FILE *file = fopen("../../tests/retries.json", "r");
    CHECK(file != NULL);
    if (!file) return;
    table[fread(table, 1, sizeof table - 1, file)] = 0;
    fclose(file);
    size_t count = 0;
    dacapo_json_items(table, &count);
    CHECK(count > 0);
    for (size_t i = 0; i < count; i++) {
        /* A run frees what was read before it, so read it again. */
        const char *one = dacapo_json_items(table, &count)[i];
        CHECK(strlen(one) < sizeof of);
        snprintf(of, sizeof of, "%s", one);
        attempts_begin_as_in(of);
    }
}

static dacapo_outcome counter(dacapo_entity_operation *operation) {
    double value = 0, amount;
    if (operation->state) dacapo_json_to_number(operation->state, &value);
    if (same(operation->operation, "delete")) {
        operation->state = NULL;
        return dacapo_ok(NULL);
    }
    if (!dacapo_json_to_number(operation->input, &amount)) {
        operation->state = "-1";
        return dacapo_fail((dacapo_failure){.type = "InvalidInput", .message = "not a number"});
    }
    operation->state = dacapo_json_number(value + amount);
    return dacapo_ok(operation->state);
}

static void an_operation_changes_the_state(void) {
    dacapo_entity_id id = {"counter", "clicks"};
    dacapo_run run = dacapo_test_operation(id, "add", "2", "5");
    CHECK(same(run.outcome.output, "7") && same(run.state, "7"));
    run = dacapo_test_operation(id, "add", "2", NULL);
    CHECK(same(run.state, "2"));
    run = dacapo_test_operation(id, "delete", NULL, "5");
    CHECK(!run.outcome.failure && !run.state);
    run = dacapo_test_operation(id, "add", "\"x\"", "5");
    CHECK(run.outcome.failure && same(run.outcome.failure->type, "InvalidInput") && !run.state);
}

static void what_is_not_there_is_a_failure(void) {
    dacapo_run run = dacapo_test_activity("counter", NULL, 1);
    CHECK(run.outcome.failure && same(run.outcome.failure->type, "ActivityNotFound"));
    run = dacapo_test_operation((dacapo_entity_id){"echo", "k"}, "get", NULL, NULL);
    CHECK(run.outcome.failure && same(run.outcome.failure->type, "EntityNotFound"));
}

DACAPO_APP(
    DACAPO_ACTIVITY(echo), DACAPO_ORCHESTRATOR(everything), DACAPO_ORCHESTRATOR(first_of_three), DACAPO_ORCHESTRATOR(retried),
    DACAPO_ENTITY(counter), DACAPO_ACTIVITY(order_all), DACAPO_ACTIVITY(stock), DACAPO_ORCHESTRATOR(stocks),
    DACAPO_ORCHESTRATOR(my_version), DACAPO_ORCHESTRATOR(rounds), DACAPO_ACTIVITY(flaky), DACAPO_ORCHESTRATOR(stubborn)
)

int main(void) {
    strings_are_read();
    strings_come_back();
    numbers_come_back();
    parts_are_found();
    any_text_is_safe();
    everything_is_asked_for();
    an_activity_starts_orchestrations();
    an_activity_sends_http();
    an_instance_knows_its_version();
    a_race_is_won_by_what_completed_first();
    a_wait_that_lost_takes_no_event();
    retries_are_those_of_the_policy();
    attempts_begin_when_those_of_the_host_do();
    an_operation_changes_the_state();
    what_is_not_there_is_a_failure();
    return failures != 0;
}
