//! An order that waits for its approval.

use dacapo_sdk::prelude::*;

/// Starts an order of the item in the body, a JSON text. The response says where its status is.
#[http_trigger(route = "orders", methods = ["POST"], auth_level = "anonymous")]
fn start_order(ctx: TriggerContext, request: Request) -> Result<Response> {
    let id = ctx.client().start_orchestration::<order>(request.json()?).start()?;
    ctx.client().create_check_status_response(&id)
}

/// Defines what happens, in which order. It survives crashes and restarts, and may take days.
#[orchestrator]
async fn order(ctx: Context, item: String) -> Result<String> {
    let retry = RetryPolicy::new(5, Duration::from_secs(1)).backoff(2.0);
    let reservation = ctx.call_activity::<reserve>(item).retry(retry).await?;

    let three_days = Duration::from_secs(3 * 86_400);
    let approved = ctx.wait_for_external_event::<bool>("Approval").timeout(three_days).await?;
    Ok(match approved {
        Some(true) => format!("{reservation} is on its way"),
        Some(false) => format!("{reservation} was rejected"),
        None => format!("{reservation} has expired"),
    })
}

/// Does the work. All input and output belongs in activities.
#[activity]
fn reserve(item: String) -> Result<String> {
    if item.is_empty() {
        return Err(Failure::new("NothingToReserve", "an order names an item").not_retriable());
    }
    Ok(format!("the reservation of {item}"))
}

dacapo_sdk::app!(start_order, order, reserve);

#[cfg(test)]
mod tests {
    use dacapo_sdk::testing::{ClientCall, Script, ScriptedClient};

    use super::*;

    #[test]
    fn a_request_starts_an_order() {
        let hub = ScriptedClient::new();
        let request = Request::new("POST", "http://127.0.0.1:7071/api/orders").with_body("\"a lamp\"");
        let response = start_order(TriggerContext::for_test("start_order", hub.client()), request).unwrap();
        assert_eq!(response.status, 202);
        assert!(matches!(&hub.calls()[0], ClientCall::StartOrchestration { name, .. } if name == "order"));
    }

    #[test]
    fn an_approved_order_is_sent() {
        let script = Script::new().activity::<reserve>(reserve).event_after(Duration::from_secs(7200), "Approval", true);
        let run = script.run::<order>("a lamp".to_owned());
        assert_eq!(run.output.unwrap(), "the reservation of a lamp is on its way");
        assert_eq!(run.elapsed, Duration::from_secs(7200));
    }

    #[test]
    fn without_an_answer_it_expires() {
        let run = Script::new().activity::<reserve>(reserve).run::<order>("a lamp".to_owned());
        assert_eq!(run.output.unwrap(), "the reservation of a lamp has expired");
        assert_eq!(run.elapsed, Duration::from_secs(3 * 86_400));
    }

    #[test]
    fn a_reservation_is_tried_again() {
        let mut attempts = 0;
        let script = Script::new().activity::<reserve>(move |_| {
            attempts += 1;
            if attempts < 3 { Err(Failure::new("Busy", "try later")) } else { Ok("r-17".to_owned()) }
        });
        let run = script.event("Approval", false).run::<order>("a lamp".to_owned());
        assert_eq!(run.output.unwrap(), "r-17 was rejected");
        assert_eq!(run.elapsed, Duration::from_secs(1 + 2));
    }
}
