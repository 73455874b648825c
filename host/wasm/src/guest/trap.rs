//! The failure of a guest that did not return. The only place that interprets wasmtime's errors.

use std::collections::VecDeque;
use std::time::Duration;

use dacapo_core::Failure;
use wasmtime::{Error, PoolConcurrencyLimitError, ThrownException, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::config::GuestLimits;
use crate::dependency_errors;
use crate::deployment::imports::Role;
use crate::engine::limiter::Refusal;

/// Lines of standard error that are kept, to find a panic's message in them.
const STDERR_LINES_MAX: usize = 32;

/// Bytes of each text of a failure: it is kept in histories and shown to people.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// A failure whose texts are no longer than they may be.
pub(crate) fn bounded(failure: Failure) -> Failure {
    fn cut(mut text: String) -> String {
        if text.len() > TEXT_BYTES_MAX {
            text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
            text.push('…');
        }
        text
    }
    let Failure { error_type, message, details, retriable } = failure;
    Failure { error_type: cut(error_type), message: cut(message), details: details.map(cut), retriable }
}

/// The last output of the guest. A panic is a trap like any other, but it is announced: the SDK logs
/// `panicked at {location}: {message}` as an error; languages on WASI write to standard error.
#[derive(Debug, Default)]
pub(crate) struct PanicOutput {
    logged: Option<String>,
    stderr: VecDeque<String>,
}

impl PanicOutput {
    /// Takes a line that the guest logged as an error.
    pub fn logged(&mut self, line: &str) {
        self.logged = Some(line[..line.floor_char_boundary(TEXT_BYTES_MAX)].to_owned());
    }

    /// Takes a line of standard error. Keeps the first lines from the announcement of a panic on, because the trace after its
    /// message may be long, or else the last lines.
    pub fn printed(&mut self, line: &str) {
        if is_panic(line) {
            self.stderr.clear();
        }
        if self.stderr.len() == STDERR_LINES_MAX {
            if self.stderr.front().is_some_and(|first| is_panic(first)) {
                return;
            }
            self.stderr.pop_front();
        }
        self.stderr.push_back(line.to_owned());
    }

    fn panic(&self) -> Option<Panic> {
        self.logged.as_deref().and_then(Panic::logged).or_else(|| Panic::printed(&self.stderr))
    }

    fn printed_text(&self) -> Option<String> {
        (!self.stderr.is_empty()).then(|| Vec::from_iter(self.stderr.iter().map(String::as_str)).join("\n"))
    }
}

#[derive(Debug, PartialEq)]
struct Panic {
    message: String,
    location: Option<String>,
}

impl Panic {
    /// `panicked at src/lib.rs:1:2: the message`
    fn logged(line: &str) -> Option<Self> {
        let rest = line.strip_prefix("panicked at ")?;
        let (location, message) = rest.split_once(": ").unwrap_or((rest, "it panicked"));
        Some(Self { message: message.to_owned(), location: Some(location.to_owned()) })
    }

    /// Rust: `thread 'main' panicked at src/lib.rs:1:2:`, then the message, then notes. Go: `panic: the message`, and
    /// `fatal error: the message` for fatal errors of its runtime.
    fn printed(lines: &VecDeque<String>) -> Option<Self> {
        let line = lines.front().filter(|line| is_panic(line))?;
        if let Some(message) = GO_PANICS.iter().find_map(|begins| line.strip_prefix(begins)) {
            return Some(Self { message: message.to_owned(), location: None });
        }
        let (_, location) = line.split_once(" panicked at ")?;
        let message: Vec<&str> = lines.range(1..).map(String::as_str).take_while(|line| !is_note(line)).collect();
        Some(Self { message: message.join("\n").trim().to_owned(), location: Some(location.trim_end_matches(':').to_owned()) })
    }
}

const GO_PANICS: [&str; 2] = ["panic: ", "fatal error: "];

fn is_panic(line: &str) -> bool {
    GO_PANICS.iter().any(|begins| line.starts_with(begins)) || (line.starts_with("thread '") && line.contains(" panicked at "))
}

fn is_note(line: &str) -> bool {
    line.starts_with("note: ") || line.starts_with("stack backtrace:")
}

/// The failure of a guest that computed for longer than its fuel may last.
pub(crate) fn overdue(most: Duration) -> Failure {
    let message = format!(
        "it computed for more than {most:?}, much longer than its fuel (fuel_per_turn) should last: it may be that it \
         collects garbage all the time, because nearly all of its memory is in use"
    );
    Failure::permanent(Failure::FUEL_EXHAUSTED, message)
}

/// The pool has no free slot for a part of a guest. A problem of the host, not a failure of the guest.
#[derive(Debug)]
pub(crate) struct NoRoom;

impl NoRoom {
    /// Recognises the error of an instantiation that failed for this reason.
    pub fn of(error: &Error) -> Option<Self> {
        error.is::<PoolConcurrencyLimitError>().then(|| {
            tracing::warn!("the guest pool is full although the guest has a permit; it is started again later: {error}");
            Self
        })
    }
}

/// Why a guest was stopped at a checkpoint. It is never shown: the result of a turn that was cut off is dropped.
pub(crate) const STOPPED: &str = "the host stops, and this turn with it; it is run again";

/// The failure of a guest that was stopped at a checkpoint.
pub(crate) fn stopped() -> Failure {
    Failure::retriable(Failure::TRAP, STOPPED)
}

/// The circumstances in which a guest stopped.
pub(crate) struct TrapContext<'a> {
    pub limits: &'a GuestLimits,
    pub refused: Option<Refusal>,
    pub panic_output: &'a PanicOutput,
    pub role: Role,
}

