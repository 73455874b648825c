//! Saga: books flight, hotel and car, with retries; if a step fails permanently, it undoes the earlier ones in reverse order.

use dacapo_sdk::prelude::*;

#[derive(Clone, Serialize, Deserialize)]
#[serde(default)]
struct Trip {
    traveller: String,
    /// For demonstrations: the step that fails permanently, `flight`, `hotel` or `car`.
    fails_at: Option<String>,
    /// For demonstrations: how many attempts of each step fail before one succeeds.
    flaky_attempts: u32,
}

impl Default for Trip {
    fn default() -> Self {
        Self { traveller: "ada".to_owned(), fails_at: None, flaky_attempts: 1 }
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Step {
    service: String,
    trip: Trip,
}

#[derive(Serialize, Deserialize)]
struct Report {
    booked: Vec<String>,
    /// The reservations that were undone, in that order.
    undone: Vec<String>,
    failure: Option<Failure>,
}

#[orchestrator]
async fn book_trip(ctx: Context, trip: Option<Trip>) -> Result<Report> {
    let trip = trip.unwrap_or_default();
    let retry = RetryPolicy::new(5, Duration::from_millis(100)).backoff(2.0).non_retriable("SoldOut");
    let mut booked = Vec::new();
    for service in ["flight", "hotel", "car"] {
        ctx.set_custom_status(format!("booking the {service}"))?;
        let step = Step { service: service.to_owned(), trip: trip.clone() };
        match ctx.call_activity::<book>(step).retry(retry.clone()).await {
            Ok(reservation) => booked.push(reservation),
            Err(failure) => {
                ctx.set_custom_status(format!("undoing, because of {failure}"))?;
                let undone = undo_all(&ctx, &booked).await?;
                return Ok(Report { booked, undone, failure: Some(failure) });
            }
        }
    }
    Ok(Report { booked, undone: Vec::new(), failure: None })
}

/// Cancels reservations in reverse order. Undoing must not give up early, so it is retried for a day.
async fn undo_all(ctx: &Context, booked: &[String]) -> Result<Vec<String>> {
    let day = Duration::from_secs(86_400);
    let retry = RetryPolicy::new(u32::MAX, Duration::from_secs(1)).backoff(2.0).max_interval(day / 24).timeout(day);
    let mut undone = Vec::new();
    for reservation in booked.iter().rev() {
        undone.push(ctx.call_activity::<cancel>(reservation.clone()).retry(retry.clone()).await?);
    }
    Ok(undone)
}

/// Stands in for the service of an airline, a hotel, or a car rental.
#[activity]
fn book(ctx: ActivityContext, step: Step) -> Result<String> {
    let Step { service, trip } = step;
    if trip.fails_at.as_ref() == Some(&service) {
        return Err(Failure::new("SoldOut", format!("no {service} is left for {}", trip.traveller)));
    }
    if ctx.attempt() <= trip.flaky_attempts {
        return Err(Failure::new("Unavailable", format!("the {service} service does not answer")));
    }
    ctx.log_info(format!("{service} booked for {} at attempt {}", trip.traveller, ctx.attempt()));
    Ok(format!("{service}-{}", trip.traveller))
}

#[activity]
fn cancel(ctx: ActivityContext, reservation: String) -> String {
    ctx.log_info(format!("{reservation} canceled"));
    reservation
}

dacapo_sdk::app!(book_trip, book, cancel);
