//! JSON that a user gives on the command line.

use std::io::Read as _;
use std::path::Path;

use serde_json::value::RawValue;

use super::error::CliError;
use super::output::shell_word;

/// Reads the value of the option `--name`: JSON itself, `@file`, or `-` for standard input. The text is kept as it is.
pub(super) fn json(name: &str, value: &str) -> Result<String, CliError> {
    if value == "-" {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        read.map_err(|why| CliError::Failed(format!("reading standard input failed: {why}")))?;
        return checked(text, |why| format!("standard input is not JSON: {why}"));
    }
    if let Some(path) = value.strip_prefix('@') {
        let path = Path::new(path);
        let text = std::fs::read_to_string(path).map_err(|why| CliError::file("reading", path, &why))?;
        // Editors for Windows begin files with it.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        return checked(text.to_owned(), |why| format!("the file {} is not JSON: {why}", path.display()));
    }
    checked(value.to_owned(), |why| {
        let quoted = shell_word(&serde_json::Value::from(value).to_string());
        format!(
            "--{name} is not JSON: {why}\n  strings need quotes of their own: --{name} {quoted}\n  a file is read by --{name} @FILE, \
             standard input by --{name} -"
        )
    })
}

/// Reads a text: itself, `@file`, or `-` for standard input.
pub(super) fn text(value: &str) -> Result<String, CliError> {
    if value == "-" {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        read.map_err(|why| CliError::Failed(format!("reading standard input failed: {why}")))?;
        return Ok(text);
    }
    match value.strip_prefix('@').map(Path::new) {
        Some(path) => std::fs::read_to_string(path).map_err(|why| CliError::file("reading", path, &why)),
        None => Ok(value.to_owned()),
    }
}

/// As [`json`], but a text that is not JSON and does not begin like it is taken for a JSON string, as `func` does.
pub(super) fn json_or_text(name: &str, value: &str) -> Result<String, CliError> {
    let is_file = value == "-" || value.starts_with('@');
    let begins_like_json = value.trim_start().starts_with(['{', '[', '"']);
    match json(name, value) {
        Err(CliError::Usage(_)) if !is_file && !begins_like_json => Ok(serde_json::Value::from(value).to_string()),
        answer => answer,
    }
}

fn checked(text: String, wrong: impl FnOnce(serde_json::Error) -> String) -> Result<String, CliError> {
    match serde_json::from_str::<&RawValue>(&text) {
        Ok(_) => Ok(text),
        Err(why) => Err(CliError::Usage(wrong(why))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_kept_as_it_is() {
        for text in ["5", "\"Tokyo\"", r#"{"b": 1.0, "a": [ ]}"#, "12345678901234567890123"] {
            assert_eq!(json("input", text).unwrap(), text);
        }
    }

    #[test]
    fn a_text_without_quotes_is_answered_with_how_to_quote_it() {
        let why = json("input", "Tokyo").unwrap_err().to_string();
        assert!(why.contains(r#"--input '"Tokyo"'"#), "{why}");
        let why = json("event-data", "it's").unwrap_err().to_string();
        assert!(why.contains(r#"--event-data '"it'\''s"'"#), "{why}");
        assert!(json("input", "").is_err());
    }

    #[test]
    fn a_text_is_a_string_where_func_takes_it_for_one() {
        for (text, expected) in [
            ("3", "3"),
            ("true", "true"),
            (r#"{"b": 1.0, "a": [ ]}"#, r#"{"b": 1.0, "a": [ ]}"#),
            (r#""Tokyo""#, r#""Tokyo""#),
            ("Tokyo", r#""Tokyo""#),
            ("+8109012345678", r#""+8109012345678""#),
            ("007", r#""007""#),
            ("it's", r#""it's""#),
        ] {
            assert_eq!(json_or_text("input", text).unwrap(), expected, "{text}");
        }
        // A shell has taken the quotes away, or the end is missing.
        for broken in ["{name:x}", "[1, 2", "\"Tokyo"] {
            let why = json_or_text("input", broken).unwrap_err().to_string();
            assert!(why.contains("--input is not JSON") && why.contains("line 1 column"), "{why}");
        }
    }

    #[test]
    fn a_file_is_read_and_named_when_it_is_wrong() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let argument = format!("@{}", file.path().display());
        std::fs::write(file.path(), "{\"a\":\n 1}\n").unwrap();
        assert_eq!(json("input", &argument).unwrap(), "{\"a\":\n 1}\n");
        std::fs::write(file.path(), "\u{feff}[1]").unwrap();
        assert_eq!(json("input", &argument).unwrap(), "[1]");
        std::fs::write(file.path(), "{\"a\":\n x}").unwrap();
        let why = json("input", &argument).unwrap_err().to_string();
        assert!(why.contains(&argument[1..]) && why.contains("line 2 column 2"), "{why}");
        assert_eq!(json_or_text("input", &argument).unwrap_err().to_string(), why);
        assert!(matches!(json("input", "@/no/such/file").unwrap_err(), CliError::Failed(_)));
    }
}
