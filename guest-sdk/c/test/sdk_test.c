/* Tests of the SDK, natively: see run.sh. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dacapo_host.h"
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
        const char *request = dacapo_format("{\"body\":%s,\"bodyBase64\":\"%s\",\"headers\":%s}", text, text, text);
        dacapo_trigger_call call = {.input = request};
        dacapo_request_body(&call, &count);
        dacapo_request_header(&call, "u");
        dacapo_messages(&call, &count);
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
        dacapo_outcome order = dacapo_client_start_orchestration("order", items[i], id, "2.0");
        if (!order.failure) ids[started++] = order.output;
        else if (strcmp(order.failure->type, "InstanceAlreadyExists") != 0) return order;
    }
    dacapo_outcome report = dacapo_client_start_orchestration("report", NULL, NULL, NULL);
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

/* --- The durable client --- */

static dacapo_outcome manage(const dacapo_activity_call *call) {
    dacapo_entity_id ada = {"account", "ada"};
    dacapo_outcome done[] = {
        dacapo_client_raise_event("o-1", "Approval", call->input),
        dacapo_client_terminate("o-1", "no longer needed"),
        dacapo_client_suspend("o-1", "stock-taking"),
        dacapo_client_resume("o-1", NULL),
        dacapo_client_rewind("o-1", "fixed"),
        dacapo_client_signal_entity(ada, "add", "5"),
        dacapo_client_signal_entity_at(ada, "add", NULL, 1767225601000.0),
        dacapo_client_enqueue("orders", (const char *const[]){"a lamp", "a \"desk\""}, 2),
        dacapo_client_enqueue_at("orders", NULL, 0, 1767225601000.0),
    };
    for (size_t i = 0; i < sizeof done / sizeof *done; i++) {
        if (done[i].failure) return done[i];
        CHECK(same(done[i].output, "null"));
    }
    const char *ids[] = {
        dacapo_client_restart("o-1", NULL).output,
        dacapo_client_restart("o-1", "o-2").output,
        dacapo_client_start_orchestration_at("order", NULL, NULL, "2.0", 1767225601000.0).output,
    };
    return dacapo_ok(dacapo_json_array(ids, 3));
}

static void the_client_sends_to_instances_and_entities(void) {
    static const char *const asked[] = {
        "raise-event o-1 Approval true",
        "terminate o-1 no longer needed",
        "suspend o-1 stock-taking",
        "resume o-1 ",
        "rewind o-1 fixed",
        "signal-entity @account@ada add 5",
        "signal-entity @account@ada add null at 1767225601000",
        "enqueue orders [\"a lamp\",\"a \\\"desk\\\"\"]",
        "enqueue orders [] at 1767225601000",
        "restart o-1 as test:1",
        "restart o-1 as o-2",
        "start-orchestration order null as test:2 version 2.0 at 1767225601000",
    };
    dacapo_run run = dacapo_test_activity("manage", "true", 1);
    CHECK(same(run.outcome.output, "[\"test:1\",\"o-2\",\"test:2\"]") && run.action_count == sizeof asked / sizeof *asked);
    for (size_t i = 0; i < run.action_count; i++) check(same(run.actions[i], asked[i]), __LINE__, run.actions[i]);

    dacapo_script *script = dacapo_script_new();
    dacapo_script_failure(script, "suspend o-1", (dacapo_failure){.type = "InstanceEnded", .message = "too late"});
    run = dacapo_script_run_activity(script, "manage", "true", 1);
    CHECK(run.outcome.failure && same(run.outcome.failure->type, "InstanceEnded") && run.action_count == 9);
    dacapo_script_free(script);
}

static dacapo_outcome look(const dacapo_activity_call *call) {
    (void)call;
    dacapo_entity_id ada = {"account", "ada"}, grace = {"account", "grace"};
    const char *found[] = {
        dacapo_client_get_status("o-1", "{\"showInput\":false}").output,
        dacapo_client_get_status("o-9", NULL).output,
        dacapo_client_list_instances("{\"top\":2}").output,
        dacapo_client_purge("o-1").output,
        dacapo_client_purge_instances("{\"createdTimeFrom\":\"2026-01-01\"}").output,
        dacapo_client_read_entity(ada).output,
        dacapo_client_read_entity(grace).output,
        dacapo_client_list_entities(NULL).output,
        dacapo_client_wait_for_completion("o-1", 500).output,
    };
    CHECK(same(dacapo_json_member(dacapo_client_links("o-1").output, "id"), "\"o-1\""));
    return dacapo_ok(dacapo_json_array(found, sizeof found / sizeof *found));
}

