//! A client that sends raw bytes, including those that no HTTP client would send.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::connection::address;

/// Longer than any limit that a test sets: a read that takes as long was not cut off by the host.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A connection over which the caller sends raw bytes.
pub struct Wire(TcpStream);

impl Wire {
    /// Connects to the URL of a host, such as `http://127.0.0.1:7071`.
    pub fn open(url: &str) -> Result<Wire> {
        Self::ready(TcpStream::connect(address(url)?)?)
    }

    /// Connects from the given local address: all of 127.0.0.0/8 belong to this machine.
    pub fn open_from(source: IpAddr, url: &str) -> Result<Wire> {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(source, 0).into())?;
        socket.connect(&address(url)?.into())?;
        Self::ready(socket.into())
    }

    fn ready(stream: TcpStream) -> Result<Wire> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        stream.set_write_timeout(Some(SILENCE_MAX))?;
        Ok(Wire(stream))
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        Ok(self.0.write_all(bytes.as_ref())?)
    }

    /// Reads until the host closes the connection. A reset counts as closed.
    pub fn read_to_end(&mut self) -> Result<String> {
        let mut bytes = Vec::new();
        match self.0.read_to_end(&mut bytes) {
            Err(why) if why.kind() != std::io::ErrorKind::ConnectionReset => Err(why).context("the host keeps the connection"),
            Ok(_) | Err(_) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// Reads one response that has a `Content-Length` or no body.
    pub fn read_answer(&mut self) -> Result<String> {
        let mut bytes = Vec::new();
        loop {
            let mut more = [0; 4_096];
            let count = self.0.read(&mut more)?;
            bytes.extend_from_slice(&more[..count]);
            let text = String::from_utf8_lossy(&bytes);
            let complete = text.split_once("\r\n\r\n").is_some_and(|(head, body)| body.len() >= content_length(head));
            if complete || count == 0 {
                return Ok(text.into_owned());
            }
        }
    }
}

/// Returns the status of each response in the text received over a connection.
pub fn statuses(text: &str) -> Vec<u16> {
    text.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.get(..3)?.parse().ok()).collect()
}

fn content_length(head: &str) -> usize {
    let lengths = head.lines().filter_map(|line| line.split_once(':'));
    let length =
        lengths.filter(|(name, _)| name.eq_ignore_ascii_case("content-length")).find_map(|(_, value)| value.trim().parse().ok());
    length.unwrap_or(0)
}
