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
        return checked(text, |why| format!("the file {} is not JSON: {why}", path.display()));
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
    fn a_file_is_read_and_named_when_it_is_wrong() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let argument = format!("@{}", file.path().display());
        std::fs::write(file.path(), "{\"a\":\n 1}\n").unwrap();
        assert_eq!(json("input", &argument).unwrap(), "{\"a\":\n 1}\n");
        std::fs::write(file.path(), "{\"a\":\n x}").unwrap();
        let why = json("input", &argument).unwrap_err().to_string();
        assert!(why.contains(&argument[1..]) && why.contains("line 2"), "{why}");
        assert!(matches!(json("input", "@/no/such/file").unwrap_err(), CliError::Failed(_)));
    }
}
