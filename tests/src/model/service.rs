//! The service that the orchestrations call: it accepts or refuses requests as the test wants, and counts them.
//!
//! `/SLOT/ask` depends on the slot's switch; `/SLOT/once/KEY` always succeeds, and so does `/SLOT/slow/KEY`, after a delay.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::Result;

/// Longer than a host needs to record that an orchestration has failed.
const SLOW: Duration = Duration::from_millis(250);

pub struct Service {
    pub authority: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// The slots whose requests are refused.
    refused: HashSet<String>,
    /// The number of requests to each address that must be requested once.
    counts: HashMap<String, usize>,
}

impl Service {
    pub fn start() -> Result<Service> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let authority = listener.local_addr()?.to_string();
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = shared.clone();
                // A host that was killed does not read the response.
                std::thread::spawn(move || drop(answer(stream, &state)));
            }
        });
        Ok(Service { authority, state })
    }

    /// The base URL for a slot.
    pub fn url(&self, slot: &str) -> String {
        format!("http://{}/{slot}", self.authority)
    }

    pub fn switch(&self, slot: &str, on: bool) {
        let mut state = self.lock();
        match on {
            true => state.refused.remove(slot),
            false => state.refused.insert(slot.to_owned()),
        };
    }

    /// Returns the number of requested addresses that must be requested once.
    pub fn counted(&self) -> usize {
        self.lock().counts.len()
    }

    /// Resets the counts, and returns the addresses that were requested more than once.
    pub fn repeated(&self) -> Vec<String> {
        let counts = std::mem::take(&mut self.lock().counts);
        counts.into_iter().filter(|(_, count)| *count > 1).map(|(path, _)| path).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }
}

fn answer(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line)?;
    let path = line.split_whitespace().nth(1).unwrap_or_default();
    let mut segments = path.trim_start_matches('/').split('/');
    let (slot, what) = (segments.next().unwrap_or_default(), segments.next());
    let refused = {
        let mut state = state.lock().expect("no holder of this lock panics");
        if matches!(what, Some("once" | "slow")) {
            *state.counts.entry(path.to_owned()).or_default() += 1;
        }
        what == Some("ask") && state.refused.contains(slot)
    };
    if what == Some("slow") {
        std::thread::sleep(SLOW);
    }
    let (status, body) = if refused { ("503 Service Unavailable", "no") } else { ("200 OK", "yes") };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}
