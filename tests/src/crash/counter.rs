//! A service that counts the requests to each of its addresses, to prove that functions ran.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use anyhow::Result;

pub struct Counter {
    pub authority: String,
    pub url: String,
    visits: Arc<Mutex<HashMap<String, Visits>>>,
}

/// The requests to one address.
#[derive(Debug, Clone)]
pub struct Visits {
    pub count: usize,
    /// When the first of them came.
    pub first: SystemTime,
}

impl Counter {
    pub fn start() -> Result<Counter> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let authority = listener.local_addr()?.to_string();
        let visits: Arc<Mutex<HashMap<String, Visits>>> = Arc::default();
        let seen = visits.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut line = String::new();
                let read = BufReader::new(&stream).read_line(&mut line);
                if let Some(path) = line.split_whitespace().nth(1) {
                    let mut seen = seen.lock().expect("no holder of this lock panics");
                    let visits = seen.entry(path.to_owned()).or_insert_with(|| Visits { count: 0, first: SystemTime::now() });
                    visits.count += 1;
                }
                let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
                // A host that was killed does not read the response.
                let _ = read.and_then(|_| stream.write_all(answer.as_bytes()));
            }
        });
        Ok(Counter { url: format!("http://{authority}"), authority, visits })
    }

    /// The requests so far, by path.
    pub fn visits(&self) -> HashMap<String, Visits> {
        self.visits.lock().expect("no holder of this lock panics").clone()
    }
}
