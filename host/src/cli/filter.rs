//! Which instances a command is about, when it is about many.

use clap::Args;

use super::client::Target;
use super::times;

/// Conditions that all hold for an instance that is meant.
#[derive(Debug, Args)]
pub(super) struct Filter {
    /// Only those created at this time or later: 2h or 7d (ago), 2026-01-31, 2026-01-31T12:00 (local time) or
    /// 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = times::past)]
    pub created_after: Option<String>,
    /// Only those created at this time or earlier.
    #[arg(long, value_name = "TIME", value_parser = times::past)]
    pub created_before: Option<String>,
    /// Only those with one of these statuses.
    #[arg(long, value_name = "STATUS", num_args = 1.., value_delimiter = ',', ignore_case = true, value_parser = STATUSES)]
    pub runtime_status: Vec<String>,
    /// Only those whose id begins so.
    #[arg(long, value_name = "PREFIX")]
    pub id_prefix: Option<String>,
}

pub(super) const STATUSES: [&str; 8] =
    ["Running", "Completed", "ContinuedAsNew", "Failed", "Canceled", "Terminated", "Pending", "Suspended"];

impl Filter {
    /// The same request, for these instances only.
    pub fn apply(&self, target: Target) -> Target {
        let statuses = Some(self.runtime_status.join(",")).filter(|statuses| !statuses.is_empty());
        target
            .with_some("createdTimeFrom", self.created_after.as_deref())
            .with_some("createdTimeTo", self.created_before.as_deref())
            .with_some("runtimeStatus", statuses)
            .with_some("instanceIdPrefix", self.id_prefix.as_deref())
    }
}
