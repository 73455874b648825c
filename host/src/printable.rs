//! Escapes untrusted text for a terminal or the log.
//!
//! Ids, names, reasons, statuses, failures and log lines come from guests and clients. They are escaped here before they are
//! shown, so that none of them can move the cursor, reverse the line, or imitate a line from another source.

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;

use tracing::{Event, Subscriber};
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format::{self, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Escapes a text of several lines, except for line ends and tabs. JSON keeps its meaning: escaped characters can only occur
/// within its strings, where `\u009b` means the same.
pub fn printable(text: &str) -> Cow<'_, str> {
    escape(text, |c| c == '\n' || c == '\t')
}

/// Escapes a text into one line.
pub fn one_line(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// The field format of the text log: each event on one line, wherever its text comes from.
pub fn log_fields() -> impl for<'a> FormatFields<'a> {
    let field = format::debug_fn(|writer, field, value| {
        let value = format!("{value:?}");
        match field.name() {
            "message" => writer.write_str(&one_line(&value)),
            name => write!(writer, "{name}={}", one_line(&value)),
        }
    });
    field.delimited(" ")
}

/// Wraps a JSON format of the log, which escapes line ends itself, and escapes what controls a terminal.
pub struct JsonLog<F>(pub F);

impl<S, N, F> FormatEvent<S, N> for JsonLog<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        writer.write_str(&printable(&line))
    }
}

fn escape(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    let harmless = |c: char| keep(c) || !misleads(c);
    if text.chars().all(harmless) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if harmless(c) => escaped.push(c),
            '\n' => escaped.push_str("\\n"),
            // Between JSON tokens it is white space.
            '\r' if keep('\n') => escaped.push(' '),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            // As in JSON: surrogate pairs beyond U+FFFF.
            c => {
                let mut halves = [0; 2];
                escaped.extend(c.encode_utf16(&mut halves).iter().map(|half| format!("\\u{half:04x}")));
            }
        }
    }
    Cow::Owned(escaped)
}

/// Whether a character affects the text around it or is invisible: controls, line ends, changes of the writing direction, and
/// invisible characters.
pub fn misleads(c: char) -> bool {
    c.is_control() || MISLEADING.iter().any(|range| range.contains(&c))
}

