//! Schedules.

use dacapo_tests::host::Host;
use dacapo_tests::trigger_guest;

use super::Cli;

#[test]
fn a_schedule_is_made_shown_run_and_deleted() {
    let (host, _directory) = Host::temporary(&[]).unwrap();
    let guest = trigger_guest::module("echo", &[("by-hand", r#"[{"type":"manualTrigger"}]"#)]);
    assert_eq!(host.request("POST", "/admin/apps/app", Some(&guest)).unwrap().status, 200);
    let cli = Cli::of(&host);
    assert!(cli.ok(&["schedule", "list"]).contains("No schedules."));
    let create =
        ["schedule", "create", "report", "--orchestrator", "echo", "--cron", "0 8 * * MON-FRI", "--time-zone", "Europe/Berlin"];
    assert!(cli.ok(&create).contains("Made the schedule 'report': next at "));
    assert!(cli.fails(4, &create).contains("--replace"));
    assert!(cli.ok(&[&create[..], &["--replace", "--input", "{\"a\": 1}"]].concat()).contains("Replaced the schedule 'report'"));
    let listed = cli.ok(&["schedule", "list"]);
    assert!(listed.contains("report") && listed.contains("0 8 * * MON-FRI") && listed.contains("Europe/Berlin"), "{listed}");
    assert!(cli.ok(&["schedule", "pause", "report", "--note", "audit"]).contains("Paused the schedule 'report'."));
    let shown = cli.ok(&["schedule", "show", "report"]);
    assert!(shown.contains("paused") && shown.contains("audit"), "{shown}");
    assert!(cli.ok(&["schedule", "trigger", "report"]).contains("Started 'report'. Instance ID: 'report:"));
    assert!(cli.ok(&["schedule", "resume", "report"]).contains("Resumed the schedule 'report'."));
    let backfill = ["schedule", "backfill", "report", "--from", "2026-11-02T00:00:00Z", "--to", "2026-11-06T23:59:00Z"];
    assert!(cli.ok(&backfill).contains("5 occurrences of 'report'"));
    let shown = cli.json(&["schedule", "show", "report"]);
    assert_eq!((shown["next"].as_array().unwrap().len(), &shown["specification"]["input"]["a"]), (10, &1.into()), "{shown}");
    assert!(cli.ok(&["schedule", "delete", "report", "--yes"]).contains("Deleted the schedule 'report'."));
    assert!(cli.fails(3, &["schedule", "show", "report"]).contains("no schedule 'report'"));
}
