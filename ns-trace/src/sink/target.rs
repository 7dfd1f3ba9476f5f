//! Where a sink writes to.

mod datagram;
mod file;
mod stdout;
mod unix;
pub mod webhook;

use std::io;

pub use self::{
    datagram::Datagrams,
    file::{File, MOST_KEPT, Rotation},
    stdout::Stdout,
    unix::Unix,
    webhook::Webhook,
};

/// Events as text, one after the other, until they are handed on.
#[derive(Debug, Default)]
pub struct Lines {
    bytes: Vec<u8>,
    ends: Vec<End>,
    /// How many of them are handed on.
    done: usize,
}

/// The end of a line.
#[derive(Clone, Copy, Debug)]
struct End {
    /// The number of the event.
    seq: u64,
    /// Where it is.
    at: usize,
}

impl Lines {
    /// Adds the line of the event with a number; its newline included.
    pub fn push(&mut self, seq: u64, line: &[u8]) {
        self.bytes.extend_from_slice(line);
        self.ends.push(End { seq, at: self.bytes.len() });
    }

    /// Forgets them.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.done = 0;
    }

    /// How many are not handed on.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.ends.len() - self.done
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first of those that are not handed on: as many as have so many bytes at most, but one if
    /// there is any.
    #[must_use]
    pub fn first(&self, most: usize) -> Option<Piece<'_>> {
        let before = self.done.checked_sub(1).and_then(|last| self.ends.get(last));
        let start = before.map_or(0, |end| end.at);
        let ends = self.ends.get(self.done..)?;
        let count = ends.partition_point(|end| end.at - start <= most).max(1);
        let ends = ends.get(..count)?;
        let last = ends.last()?;
        Some(Piece { bytes: self.bytes.get(start..last.at)?, start, ends, last: last.seq })
    }

    /// Says that so many of them are handed on, or are not to be.
    pub fn skip(&mut self, count: usize) {
        self.done = (self.done + count).min(self.ends.len());
    }

    #[cfg(test)]
    pub(super) fn all(&self) -> Piece<'_> {
        self.first(usize::MAX).unwrap()
    }
}

/// Lines that are handed on at once.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    bytes: &'a [u8],
    /// Where the first of them begins, as ends are counted.
    start: usize,
    ends: &'a [End],
    /// The number of the last event.
    pub last: u64,
}

impl<'a> Piece<'a> {
    /// How many there are: one at least.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Each, without its newline.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> {
        let (bytes, start) = (self.bytes, self.start);
        let starts = std::iter::once(start).chain(self.ends.iter().map(|end| end.at));
        let lines = starts.zip(self.ends);
        let lines = lines.map(move |(from, end)| bytes.get(from - start..end.at - start));
        lines.map(|line| line.unwrap_or_default().trim_ascii_end())
    }

    /// All of them.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// Why lines could not be handed on.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Whatever they are.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// They are too large, be it only together.
    #[error("{0}")]
    TooLarge(String),
    /// What they say is not understood, be it only of one of them.
    #[error("{0}")]
    Refused(String),
}

/// Somewhere to write to.
pub trait Target: Send {
    /// Hands events on. After an error the same are handed on again, or less of them, so that some may
    /// arrive twice, but none is missing.
    ///
    /// # Errors
    ///
    /// If not all could be handed on.
    fn deliver(&mut self, lines: Piece<'_>) -> Result<(), Failure>;
}
