//! Reads the command line with clap, and refuses blank values.
//!
//! A script whose variable is not set passes `--id-prefix "$PREFIX"`, and does not mean to select everything. So no value on the
//! command line may be blank, except for the few that are not names ([`MAY_BE_BLANK`]). The default is chosen by leaving the
//! option out.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, Parser};

use super::error::CliError;
use super::func::{Func, is_func};
use super::{Arguments, Command};
use crate::printable::one_line;

/// Reasons, the key of an entity, its operation, and arguments for a compiler.
const MAY_BE_BLANK: [&str; 4] = ["arguments", "key", "operation", "reason"];

/// What a named connection says itself.
const OF_A_CONNECTION: [&str; 3] = ["server", "ca_certificate", "access_key"];

/// Reads the words of a process, the first of which is the name of the program.
pub(super) fn read(words: impl IntoIterator<Item = OsString>) -> Result<Command, clap::Error> {
    let words: Vec<OsString> = words.into_iter().collect();
    match words.first().is_some_and(|program| is_func(program)) {
        true => parse::<Func>(words)?.into_command(),
        false => Ok(parse::<Arguments>(words)?.command),
    }
}

fn parse<P: Parser>(words: Vec<OsString>) -> Result<P, clap::Error> {
    let mut command = P::command();
    let matches = command.try_get_matches_from_mut(words).map_err(harmless)?;
    check(&mut command, &matches)?;
    P::from_arg_matches(&matches).map_err(|error| harmless(error.format(&mut command)))
}

/// Makes the words of the command line that clap quotes printable, and hides a key.
fn harmless(mut error: clap::Error) -> clap::Error {
    let is_key = matches!(error.get(ContextKind::InvalidArg), Some(ContextValue::String(name)) if name.starts_with("--key "));
    let quoted = error.context().filter_map(|(kind, value)| match value {
        ContextValue::String(_) if is_key && kind == ContextKind::InvalidValue => {
            Some((kind, ContextValue::String("***".into())))
        }
        ContextValue::String(text) => Some((kind, ContextValue::String(one_line(text).into_owned()))),
        ContextValue::Strings(texts) => {
            Some((kind, ContextValue::Strings(texts.iter().map(|text| one_line(text).into_owned()).collect())))
        }
        _ => None,
    });
    for (kind, value) in quoted.collect::<Vec<_>>() {
        error.insert(kind, value);
    }
    error
}

/// Prints the error, or the help that was asked for. Returns the exit code.
pub(super) fn say(error: &clap::Error) -> ExitCode {
    let said = error.print().and_then(|()| std::io::stdout().flush());
    match said {
        // If standard error is closed, nobody reads this.
        Err(why) if !error.use_stderr() => {
            let error = CliError::from(why);
            error.report();
            error.exit_code()
        }
        Ok(()) | Err(_) => ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2)),
    }
}

/// Checks what clap does not, in a command and its subcommands.
fn check(command: &mut clap::Command, matches: &ArgMatches) -> Result<(), clap::Error> {
    refuse_blank(command, matches)?;
    refuse_two_hosts(command, matches)?;
    let Some((name, matches)) = matches.subcommand() else { return Ok(()) };
    command.find_subcommand_mut(name).map_or(Ok(()), |command| check(command, matches))
}

fn refuse_blank(command: &mut clap::Command, matches: &ArgMatches) -> Result<(), clap::Error> {
    let blank = command.get_arguments().find(|argument| {
        let id = argument.get_id().as_str();
        !MAY_BE_BLANK.contains(&id) && is_on_the_line(matches, id) && has_blank(matches, id)
    });
    let Some(argument) = blank else { return Ok(()) };
    let advice = if argument.is_required_set() { "give a value" } else { "leave it out, or give a value" };
    let why = format!("the value of '{argument}' is empty; {advice}");
    Err(command.error(ErrorKind::InvalidValue, why))
}

/// A conflict of clap would count the variables of the environment, which a named connection overrides.
fn refuse_two_hosts(command: &mut clap::Command, matches: &ArgMatches) -> Result<(), clap::Error> {
    let given = |id: &str| is_on_the_line(matches, id);
    let other = OF_A_CONNECTION.into_iter().find(|id| given("connection_string_setting") && given(id));
    let Some(other) = other else { return Ok(()) };
    let other = command.get_arguments().find(|argument| argument.get_id() == other).map(ToString::to_string);
    let why = format!("'{}' cannot be used with '--connection-string-setting', which says it itself", other.unwrap_or_default());
    Err(command.error(ErrorKind::ArgumentConflict, why))
}

