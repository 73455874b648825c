//! Waits for the end of orchestrations: for `wait`, and for the option `--wait` of commands that start one.
//!
//! A thread for each instance, up to a limit, sends requests that the host answers when the instance has ended or after a step.
//! On a terminal the steps are short, and the states are drawn meanwhile.

use std::io::Stderr;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use clap::Args;

use super::client::{Client, Connection, Target};
use super::error::CliError;
use super::instance::Instance;
use super::interrupt;
use super::live::Live;
use super::output::{note, print, shell_word};
use super::times::elapsed;
use crate::bad_value::BadValue;
use crate::printable::printable;

/// How long one request waits, before the next one. Short enough for proxies on the way to the host.
const STEP: Duration = Duration::from_secs(30);
/// The same if progress is drawn.
const STEP_SHOWN: Duration = Duration::from_secs(1);
/// How long a host that was reached before may be unreachable: it may be restarting.
const UNREACHABLE_MAX: Duration = Duration::from_secs(30);
const RETRY_PAUSE: Duration = Duration::from_millis(200);
const REDRAW: Duration = Duration::from_millis(500);
/// The most instances that are waited for at once; others follow when some of these have ended.
const THREADS_MAX: usize = 32;
/// The most instances that are drawn.
const SHOWN_MAX: usize = 10;

/// The option of commands that start something.
#[derive(Debug, Args)]
pub(super) struct WaitArgument {
    /// Wait for the end, at most this many seconds, and print the output.
    #[arg(long = "wait", value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "inf", value_parser = WaitTimeout::parse)]
    pub patience: Option<WaitTimeout>,
}

/// How long to wait.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum WaitTimeout {
    Forever,
    AtMost(Duration),
}

impl WaitTimeout {
    pub fn parse(text: &str) -> Result<Self, BadValue> {
        if text == "inf" {
            return Ok(WaitTimeout::Forever);
        }
        let seconds: f64 = text.parse().map_err(|_| "it is not a number of seconds")?;
        Duration::try_from_secs_f64(seconds).map(WaitTimeout::AtMost).map_err(|why| why.to_string().into())
    }

    /// None: no deadline, or one beyond what the clock can count.
    fn deadline(self) -> Option<Instant> {
        match self {
            WaitTimeout::Forever => None,
            WaitTimeout::AtMost(duration) => Instant::now().checked_add(duration),
        }
    }
}

/// An instance once it has ended, or is waited for no longer.
#[derive(Debug)]
pub(super) struct Waited {
    /// The host's own JSON.
    pub text: String,
    pub instance: Instance,
}

/// Waits for one instance and prints its output, or the host's JSON for programs.
pub(super) fn wait_for_output(connection: &Connection, id: &str, patience: WaitTimeout) -> Result<(), CliError> {
    let mut waited = wait_for(&connection.client(), std::slice::from_ref(&id.to_owned()), patience, !connection.json);
    let waited = waited.pop().expect("one instance is waited for")?;
    if connection.json {
        print(&waited.text)?;
    } else if waited.instance.runtime_status == "Completed" {
        print(waited.instance.output_text())?;
    }
    waited.instance.verdict()
}

/// Waits until all instances have ended or halted, or the time is up. Returns the results in the order of the ids.
pub(super) fn wait_for(client: &Client, ids: &[String], patience: WaitTimeout, show: bool) -> Vec<Result<Waited, CliError>> {
    let live = Live::progress().filter(|_| show);
    let words: Vec<_> = ids.iter().map(|id| shell_word(id)).collect();
    interrupt::says(format!("No longer waiting; the host goes on. To wait again: dacapo wait {}", words.join(" ")));
    let asking = Poller { client, deadline: patience.deadline(), step: if live.is_some() { STEP_SHOWN } else { STEP } };
    let progress = Progress::new(ids, live);
    let (sender, arriving) = channel();
    let queue = Mutex::new(ids.iter().enumerate());
    std::thread::scope(|scope| {
        for _ in 0..ids.len().min(THREADS_MAX) {
            let (asking, queue, sender) = (&asking, &queue, sender.clone());
            scope.spawn(move || {
                let next = || queue.lock().expect("no holder of this lock panics").next();
                while let Some((index, id)) = next() {
                    let end = asking.until_end(id, |instance| tell(&sender, WaitProgress::State(index, instance)));
                    tell(&sender, WaitProgress::End(index, end));
                }
            });
        }
        drop(sender);
        progress.follow(&arriving)
    })
}

