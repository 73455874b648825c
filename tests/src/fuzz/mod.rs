//! Fuzzing: each target takes bytes, and panics if they cause a fault.
//!
//! - [`codec`]: bytes as stored values.
//! - [`turn`]: bytes as the actions of a guest and the events that reach it, hot and cold; and as a history that is replayed.
//! - [`request`]: bytes as an HTTP request, through the router; [`upload`]: bytes as an app.
//! - [`calls`]: bytes as the calls of a guest across the WIT boundary.
//!
//! `tests/fuzz` runs them under cargo-fuzz; [`short_run`] runs them with any compiler, from the same corpus.

pub mod calls;
pub mod codec;
mod host;
pub mod request;
pub mod turn;
pub mod upload;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

/// A fuzz target.
pub struct Target {
    /// The name of its file in `tests/fuzz/fuzz_targets` and of its folder in `tests/fuzz/corpus`.
    pub name: &'static str,
    pub run: fn(&[u8]),
}

pub static TARGETS: [Target; 5] = [
    Target { name: "codec", run: codec::target },
    Target { name: "turn", run: turn::target },
    Target { name: "request", run: request::target },
    Target { name: "upload", run: upload::target },
    Target { name: "calls", run: calls::target },
];

/// The longest input that mutation makes.
const BYTES_MAX: usize = 64 << 10;

/// Runs the whole corpus of a target, and then mutations of it until the time is over. Returns the number of inputs.
///
/// The inputs are determined by the seed, their number is not. An input that panics is printed first.
pub fn short_run(target: &Target, seed: u64, time: Duration) -> Result<usize> {
    let corpus = corpus(target.name)?;
    let begin = Instant::now();
    corpus.iter().for_each(|input| (target.run)(input));
    let mut random = StdRng::seed_from_u64(seed);
    let mut count = corpus.len();
    while begin.elapsed() < time {
        let input = mutated(&corpus, &mut random);
        let told = Told { name: target.name, input: &input };
        (target.run)(&input);
        std::mem::forget(told);
        count += 1;
    }
    Ok(count)
}

/// Prints the input if the target panics.
struct Told<'a> {
    name: &'static str,
    input: &'a [u8],
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        eprintln!("the target {} panics with the input {}", self.name, self.input.escape_ascii());
    }
}

fn corpus(target: &str) -> Result<Vec<Vec<u8>>> {
    let folder: PathBuf = crate::workspace().join("tests/fuzz/corpus").join(target);
    let files = std::fs::read_dir(&folder).with_context(|| format!("reading the corpus {}", folder.display()))?;
    let mut paths = files.map(|file| Ok(file?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    let corpus = paths.iter().map(|path| Ok(std::fs::read(path)?)).collect::<Result<Vec<_>>>()?;
    ensure!(!corpus.is_empty(), "the corpus {} is empty", folder.display());
    Ok(corpus)
}

/// Returns an input of the corpus, changed in a few places.
fn mutated(corpus: &[Vec<u8>], random: &mut StdRng) -> Vec<u8> {
    let mut bytes = corpus.choose(random).cloned().unwrap_or_default();
    for _ in 0..random.random_range(1..8) {
        let at = random.random_range(0..=bytes.len());
        let end = random.random_range(at..=bytes.len().min(at + 64));
        match random.random_range(0..6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..8),
            1 if at < bytes.len() => bytes[at] = *[0, 1, 0x7f, 0x80, 0xff, b'"', b'%', b'/'].choose(random).unwrap_or(&0),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let other = corpus.choose(random).map_or(&[][..], Vec::as_slice);
                let from = random.random_range(0..=other.len());
                let until = random.random_range(from..=other.len().min(from + 256));
                bytes.splice(at..at, other[from..until].iter().copied());
            }
            4 => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            _ => bytes
                .splice(at..at, (0..random.random_range(1..16)).map(|_| random.random::<u8>()).collect::<Vec<_>>())
                .for_each(drop),
        }
    }
    bytes.truncate(BYTES_MAX);
    bytes
}

/// Decisions derived from bytes. When the bytes are used up, all further ones are zero.
struct Decisions<'a>(&'a [u8]);

impl<'a> Decisions<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((&first, rest)) => {
                self.0 = rest;
                first
            }
            None => 0,
        }
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.byte()) % choices.len()]
    }
}
