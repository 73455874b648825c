//! Server-sent events, as the HTML standard defines them.

use std::io::BufRead;

/// One event of a stream.
#[derive(Debug, PartialEq)]
pub(super) struct ServerEvent {
    pub kind: String,
    pub data: String,
}

/// Reads the events of a stream, one by one.
pub(super) struct EventReader(Box<dyn BufRead + Send>);

impl EventReader {
    pub fn new(stream: Box<dyn BufRead + Send>) -> Self {
        Self(stream)
    }

    /// The next event; none at the end of the stream. An event that is cut off there is dropped.
    pub fn next(&mut self) -> std::io::Result<Option<ServerEvent>> {
        let (mut kind, mut data) = (String::new(), Vec::new());
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            let line = line.trim_end_matches(['\r', '\n']).trim_start_matches('\u{feff}');
            if line.is_empty() {
                if data.is_empty() {
                    kind.clear();
                    continue;
                }
                let kind = if kind.is_empty() { "message".into() } else { kind };
                return Ok(Some(ServerEvent { kind, data: data.join("\n") }));
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => kind = value.to_owned(),
                "data" => data.push(value.to_owned()),
                // A comment, which keeps the stream alive, or a field that is not used here.
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(stream: &'static str, expected: &[(&str, &str)]) {
        let mut reader = EventReader::new(Box::new(stream.as_bytes()));
        let read: Vec<_> = std::iter::from_fn(|| reader.next().unwrap()).collect();
        let expected: Vec<_> =
            expected.iter().map(|(kind, data)| ServerEvent { kind: (*kind).into(), data: (*data).into() }).collect();
        assert_eq!(read, expected, "{stream:?}");
    }

    #[test]
    fn events_are_read_as_the_standard_says() {
        check("", &[]);
        check("event: status\ndata: {}\n\n", &[("status", "{}")]);
        check("\u{feff}data:a\r\ndata: b\r\n\r\n", &[("message", "a\nb")]);
        check(": alive\n\nid: 5\nretry: 10\nevent:missed\ndata: 17\n\n:\n\n", &[("missed", "17")]);
        check("event: lost\n\ndata: a:b\n\n", &[("message", "a:b")]);
        check("data: whole\n\ndata: cut off\n", &[("message", "whole")]);
        check("data\n\n", &[("message", "")]);
    }

    #[test]
    fn a_stream_that_is_not_text_is_an_error() {
        let mut reader = EventReader::new(Box::new(&b"data: \xff\n\n"[..]));
        assert!(reader.next().is_err());
    }
}
