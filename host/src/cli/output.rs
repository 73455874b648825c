//! Output of commands: texts, tables and colors. All of it is made [`printable`] here, whatever its source.

use std::io::{IsTerminal as _, Write as _};

use comfy_table::{Attribute, Color, ColumnConstraint, ContentArrangement, Width, presets};

use super::error::CliError;
use crate::printable::{one_line, printable};

/// The width of the space between the columns of a table.
const PADDING: u16 = 2;

/// Prints a text, or JSON, and a line end.
pub(super) fn print(text: impl std::fmt::Display) -> Result<(), CliError> {
    write_out(&printable(&text.to_string()))
}

/// Confirms an action for which the host sends no body: with a sentence, or with JSON, for programs.
pub(super) fn print_done(json: bool, done: &serde_json::Value, sentence: impl std::fmt::Display) -> Result<(), CliError> {
    if json { print(done) } else { print(sentence) }
}

/// Prints a value as JSON, indented.
pub(super) fn print_indented(value: &impl serde::Serialize) -> Result<(), CliError> {
    print(serde_json::to_string_pretty(value).map_err(anyhow::Error::from)?)
}

fn write_out(text: &str) -> Result<(), CliError> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{text}")?;
    Ok(stdout.flush()?)
}

/// Prints a message for people, which is not part of the output, to standard error.
pub(super) fn note(text: impl std::fmt::Display) {
    // If standard error is closed, nobody reads this.
    let _ = writeln!(std::io::stderr(), "{}", printable(&text.to_string()));
}

/// A table of printable texts, with the colors that commands give them.
pub(super) struct Table {
    table: comfy_table::Table,
    /// The width of the terminal, which a row must fit in one line. None: rows are not cut.
    row_columns: Option<u16>,
    /// The columns to hide on a narrow terminal, in this order.
    dispensable: &'static [usize],
}

/// One of the texts of a table.
pub(super) struct Cell(comfy_table::Cell);

impl Table {
    pub fn add_row<C: Into<Cell>>(&mut self, cells: impl IntoIterator<Item = C>) -> &mut Self {
        self.table.add_row(cells.into_iter().map(|cell| cell.into().0));
        self
    }

    pub fn add_rows<C: Into<Cell>, R: IntoIterator<Item = C>>(&mut self, rows: impl IntoIterator<Item = R>) {
        for row in rows {
            self.add_row(row);
        }
    }

    pub fn row_count(&self) -> usize {
        self.table.row_count()
    }

    /// Sets the columns that are hidden, one after the other, if the terminal is too narrow for all.
    pub fn dispensable(self, columns: &'static [usize]) -> Self {
        Self { dispensable: columns, ..self }
    }

    /// Shows the table without one of its columns.
    pub fn hide_column(&mut self, index: usize) {
        self.constrain(index, ColumnConstraint::Hidden);
    }

    fn constrain(&mut self, index: usize, constraint: ColumnConstraint) {
        self.table.column_mut(index).expect("it has this many").set_constraint(constraint);
    }

    /// The widths of the columns, with the space after them.
    fn widths(&self) -> Vec<u16> {
        let contents = self.table.column_max_content_widths();
        let shown = self.table.column_iter().map(|column| column.constraint() != Some(&ColumnConstraint::Hidden));
        contents.into_iter().zip(shown).map(|(width, shown)| if shown { width.saturating_add(PADDING) } else { 0 }).collect()
    }

    /// Hides columns, and cuts the last one, until a row fits a line. Other cells stay whole, so that an id can be copied. If a
    /// row still does not fit, the terminal wraps it.
    fn fit(&mut self, columns: u16) {
        const LAST_COLUMNS_MIN: u16 = 16;
        let length = |widths: &[u16]| widths.iter().fold(0, |sum: u16, &width| sum.saturating_add(width));
        for &index in self.dispensable {
            let widths = self.widths();
            let last = widths.last().copied().unwrap_or_default();
            if length(&widths) - last + last.min(LAST_COLUMNS_MIN) <= columns {
                break;
            }
            self.hide_column(index);
        }
        let widths = self.widths();
        let Some((&last, others)) = widths.split_last() else { return };
        let left = columns.saturating_sub(length(others));
        if last.saturating_sub(PADDING) > left && left >= LAST_COLUMNS_MIN {
            self.constrain(others.len(), ColumnConstraint::Absolute(Width::Fixed(left)));
            self.table.set_truncation_indicator("…");
            for row in self.table.row_iter_mut() {
                row.max_height(1);
            }
        }
    }
}

impl<T: ToString> From<T> for Cell {
    fn from(text: T) -> Self {
        Self(comfy_table::Cell::new(one_line(&text.to_string())))
    }
}

impl Cell {
    /// A cell of JSON, which may have several lines: its line breaks are white space.
    pub fn json(text: &str) -> Self {
        text.replace(['\r', '\n'], " ").into()
    }
}

/// An empty table with these headers. Each row is one line; on a terminal, what is too long for it is cut.
pub(super) fn table<const N: usize>(headers: [&str; N]) -> Table {
    let (mut table, row_columns) = plain_table();
    table.set_header(headers.map(|header| comfy_table::Cell::new(header).add_attribute(Attribute::Bold)));
    table.set_content_arrangement(ContentArrangement::Disabled);
    Table { table, row_columns, dispensable: &[] }
}