impl TrapContext<'_> {
    /// Turns the error of a call into a guest into the failure that its caller sees.
    pub fn failure(&self, error: &Error) -> Failure {
        let backtrace = error.downcast_ref::<WasmBacktrace>().filter(|trace| !trace.frames().is_empty()).map(ToString::to_string);
        let (error_type, message, context_line) = self.classify(error);
        let details = [context_line, backtrace].into_iter().flatten().collect::<Vec<_>>().join("\n");
        let details = (!details.is_empty()).then_some(details);
        // Another attempt may succeed only if the guest depends on the outside world. An orchestrator or an entity would do the
        // same again.
        let retriable = matches!(self.role, Role::Activity | Role::Trigger);
        bounded(Failure { error_type: error_type.to_owned(), message, details, retriable })
    }

    /// The name of the limit that refused the guest something.
    fn limit(&self, refused: Refusal) -> &'static str {
        match (refused, self.role) {
            (Refusal::Memory { .. }, Role::Activity | Role::Trigger) => "activity_memory_bytes",
            (Refusal::Memory { .. }, Role::Orchestrator | Role::Entity) => "orchestrator_memory_bytes",
            (Refusal::Table { .. }, _) => "table_elements",
        }
    }

    fn classify(&self, error: &Error) -> (&'static str, String, Option<String>) {
        let trap = error.downcast_ref::<Trap>();
        let cause = error.root_cause().to_string();
        if trap == Some(&Trap::OutOfFuel) {
            let fuel = self.limits.fuel_per_turn;
            let span = if self.role == Role::Entity { "operation" } else { "turn" };
            let message = format!(
                "it used up the {fuel} units of fuel that one {span} may spend (fuel_per_turn): it loops, or an activity should do this work"
            );
            return (Failure::FUEL_EXHAUSTED, message, None);
        }
        if dependency_errors::exceeds_hostcall_fuel(&cause) {
            let message = "it passed more to the host in one call than any payload may have".to_owned();
            return (Failure::LIMIT_EXCEEDED, message, None);
        }
        if trap == Some(&Trap::StackOverflow) {
            let message = format!("it recursed deeper than a stack of {} bytes allows", self.limits.stack_bytes);
            return (Failure::STACK_OVERFLOW, message, None);
        }
        if trap == Some(&Trap::AllocationTooLarge) {
            return (Failure::OUT_OF_MEMORY, "it wanted an object larger than any memory".to_owned(), None);
        }
        if let Some(refused) = self.refused {
            let said = self.panic_output.panic().map(|panic| panic.message);
            return (Failure::OUT_OF_MEMORY, format!("{refused} ({})", self.limit(refused)), Some(said.unwrap_or(cause)));
        }
        if let Some(panic) = self.panic_output.panic() {
            return (Failure::PANIC, panic.message, panic.location);
        }
        if error.is::<ThrownException>() {
            let message = "it threw an exception that nothing in it catches".to_owned();
            return (Failure::TRAP, message, self.panic_output.printed_text());
        }
        if let Some(I32Exit(code)) = error.downcast_ref::<I32Exit>() {
            let message = format!("it called exit({code}) instead of returning");
            return (Failure::TRAP, message, self.panic_output.printed_text());
        }
        (Failure::TRAP, cause, self.panic_output.printed_text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_are_found_in_what_the_guest_said_last() {
        let mut words = PanicOutput::default();
        assert_eq!(words.panic(), None);
        words.printed("thread 'main' (1) panicked at src/lib.rs:10:5:");
        words.printed("the sky");
        words.printed("has fallen");
        words.printed("note: run with `RUST_BACKTRACE=1`");
        let panic = words.panic().unwrap();
        assert_eq!((panic.message.as_str(), panic.location.as_deref()), ("the sky\nhas fallen", Some("src/lib.rs:10:5")));

        words.logged("panicked at src/app.rs:1:2: no stock: 0 left");
        let panic = words.panic().unwrap();
        assert_eq!((panic.message.as_str(), panic.location.as_deref()), ("no stock: 0 left", Some("src/app.rs:1:2")));
    }

    #[test]
    fn the_texts_of_a_failure_are_cut() {
        let long = Failure::permanent("Long", "ä".repeat(TEXT_BYTES_MAX));
        assert_eq!(bounded(long).message.len(), TEXT_BYTES_MAX + '…'.len_utf8());
    }

    #[test]
    fn a_later_error_line_is_not_a_panic() {
        let mut words = PanicOutput::default();
        words.logged("panicked at src/app.rs:1:2: caught by someone");
        words.logged("the disk is full");
        assert_eq!(words.panic(), None);
        words.printed("panic: runtime error: index out of range");
        assert_eq!(words.panic().unwrap().message, "runtime error: index out of range");
    }

    #[test]
    fn a_long_trace_does_not_push_the_message_out() {
        let mut words = PanicOutput::default();
        (0..100).for_each(|n| words.printed(&format!("working on {n}")));
        words.printed("fatal error: all goroutines are asleep - deadlock!");
        (0..100).for_each(|n| words.printed(&format!("goroutine {n} [select]:")));
        assert_eq!(words.panic().unwrap().message, "all goroutines are asleep - deadlock!");
        assert_eq!(words.printed_text().unwrap().lines().count(), STDERR_LINES_MAX);
    }
}