static void the_client_reads_instances_and_entities(void) {
    dacapo_script *script = dacapo_script_new();
    dacapo_script_answer(script, "get-status o-1", "{\"runtimeStatus\":\"Pending\"}");
    dacapo_script_answer(script, "get-status o-9", NULL);
    dacapo_script_answer(script, "list-instances", "{\"instances\":[]}");
    dacapo_script_answer(script, "purge o-1", "true");
    dacapo_script_answer(script, "purge-instances", "3");
    dacapo_script_answer(script, "read-entity @account@ada", "7");
    dacapo_script_answer(script, "read-entity", NULL);
    dacapo_script_answer(script, "list-entities", "{\"entities\":[]}");
    dacapo_script_answer_after(script, "wait-for-completion o-1", "{\"runtimeStatus\":\"Completed\"}", 499);
    dacapo_run run = dacapo_script_run_activity(script, "look", NULL, 1);
    CHECK(same(run.outcome.output,
               "[{\"runtimeStatus\":\"Pending\"},null,{\"instances\":[]},true,3,7,null,{\"entities\":[]},"
               "{\"runtimeStatus\":\"Completed\"}]"));
    CHECK(run.elapsed == 499 && run.action_count == 9);
    CHECK(dacapo_did(&run, "get-status o-1 {\"showInput\":false}") && dacapo_did(&run, "get-status o-9"));
    CHECK(dacapo_did(&run, "list-instances {\"top\":2}") && dacapo_did(&run, "list-entities"));
    CHECK(dacapo_did(&run, "purge-instances {\"createdTimeFrom\":\"2026-01-01\"}"));
    CHECK(dacapo_did(&run, "wait-for-completion o-1 500") && dacapo_did(&run, "read-entity @account@grace"));
    dacapo_script_free(script);
}

/* --- Triggers --- */

static void triggers_are_described_by_their_bindings(void) {
    static const char *const described[][2] = {
        {"start_order",
         "[{\"type\":\"httpTrigger\",\"direction\":\"in\",\"name\":\"req\",\"methods\":[\"POST\", \"PUT\"],"
         "\"route\":\"orders/{id:regex(^\\\\d+$)}\",\"authLevel\":\"anonymous\"},"
         "{\"type\":\"http\",\"direction\":\"out\",\"name\":\"$return\"}]"},
        {"echo_request",
         "[{\"type\":\"httpTrigger\",\"direction\":\"in\",\"name\":\"req\",\"route\":\"echo\",\"authLevel\":\"function\"},"
         "{\"type\":\"http\",\"direction\":\"out\",\"name\":\"$return\"}]"},
        {"wait_for_it", NULL},
        {"clean_up",
         "[{\"type\":\"timerTrigger\",\"direction\":\"in\",\"name\":\"timer\",\"schedule\":\"0 30 3 * * *\","
         "\"runOnStartup\":true,\"useMonitor\":false}]"},
        {"ship",
         "[{\"type\":\"queueTrigger\",\"direction\":\"in\",\"name\":\"item\",\"queueName\":\"shipments\"},"
         "{\"type\":\"queue\",\"direction\":\"out\",\"name\":\"notes\",\"queueName\":\"notes-to-customers\"},"
         "{\"type\":\"eventHub\",\"direction\":\"out\",\"name\":\"audit\",\"eventHubName\":\"shipped\"}]"},
        {"measure",
         "[{\"type\":\"eventHubTrigger\",\"direction\":\"in\",\"name\":\"events\",\"eventHubName\":\"measurements\","
         "\"cardinality\":\"many\"}]"},
        {"uploaded", "[{\"type\":\"eventGridTrigger\",\"direction\":\"in\",\"name\":\"event\"}]"},
        {"repair", "[{\"type\":\"manualTrigger\",\"direction\":\"in\",\"name\":\"input\"}]"},
    };
    const dacapo_abi_triggers *triggers = dacapo_describe_triggers();
    CHECK(triggers->count == sizeof described / sizeof *described);
    for (size_t i = 0; i < triggers->count; i++) {
        const dacapo_abi_trigger *one = &triggers->at[i];
        check(same(one->name.at, described[i][0]), __LINE__, one->name.at);
        check(!described[i][1] || same(one->bindings.at, described[i][1]), __LINE__, one->bindings.at);
    }
    const dacapo_abi_functions *functions = dacapo_describe();
    for (size_t i = 0; i < functions->count; i++) CHECK(functions->at[i].kind < DACAPO_KIND_TRIGGER);
}

