//! A guest's standard output and error, cut into log lines.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

/// Bytes after which a line is cut, so that a guest that never ends one does not fill the host's memory.
const LINE_BYTES_MAX: usize = 16 << 10;

/// Collects bytes and passes whole lines to a sink. Clones share the collected bytes.
#[derive(Clone)]
pub(crate) struct Lines(Arc<Mutex<Inner>>);

struct Inner {
    partial: Vec<u8>,
    sink: Sink,
}

/// Takes a line, or stops the guest.
type Sink = Box<dyn FnMut(&str) -> wasmtime::Result<()> + Send>;

impl Lines {
    pub fn new(sink: impl FnMut(&str) -> wasmtime::Result<()> + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Inner { partial: Vec::new(), sink: Box::new(sink) })))
    }

    fn push(&self, bytes: &[u8]) -> wasmtime::Result<()> {
        let mut inner = self.0.lock().expect("a sink does not panic");
        let mut rest = bytes;
        while !rest.is_empty() {
            let end = rest.iter().position(|&byte| byte == b'\n');
            let room = LINE_BYTES_MAX - inner.partial.len();
            let length = end.unwrap_or(rest.len()).min(room);
            inner.partial.extend_from_slice(&rest[..length]);
            rest = &rest[length..];
            if end == Some(length) {
                rest = &rest[1..];
                inner.hand_over()?;
            } else if inner.partial.len() == LINE_BYTES_MAX {
                inner.hand_over()?;
            }
        }
        Ok(())
    }

    /// Passes on the incomplete last line when the guest has ended.
    pub fn finish(&self) {
        let mut inner = self.0.lock().expect("a sink does not panic");
        if !inner.partial.is_empty() {
            // It has ended: there is nothing to stop.
            let _ = inner.hand_over();
        }
    }
}

impl Inner {
    fn hand_over(&mut self) -> wasmtime::Result<()> {
        let line = std::mem::take(&mut self.partial);
        (self.sink)(String::from_utf8_lossy(&line).trim_end_matches('\r'))
    }
}

impl IsTerminal for Lines {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Lines {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        // Asked for by WASI 0.3 only, which no role has.
        Box::new(tokio::io::sink())
    }
}

/// Never full: writing never blocks a guest.
#[async_trait]
impl Pollable for Lines {
    async fn ready(&mut self) {}
}

impl OutputStream for Lines {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > LINE_BYTES_MAX {
            return Err(StreamError::trap("it wrote more than `check-write` had permitted"));
        }
        self.push(&bytes).map_err(StreamError::Trap)
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(LINE_BYTES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_and_the_last_one_needs_no_end() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = seen.clone();
        let lines = Lines::new(move |line| {
            sink.lock().unwrap().push(line.to_owned());
            Ok(())
        });
        lines.push(b"one\ntw").unwrap();
        lines.push(b"o\r\n\nthree").unwrap();
        lines.finish();
        lines.finish();
        assert_eq!(*seen.lock().unwrap(), ["one", "two", "", "three"]);
        lines.push(&[b'x'; 2 * LINE_BYTES_MAX + 1]).unwrap();
        lines.finish();
        let lengths: Vec<usize> = seen.lock().unwrap()[4..].iter().map(String::len).collect();
        assert_eq!(lengths, [LINE_BYTES_MAX, LINE_BYTES_MAX, 1]);
    }
}
