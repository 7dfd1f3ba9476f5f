//! Readers of server-sent events.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    thread::{self, JoinHandle},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// What one has read.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// Events that it wanted.
    pub(super) events: u64,
    /// Events of which it was told that it missed them.
    pub(super) lost: u64,
}

/// Readers, each in a thread of its own.
pub(super) struct Readers(Vec<JoinHandle<Result<Read>>>);

impl Readers {
    /// Starts so many at a socket, and waits until their streams have begun.
    pub(super) fn start(number: usize, socket: &Path, filter: &str) -> Result<Self> {
        let quoted = |letter: char| match letter {
            ' ' => "%20".to_owned(),
            '&' => "%26".to_owned(),
            _ => letter.to_string(),
        };
        let query: String = filter.chars().map(quoted).collect();
        let start = |_| -> Result<_> {
            let mut stream = UnixStream::connect(socket)?;
            write!(stream, "GET /api/v1/events?where={query} HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            stream.read_line(&mut line)?;
            ensure!(line.starts_with("HTTP/1.1 200 "), "no stream: {line}");
            // The first thing that is sent: from there on nothing is missed.
            while !line.starts_with(": alive") {
                line.clear();
                ensure!(stream.read_line(&mut line)? > 0, "the stream ends at once");
            }
            Ok(thread::spawn(move || read(stream)))
        };
        Ok(Self((0..number).map(start).collect::<Result<_>>()?))
    }

    /// Waits for the ends of the streams.
    pub(super) fn finish(self) -> Result<Vec<Read>> {
        let join = |reader: JoinHandle<Result<Read>>| reader.join().ok().context("a panic")?;
        self.0.into_iter().map(join).collect()
    }
}

fn read(mut stream: BufReader<UnixStream>) -> Result<Read> {
    let (mut read, mut line) = (Read::default(), Vec::new());
    let (mut name, data) = (String::new(), b"data: ");
    loop {
        line.clear();
        // A collector that ends cuts its streams.
        match stream.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return Ok(read),
            Ok(_) => {}
        }
        if let Some(text) = line.strip_prefix(b"event: ") {
            String::from_utf8_lossy(text).trim().clone_into(&mut name);
        } else if let Some(text) = line.strip_prefix(data) {
            match name.as_str() {
                "create" => read.events += 1,
                "lost" => {
                    let event: Value = serde_json::from_slice(text)?;
                    read.lost += event["lost"]["count"].as_u64().unwrap_or_default();
                }
                _ => {}
            }
        }
    }
}