/// Characters that Unicode calls default-ignorable, or of the category Cf (format) or Zl and Zp (line ends), by code point.
///
/// Exceptions are characters of ordinary text: the joiners U+200C and U+200D, which scripts and emoji need, the variation
/// selectors U+FE00 to U+FE0F, which choose the form of the preceding character, and visible signs of category Cf, such as the
/// Arabic number signs.
const MISLEADING: [RangeInclusive<char>; 22] = [
    '\u{ad}'..='\u{ad}',       // soft hyphen
    '\u{34f}'..='\u{34f}',     // combining grapheme joiner
    '\u{61c}'..='\u{61c}',     // Arabic letter mark
    '\u{115f}'..='\u{1160}',   // Hangul fillers
    '\u{17b4}'..='\u{17b5}',   // Khmer inherent vowels
    '\u{180b}'..='\u{180f}',   // Mongolian variation selectors and vowel separator
    '\u{200b}'..='\u{200b}',   // zero width space
    '\u{200e}'..='\u{200f}',   // direction marks
    '\u{2028}'..='\u{202e}',   // line and paragraph separator, embeddings and overrides of direction
    '\u{2060}'..='\u{206f}',   // word joiner, invisible operators, isolates of direction
    '\u{3164}'..='\u{3164}',   // Hangul filler
    '\u{feff}'..='\u{feff}',   // zero width no-break space
    '\u{ffa0}'..='\u{ffa0}',   // halfwidth Hangul filler
    '\u{fff0}'..='\u{fff8}',   // not assigned, to be ignored
    '\u{fff9}'..='\u{fffb}',   // interlinear annotation
    '\u{13430}'..='\u{1343f}', // Egyptian hieroglyph format controls
    '\u{1bca0}'..='\u{1bca3}', // shorthand format controls
    '\u{1d173}'..='\u{1d17a}', // musical format controls
    '\u{e0000}'..='\u{e007f}', // tags
    '\u{e0080}'..='\u{e00ff}', // not assigned, to be ignored
    '\u{e0100}'..='\u{e01ef}', // variation selectors supplement
    '\u{e01f0}'..='\u{e0fff}', // not assigned, to be ignored
];

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    const BAD: &str = "a\n\tä\u{1b}[2J\u{9b}x\r\u{202e}y\u{2028}\u{200f}\u{feff}";

    #[test]
    fn what_controls_a_terminal_is_shown_as_text() {
        assert_eq!(printable(BAD), "a\n\tä\\u001b[2J\\u009bx \\u202ey\\u2028\\u200f\\ufeff");
        assert_eq!(one_line(BAD), "a\\n\\tä\\u001b[2J\\u009bx\\r\\u202ey\\u2028\\u200f\\ufeff");
        assert!(matches!(one_line("häuser, 家, 👩\u{200d}🚒"), Cow::Borrowed(_)), "a joiner makes one sign of two");
    }

    /// Tag characters spell a text that is invisible to people but not to programs.
    #[test]
    fn what_cannot_be_seen_is_shown_as_text() {
        assert_eq!(one_line("a\u{e0041}b"), "a\\udb40\\udc41b");
        for c in ["\u{ad}", "\u{34f}", "\u{180e}", "\u{2064}", "\u{3164}", "\u{fff9}", "\u{e0001}", "\u{e007f}", "\u{e0100}"] {
            assert!(one_line(c).starts_with("\\u"), "{:x}", u32::from(c.chars().next().unwrap()));
            let json = serde_json::Value::from(c).to_string();
            assert_eq!(serde_json::from_str::<String>(&printable(&json)).unwrap(), c);
        }
        for seen in ["☀\u{fe0f}", "می\u{200c}خواهم", "\u{600}", "한글", "𝄞", "👍🏽"] {
            assert!(matches!(one_line(seen), Cow::Borrowed(_)), "{seen}");
        }
        assert!(MISLEADING.windows(2).all(|pair| pair[0].end() < pair[1].start()), "in order");
    }

    #[test]
    fn json_stays_the_same_json() {
        let value = serde_json::json!({ "a": BAD, "b": ["\u{9d}", "\u{7f}"] });
        let pretty = serde_json::to_string_pretty(&value).unwrap().replace('\n', "\r\n");
        let shown = printable(&pretty);
        assert!(!shown.contains(|c: char| c != '\n' && misleads(c)), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }

    /// A guest logged a text with a line break and what a line of the audit log looks like, and the log had that line.
    #[test]
    fn an_event_is_one_line_of_the_log() {
        #[derive(Clone, Default)]
        struct Log(Arc<Mutex<Vec<u8>>>);
        impl Write for Log {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let say = || {
            tracing::info!(target: "guest", hub = BAD, shown = %BAD, debug = ?BAD, "{BAD}");
            tracing::error!(error = BAD, "a literal");
        };
        let (text, json) = (Log::default(), Log::default());
        let (of_text, of_json) = (text.clone(), json.clone());
        let subscriber = tracing_subscriber::fmt().with_writer(move || of_text.clone()).with_ansi(false);
        tracing::subscriber::with_default(subscriber.fmt_fields(log_fields()).finish(), say);
        let subscriber = tracing_subscriber::fmt().with_writer(move || of_json.clone()).json().map_event_format(JsonLog);
        tracing::subscriber::with_default(subscriber.finish(), say);
        let read = |log: &Log| {
            let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
            assert_eq!(log.lines().count(), 2, "{log}");
            assert!(!log.contains(|c: char| c != '\n' && misleads(c)), "{log}");
            log
        };
        let (text, json) = (read(&text), read(&json));
        assert!(text.contains(r"guest: a\n\tä\u001b[2J") && text.contains(" a literal error=\"a\\n"), "{text}");
        let first: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
        assert_eq!((&first["fields"]["message"], &first["fields"]["hub"]), (&BAD.into(), &BAD.into()), "nothing is lost");
    }
}
