//! Where events leave.

mod ahead;
mod ending;
pub mod past;
pub mod recent;
pub mod schema;
pub mod target;
pub mod worker;

use std::{
    fmt,
    io::{self, Write},
};

pub use self::{ahead::Ahead, ending::Ending};
use crate::model::{Event, JsonWriter};

/// Written in pieces of at least this many bytes while more is at hand.
const PIECE: usize = 1 << 18;

/// How events are written.
pub trait Render {
    /// Appends one event, the line end included.
    fn render(&mut self, event: &Event, out: &mut Vec<u8>);
}

impl Render for JsonWriter {
    fn render(&mut self, event: &Event, out: &mut Vec<u8>) {
        self.write(event, out);
    }
}

/// Where a stream of events goes.
pub trait Outlet: fmt::Debug {
    /// Adds one event.
    ///
    /// # Errors
    ///
    /// Those of writing.
    fn write(&mut self, event: &Event) -> io::Result<()>;

    /// Hands on what was added.
    ///
    /// # Errors
    ///
    /// Those of writing.
    fn flush(&mut self) -> io::Result<()>;

    /// The number under which the last event has left, of all since events are numbered here.
    fn last(&self) -> u64 {
        0
    }

    /// Says that the stream can be taken up after event `seq`, and no event before the next such
    /// one.
    fn mark(&mut self, seq: u64) {
        let _ = seq;
    }

    /// Says that from now on the stream can be taken up at its marks, or nowhere, and why.
    fn can_be_taken_up(&mut self, can: Result<(), &io::Error>) {
        let _ = can;
    }

    /// The number of the last event that has arrived for good; each one has where nobody says so.
    fn arrived(&self) -> u64 {
        u64::MAX
    }
}

/// A rendering and where it goes.
pub struct Sink {
    render: Box<dyn Render>,
    output: Box<dyn Write>,
    buffer: Vec<u8>,
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("buffered", &self.buffer.len()).finish_non_exhaustive()
    }
}

impl Sink {
    /// Events rendered by `render` to `output`, which must not buffer by itself.
    #[must_use]
    pub fn new(render: Box<dyn Render>, output: Box<dyn Write>) -> Self {
        Self { render, output, buffer: Vec::with_capacity(2 * PIECE) }
    }
}

impl Outlet for Sink {
    fn write(&mut self, event: &Event) -> io::Result<()> {
        self.render.render(event, &mut self.buffer);
        if self.buffer.len() >= PIECE { self.flush() } else { Ok(()) }
    }

    /// Hands what is buffered to the system; what could not be written is gone.
    fn flush(&mut self) -> io::Result<()> {
        let written = self.output.write_all(&self.buffer);
        self.buffer.clear();
        written
    }
}
