//! What commands print: tables and colors for people.

use std::io::{IsTerminal as _, Write as _};

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
    let _ = writeln!(std::io::stderr(), "{}", printable(&text.to_string()));
}

/// A text that came from somewhere else, without what would control the terminal. (JSON as the host writes it has none.)
pub(super) fn printable(text: &str) -> String {
    let controls = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    text.chars().map(|c| if controls(c) { c.escape_default().to_string() } else { c.to_string() }).collect()
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
pub(super) fn print_table(table: Table) -> Result<(), CliError> {
    print(table_text(table))
}

/// What [`print_table`] prints.
pub(super) fn table_text(mut table: Table) -> String {
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 2));
    });
    table.trim_fmt()
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

/// The beginning of a text that may be long, on one line.
pub(super) fn short(text: &str) -> String {
    const CHARS_MAX: usize = 80;
    let line = printable(&text.split_whitespace().collect::<Vec<_>>().join(" "));
    match line.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// So many bytes, for people.
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

    #[test]
    fn what_controls_a_terminal_is_shown_as_text() {
        assert_eq!(printable("a\n\tä\u{1b}[2J\u{9b}x\r"), "a\n\tä\\u{1b}[2J\\u{9b}x\\r");
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
