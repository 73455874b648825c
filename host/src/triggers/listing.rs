//! What starts a trigger, as commands show it and clients read it.

use dacapo_core::FunctionName;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bindings::{AuthLevel, Source, Trigger};
use super::routes::DEFAULT_PREFIX;

/// What starts a trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[schemars(rename = "StartedBy")]
pub enum StartedBy {
    HttpTrigger {
        /// Empty: all.
        methods: Vec<String>,
        /// The path, with its parameters in braces; with the task hub in its query, if that is not the host's default one.
        path: String,
        /// `anonymous`, `function` or `admin`.
        auth_level: String,
    },
    TimerTrigger {
        schedule: String,
    },
    QueueTrigger {
        queue_name: String,
    },
    EventHubTrigger {
        event_hub_name: String,
    },
    EventGridTrigger,
    ManualTrigger,
}

impl StartedBy {
    /// `prefix`: of the routes of its app.
    pub fn of(function: &FunctionName, trigger: &Trigger, prefix: Option<&str>) -> Self {
        match &trigger.source {
            Source::Http(http) => {
                let prefix = prefix.unwrap_or(DEFAULT_PREFIX).trim_matches('/');
                let route = if http.route.is_empty() { function.as_str() } else { http.route.trim_matches('/') };
                let path = if prefix.is_empty() { format!("/{route}") } else { format!("/{prefix}/{route}") };
                let auth_level = match http.auth {
                    AuthLevel::Anonymous => "anonymous",
                    AuthLevel::Function => "function",
                    AuthLevel::Admin => "admin",
                };
                let methods = http.methods.iter().map(ToString::to_string).collect();
                Self::HttpTrigger { methods, path, auth_level: auth_level.into() }
            }
            Source::Timer(timer) => Self::TimerTrigger { schedule: timer.schedule.clone() },
            Source::Queue { queue } => Self::QueueTrigger { queue_name: queue.clone() },
            Source::EventHub { queue, .. } => Self::EventHubTrigger { event_hub_name: queue.clone() },
            Source::EventGrid => Self::EventGridTrigger,
            Source::Manual => Self::ManualTrigger,
        }
    }

    /// The same in a task hub that requests have to name.
    pub fn in_hub(self, hub: &str) -> Self {
        match self {
            Self::HttpTrigger { methods, path, auth_level } => {
                let path = format!("{path}?taskHub={}", utf8_percent_encode(hub, NON_ALPHANUMERIC));
                Self::HttpTrigger { methods, path, auth_level }
            }
            other => other,
        }
    }

    /// For people. `server`: the address of the host; may be empty.
    pub fn text(&self, server: &str) -> String {
        match self {
            Self::HttpTrigger { methods, path, .. } if methods.is_empty() => format!("{server}{path}"),
            Self::HttpTrigger { methods, path, .. } => format!("[{}] {server}{path}", methods.join(",")),
            Self::TimerTrigger { schedule } => format!("timer {schedule}"),
            Self::QueueTrigger { queue_name } => format!("queue {queue_name}"),
            Self::EventHubTrigger { event_hub_name } => format!("event hub {event_hub_name}"),
            Self::EventGridTrigger => "Event Grid".to_owned(),
            Self::ManualTrigger => "an operator".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_how_a_trigger_is_reached() {
        let text = |bindings: &str, prefix: Option<&str>| {
            let trigger = Trigger::parse(bindings).unwrap();
            StartedBy::of(&FunctionName::new("F").unwrap(), &trigger, prefix).in_hub("my hub").text("http://h")
        };
        for (bindings, prefix, expected) in [
            (r#"[{"type":"httpTrigger"}]"#, None, "http://h/api/F?taskHub=my%20hub"),
            (
                r#"[{"type":"httpTrigger","methods":["get","POST"],"route":"/a/{id}"}]"#,
                Some("v1"),
                "[GET,POST] http://h/v1/a/{id}?taskHub=my%20hub",
            ),
            (r#"[{"type":"httpTrigger","route":"a"}]"#, Some(""), "http://h/a?taskHub=my%20hub"),
            (r#"[{"type":"timerTrigger","schedule":"0 */5 * * * *"}]"#, None, "timer 0 */5 * * * *"),
            (r#"[{"type":"queueTrigger","queueName":"orders"}]"#, None, "queue orders"),
            (r#"[{"type":"eventHubTrigger","eventHubName":"seen"}]"#, None, "event hub seen"),
            (r#"[{"type":"eventGridTrigger"}]"#, None, "Event Grid"),
            (r#"[{"type":"manualTrigger"}]"#, None, "an operator"),
        ] {
            assert_eq!(text(bindings, prefix), expected);
        }
    }
}