static dacapo_outcome start_order(const dacapo_trigger_call *call) {
    const char *body = dacapo_request_body(call, NULL);
    if (!dacapo_json_member(body, "item")) return dacapo_respond((dacapo_response){.status = 400, .body = "which item?"});
    dacapo_outcome id = dacapo_client_start_orchestration("order", body, dacapo_request_param(call, "id"), NULL);
    return id.failure ? id : dacapo_create_check_status_response(call, dacapo_json_to_string(id.output));
}

static void an_http_trigger_starts_an_orchestration(void) {
    const char *request =
        "{\"method\":\"POST\",\"url\":\"https://shop.example.org/api/orders/17?a\",\"headers\":[],\"query\":[],"
        "\"params\":{\"id\":\"17\"},\"body\":\"{\\\"item\\\":1}\"}";
    dacapo_run run = dacapo_test_trigger("start_order", request, 1);
    CHECK(dacapo_did(&run, "start-orchestration order {\"item\":1} as 17"));
    const char *response = dacapo_json_member(run.outcome.output, "response");
    CHECK(same(dacapo_json_member(response, "status"), "202") && !dacapo_json_member(run.outcome.output, "outputs"));
    CHECK(
        same(dacapo_json_member(response, "headers"),
             "[[\"content-type\",\"application/json; charset=utf-8\"],"
             "[\"location\",\"https://shop.example.org/runtime/webhooks/durabletask/instances/17\"],[\"retry-after\",\"10\"]]"));
    const char *links = dacapo_json_to_string(dacapo_json_member(response, "body"));
    CHECK(same(dacapo_json_member(links, "id"), "\"17\""));
    CHECK(same(dacapo_json_member(links, "terminatePostUri"),
               "\"https://shop.example.org/runtime/webhooks/durabletask/instances/17/terminate?reason={text}\""));

    run = dacapo_test_trigger("start_order", "{\"body\":\"{}\"}", 1);
    CHECK(same(run.outcome.output, "{\"response\":{\"status\":400,\"headers\":[],\"body\":\"which item?\"}}"));

    dacapo_script *script = dacapo_script_new();
    dacapo_script_failure(script, "start-orchestration order", (dacapo_failure){.type = "NotGranted", .message = "ask ada"});
    run = dacapo_script_run_trigger(script, "start_order", request, 1);
    CHECK(run.outcome.failure && same(run.outcome.failure->type, "NotGranted"));
    dacapo_script_free(script);
}

static dacapo_outcome echo_request(const dacapo_trigger_call *call) {
    size_t length;
    const char *body = dacapo_request_body(call, &length), *agent = dacapo_request_header(call, "User-AGENT");
    if (same(dacapo_request_method(call), "DELETE")) return dacapo_ok(NULL);
    const dacapo_header headers[] = {
        {"set-cookie", dacapo_request_query(call, "name")}, {"set-cookie", agent ? agent : "none"}, {NULL, NULL}};
    return dacapo_respond((dacapo_response){.headers = headers, .body = body, .body_length = length});
}

static void a_request_and_a_response_are_whole(void) {
    static const char *const bodies[][2] = {
        {"\"body\":\"\u00fc\"", "\"body\":\"\u00fc\""},
        {"\"body\":\"\\ud83d\\ude00\\n\"", "\"body\":\"\U0001F600\\u000a\""},
        {"\"body\":\"a\\u0000b\"", "\"bodyBase64\":\"YQBi\""},
        {"\"bodyBase64\":\"/wA=\"", "\"bodyBase64\":\"/wA=\""},
        {"\"bodyBase64\":\"/w==\"", "\"bodyBase64\":\"/w==\""},
        {"\"bodyBase64\":\"AP/+\"", "\"bodyBase64\":\"AP/+\""},
        {"\"bodyBase64\":\"aGk=\"", "\"body\":\"hi\""},
        {"\"other\":1", "\"body\":\"\""},
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        char request[300], expected[300];
        snprintf(request, sizeof request,
                 "{\"method\":\"PUT\",\"headers\":[[\"user-agent\",\"x\"],[\"user-agent\",\"y\"]],"
                 "\"query\":[[\"Name\",\"A\"],[\"name\",\"a\"]],%s}",
                 bodies[i][0]);
        snprintf(expected, sizeof expected,
                 "{\"response\":{\"status\":200,\"headers\":[[\"set-cookie\",\"a\"],[\"set-cookie\",\"x\"]],%s}}", bodies[i][1]);
        dacapo_run run = dacapo_test_trigger("echo_request", request, 1);
        check(same(run.outcome.output, expected), __LINE__, run.outcome.output);
    }
    CHECK(same(dacapo_test_trigger("echo_request", "{\"method\":\"DELETE\"}", 1).outcome.output, "null"));
}