/// Sends a report. The receiver lives until all senders are gone.
fn tell(sender: &Sender<WaitProgress>, what: WaitProgress) {
    let _ = sender.send(what);
}

enum WaitProgress {
    State(usize, Instance),
    End(usize, Result<Waited, CliError>),
}

struct Poller<'a> {
    client: &'a Client,
    deadline: Option<Instant>,
    step: Duration,
}

impl Poller<'_> {
    /// Asks about one instance until it has ended, and reports its state meanwhile.
    fn until_end(&self, id: &str, tell: impl Fn(Instance)) -> Result<Waited, CliError> {
        let mut unreachable_since: Option<Instant> = None;
        let mut known = false;
        loop {
            let begun = Instant::now();
            let left = self.deadline.map_or(self.step, |deadline| deadline.saturating_duration_since(begun));
            // The first request does not wait, so that a missing instance is reported at once.
            let step = if known { left.min(self.step) } else { Duration::ZERO };
            match self.ask(id, step) {
                Ok(waited) if waited.instance.has_ended() || waited.instance.halted.is_some() || left.is_zero() => {
                    return Ok(waited);
                }
                Ok(waited) => {
                    (known, unreachable_since) = (true, None);
                    tell(waited.instance);
                }
                Err(CliError::Unreachable { .. })
                    if known && !left.is_zero() && unreachable_since.get_or_insert(begun).elapsed() < UNREACHABLE_MAX => {}
                Err(error) => return Err(error),
            }
            // A host that is stopping responds at once: do not ask again in a tight loop.
            if begun.elapsed() < step.min(RETRY_PAUSE) {
                std::thread::sleep(RETRY_PAUSE);
            }
        }
    }

    fn ask(&self, id: &str, step: Duration) -> Result<Waited, CliError> {
        let target = Target::instance(id, []).with("wait", step.as_secs_f64());
        let answer = self.client.get(&target)?.about_instance(id)?;
        Ok(Waited { instance: answer.parse()?, text: answer.text })
    }
}

/// The progress that is drawn on a terminal.
struct Progress<'a> {
    ids: &'a [String],
    states: Vec<Option<Instance>>,
    ended: usize,
    begun: Instant,
    live: Option<Live<Stderr>>,
}

impl<'a> Progress<'a> {
    fn new(ids: &'a [String], live: Option<Live<Stderr>>) -> Self {
        Self { ids, states: vec![None; ids.len()], ended: 0, begun: Instant::now(), live }
    }

