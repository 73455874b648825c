//! What commands print: tables, times and colors for people.

use std::io::{IsTerminal as _, Write as _};

use chrono::{DateTime, Local, Utc};
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table, presets};

use super::error::CliError;

/// Prints a text and a line end.
pub(super) fn print(text: impl std::fmt::Display) -> Result<(), CliError> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{text}")?;
    Ok(stdout.flush()?)
}

/// Tells people something that is not the output.
pub(super) fn note(text: impl std::fmt::Display) {
    // Where standard error is closed, nobody wants to know.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// An empty table with these headers. On a terminal it fits its width; elsewhere each row is one line.
pub(super) fn table<const N: usize>(headers: [&str; N]) -> Table {
    let mut table = plain_table();
    table.set_header(headers.map(|header| Cell::new(header).add_attribute(Attribute::Bold)));
    table
}

/// A table of names and values.
pub(super) fn properties() -> Table {
    plain_table()
}

fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    // What says that it is narrower does not know (a terminal without a size says 0).
    const COLUMNS_MIN: u16 = 40;
    match table.width().filter(|&columns| columns >= COLUMNS_MIN) {
        Some(columns) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(columns),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    match colors() {
        true => table.enforce_styling(),
        false => table.force_no_tty(),
    };
    table
}

/// Colors are for terminals, and for people who want them (<https://no-color.org>).
fn colors() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Prints a table, without the spaces that only fill its last column.
pub(super) fn print_table(mut table: Table) -> Result<(), CliError> {
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 2));
    });
    print(table.trim_fmt())
}

/// A runtime status in its color.
pub(super) fn status_cell(status: &str) -> Cell {
    let color = match status {
        "Completed" => Color::Green,
        "Failed" => Color::Red,
        "Terminated" | "Canceled" => Color::DarkYellow,
        "Suspended" => Color::Magenta,
        "Running" | "ContinuedAsNew" => Color::Cyan,
        _ => return Cell::new(status),
    };
    Cell::new(status).fg(color)
}

/// A moment that the host wrote, in local time; as it is if it is none.
pub(super) fn local_time(text: &str) -> String {
    match DateTime::parse_from_rfc3339(text) {
        Ok(time) => time.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => text.to_owned(),
    }
}

/// The same with milliseconds, which tell the events of a history apart.
pub(super) fn local_time_millis(text: &str) -> String {
    match DateTime::parse_from_rfc3339(text) {
        Ok(time) => time.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S%.3f").to_string(),
        Err(_) => text.to_owned(),
    }
}

/// How long ago a moment was that the host wrote.
pub(super) fn age(text: &str, now: DateTime<Utc>) -> String {
    let Ok(time) = DateTime::parse_from_rfc3339(text) else { return String::new() };
    let seconds = (now - time.to_utc()).num_seconds().max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// The beginning of a text that may be long, on one line.
pub(super) fn short(text: &str) -> String {
    const CHARS_MAX: usize = 80;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_two_units() {
        let now = DateTime::parse_from_rfc3339("2026-01-03T00:00:00Z").unwrap().to_utc();
        for (time, expected) in [
            ("2026-01-03T00:00:05Z", "0s"),
            ("2026-01-02T23:59:18Z", "42s"),
            ("2026-01-02T23:57:56Z", "2m 4s"),
            ("2026-01-02T20:55:00Z", "3h 5m"),
            ("2026-01-01T01:00:00+01:00", "2d 0h"),
            ("never", ""),
        ] {
            assert_eq!(age(time, now), expected, "{time}");
        }
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(short("a\n  b"), "a b");
        assert_eq!(short(&"ä".repeat(100)), format!("{}…", "ä".repeat(80)));
    }
}
