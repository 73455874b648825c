//! How `watch` shows changes.

use std::collections::VecDeque;
use std::io::Stdout;
use std::time::Instant;

use chrono::Utc;

use super::error::CliError;
use super::following::Status;
use super::instance::{Instance, Shown, instance_table};
use super::live::{Live, terminal_lines};
use super::output::{note, print, table_text};
use super::times::{elapsed, local_time};
use crate::printable::printable;

/// The most instances that a table keeps; a terminal shows fewer.
pub(super) const ROWS_MAX: usize = 200;

pub(super) enum View {
    /// Each change is a line for people, and a line of JSON for programs.
    Lines { json: bool },
    /// One instance, drawn again and again.
    Properties { live: Live<Stdout>, instance: Option<Box<Instance>>, remark: Option<String> },
    /// Many of them.
    Table(Table),
}

pub(super) struct Table {
    live: Live<Stdout>,
    server: String,
    begun: Instant,
    changes: u64,
    /// The instance that changed last is first.
    rows: VecDeque<Instance>,
    remark: Option<String>,
}

impl View {
    pub fn lines(json: bool) -> Self {
        View::Lines { json }
    }

    pub fn properties() -> Self {
        View::Properties { live: Live::new(std::io::stdout()), instance: None, remark: None }
    }

    pub fn table(server: &str) -> Self {
        let live = Live::new(std::io::stdout());
        View::Table(Table { live, server: server.into(), begun: Instant::now(), changes: 0, rows: VecDeque::new(), remark: None })
    }

    pub fn is_table(&self) -> bool {
        matches!(self, View::Table(_))
    }

    /// Begins, or begins again, with the instances that have not ended. Rows of instances that have ended stay.
    pub fn begin(&mut self, living: Vec<Instance>) {
        if let View::Table(table) = self {
            table.remark = None;
            table.rows.retain(|row| row.has_ended() && living.iter().all(|instance| instance.instance_id != row.instance_id));
            living.into_iter().rev().for_each(|instance| table.rows.push_front(instance));
            table.rows.truncate(ROWS_MAX);
        }
    }

    pub fn show(&mut self, status: Status) -> Result<(), CliError> {
        match self {
            View::Lines { json: true } => print(one_line(&status.text))?,
            View::Lines { json: false } => print(line(&status.instance))?,
            View::Properties { instance, remark, .. } => (*instance, *remark) = (Some(Box::new(status.instance)), None),
            View::Table(table) => table.change(status.instance),
        }
        Ok(())
    }

    pub fn remove(&mut self, id: &str) {
        if let View::Table(table) = self {
            table.rows.retain(|instance| instance.instance_id != id);
        }
    }

    /// Shows a remark on the watching itself, such as a lost connection.
    pub fn say(&mut self, text: String) {
        match self {
            View::Lines { .. } => note(format_args!("dacapo: {text}")),
            View::Properties { remark, .. } | View::Table(Table { remark, .. }) => *remark = Some(text),
        }
    }

    /// Brings what is drawn up to date.
    pub fn draw(&mut self) -> Result<(), CliError> {
        let lines = terminal_lines();
        match self {
            View::Lines { .. } => {}
            View::Properties { live, instance: Some(instance), remark } => {
                let shown = Shown { input: false, output: instance.has_ended() };
                let mut text = table_text(instance.properties(Utc::now(), shown));
                // Only the last drawing may be longer than the terminal: what has scrolled out of sight cannot be drawn over.
                if !instance.has_ended() {
                    text = first_lines(&text, lines.saturating_sub(2));
                }
                live.draw(&with_remark(text, remark.as_deref()))?;
            }
            View::Properties { instance: None, .. } => {}
            View::Table(table) => {
                let text = table.text(lines);
                table.live.draw(&text)?;
            }
        }
        Ok(())
    }
}

impl Table {
    fn change(&mut self, instance: Instance) {
        self.changes += 1;
        self.rows.retain(|row| row.instance_id != instance.instance_id);
        self.rows.push_front(instance);
        self.rows.truncate(ROWS_MAX);
    }

