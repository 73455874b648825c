//! Aggregator: one entity per sensor adds up the values that many senders signal, and makes a report once a day.

use dacapo_sdk::prelude::*;

/// The number of reports that are kept.
const REPORTS_MAX: usize = 30;

const ONE_DAY_MS: u64 = 24 * 3_600_000;

#[derive(Clone, Default, Serialize, Deserialize)]
struct Summary {
    count: u64,
    sum: f64,
    min: Option<f64>,
    max: Option<f64>,
    last: Option<f64>,
}

/// The measurements of one period.
#[derive(Clone, Serialize, Deserialize)]
struct Report {
    until: Timestamp,
    #[serde(flatten)]
    summary: Summary,
}

#[derive(Serialize, Deserialize)]
#[serde(default)]
struct Aggregator {
    period_ms: u64,
    /// The measurements since the last report.
    current: Summary,
    /// Whether a `flush` signal is scheduled.
    flush_is_due: bool,
    /// The newest last.
    reports: Vec<Report>,
}

impl Default for Aggregator {
    fn default() -> Self {
        Self { period_ms: ONE_DAY_MS, current: Summary::default(), flush_is_due: false, reports: Vec::new() }
    }
}

#[entity]
impl Aggregator {
    /// Records one measurement. The first one of a period schedules the report at the period's end.
    fn record(&mut self, ctx: &EntityContext, value: f64) -> Result<()> {
        let current = &mut self.current;
        current.count += 1;
        current.sum += value;
        current.min = Some(current.min.map_or(value, |min| min.min(value)));
        current.max = Some(current.max.map_or(value, |max| max.max(value)));
        current.last = Some(value);
        if !self.flush_is_due {
            self.flush_is_due = true;
            let end = ctx.current_utc_date_time() + Duration::from_millis(self.period_ms);
            ctx.signal_entity_at(ctx.entity_id(), "flush", &(), end)?;
        }
        Ok(())
    }

    /// Ends the period: makes its report and starts the next one.
    fn flush(&mut self, ctx: &EntityContext) {
        let summary = std::mem::take(&mut self.current);
        ctx.log_info(format!("{}: {} measurements", ctx.key(), summary.count));
        self.flush_is_due = false;
        self.reports.push(Report { until: ctx.current_utc_date_time(), summary });
        if self.reports.len() > REPORTS_MAX {
            self.reports.remove(0);
        }
    }

    fn set_period_ms(&mut self, period_ms: u64) {
        self.period_ms = period_ms;
    }

    fn summary(&self) -> Summary {
        self.current.clone()
    }

    fn reports(&self) -> Vec<Report> {
        self.reports.clone()
    }
}

/// The measurements of one sender.
#[derive(Serialize, Deserialize)]
struct Feed {
    sensor: String,
    values: Vec<f64>,
    /// The length of the periods, if it is to be changed.
    #[serde(default)]
    period_ms: Option<u64>,
}

/// Signals every value without waiting for the entity, then returns the summary so far.
#[orchestrator]
async fn feed(ctx: Context, feed: Feed) -> Result<Summary> {
    let aggregator = ctx.entity::<Aggregator>(feed.sensor);
    if let Some(period_ms) = feed.period_ms {
        aggregator.set_period_ms(period_ms).signal()?;
    }
    for value in feed.values {
        aggregator.record(value).signal()?;
    }
    aggregator.summary().await
}

dacapo_sdk::app!(Aggregator, feed);