    /// Draws what arrives until there is nothing more.
    fn follow(mut self, arriving: &Receiver<WaitProgress>) -> Vec<Result<Waited, CliError>> {
        let mut ends: Vec<_> = self.ids.iter().map(|_| None).collect();
        loop {
            match arriving.recv_timeout(REDRAW) {
                Ok(WaitProgress::State(index, instance)) => self.states[index] = Some(instance),
                Ok(WaitProgress::End(index, end)) => {
                    self.states[index] = end.as_ref().ok().map(|waited| waited.instance.clone());
                    self.ended += 1;
                    ends[index] = Some(end);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.draw();
        }
        self.clear();
        ends.into_iter().map(|end| end.expect("each thread reports the end of what it takes")).collect()
    }

    fn draw(&mut self) {
        let text = self.lines().join("\n");
        if let Some(live) = &mut self.live {
            // If standard error is closed, nobody sees this.
            let _ = live.draw(&printable(&text));
        }
    }

    /// One line for one instance; for several a summary, and a line for each of those that have not ended.
    fn lines(&self) -> Vec<String> {
        let time = elapsed(self.begun.elapsed());
        let line = |index: usize| match &self.states[index] {
            Some(state) => format!("{}  {}  {}", state.instance_id, state.runtime_status, state.detail()),
            None => self.ids[index].clone(),
        };
        if self.ids.len() == 1 {
            return vec![format!("{time}  {}", line(0))];
        }
        let open = (0..self.ids.len()).filter(|&index| self.states[index].as_ref().is_none_or(|state| !state.has_ended()));
        let summary = format!("{time}  {} of {} have ended", self.ended, self.ids.len());
        std::iter::once(summary).chain(open.take(SHOWN_MAX).map(|index| format!("  {}", line(index)))).collect()
    }

    fn clear(&mut self) {
        if let Some(live) = &mut self.live {
            let _ = live.clear();
        }
    }
}

/// Returns the worst of several errors, and prints the others.
pub(super) fn together(errors: Vec<CliError>) -> Result<(), CliError> {
    let mut errors = errors;
    match errors.len() {
        0 => Ok(()),
        1 => Err(errors.remove(0)),
        _ => {
            // A failure of the waiting itself is worse than an orchestration that did not complete.
            let worst = errors.iter().position(|error| !matches!(error, CliError::NotCompleted(_)));
            let worst = worst.unwrap_or(errors.len() - 1);
            let worst = errors.remove(worst);
            errors.iter().for_each(|error| note(format_args!("dacapo: {error}")));
            Err(worst)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waited(json: &str) -> Waited {
        Waited { text: json.into(), instance: serde_json::from_str(json).unwrap() }
    }

    fn state(status: &str, rest: &str) -> String {
        format!(
            r#"{{"name":"f","instanceId":"i","runtimeStatus":"{status}","createdTime":"","lastUpdatedTime":"","input":null,"customStatus":"half","output":"why"{rest}}}"#
        )
    }

    #[test]
    fn patience_is_a_number_of_seconds() {
        assert_eq!(WaitTimeout::parse("2.5"), Ok(WaitTimeout::AtMost(Duration::from_millis(2_500))));
        assert_eq!(WaitTimeout::parse("inf"), Ok(WaitTimeout::Forever));
        for wrong in ["", "-1", "NaN", "1e300", "soon"] {
            assert!(WaitTimeout::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_what_completed_is_well() {
        let refusal = |json: &str| waited(json).instance.verdict().err().map(|error| error.to_string());
        assert_eq!(refusal(&state("Completed", "")), None);
        for (json, expected) in [
            (state("Failed", ""), "is Failed: why"),
            (state("Terminated", ""), "is Terminated: why"),
            (state("Suspended", r#","halted":"other code""#), "dacapo resume i"),
            (state("Running", ""), "dacapo wait i"),
        ] {
            let refusal = refusal(&json).unwrap_or_default();
            assert!(refusal.contains(expected), "{json}: {refusal}");
        }
    }

    #[test]
    fn progress_shows_what_has_not_ended() {
        let ids = ["a".to_owned(), "i".to_owned(), "c".to_owned()];
        let mut progress = Progress::new(&ids[1..2], None);
        progress.states[0] = Some(waited(&state("Running", "")).instance);
        assert_eq!(progress.lines(), ["0s  i  Running  \"half\""]);
        let mut progress = Progress::new(&ids, None);
        progress.states[0] = Some(waited(&state("Completed", "")).instance);
        progress.states[1] = Some(waited(&state("Running", "")).instance);
        progress.ended = 1;
        assert_eq!(progress.lines(), ["0s  1 of 3 have ended", "  i  Running  \"half\"", "  c"]);
    }

    #[test]
    fn several_errors_are_as_bad_as_the_worst() {
        let not_completed = || CliError::NotCompleted("x".into());
        assert!(together(vec![]).is_ok());
        assert!(matches!(together(vec![not_completed(), not_completed()]), Err(CliError::NotCompleted(_))));
        assert!(matches!(together(vec![not_completed(), CliError::NotFound("y".into())]), Err(CliError::NotFound(_))));
    }
}
