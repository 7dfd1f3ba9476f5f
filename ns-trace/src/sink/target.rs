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

/// Events as text, one after the other.
#[derive(Debug, Default)]
pub struct Lines {
    bytes: Vec<u8>,
    /// Where each line ends.
    ends: Vec<usize>,
}

impl Lines {
    /// Adds a line; its newline included.
    pub fn push(&mut self, line: &[u8]) {
        self.bytes.extend_from_slice(line);
        self.ends.push(self.bytes.len());
    }

    /// Forgets them.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Each, without its newline.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(&0).chain(&self.ends);
        let lines = starts.zip(&self.ends).map(|(start, end)| self.bytes.get(*start..*end));
        lines.map(|line| line.unwrap_or_default().trim_ascii_end())
    }

    /// All of them.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Somewhere to write to.
pub trait Target: Send {
    /// Hands events on. After an error the same are handed on again, so that some of them may arrive
    /// twice, but none is missing.
    ///
    /// # Errors
    ///
    /// If not all could be handed on.
    fn deliver(&mut self, lines: &Lines) -> io::Result<()>;
}
