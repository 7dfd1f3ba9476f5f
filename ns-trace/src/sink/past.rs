//! What a sink has not had yet of what happened before: at-least-once delivery.
//!
//! A cursor on disk says up to which event a sink has handed everything on. After a restart, or when
//! the sink was too slow for the ring, what is behind the cursor is read from the history.

use std::{
    fmt,
    fs::{DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::model::Event;

/// How often the cursor is written while there is more to hand on: so much comes twice after a crash.
const EVERY: Duration = Duration::from_secs(1);

/// Reads some of the events above a number, in order; none if there are none.
pub type Read = Box<dyn FnMut(u64) -> Result<Vec<Event>, String> + Send>;

/// What was before.
pub struct Past {
    /// The number of the last event that was handed on, or was not wanted.
    pub(super) done: u64,
    read: Read,
    cursor: Cursor,
    written: Option<Instant>,
}

impl fmt::Debug for Past {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Past").field("done", &self.done).finish_non_exhaustive()
    }
}

impl Past {
    /// Goes on behind the cursor; a sink that never had one wants what is above `last`.
    #[must_use]
    pub fn new(cursor: Cursor, last: u64, read: Read) -> Self {
        // One beyond the last event is of a history that is gone.
        let done = cursor.read().filter(|done| *done <= last).unwrap_or(last);
        Self { done, read, cursor, written: None }
    }

    /// Some of the events that come next.
    pub(super) fn next(&mut self) -> Result<Vec<Event>, String> {
        (self.read)(self.done)
    }

    /// Notes up to where everything is handed on.
    ///
    /// # Errors
    ///
    /// If the cursor cannot be written.
    pub(super) fn note(&mut self, done: u64, is_all: bool) -> io::Result<()> {
        self.done = self.done.max(done);
        if is_all || self.written.is_none_or(|written| written.elapsed() >= EVERY) {
            self.written = Some(Instant::now());
            self.cursor.write(self.done)?;
        }
        Ok(())
    }
}

/// A number in a file.
#[derive(Debug)]
pub struct Cursor {
    path: PathBuf,
    file: Option<File>,
}

impl Cursor {
    /// That of a sink, in a directory of cursors.
    #[must_use]
    pub fn new(directory: &Path, sink: &str) -> Self {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let name = sink.bytes().map(|byte| match byte {
            byte if plain(byte) => char::from(byte).to_string(),
            other => format!("%{other:02x}"),
        });
        Self { path: directory.join(name.collect::<Vec<_>>().concat()), file: None }
    }

    fn read(&self) -> Option<u64> {
        std::fs::read_to_string(&self.path).ok()?.trim().parse().ok()
    }

    fn write(&mut self, number: u64) -> io::Result<()> {
        let file = if let Some(file) = self.file.take() {
            file
        } else {
            if let Some(directory) = self.path.parent() {
                DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
            }
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(false).mode(0o600).open(&self.path)?
        };
        // Always as long: no half of it is ever there.
        file.write_all_at(format!("{number:020}\n").as_bytes(), 0)?;
        self.file = Some(file);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, process};

    use super::*;

    #[test]
    fn a_cursor_is_found_again() {
        let directory = env::temp_dir().join(format!("ns-trace-test-{}-cursor", process::id()));
        let nothing = || -> Read { Box::new(|_| Ok(Vec::new())) };
        let mut past = Past::new(Cursor::new(&directory, "a/../b"), 7, nothing());
        assert_eq!(past.done, 7);
        past.note(9, false).unwrap();
        past.note(12, true).unwrap();
        let again = |last| Past::new(Cursor::new(&directory, "a/../b"), last, nothing()).done;
        assert_eq!((again(40), again(12), again(11)), (12, 12, 11));
        let names: Vec<_> = fs::read_dir(&directory).unwrap().flatten().collect();
        assert_eq!(names.len(), 1);
        assert_eq!(Past::new(Cursor::new(&directory, "c"), 3, nothing()).done, 3);
        fs::remove_dir_all(&directory).unwrap();
    }
}