/// Whether there is a value from the command line: an empty environment variable counts as unset.
fn is_on_the_line(matches: &ArgMatches, id: &str) -> bool {
    matches!(matches.try_contains_id(id), Ok(true)) && matches.value_source(id) == Some(ValueSource::CommandLine)
}

fn has_blank(matches: &ArgMatches, id: &str) -> bool {
    let is_blank = |value: &OsStr| value.to_str().is_some_and(|text| text.trim().is_empty());
    matches.get_raw(id).is_some_and(|mut values| values.any(is_blank))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_line(words: &[&str]) -> Result<Command, String> {
        let words = std::iter::once("dacapo").chain(words.iter().copied()).map(OsString::from);
        read(words).map_err(|error| {
            assert_eq!((error.exit_code(), error.use_stderr()), (2, true), "{error}");
            error.to_string()
        })
    }

    /// They were printed unchanged, and so was a key.
    #[test]
    fn what_is_quoted_of_a_line_controls_no_terminal() {
        for words in [
            &["sto\u{9b}2Jp"][..],
            &["get-instances", "--created-after", "\u{202e}1d\r\nFORGED"],
            &["key", "create", "--role", "re\u{1b}[2Jad"],
        ] {
            let refused = read_line(words).unwrap_err();
            assert!(!refused.contains(['\u{9b}', '\u{202e}', '\u{1b}', '\r']) && !refused.contains("\nFORGED"), "{refused:?}");
        }
        let refused = read_line(&["get-instances", "--key", "dcp_s3cret\u{7f}"]).unwrap_err();
        assert!(refused.contains("--key") && !refused.contains("s3cret"), "{refused}");
    }

    /// `terminate --function-name ""` ended every instance of the hub: the host takes a blank parameter for none.
    #[test]
    fn a_blank_value_is_refused_by_the_name_of_its_option() {
        for (words, option) in [
            (&["terminate", "--function-name", ""][..], "--function-name"),
            (&["suspend", "--id-prefix="], "--id-prefix"),
            (&["rewind", "--version", " "], "--version"),
            (&["resume", ""], "ID"),
            (&["purge-history", "--created-after", "2d", "--id-prefix", ""], "--id-prefix"),
            (&["get-instances", "--function-name", ""], "--function-name"),
            (&["restart", "order-17", "--new-id", ""], "--new-id"),
            (&["rollback", "orders", ""], "VERSION"),
            (&["migrate", "orders", "--to", "", "--all"], "--to"),
            (&["migrate", "orders", "--to", "2.0", "--instances", "a", ""], "--instances"),
            (&["diff", "orders", "", ""], "FROM"),
            (&["hub", "create", ""], "NAME"),
            (&["prune", "orders", "--version", ""], "--version"),
            (&["deploy", "app.wasm", "--label", ""], "--label"),
            (&["start-new", "order", "--id", ""], "--id"),
            (&["wait", "a", ""], "ID"),
            (&["get-instances", "--server", ""], "--server"),
            (&["serve", "--data", ""], "--data"),
            (&["key", "create", "ci", "--role", "read", "--hub", ""], "--hub"),
        ] {
            let refusal = read_line(words).unwrap_err();
            // For paths, clap has a message of its own.
            let says_so = refusal.contains("is empty") || refusal.contains("none was supplied");
            assert!(says_so && refusal.contains(option), "{words:?}: {refusal}");
        }
    }

    #[test]
    fn what_is_no_name_may_be_blank() {
        for words in [
            &["terminate", "order-17", "--reason", ""][..],
            &["get-entity", "counter", ""],
            &["signal-entity", "counter", "", "--operation", ""],
            &["build", "app", "--", ""],
            &["start-new", "order", "--wait"],
            &["get-instances", "--runtime-status", "failed", "pending"],
        ] {
            assert!(read_line(words).is_ok(), "{words:?}");
        }
    }

    #[test]
    fn a_named_connection_says_where_the_host_is() {
        let named = ["durable", "get-instances", "--connection-string-setting", "Production"];
        assert!(read_line(&named).is_ok());
        assert!(read_line(&[&named[..], &["--task-hub-name", "Hub"]].concat()).is_ok());
        for more in [["--server", "http://h"], ["--key", "dcp_x"]] {
            let refusal = read_line(&[&named[..], &more].concat()).unwrap_err();
            assert!(refusal.contains(more[0]) && refusal.contains("--connection-string-setting"), "{refusal}");
        }
        assert!(read_line(&["durable", "--connection-string-setting", "P", "get-instances", "--server", "h"]).is_err());
    }

    #[test]
    fn help_is_no_error() {
        let error = read(["dacapo", "--help"].map(OsString::from)).unwrap_err();
        assert_eq!((error.exit_code(), error.use_stderr()), (0, false));
    }
}
