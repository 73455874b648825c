//! Metrics for monitoring: the usage of all hubs in the text format of OpenMetrics, which Prometheus reads.

use std::collections::BTreeMap;
use std::time::Duration;

use dacapo_core::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use prometheus_client::registry::Unit;

use crate::engine::memory::MemoryBudget;
use crate::hub::{QueueState, now};
use crate::hubs::HubReport;
use crate::meters::{FunctionUsage, QueueUsage};

/// The media type of the text.
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics of a host.
pub fn text_of(hubs: Vec<HubReport>, memory: &MemoryBudget) -> String {
    let mut registry = Registry::with_prefix("dacapo");
    registry.register_collector(Box::new(Hubs(hubs)));
    let (held, most) = ("Memory reserved by all hubs", "Memory that hubs may reserve (engine.memory_bytes)");
    for (name, help, value) in [("memory_held", held, memory.held()), ("memory_limit", most, memory.most())] {
        let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register_with_unit(name, help, Unit::Bytes, gauge);
    }
    let mut text = String::new();
    text::encode(&mut text, &registry).expect("writing to a string does not fail");
    text
}

#[derive(Debug)]
struct Hubs(Vec<HubReport>);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HubLabels {
    hub: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FunctionLabels {
    hub: String,
    function: String,
    kind: String,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct QueueLabels {
    hub: String,
    queue: String,
}

impl FunctionLabels {
    fn new(hub: &str, function: &FunctionUsage) -> Self {
        Self { hub: hub.into(), function: function.name.clone(), kind: function.kind.clone() }
    }
}

impl Collector for Hubs {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let encoder = &mut encoder;
        self.functions(encoder, "executions", "Orchestrations begun, entity operations, attempts of activities", None, |f| {
            f.executions
        })?;
        self.functions(encoder, "execution_failures", "Executions that have failed or were cut off", None, |f| f.failures)?;
        self.functions(encoder, "turns", "Turns of orchestrations and entities", None, |f| f.turns)?;
        self.functions(encoder, "replayed_events", "Events that were replayed", None, |f| f.replayed_events)?;
        self.functions(encoder, "fuel", "Fuel of guests, about one unit for each instruction", None, |f| f.fuel)?;
        self.functions(encoder, "payload_in", "Payloads received by functions", Some(&Unit::Bytes), |f| f.bytes_in)?;
        self.functions(encoder, "payload_out", "Payloads produced by functions", Some(&Unit::Bytes), |f| f.bytes_out)?;
        self.activity_time(encoder)?;
        self.hubs(encoder, "requests", "Requests of clients", None, |hub| hub.usage.requests)?;
        self.hubs(encoder, "requests_throttled", "Requests refused because of a limit", None, |hub| hub.usage.throttled)?;
        let (received, sent) = ("HTTP that activities received", "HTTP that activities sent");
        self.hubs(encoder, "outbound_in", received, Some(&Unit::Bytes), |hub| hub.usage.outbound_bytes_in)?;
        self.hubs(encoder, "outbound_out", sent, Some(&Unit::Bytes), |hub| hub.usage.outbound_bytes_out)?;
        self.queues(encoder, "queue_enqueued", "Messages put into queues", |queue| queue.enqueued)?;
        self.queues(encoder, "queue_processed", "Messages that triggers have processed", |queue| queue.processed)?;
        let failed = "Attempts to process messages that have failed";
        self.queues(encoder, "queue_failed_attempts", failed, |queue| queue.failed_attempts)?;
        self.queues(encoder, "queue_poisoned", "Messages given up", |queue| queue.poisoned)?;
        let (now, held) = (now(), self.queues_now());
        let help = "Messages in queues that wait or are processed";
        queue_gauge(encoder, &held, ("queue_messages", help, None), |queue| Some(queue.messages))?;
        let help = "Messages of queues that are processed";
        queue_gauge(encoder, &held, ("queue_processing", help, None), |queue| Some(queue.processing))?;
        let help = "Messages in the poison queues of queues";
        queue_gauge(encoder, &held, ("queue_poison", help, None), |queue| Some(queue.poison))?;
        let help = "Time since the oldest message of a queue was put";
        let age = |oldest: Timestamp| u64::try_from((now.0 - oldest.0) / 1_000_000).unwrap_or(0);
        queue_gauge(encoder, &held, ("queue_oldest", help, Some(&Unit::Seconds)), |queue| queue.oldest.map(age))?;
        self.gauges(encoder, "storage", "Size of the hub's file", Some(&Unit::Bytes), |hub| Some(hub.storage_bytes))?;
        self.gauges(encoder, "memory", "Memory reserved by the hub", Some(&Unit::Bytes), |hub| Some(hub.memory_bytes))?;
        self.gauges(encoder, "instances", "Instances in the hub", None, |hub| hub.instances)?;
        self.gauges(encoder, "hub_open", "Whether the hub is in memory", None, |hub| Some(hub.open.into()))
    }
}

impl Hubs {
    fn functions(
        &self,
        encoder: &mut DescriptorEncoder,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        of: impl Fn(&FunctionUsage) -> u64,
    ) -> Result<(), std::fmt::Error> {
        let mut metric = encoder.encode_descriptor(name, help, unit, MetricType::Counter)?;
        for (hub, function) in self.each_function() {
            ConstCounter::new(of(function)).encode(metric.encode_family(&FunctionLabels::new(hub, function))?)?;
        }
        Ok(())
    }

    fn activity_time(&self, encoder: &mut DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let help = "Time that attempts of activities took";
        let mut metric = encoder.encode_descriptor("activity", help, Some(&Unit::Seconds), MetricType::Counter)?;
        for (hub, function) in self.each_function().filter(|(_, function)| function.activity_micros > 0) {
            let seconds = Duration::from_micros(function.activity_micros).as_secs_f64();
            ConstCounter::new(seconds).encode(metric.encode_family(&FunctionLabels::new(hub, function))?)?;
        }
        Ok(())
    }

