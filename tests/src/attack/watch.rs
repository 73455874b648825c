//! Inspects every byte that reaches the attacker for data that is not the attacker's.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Texts that must not reach the attacker, and which of them have.
#[derive(Default)]
pub struct Watch {
    treasures: Mutex<Vec<Treasure>>,
    leaked: Mutex<Vec<String>>,
}

struct Treasure {
    what: String,
    text: String,
}

impl Watch {
    pub fn guard(&self, what: &str, text: &str) {
        let treasure = Treasure { what: what.to_owned(), text: text.to_owned() };
        self.treasures.lock().expect("no holder of this lock panics").push(treasure);
    }

    /// Inspects bytes that the attacker has received.
    pub fn inspect(&self, bytes: &[u8]) {
        let treasures = self.treasures.lock().expect("no holder of this lock panics");
        for treasure in treasures.iter().filter(|treasure| memchr::memmem::find(bytes, treasure.text.as_bytes()).is_some()) {
            self.leaked.lock().expect("no holder of this lock panics").push(treasure.what.clone());
        }
    }

    /// Returns what has reached the attacker since the last call.
    pub fn leaked(&self) -> Vec<String> {
        std::mem::take(&mut *self.leaked.lock().expect("no holder of this lock panics"))
    }

    /// The number of earlier bytes to keep, as a text may begin in them and end in later ones.
    fn overlap(&self) -> usize {
        let treasures = self.treasures.lock().expect("no holder of this lock panics");
        treasures.iter().map(|treasure| treasure.text.len()).max().unwrap_or(1) - 1
    }
}

/// A stream of the attacker. The watch inspects all bytes read from it.
pub struct Watched<S> {
    stream: S,
    watch: Arc<Watch>,
    /// The last bytes of earlier reads.
    tail: Vec<u8>,
}

impl<S> Watched<S> {
    pub fn new(stream: S, watch: Arc<Watch>) -> Self {
        Self { stream, watch, tail: Vec::new() }
    }

    fn inspect(&mut self, came: &[u8]) {
        self.tail.extend_from_slice(came);
        self.watch.inspect(&self.tail);
        let seen = self.tail.len().saturating_sub(self.watch.overlap());
        self.tail.drain(..seen);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.inspect(&buffer.filled()[before..]);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    /// Also across two reads.
    #[tokio::test]
    async fn what_is_not_the_attackers_is_found() {
        let watch = Arc::new(Watch::default());
        watch.guard("the crown", "gold and velvet");
        for (pieces, leaked) in [([&b"nothing but go"[..], b"ld"], 0), ([b"a crown of gold a", b"nd velvet, and more"], 1)] {
            Watched::new(pieces[0].chain(pieces[1]), watch.clone()).read_to_end(&mut Vec::new()).await.unwrap();
            assert_eq!(watch.leaked().len(), leaked);
        }
    }
}
