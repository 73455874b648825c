/* An order that waits for its approval. */
#include "dacapo.h"

/* Defines what happens, in which order. It survives crashes and restarts, and may take days. */
static dacapo_outcome order(const char *item) {
    static const double three_days = 3.0 * 86400 * 1000;
    dacapo_retry_policy retry = {.max_attempts = 5, .first_interval = 1000, .backoff = 2};
    dacapo_outcome reservation = dacapo_await(dacapo_call_activity("reserve", item, &retry));
    if (reservation.failure) return reservation;

    dacapo_outcome approval;
    bool approved = false;
    const char *ending = "has expired";
    if (dacapo_await_for(dacapo_wait_for_external_event("Approval"), three_days, &approval)) {
        if (approval.failure) return approval;
        ending = dacapo_json_to_bool(approval.output, &approved) && approved ? "is on its way" : "was rejected";
    }
    return dacapo_ok(dacapo_json_string(dacapo_format("%s %s", dacapo_json_to_string(reservation.output), ending)));
}

/* Does the work. All input and output belongs in activities. */
static dacapo_outcome reserve(const dacapo_activity_call *call) {
    const char *item = dacapo_json_to_string(call->input);
    if (!item || !*item) {
        return dacapo_fail((dacapo_failure){.type = "NothingToReserve", .message = "an order names an item"});
    }
    return dacapo_ok(dacapo_json_string(dacapo_format("the reservation of %s", item)));
}

/* Starts an order of the item in the body, a JSON text. The response says where its status is. */
static dacapo_outcome start_order(const dacapo_trigger_call *call) {
    const char *item = dacapo_json_to_string(dacapo_request_body(call, NULL));
    if (!item) return dacapo_respond((dacapo_response){.status = 400, .body = "the body must be a JSON text: the item"});
    dacapo_outcome id = dacapo_client_start_orchestration("order", dacapo_json_string(item), NULL, NULL);
    return id.failure ? id : dacapo_create_check_status_response(call, dacapo_json_to_string(id.output));
}

DACAPO_APP(
    DACAPO_ORCHESTRATOR(order), DACAPO_ACTIVITY(reserve),
    DACAPO_TRIGGER(start_order, DACAPO_HTTP_TRIGGER("orders", "anonymous", "POST"))
)
