//! A host with prepared responses, which records the requests.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::Cli;

/// A prepared response. The connection is closed after it.
#[derive(Debug, Clone, Default)]
pub(super) struct Canned {
    /// 0: the connection is closed without a response.
    pub status: u16,
    pub content_type: &'static str,
    pub headers: &'static [(&'static str, &'static str)],
    pub body: String,
}

/// A response without a body, or with JSON.
pub(super) fn json(status: u16, body: &str) -> Canned {
    Canned { status, content_type: "application/json; charset=utf-8", headers: &[], body: body.into() }
}

/// An event stream that ends with the connection.
pub(super) fn stream(body: &str) -> Canned {
    Canned { status: 200, content_type: "text/event-stream", headers: &[], body: body.into() }
}

/// Closes the connection without a response.
pub(super) fn hang_up() -> Canned {
    Canned::default()
}

pub(super) struct CannedHost {
    url: String,
    /// The request line and the body of each request, without the base path.
    requests: Arc<Mutex<Vec<String>>>,
}

impl CannedHost {
    /// Sends these responses, one after the other. Later requests are refused.
    pub fn new(answers: &[Canned]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (answers, asked) = (answers.to_vec(), requests.clone());
        std::thread::spawn(move || {
            for answer in answers {
                let Ok((connection, _)) = listener.accept() else { return };
                // Recorded before the response: with the response the command may end, and the test then reads the requests.
                asked.lock().unwrap().push(read(&connection));
                write(&connection, &answer);
            }
        });
        Self { url, requests }
    }

    pub fn cli(&self) -> Cli {
        Cli(self.url.clone())
    }

    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn read(connection: &TcpStream) -> String {
    let mut reader = BufReader::new(connection);
    let mut head = Vec::new();
    for line in reader.by_ref().lines() {
        match line.unwrap() {
            line if line.is_empty() => break,
            line => head.push(line),
        }
    }
    let header = |name: &str| {
        head.iter()
            .find_map(|line| line.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.to_owned()))
    };
    let mut body = vec![0; header("content-length").map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    let token = header("x-ms-continuation-token").map(|token| format!(" token={token}")).unwrap_or_default();
    let line = head[0].replace("/runtime/webhooks/durabletask/", "").replace(" HTTP/1.1", "");
    format!("{line}{token} {}", String::from_utf8(body).unwrap()).trim().to_owned()
}

fn write(mut connection: &TcpStream, answer: &Canned) {
    let Canned { status, content_type, headers, body } = answer;
    if *status == 0 {
        return;
    }
    let mut response = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-type: {content_type}\r\n");
    for (name, value) in *headers {
        response += &format!("{name}: {value}\r\n");
    }
    connection.write_all(format!("{response}\r\n{body}").as_bytes()).unwrap();
}

/// Runs a command on a host with these responses, and checks its requests, its exit code and its output.
#[track_caller]
pub(super) fn check(arguments: &[&str], exchange: &[(&str, Canned)], code: i32, said: &str) {
    let answers: Vec<Canned> = exchange.iter().map(|(_, answer)| answer.clone()).collect();
    let host = CannedHost::new(&answers);
    let output = host.cli().run(arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
    let requests: Vec<&str> = exchange.iter().map(|(request, _)| *request).collect();
    assert_eq!(host.requests(), requests, "{arguments:?}: {output:?}");
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(text.contains(said), "{arguments:?}: {text}");
}
