//! A unix stream socket that somebody listens at.

use std::{
    io::{self, Write as _},
    os::unix::net::UnixStream,
    path::PathBuf,
    time::Duration,
};

use super::{Lines, Target};

/// How long the other end may take to make room.
const PATIENCE: Duration = Duration::from_secs(5);

/// The socket; connected to when there is something to say, and again when that has failed.
#[derive(Debug)]
pub struct Unix {
    path: PathBuf,
    stream: Option<UnixStream>,
}

impl Unix {
    /// One at `path`.
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self { path, stream: None }
    }

    fn connect(&self) -> io::Result<UnixStream> {
        let stream = UnixStream::connect(&self.path)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }
}

impl Target for Unix {
    fn deliver(&mut self, lines: &Lines) -> io::Result<()> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.connect()?,
        };
        // After a failure half a line may be on its way: the next connection begins anew.
        stream.write_all(lines.bytes())?;
        self.stream = Some(stream);
        Ok(())
    }
}
