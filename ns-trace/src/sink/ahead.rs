//! A file whose blocks are reserved ahead of what is written to it.
//!
//! A file system that delays the choice of blocks (ext4, XFS) accounts for each page of a growing
//! file by itself; with the blocks reserved, the copy is nearly all that a write costs.

use std::{
    fs::File,
    io::{self, Write},
};

use rustix::fs::{FallocateFlags, fallocate};

/// Reserved at a time: little beside what a disk has, much beside what is written at a time.
const AHEAD: u64 = 16 << 20;

/// A regular file written from its start.
#[derive(Debug)]
pub struct Ahead {
    file: File,
    written: u64,
    /// Up to where blocks are reserved; `None` once the file system refused.
    reserved: Option<u64>,
}

impl Ahead {
    /// An empty file that is about to grow.
    #[must_use]
    pub const fn new(file: File) -> Self {
        Self { file, written: 0, reserved: Some(0) }
    }

    /// Reserves what comes next. To be refused is no failure: whether there is room, the write tells.
    fn reserve(&mut self, end: u64) {
        let Some(reserved) = self.reserved.filter(|reserved| *reserved < end) else { return };
        let from = reserved.max(self.written);
        let done = fallocate(&self.file, FallocateFlags::KEEP_SIZE, from, AHEAD);
        self.reserved = done.is_ok().then_some(from + AHEAD);
    }
}

impl Write for Ahead {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A quiet stream reserves nothing.
        if bytes.len() >= super::PIECE {
            self.reserve(self.written + bytes.len() as u64);
        }
        let len = self.file.write(bytes)?;
        self.written += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        if self.reserved != Some(0) {
            // To cut a file at its own length gives back what is reserved beyond it.
            let _kept = self.file.metadata().and_then(|file| self.file.set_len(file.len()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileExt as _, MetadataExt as _};

    use rustix::fs::{MemfdFlags, memfd_create};

    use super::*;

    fn file() -> File {
        File::from(memfd_create("recording", MemfdFlags::CLOEXEC).unwrap())
    }

    /// What the file takes up, in bytes: `st_blocks` counts units of 512 (`stat(3type)`).
    fn taken(file: &File) -> u64 {
        file.metadata().unwrap().blocks() * 512
    }

    #[test]
    fn what_is_reserved_is_given_back() {
        let piece = vec![b'x'; super::super::PIECE];
        let file = file();
        let mut ahead = Ahead::new(file.try_clone().unwrap());
        ahead.write_all(&piece).unwrap();
        assert_eq!(taken(&file), AHEAD);
        assert_eq!(file.metadata().unwrap().len(), piece.len() as u64);
        drop(ahead);
        assert_eq!(taken(&file), piece.len() as u64);
        let mut read = vec![0; piece.len()];
        file.read_exact_at(&mut read, 0).unwrap();
        assert!(read == piece);
    }

    #[test]
    fn a_quiet_stream_reserves_nothing() {
        let file = file();
        let mut ahead = Ahead::new(file.try_clone().unwrap());
        ahead.write_all(b"{}\n").unwrap();
        assert!(taken(&file) < AHEAD, "{}", taken(&file));
    }
}
