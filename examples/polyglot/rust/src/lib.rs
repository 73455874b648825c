//! The prices of the print shop, the odometers of the presses, and their service.

use dacapo_sdk::prelude::*;

/// The number of sheets that a press has printed since its last service. The key is the name of the press.
#[derive(Default, Serialize, Deserialize)]
struct Odometer {
    sheets: u64,
}

#[entity]
impl Odometer {
    fn add(&mut self, sheets: u64) -> u64 {
        self.sheets += sheets;
        self.sheets
    }

    fn get(&self) -> u64 {
        self.sheets
    }

    /// Subtracts the sheets that a service covered; those printed meanwhile still count.
    fn subtract(&mut self, sheets: u64) {
        self.sheets = self.sheets.saturating_sub(sheets);
    }
}

#[derive(Serialize, Deserialize)]
struct Job {
    pages: u64,
    copies: u64,
}

/// The price in cents: four for a page, a tenth less for copies beyond the hundredth, but at least half of the full price.
#[activity]
fn price(Job { pages, copies }: Job) -> u64 {
    let full = 4 * pages * copies;
    let discounted = 4 * pages * copies.saturating_sub(100);
    full - (discounted / 10).min(full / 2)
}

#[derive(Serialize, Deserialize)]
struct Service {
    press: String,
    /// A press that has printed fewer sheets than this is not serviced.
    due_at: u64,
}

/// Services a press if it is due. Returns whether it was.
#[orchestrator]
async fn service_press(ctx: Context, Service { press, due_at }: Service) -> Result<bool> {
    let odometer = ctx.entity::<Odometer>(press.clone());
    let sheets = odometer.get().await?;
    if sheets < due_at {
        return Ok(false);
    }
    let cleaned = ctx.call_activity::<clean_rollers>(press).retry(RetryPolicy::new(3, Duration::from_millis(50))).await?;
    ctx.log_info(cleaned);
    ctx.create_timer(Duration::from_millis(100)).await?; // the rollers dry
    odometer.subtract(sheets).await?;
    Ok(true)
}

#[activity]
fn clean_rollers(press: String) -> String {
    format!("the rollers of {press} are clean")
}

dacapo_sdk::app!(Odometer, service_press, price, clean_rollers);