/// A table of names and values. On a terminal, values may take several lines.
pub(super) fn properties() -> Table {
    let (mut table, columns) = plain_table();
    match columns {
        Some(columns) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(columns),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    Table { table, row_columns: None, dispensable: &[] }
}

/// A table without lines, and how wide the terminal is, if it is one.
fn plain_table() -> (comfy_table::Table, Option<u16>) {
    let mut table = comfy_table::Table::new();
    table.load_style(presets::NOTHING);
    // A smaller width is not a real one (a terminal without a size reports 0).
    const COLUMNS_MIN: u16 = 40;
    let columns = table.width().filter(|&columns| columns >= COLUMNS_MIN);
    match colors() {
        true => table.enforce_styling(),
        false => table.force_no_tty(),
    };
    (table, columns)
}

/// Colors are for terminals, and for people who want them (<https://no-color.org>).
fn colors() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Prints a table, without the spaces that only fill its last column.
pub(super) fn print_table(table: Table) -> Result<(), CliError> {
    write_out(&table_text(table))
}

/// The text that [`print_table`] prints.
pub(super) fn table_text(mut table: Table) -> String {
    table.table.column_iter_mut().for_each(|column| {
        column.set_padding((0, PADDING));
    });
    if let Some(columns) = table.row_columns {
        table.fit(columns);
    }
    table.table.trim_fmt()
}

/// A runtime status in its color.
pub(super) fn status_cell(status: &str) -> Cell {
    let color = match status {
        "Completed" => Color::Green,
        "Failed" => Color::Red,
        "Terminated" | "Canceled" => Color::DarkYellow,
        "Suspended" => Color::Magenta,
        "Running" | "ContinuedAsNew" => Color::Cyan,
        _ => return status.into(),
    };
    Cell(comfy_table::Cell::new(status).fg(color))
}

/// A text in one line, with each run of white space as one blank.
pub(super) fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The beginning of a text that may be long, on one line.
pub(super) fn short(text: &str) -> String {
    const CHARS_MAX: usize = 80;
    let line = flat(text);
    match line.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// A number of bytes, in units for people.
pub(super) fn bytes(count: u64) -> String {
    const KIB: f64 = 1024.0;
    match count as f64 {
        count if count < KIB => format!("{count} bytes"),
        count if count < KIB * KIB => format!("{:.1} KiB", count / KIB),
        count if count < KIB * KIB * KIB => format!("{:.1} MiB", count / KIB / KIB),
        count => format!("{:.1} GiB", count / KIB / KIB / KIB),
    }
}

/// A text as one word of a command line.
pub(super) fn shell_word(text: &str) -> String {
    let harmless = |c: char| c.is_alphanumeric() || "-_.:@,+=/%".contains(c);
    match !text.is_empty() && text.chars().all(harmless) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eight commands sent control characters of the upper half of Latin 1 to the terminal: all that a table shows is printable.
    #[test]
    fn what_controls_a_terminal_is_shown_as_text() {
        let mut rows = table(["NAME", "STATUS"]);
        rows.add_row(["a\u{9b}2J\u{202e}\nFORGED".into(), status_cell("b\u{1b}[2J")]);
        assert_eq!(table_text(rows).lines().nth(1), Some("a\\u009b2J\\u202e\\nFORGED  b\\u001b[2J"));
    }

    /// At 80 columns ids, times and words were broken in the middle, and a row was three lines.
    #[test]
    fn a_row_is_one_line_of_the_terminal() {
        let shown = |columns: Option<u16>| {
            let mut rows =
                Table { row_columns: columns, ..table(["INSTANCE", "STATUS", "CREATED", "CUSTOM STATUS"]) }.dispensable(&[2]);
            rows.add_row([
                "4f1c2b0a9d8e4c7fb6a51e0d3c2b1a09",
                "Running",
                "2026-01-31 12:00:00",
                &"three of five steps ".repeat(4),
            ]);
            table_text(rows)
        };
        let row = |columns: Option<u16>| shown(columns).lines().nth(1).unwrap().to_owned();
        assert!(row(None).ends_with(&"three of five steps ".repeat(4).trim_end()), "{}", row(None));
        for columns in [200, 120, 80, 64] {
            let text = shown(Some(columns));
            assert_eq!(text.lines().count(), 2, "{text}");
            assert!(text.lines().all(|line| line.chars().count() <= columns.into()), "{text}");
            assert!(row(Some(columns)).starts_with("4f1c2b0a9d8e4c7fb6a51e0d3c2b1a09  Running  "), "{text}");
            assert_eq!(text.contains("2026-01-31 12:00:00"), columns > 75, "{text}");
        }
        assert!(row(Some(80)).ends_with('…'), "{}", row(Some(80)));
    }

    #[test]
    fn words_are_quoted_where_a_shell_needs_it() {
        assert_eq!(shell_word("order-17@ä"), "order-17@ä");
        assert_eq!(shell_word("it's $5"), r"'it'\''s $5'");
        assert_eq!(shell_word(""), "''");
    }

    #[test]
    fn bytes_are_counted_in_units() {
        let shown = [0, 1023, 1024, 1536 << 10, 5 << 30].map(bytes);
        assert_eq!(shown, ["0 bytes", "1023 bytes", "1.0 KiB", "1.5 MiB", "5.0 GiB"]);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(short("a\n  b"), "a b");
        assert_eq!(short(&"ä".repeat(100)), format!("{}…", "ä".repeat(80)));
    }
}
