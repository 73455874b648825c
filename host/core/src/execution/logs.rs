//! Log lines of guests.

/// The severity of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// A line that the guest logged in a live turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    pub level: LogLevel,
    pub message: String,
}

/// The lines of one turn, up to a limit.
#[derive(Debug)]
pub(crate) struct Logs {
    lines: Vec<LogLine>,
    bytes: usize,
    bytes_max: usize,
}

impl Logs {
    pub fn new(bytes_max: usize) -> Self {
        Self { lines: Vec::new(), bytes: 0, bytes_max }
    }

    /// Adds a line, or says once that lines are dropped.
    pub fn push(&mut self, level: LogLevel, message: &str) {
        if self.bytes > self.bytes_max {
            return;
        }
        self.bytes += message.len() + 1;
        let (level, message) = if self.bytes > self.bytes_max {
            (LogLevel::Warn, format!("log lines dropped: more than {} bytes in one turn", self.bytes_max))
        } else {
            (level, message.to_owned())
        };
        self.lines.push(LogLine { level, message });
    }

    pub fn set_limit(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    /// Resets the count of bytes.
    pub fn begin_turn(&mut self) {
        self.bytes = 0;
    }

    pub fn take(&mut self) -> Vec<LogLine> {
        std::mem::take(&mut self.lines)
    }
}
