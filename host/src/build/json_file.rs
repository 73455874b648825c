//! JSON files of function apps, which may have comments and trailing commas, as in the original.

use std::io::ErrorKind;
use std::path::Path;

use serde_json::{Map, Value};

use super::BuildError;

/// Reads a file that holds a JSON object. None: there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<Map<String, Value>>, BuildError> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&text).map(Some).map_err(|why| BuildError::Sources(format!("{}: {why}", path.display()))),
        Err(why) if why.kind() == ErrorKind::NotFound => Ok(None),
        Err(why) => Err(BuildError::file("reading", path)(why)),
    }
}

/// Parses a JSON object. An error has its line and column.
pub(super) fn parse(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(&plain(text)).map_err(|why| format!("it is not a JSON object: {why}"))
}

/// Finds a member of an object by its name, ignoring case.
pub(super) fn member<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Blanks comments, trailing commas and the mark at the beginning of files of Windows, so that lines and columns stay the same.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    // The place of a comma that only blanks have followed.
    let mut comma = None;
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let length = match next {
            '"' => string_length(rest),
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            _ => next.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        match next {
            '/' | '\u{feff}' => plain.extend(token.chars().map(|c| if c == '\n' { '\n' } else { ' ' })),
            _ => {
                if let (']' | '}', Some(at)) = (next, comma) {
                    plain.replace_range(at..at + 1, " ");
                }
                match next {
                    ',' => comma = Some(plain.len()),
                    _ if next.is_whitespace() => {}
                    _ => comma = None,
                }
                plain += token;
            }
        }
        rest = after;
    }
    plain
}

/// The length of the string with which a text begins, with its quotes.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            _ => escaped = c == '\\' && !escaped,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_trailing_commas_are_blanked_outside_of_strings() {
        for (text, expected) in [
            (r#"["//", "/*", ",}", "\"//", ",]" , ]"#, r#"["//", "/*", ",}", "\"//", ",]"   ]"#),
            ("[1,\n2] // é", "[1,\n2]     "),
            ("{/* a\nb */}", "{    \n    }"),
            ("[1, /* last */ ]", "[1             ]"),
            ("[1,,]", "[1, ]"),
            ("\"open // ", "\"open // "),
            ("/* open", "       "),
            ("\u{feff}{}", " {}"),
        ] {
            assert_eq!(plain(text), expected, "{text}");
        }
    }

    #[test]
    fn an_error_has_its_place_in_the_file() {
        let why = parse("{ // an app\n  \"version\": \"2.0\"\n  \"x\": 1\n}").unwrap_err();
        assert!(why.contains("not a JSON object") && why.contains("line 3 column 3"), "{why}");
        for wrong in ["[]", "", "5", "{,,}", "/ {}"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
