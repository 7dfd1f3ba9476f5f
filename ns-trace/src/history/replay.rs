//! A recorded stream as a source of events.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, stdin},
    os::fd::{AsFd, BorrowedFd},
    path::Path,
};

use crate::model::{Event, event::Source};

/// Why a recording cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// A line is not an event.
    #[error("line {line} is no event of schema ns-trace/1: column {}: {}", source.column(), bare(source))]
    Line {
        /// Its number, from 1.
        line: u64,
        /// Why.
        source: serde_json::Error,
    },
}

/// What is wrong, without the place that serde adds: to it every line is the first.
fn bare(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(what, _)| what.to_owned())
}

/// The events of a recording, in order.
pub struct Replay {
    input: BufReader<File>,
    buffer: Vec<u8>,
    line: u64,
    /// What events are said to be; `None` leaves it as it is.
    source: Option<Source>,
}

impl Replay {
    /// Opens a file of JSON lines; `-` is standard input.
    ///
    /// # Errors
    ///
    /// If it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let input = if path == Path::new("-") {
            File::from(stdin().as_fd().try_clone_to_owned()?)
        } else {
            File::open(path)?
        };
        Ok(Self::of(input, Some(Source::Replay)))
    }

    /// What a collector sends: events as they happen.
    #[must_use]
    pub fn live(input: File) -> Self {
        Self::of(input, None)
    }

    fn of(input: File, source: Option<Source>) -> Self {
        let input = BufReader::with_capacity(1 << 18, input);
        Self { input, buffer: Vec::new(), line: 0, source }
    }

    /// Whether the next event has yet to be read from the file, which may take its time.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.input.buffer().is_empty()
    }
}

impl AsFd for Replay {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.input.get_ref().as_fd()
    }
}

impl Iterator for Replay {
    type Item = Result<Event, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.buffer.clear();
            match self.input.read_until(b'\n', &mut self.buffer) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => return Some(Err(error.into())),
            }
            self.line += 1;
            let text = self.buffer.trim_ascii();
            if text.is_empty() {
                continue;
            }
            let line = self.line;
            let event = serde_json::from_slice(text);
            return Some(
                event
                    .map(|event: Event| {
                        let source = self.source.unwrap_or(event.source);
                        Event { source, ..event }
                    })
                    .map_err(|source| Error::Line { line, source }),
            );
        }
    }
}
