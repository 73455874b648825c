//! The log: one line for each event, on standard error.
//!
//! ```text
//!   any thread ─▶ queue (bounded) ─▶ the log's own thread ─▶ standard error
//! ```
//!
//! Standard error may at any time be a pipe that is not read or is broken, or a file on a full disk. So no thread that has other
//! work ever writes to it: lines that cannot be written wait in the queue, and lines that do not fit there are dropped and
//! counted.

use std::collections::VecDeque;
use std::io::{self, IsTerminal as _, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::printable::{JsonLog, log_fields};

/// The capacity of the queue in bytes. Lines that exceed it are lost.
const QUEUE_BYTES_MAX: usize = 4 << 20;

/// How long the end of the process waits for the last lines.
const FLUSH_TIME: Duration = Duration::from_secs(1);

/// The exit code of a host that cannot continue because a thread that others need is gone (`EX_SOFTWARE` of sysexits).
pub const CANNOT_GO_ON: i32 = 70;

/// The settings of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    pub format: LogFormat,
    pub filter: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".into() }
    }
}

static LINES: OnceLock<Arc<Lines>> = OnceLock::new();

/// Flushes the log on drop, for a limited time.
pub struct Log(());

impl Drop for Log {
    fn drop(&mut self) {
        flush();
    }
}

/// Starts the log of this process.
pub fn start(settings: &LogSettings) -> anyhow::Result<Log> {
    let filter = tracing_subscriber::EnvFilter::try_new(&settings.filter)
        .with_context(|| format!("log.filter is '{}', but should be such as info or info,dacapo::api=debug", settings.filter))?;
    let colors = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = LINES.get_or_init(Arc::default).clone();
    let writing = lines.clone();
    let thread = std::thread::Builder::new().name("log".into()).spawn(move || writing.write_all_to(&mut io::stderr()));
    thread.context("starting the thread that writes the log")?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines).with_ansi(colors);
    // Otherwise tracing would report on standard error that standard error cannot be written, and panic.
    let subscriber = subscriber.log_internal_errors(false);
    match settings.format {
        LogFormat::Text => subscriber.fmt_fields(log_fields()).init(),
        LogFormat::Json => subscriber.json().map_event_format(JsonLog).init(),
    }
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current().name().unwrap_or("unnamed").to_owned();
        match dacapo_store::is_reading() {
            true => tracing::error!(thread, "the storage library cannot read a file, which is damaged: {panic}"),
            false => tracing::error!(thread, "{panic}; this is a bug of the host, please report it"),
        }
    }));
    Ok(Log(()))
}

/// Waits until everything is written, for a limited time.
pub fn flush() {
    if let Some(lines) = LINES.get() {
        lines.flush(FLUSH_TIME);
    }
}

/// Ends the process, because a thread that others wait for is gone and they would wait for ever. Everything that was acknowledged
/// is stored, and resumed by the next process.
pub fn abort(why: &str) -> ! {
    tracing::error!("{why}: the host ends with the exit code {CANNOT_GO_ON}; nothing that was acknowledged is lost");
    flush();
    std::process::exit(CANNOT_GO_ON)
}

/// Lines that wait to be written.
#[derive(Default)]
struct Lines {
    state: Mutex<State>,
    /// Notified when there is a line.
    filled: Condvar,
    /// Notified when all lines were written, or could not be.
    emptied: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Lines that were lost and not reported yet.
    lost: u64,
    /// Some lines were taken out and are not written yet.
    writing: bool,
}

impl Lines {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.bytes + line.len() > QUEUE_BYTES_MAX {
            state.lost += 1;
            return;
        }
        state.bytes += line.len();
        state.lines.push_back(line.to_owned());
        drop(state);
        self.filled.notify_one();
    }

    /// Never returns.
    fn write_all_to(&self, output: &mut impl Write) {
        loop {
            let lines = {
                let mut state = self.lock();
                while state.lines.is_empty() {
                    state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                state.writing = true;
                std::mem::take(&mut state.lines)
            };
            let unwritten = write(output, &lines);
            let mut state = self.lock();
            // Lines count towards the limit until they are written.
            state.bytes -= lines.iter().map(Vec::len).sum::<usize>();
            state.writing = false;
            state.lost += unwritten;
            let lost = if unwritten == 0 { std::mem::take(&mut state.lost) } else { 0 };
            drop(state);
            self.emptied.notify_all();
            if lost > 0 {
                tracing::warn!(lost, "log lines were lost: standard error could not be written, or not fast enough");
            }
        }
    }

    fn flush(&self, within: Duration) {
        let until = Instant::now() + within;
        let mut state = self.lock();
        while !state.lines.is_empty() || state.writing {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.emptied.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Returns the number of lines that could not be written.
fn write(output: &mut impl Write, lines: &VecDeque<Vec<u8>>) -> u64 {
    lines.iter().filter(|line| output.write_all(line).is_err()).count() as u64
}

/// Each call passes one whole line.
impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An output that fails like a full disk while `full` is set.
    struct Disk {
        full: bool,
        written: Vec<u8>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.full {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.written.extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_cannot_be_written_is_counted_and_fails_nobody() {
        let lines = VecDeque::from([b"a\n".to_vec(), b"b\n".to_vec()]);
        let mut disk = Disk { full: true, written: Vec::new() };
        assert_eq!(write(&mut disk, &lines), 2);
        disk.full = false;
        assert_eq!(write(&mut disk, &lines), 0);
        assert_eq!(disk.written, b"a\nb\n");
    }

    /// Without a reader, the queue is bounded and logging does not block.
    #[test]
    fn the_queue_is_bounded_and_who_logs_never_waits() {
        let lines = Lines::default();
        let line = vec![b'x'; 1 << 20];
        for _ in 0..10 {
            lines.push(&line);
        }
        let state = lines.lock();
        assert_eq!((state.lines.len(), state.lost), (4, 6));
    }
}
