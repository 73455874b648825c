use std::str::FromStr;

use clap::Args;
use dacapo_core::RuntimeStatus;

use crate::bad_value::BadValue;
use crate::cli::filter;
use crate::cli::times;

/// The conditions of the original, all of which a selected instance meets.
#[derive(Debug, Args)]
pub(super) struct Filter {
    /// Only those created at this time or later: 2018-03-10T13:57:31Z, 2018-03-10T13:57 (UTC), 2018-03-10, or 2h or 7d (ago).
    #[arg(long, value_name = "TIME", value_parser = times::past_utc)]
    created_after: Option<String>,
    /// Only those created at this time or earlier.
    #[arg(long, value_name = "TIME", value_parser = times::past_utc)]
    created_before: Option<String>,
    /// Only those with one of these statuses: running, completed, failed, terminated, pending, suspended, canceled,
    /// continuedAsNew. Several are separated by spaces or commas.
    #[arg(long, value_name = "STATUS", num_args = 1..)]
    runtime_status: Vec<Statuses>,
}

/// The statuses of one word of the command line, of which a shell may have made one: "completed failed".
#[derive(Debug, Clone, PartialEq)]
struct Statuses(Vec<RuntimeStatus>);

impl FromStr for Statuses {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let names = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|name| !name.is_empty());
        let status = |name: &str| {
            let status = RuntimeStatus::ALL.into_iter().find(|status| status.name().eq_ignore_ascii_case(name));
            status.ok_or_else(|| {
                let known = RuntimeStatus::ALL.map(RuntimeStatus::name).join(", ");
                BadValue::from(format!("'{name}' is not a status; they are {known}"))
            })
        };
        names.map(status).collect::<Result<_, _>>().map(Self)
    }
}

impl Filter {
    /// The same for the requests to a host.
    pub fn conditions(&self) -> filter::Filter {
        filter::Filter {
            created_after: self.created_after.clone(),
            created_before: self.created_before.clone(),
            runtime_status: self.statuses(),
            id_prefix: None,
            function_name: None,
            version: None,
        }
    }

    /// Describes the selected instances in the words of the original, for which no condition is an early or a late one.
    pub fn meant(&self) -> String {
        const END: &str = "9999-12-30T23:59:59Z";
        let shown = |time: &Option<String>, default| times::utc_seconds(time.as_deref().unwrap_or(default));
        let (after, before) = (shown(&self.created_after, filter::BEGINNING), shown(&self.created_before, END));
        let status = match self.statuses().join(",") {
            statuses if statuses.is_empty() => String::new(),
            statuses => format!(" and whose runtime status matched one of the following: [{statuses}]"),
        };
        format!("created between '{after}' and '{before}'{status}")
    }

    fn statuses(&self) -> Vec<String> {
        self.runtime_status.iter().flat_map(|Statuses(statuses)| statuses).map(|status| status.name().to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        filter: Filter,
    }

    #[track_caller]
    fn check(words: &[&str], expected: &str) {
        let line = Line::try_parse_from([&["f"], words].concat()).unwrap_or_else(|error| panic!("{words:?}: {error}"));
        assert_eq!(line.filter.meant(), expected, "{words:?}");
    }

    #[test]
    fn several_statuses_are_given_in_any_form() {
        let all = "created between '0001-01-01T00:00:00Z' and '9999-12-30T23:59:59Z'";
        check(&[], all);
        let two = format!("{all} and whose runtime status matched one of the following: [Completed,Failed]");
        for words in [
            &["--runtime-status", "completed failed"][..],
            &["--runtime-status", "completed", "failed"],
            &["--runtime-status", "completed,failed"],
            &["--runtime-status", "Completed, FAILED"],
            &["--runtime-status", " completed  failed "],
            &["--runtime-status=completed,failed"],
            &["--runtime-status", "completed", "--runtime-status", "failed"],
        ] {
            check(words, &two);
        }
        let refused = Line::try_parse_from(["f", "--runtime-status", "completed asleep"]).unwrap_err().to_string();
        assert!(refused.contains("'asleep'") && refused.contains("ContinuedAsNew"), "{refused}");
    }

    #[test]
    fn times_are_shown_in_utc() {
        let words = ["--created-after", "2018-03-10T13:57:31+01:00", "--created-before", "2018-03-10T23:59Z"];
        check(&words, "created between '2018-03-10T12:57:31Z' and '2018-03-10T23:59:00Z'");
    }
}
