//! Readers of server-sent events.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    thread::{self, JoinHandle},
    time::Duration,
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
    /// The number of the last event that it read, or was told to have missed.
    pub(super) last: u64,
    /// Events that it would have to have read or been told of, if it wants everything.
    pub(super) untold: u64,
}

/// Readers, each in a thread of its own.
pub(super) struct Readers(Vec<JoinHandle<Result<Read>>>);

impl Readers {
    /// Starts so many at a socket, and waits until their streams have begun. Each rests for `rest`
    /// after every event.
    pub(super) fn start(
        number: usize,
        socket: &Path,
        filter: Option<&str>,
        rest: Duration,
    ) -> Result<Self> {
        let quoted = |letter: char| match letter {
            ' ' => "%20".to_owned(),
            '&' => "%26".to_owned(),
            _ => letter.to_string(),
        };
        let query: String = filter.iter().flat_map(|text| text.chars()).map(quoted).collect();
        let query = if query.is_empty() { query } else { format!("?where={query}") };
        let start = |_| -> Result<_> {
            let mut stream = UnixStream::connect(socket)?;
            write!(stream, "GET /api/v1/events{query} HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            stream.read_line(&mut line)?;
            ensure!(line.starts_with("HTTP/1.1 200 "), "no stream: {line}");
            // The first thing that is sent: from there on nothing is missed.
            while !line.starts_with(": alive") {
                line.clear();
                ensure!(stream.read_line(&mut line)? > 0, "the stream ends at once");
            }
            Ok(thread::spawn(move || read(stream, rest)))
        };
        Ok(Self((0..number).map(start).collect::<Result<_>>()?))
    }

    /// Waits for the ends of the streams.
    pub(super) fn finish(self) -> Result<Vec<Read>> {
        let join = |reader: JoinHandle<Result<Read>>| reader.join().ok().context("a panic")?;
        self.0.into_iter().map(join).collect()
    }
}

fn read(mut stream: BufReader<UnixStream>, rest: Duration) -> Result<Read> {
    let (mut read, mut line) = (Read::default(), Vec::new());
    let (mut name, mut number) = (String::new(), 0);
    loop {
        line.clear();
        // A collector that ends cuts its streams.
        match stream.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return Ok(read),
            Ok(_) => {}
        }
        if let Some(text) = line.strip_prefix(b"id: ") {
            let text = String::from_utf8_lossy(text);
            number = text.trim().rsplit('.').next().unwrap_or_default().parse()?;
        } else if let Some(text) = line.strip_prefix(b"event: ") {
            String::from_utf8_lossy(text).trim().clone_into(&mut name);
        } else if let Some(text) = line.strip_prefix(b"data: ") {
            let mut told = 1;
            if name == "lost" {
                let event: Value = serde_json::from_slice(text)?;
                let count = event["lost"]["count"].as_u64().unwrap_or_default();
                read.lost += count;
                if event["lost"]["stage"] == "sink" {
                    // It stands for all of them.
                    told = count;
                }
            }
            read.events += u64::from(name == "create");
            if read.last > 0 {
                read.untold += (number - read.last).saturating_sub(told);
            }
            read.last = number;
            if !rest.is_zero() {
                thread::sleep(rest);
            }
        }
    }
}
