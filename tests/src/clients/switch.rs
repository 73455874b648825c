//! A service whose addresses fail until they are switched on.
//!
//! - `GET /NAME` is counted, and succeeds if `NAME` ends with `-on` or was switched on; otherwise the connection just ends.
//! - `POST /NAME/on` switches it on.
//! - `GET /NAME/asked` returns the number of requests for `NAME`.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};

/// Serves until the process ends.
pub struct Switch {
    pub authority: String,
}

#[derive(Default)]
struct State {
    on: HashSet<String>,
    asked: HashMap<String, usize>,
}

impl Switch {
    pub fn start() -> Result<Switch> {
        let listener = TcpListener::bind("127.0.0.1:0").context("listening as the service that can be switched on")?;
        let authority = listener.local_addr()?.to_string();
        let state: Arc<Mutex<State>> = Arc::default();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = state.clone();
                // The client may disconnect without waiting for the response.
                std::thread::spawn(move || drop(serve(stream, &state)));
            }
        });
        Ok(Switch { authority })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.authority)
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let (method, path) = read_request(&stream)?;
    let answer = state.lock().expect("no holder of this lock panics").answer(&method, &path);
    let Some(body) = answer else { return Ok(()) };
    let length = body.len();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
    stream.write_all(format!("{head}Content-Length: {length}\r\n\r\n{body}").as_bytes())
}

/// Reads a request and returns its method and path. The body is read too, or the client's writes would fail.
fn read_request(stream: &TcpStream) -> std::io::Result<(String, String)> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let request = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut body_bytes = 0;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
            break;
        }
        match header.split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                body_bytes = value.trim().parse().unwrap_or_default();
            }
            _ => {}
        }
    }
    std::io::copy(&mut reader.take(body_bytes), &mut std::io::sink())?;
    Ok(request)
}

impl State {
    /// None: no response at all.
    fn answer(&mut self, method: &str, path: &str) -> Option<String> {
        let mut segments = path.trim_matches('/').split('/');
        let name = segments.next().unwrap_or_default();
        match (method, segments.next()) {
            ("POST", Some("on")) => {
                self.on.insert(name.to_owned());
                Some("true".to_owned())
            }
            ("GET", Some("asked")) => Some(self.asked.get(name).copied().unwrap_or_default().to_string()),
            _ => {
                *self.asked.entry(name.to_owned()).or_default() += 1;
                (name.ends_with("-on") || self.on.contains(name)).then(|| "\"here\"".to_owned())
            }
        }
    }
}