    fn each_function(&self) -> impl Iterator<Item = (&str, &FunctionUsage)> {
        self.0.iter().flat_map(|hub| hub.usage.functions.iter().map(|function| (hub.name.as_str(), function)))
    }

    fn queues(
        &self,
        encoder: &mut DescriptorEncoder,
        name: &str,
        help: &str,
        of: impl Fn(&QueueUsage) -> u64,
    ) -> Result<(), std::fmt::Error> {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (hub, queue) in self.0.iter().flat_map(|hub| hub.usage.queues.iter().map(|queue| (&hub.name, queue))) {
            let labels = QueueLabels { hub: hub.clone(), queue: queue.name.clone() };
            ConstCounter::new(of(queue)).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }

    /// The queues of open hubs: each that is counted separately, and the sum of the others.
    fn queues_now(&self) -> BTreeMap<QueueLabels, QueueState> {
        let mut held: BTreeMap<QueueLabels, QueueState> = BTreeMap::new();
        for hub in &self.0 {
            for queue in &hub.queues {
                let labels = QueueLabels { hub: hub.name.clone(), queue: hub.usage.queues.counted_as(&queue.name).to_owned() };
                let sum = held.entry(labels).or_default();
                sum.messages += queue.messages;
                sum.processing += queue.processing;
                sum.poison += queue.poison;
                sum.oldest = [sum.oldest, queue.oldest].into_iter().flatten().min();
            }
        }
        held
    }

    fn hubs(
        &self,
        encoder: &mut DescriptorEncoder,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        of: impl Fn(&HubReport) -> u64,
    ) -> Result<(), std::fmt::Error> {
        let mut metric = encoder.encode_descriptor(name, help, unit, MetricType::Counter)?;
        for hub in &self.0 {
            ConstCounter::new(of(hub)).encode(metric.encode_family(&HubLabels { hub: hub.name.clone() })?)?;
        }
        Ok(())
    }

    fn gauges(
        &self,
        encoder: &mut DescriptorEncoder,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        of: impl Fn(&HubReport) -> Option<u64>,
    ) -> Result<(), std::fmt::Error> {
        let mut metric = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for hub in &self.0 {
            let Some(value) = of(hub) else { continue };
            ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX))
                .encode(metric.encode_family(&HubLabels { hub: hub.name.clone() })?)?;
        }
        Ok(())
    }
}

/// Encodes a gauge of queues, by its name, help and unit.
fn queue_gauge(
    encoder: &mut DescriptorEncoder,
    held: &BTreeMap<QueueLabels, QueueState>,
    (name, help, unit): (&str, &str, Option<&Unit>),
    of: impl Fn(&QueueState) -> Option<u64>,
) -> Result<(), std::fmt::Error> {
    let mut metric = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
    for (labels, queue) in held {
        let Some(value) = of(queue) else { continue };
        ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(metric.encode_family(labels)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meters::HubUsage;

    #[test]
    fn every_hub_and_function_has_a_line() {
        let usage: HubUsage = serde_json::from_str(
            r#"{"requests":7,"functions":{
                "pay":{"name":"Pay","kind":"activity","executions":2,"activityMicros":1500000},
                "order":{"name":"order","kind":"orchestrator","fuel":70}},
                "queues":{"orders":{"name":"orders","enqueued":9,"failedAttempts":2}}}"#,
        )
        .unwrap();
        let (storage_bytes, memory_bytes) = (4096, 500);
        let open = HubReport {
            name: "a\"b".into(),
            usage,
            open: true,
            storage_bytes,
            memory_bytes,
            instances: Some(3),
            queues: [("orders", 4), ("b", 5), ("c", 6)]
                .map(|(name, messages)| QueueState { name: name.into(), messages, processing: 1, ..QueueState::default() })
                .into(),
            ..Default::default()
        };
        let memory = MemoryBudget::new(100_000, 1);
        let _held = memory.account("a\"b").try_reserve(500);
        let text = text_of(vec![open, HubReport { name: "closed".into(), ..Default::default() }], &memory);
        for line in [
            r#"dacapo_executions_total{hub="a\"b",function="Pay",kind="activity"} 2"#,
            r#"dacapo_activity_seconds_total{hub="a\"b",function="Pay",kind="activity"} 1.5"#,
            r#"dacapo_fuel_total{hub="a\"b",function="order",kind="orchestrator"} 70"#,
            r#"dacapo_requests_total{hub="a\"b"} 7"#,
            r#"dacapo_storage_bytes{hub="a\"b"} 4096"#,
            r#"dacapo_memory_bytes{hub="a\"b"} 500"#,
            "dacapo_memory_held_bytes 500",
            "dacapo_memory_limit_bytes 100000",
            r#"dacapo_instances{hub="a\"b"} 3"#,
            r#"dacapo_hub_open{hub="closed"} 0"#,
            r#"dacapo_queue_enqueued_total{hub="a\"b",queue="orders"} 9"#,
            r#"dacapo_queue_failed_attempts_total{hub="a\"b",queue="orders"} 2"#,
            r#"dacapo_queue_messages{hub="a\"b",queue="orders"} 4"#,
            r#"dacapo_queue_messages{hub="a\"b",queue="@others"} 11"#,
            r#"dacapo_queue_processing{hub="a\"b",queue="@others"} 2"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(!text.contains(r#"dacapo_instances{hub="closed"}"#), "a closed hub is not opened for this");
        assert!(text.ends_with("# EOF\n"));
    }
}