    fn text(&self, lines: usize) -> String {
        let Self { server, begun, changes, .. } = self;
        let server = printable(server);
        let head = format!("{server}  {changes} changes in {}  (Ctrl-C ends)", elapsed(begun.elapsed()));
        // Beside the rows: this line, the headers, a remark, and the line of the cursor.
        const OTHER_LINES: usize = 4;
        let rows = lines.saturating_sub(OTHER_LINES).max(1);
        let table = table_text(instance_table(self.rows.iter().take(rows), Utc::now()));
        let table = first_lines(&table, rows + 1);
        with_remark(format!("{head}\n{table}"), self.remark.as_deref())
    }
}

fn with_remark(text: String, remark: Option<&str>) -> String {
    match remark {
        Some(remark) => format!("{text}\n{}", printable(remark)),
        None => text,
    }
}

/// Cells may take several lines on a narrow terminal.
fn first_lines(text: &str, count: usize) -> String {
    text.lines().take(count).collect::<Vec<_>>().join("\n")
}

/// A change in one line.
fn line(instance: &Instance) -> String {
    let time = local_time(&instance.last_updated_time);
    let detail = instance.detail();
    let line = format!("{time}  {}  {}  {}", instance.instance_id, instance.name, instance.runtime_status);
    if detail.is_empty() { line } else { format!("{line}  {detail}") }
}

/// JSON in one line: a line end in JSON is never part of a text.
fn one_line(json: &str) -> String {
    json.replace(['\r', '\n'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(id: &str, status: &str) -> Instance {
        let json = format!(
            r#"{{"name":"f","instanceId":"{id}","runtimeStatus":"{status}","createdTime":"2026-01-31T12:00:00Z","lastUpdatedTime":"2026-01-31T12:00:00Z","customStatus":{{"step":
1}},"output":"done"}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    fn table(view: &View) -> &Table {
        let View::Table(table) = view else { panic!("it is a table") };
        table
    }

    fn status(id: &str, status: &str) -> Status {
        Status { text: String::new(), instance: instance(id, status) }
    }

    #[test]
    fn a_change_is_one_line() {
        let time = local_time("2026-01-31T12:00:00Z");
        assert_eq!(line(&instance("i", "Running")), format!("{time}  i  f  Running  {{\"step\": 1}}"));
        assert_eq!(line(&instance("i", "Completed")), format!("{time}  i  f  Completed  \"done\""));
        assert_eq!(one_line("{\"a\":\r\n\"b\\n\"}"), "{\"a\":  \"b\\n\"}");
    }

    #[test]
    fn what_has_changed_last_stands_first_and_once() {
        let mut view = View::table("http://h");
        view.begin(vec![instance("a", "Running"), instance("b", "Running")]);
        view.show(status("b", "Completed")).unwrap();
        view.show(status("c", "Pending")).unwrap();
        view.remove("a");
        let ids: Vec<_> = table(&view).rows.iter().map(|row| row.instance_id.as_str()).collect();
        assert_eq!(ids, ["c", "b"]);
        view.begin(vec![instance("d", "Running"), instance("e", "Running")]);
        let ids: Vec<_> = table(&view).rows.iter().map(|row| row.instance_id.as_str()).collect();
        assert_eq!(ids, ["d", "e", "b"], "c may have ended meanwhile");
        view.say("the connection is lost".into());
        let text = table(&view).text(24);
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("http://h  2 changes in 0s"), "{text}");
        assert!(lines[1].starts_with("INSTANCE") && lines[2].starts_with('d') && lines[4].starts_with('b'), "{text}");
        assert_eq!(lines[5], "the connection is lost");
    }

    #[test]
    fn a_table_fits_the_terminal() {
        let mut view = View::table("http://h");
        for number in 0..300 {
            view.show(status(&format!("i{number}"), "Running")).unwrap();
        }
        assert_eq!(table(&view).rows.len(), ROWS_MAX);
        let text = table(&view).text(10);
        assert!(text.lines().count() < 10, "{text}");
    }
}