static dacapo_outcome wait_for_it(const dacapo_trigger_call *call) {
    return dacapo_wait_for_completion_or_create_check_status_response(call, "o-1", 10000);
}

static void a_response_waits_for_completion(void) {
    static const struct {
        const char *status, *code, *body;
        double after;
    } cases[] = {
        {"{\"runtimeStatus\":\"Completed\",\"output\":[1]}", "200", "\"[1]\"", 2000},
        {"{\"runtimeStatus\":\"Failed\"}", "500", "\"{\\\"runtimeStatus\\\":\\\"Failed\\\"}\"", 0},
        {"{\"runtimeStatus\":\"Terminated\"}", "200", "\"{\\\"runtimeStatus\\\":\\\"Terminated\\\"}\"", 0},
        {"{\"runtimeStatus\":\"Completed\"}", "202", NULL, 60000},
        {"null", "404", NULL, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        dacapo_script *script = dacapo_script_new();
        dacapo_script_answer_after(script, "wait-for-completion o-1", cases[i].status, cases[i].after);
        dacapo_run run = dacapo_script_run_trigger(script, "wait_for_it", "{}", 1);
        const char *response = dacapo_json_member(run.outcome.output, "response");
        check(same(dacapo_json_member(response, "status"), cases[i].code), __LINE__, response);
        check(!cases[i].body || same(dacapo_json_member(response, "body"), cases[i].body), __LINE__, response);
        CHECK(run.elapsed == fmin(cases[i].after, 10000));
        dacapo_script_free(script);
    }
}

static dacapo_outcome clean_up(const dacapo_trigger_call *call) {
    const char *last = dacapo_json_member(dacapo_json_member(call->input, "scheduleStatus"), "last");
    dacapo_json_pair filter[] = {{"createdTimeFrom", last}};
    dacapo_outcome purged = dacapo_client_purge_instances(dacapo_json_object(filter, 1));
    return purged.failure ? purged : dacapo_ok(NULL);
}

static dacapo_outcome ship(const dacapo_trigger_call *call) {
    size_t count;
    const char *const *items = dacapo_messages(call, &count);
    if (count != 1 || !items[0]) return dacapo_fail((dacapo_failure){.type = "InvalidInput", .message = "no item"});
    dacapo_output("notes", dacapo_json_string(dacapo_format("%s is on its way", items[0])));
    dacapo_output("audit", dacapo_json_string(call->invocation_id));
    dacapo_output("notes", dacapo_json_number(call->attempt));
    return dacapo_ok(NULL);
}

static dacapo_outcome measure(const dacapo_trigger_call *call) {
    size_t count;
    const char *const *events = dacapo_messages(call, &count);
    double sum = 0, value;
    for (size_t i = 0; i < count; i++) {
        if (dacapo_json_to_number(events[i], &value)) sum += value;
    }
    return dacapo_client_signal_entity((dacapo_entity_id){"meter", "hall"}, "add", dacapo_json_number(sum));
}

static dacapo_outcome uploaded(const dacapo_trigger_call *call) {
    const char *event = dacapo_json_member(call->input, "event");
    return dacapo_client_raise_event(dacapo_json_to_string(dacapo_json_member(event, "subject")), "Uploaded",
                                     dacapo_json_member(event, "data"));
}

static dacapo_outcome repair(const dacapo_trigger_call *call) {
    size_t count;
    return dacapo_client_rewind(dacapo_messages(call, &count)[0], "by hand");
}

static void other_triggers_run(void) {
    dacapo_script *script = dacapo_script_new();
    dacapo_script_answer(script, "purge-instances", "3");
    dacapo_run run = dacapo_script_run_trigger(script, "clean_up",
                                               "{\"isPastDue\":false,\"scheduleStatus\":{\"last\":\"2026-01-31T03:30:00Z\"}}", 1);
    CHECK(same(run.outcome.output, "null") && dacapo_did(&run, "purge-instances {\"createdTimeFrom\":\"2026-01-31T03:30:00Z\"}"));
    dacapo_script_free(script);

    run = dacapo_test_trigger("ship", "{\"message\":\"a lamp\",\"metadata\":{\"dequeueCount\":2}}", 2);
    CHECK(same(run.outcome.output, "{\"outputs\":{\"notes\":[\"a lamp is on its way\",2],\"audit\":[\"test\"]}}"));
    run = dacapo_test_trigger("ship", "{\"input\":\"a desk\"}", 1);
    CHECK(same(run.outcome.output, "{\"outputs\":{\"notes\":[\"a desk is on its way\",1],\"audit\":[\"test\"]}}"));
    run = dacapo_test_trigger("ship", "{}", 1);
    CHECK(run.outcome.failure && same(run.outcome.failure->type, "InvalidInput"));
    run = dacapo_test_trigger("measure", "{\"messages\":[\"3\",\"4\"],\"metadata\":[{},{}]}", 1);
    CHECK(!run.outcome.failure && dacapo_did(&run, "signal-entity @meter@hall add 7"));
    run = dacapo_test_trigger("uploaded", "{\"event\":{\"subject\":\"o-1\",\"data\":{\"url\":\"u\"}}}", 1);
    CHECK(!run.outcome.failure && dacapo_did(&run, "raise-event o-1 Uploaded {\"url\":\"u\"}"));
    run = dacapo_test_trigger("repair", "{\"input\":\"o-1\"}", 1);
    CHECK(same(run.outcome.output, "null") && dacapo_did(&run, "rewind o-1 by hand"));
    run = dacapo_test_trigger("echo", "{}", 1);
    CHECK(run.outcome.failure && same(run.outcome.failure->type, "TriggerNotFound"));
}

DACAPO_APP(
    DACAPO_ACTIVITY(echo), DACAPO_ORCHESTRATOR(everything), DACAPO_ORCHESTRATOR(first_of_three), DACAPO_ORCHESTRATOR(retried),
    DACAPO_ENTITY(counter), DACAPO_ACTIVITY(order_all), DACAPO_ACTIVITY(stock), DACAPO_ORCHESTRATOR(stocks),
    DACAPO_ORCHESTRATOR(my_version), DACAPO_ORCHESTRATOR(rounds), DACAPO_ACTIVITY(flaky), DACAPO_ORCHESTRATOR(stubborn),
    DACAPO_ACTIVITY(manage), DACAPO_ACTIVITY(look),
    DACAPO_TRIGGER(start_order, DACAPO_HTTP_TRIGGER("orders/{id:regex(^\\d+$)}", "anonymous", "POST", "PUT")),
    DACAPO_TRIGGER(echo_request, DACAPO_HTTP_TRIGGER_ANY("echo", "function")),
    DACAPO_TRIGGER(wait_for_it, DACAPO_HTTP_TRIGGER_ANY("wait", "admin")),
    DACAPO_TRIGGER(clean_up, DACAPO_TIMER_TRIGGER_WITH("0 30 3 * * *", true, false)),
    DACAPO_TRIGGER(ship, DACAPO_QUEUE_TRIGGER("shipments") DACAPO_QUEUE_OUTPUT("notes", "notes-to-customers")
                             DACAPO_EVENT_HUB_OUTPUT("audit", "shipped")),
    DACAPO_TRIGGER(measure, DACAPO_EVENT_HUB_TRIGGER("measurements", "many")),
    DACAPO_TRIGGER(uploaded, DACAPO_EVENT_GRID_TRIGGER), DACAPO_TRIGGER(repair, DACAPO_MANUAL_TRIGGER)
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
    the_client_sends_to_instances_and_entities();
    the_client_reads_instances_and_entities();
    triggers_are_described_by_their_bindings();
    an_http_trigger_starts_an_orchestration();
    a_request_and_a_response_are_whole();
    a_response_waits_for_completion();
    other_triggers_run();
    return failures != 0;
}
