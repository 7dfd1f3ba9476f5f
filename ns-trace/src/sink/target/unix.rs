//! A unix stream socket that somebody listens at.

use std::{
    io::{self, Write as _},
    os::unix::net::UnixStream,
    path::PathBuf,
    time::Duration,
};

use rustix::{net::sockopt::socket_peercred, process::geteuid};

use super::{Failure, Piece, Target};

/// How long the other end may take to make room.
const PATIENCE: Duration = Duration::from_secs(5);

/// The socket; connected to when there is something to say, and again when that has failed.
#[derive(Debug)]
pub struct Unix {
    path: PathBuf,
    /// Who may read besides root and the own user.
    reader: Option<u32>,
    stream: Option<UnixStream>,
}

impl Unix {
    /// One at `path`, at which root, this process' own user or `reader` listens.
    #[must_use]
    pub const fn new(path: PathBuf, reader: Option<u32>) -> Self {
        Self { path, reader, stream: None }
    }

    fn connect(&self) -> io::Result<UnixStream> {
        let stream = UnixStream::connect(&self.path)?;
        // Whoever got hold of the path is not yet whom the events are meant for.
        let listener = socket_peercred(&stream)?.uid.as_raw();
        if !may_read(listener, self.reader) {
            let what = format!("user {listener} listens there, who may not read events");
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
        }
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }
}

impl Target for Unix {
    fn deliver(&mut self, lines: Piece<'_>) -> Result<(), Failure> {
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

/// Whether events may go to a user.
pub(super) fn may_read(uid: u32, reader: Option<u32>) -> bool {
    uid == 0 || uid == geteuid().as_raw() || Some(uid) == reader
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_go_to_root_to_oneself_and_to_whom_they_are_meant_for() {
        let stranger = geteuid().as_raw() + 7;
        assert!(may_read(0, None) && may_read(geteuid().as_raw(), None));
        assert!(!may_read(stranger, None) && !may_read(stranger, Some(stranger + 1)));
        assert!(may_read(stranger, Some(stranger)));
    }
}
