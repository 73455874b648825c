//! HTTP call: an orchestrator calls a slow HTTP API without an activity. The API answers 202 with a location, which the host
//! polls, with durable timers between the requests, until the work is done.

use dacapo_sdk::prelude::*;

/// What to call. The host of the address must be on the operator's allow-list.
#[derive(Serialize, Deserialize)]
struct Order {
    url: String,
    /// The body of the request.
    #[serde(default)]
    content: String,
    /// Sent as a bearer token. It is not sent on if the API points to another origin.
    #[serde(default)]
    token: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Delivery {
    status: u16,
    content: String,
    /// The time from the first request to the last answer.
    took_ms: u64,
}

#[orchestrator]
async fn order_report(ctx: Context, order: Order) -> Result<Delivery> {
    let begun = ctx.current_utc_date_time();
    let mut request = HttpRequest::post(order.url).content(order.content).timeout(Duration::from_secs(30));
    if let Some(token) = order.token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let response = ctx.call_http(request).await?;
    if response.status >= 400 {
        return Err(Failure::new("Refused", format!("the API answered {}", response.status)).details(response.content));
    }
    let took_ms = (ctx.current_utc_date_time() - begun).as_millis() as u64;
    Ok(Delivery { status: response.status, content: response.content, took_ms })
}

dacapo_sdk::app!(order_report);
