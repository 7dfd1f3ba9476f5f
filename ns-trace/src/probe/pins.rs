//! Probes that stay when their collector ends: where their programs, maps and links are pinned.
//!
//! In the directory of a BPF file system there is one directory for each set of probes, named after
//! what they are made of: whoever would make the same finds them there and goes on reading.

use std::{
    fs,
    hash::Hasher as _,
    io,
    os::fd::{BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustc_hash::FxHasher;

use super::{former::Former, load::Error};
use crate::sys::{
    bpf::{self, pin},
    host,
};

/// Where pins are made if nothing else is said.
pub const DIRECTORY: &str = "/sys/fs/bpf/ns-trace";

/// The number of the form that records have: another when any of them, or what they mean, changes.
/// What an older ns-trace has left in the kernel is read only if it is of the same form.
const WIRE: u32 = 1;

/// Where a set is while it is being made.
const UNFINISHED: &str = "new";

/// Why probes cannot stay.
#[derive(Debug, thiserror::Error)]
pub enum Obstacle {
    /// The kernel is too old.
    #[error("before Linux 5.17 not all that the probes need can be pinned")]
    TooOld,
    /// There is no such file system.
    #[error("{} is not in a BPF file system", .0.display())]
    FileSystem(PathBuf),
    /// It cannot be looked at.
    #[error("cannot look at {}: {source}", .directory.display())]
    Unknown {
        /// The directory.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Why probes could not be pinned in `directory`, which need not be there yet; leaves nothing behind.
#[must_use]
pub fn obstacle(directory: &Path) -> Option<Obstacle> {
    // A perf event is held by a link since 5.15 only, and tasks are listed by an iterator before 5.17.
    if !bpf::has_helper(bpf::LOOP).unwrap_or(true) {
        return Some(Obstacle::TooOld);
    }
    let there = directory.ancestors().find(|place| place.exists()).unwrap_or(directory);
    match pin::is_in_file_system(there) {
        Ok(true) => None,
        Ok(false) => Some(Obstacle::FileSystem(directory.to_owned())),
        Err(source) => Some(Obstacle::Unknown { directory: directory.to_owned(), source }),
    }
}

/// The sets of probes that are pinned in `directory`, unfinished ones too.
///
/// # Errors
///
/// Those of reading the directory; none if it does not exist.
pub fn sets(directory: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => {
            let mut sets =
                entries?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
            sets.sort();
            Ok(sets)
        }
    }
}

/// Whether this program can read the records of a set: they are made as its own are.
pub(super) fn is_readable(set: &Path) -> bool {
    let name = set.file_name().unwrap_or_default().to_string_lossy();
    name.split_once('-').is_some_and(|(wire, _)| wire.parse() == Ok(WIRE))
}

/// Removes all sets of probes that are pinned in `directory`, and it; returns how many there were.
///
/// # Errors
///
/// Those of removing files; what is not in a BPF file system is left alone.
pub fn remove_all(directory: &Path) -> io::Result<usize> {
    let sets = sets(directory)?;
    if directory.exists() && pin::is_in_file_system(directory)? {
        pin::remove(directory)?;
        return Ok(sets.len());
    }
    Ok(0)
}

/// One set of probes.
#[derive(Clone, Debug)]
pub(super) struct Pins {
    directory: PathBuf,
    name: String,
}

impl Pins {
    /// The set in `directory` that is made of these `parts`.
    pub(super) fn new(directory: &Path, parts: &[&[u8]]) -> Result<Self, Error> {
        if let Some(obstacle) = obstacle(directory) {
            return Err(Error::CannotPin(obstacle));
        }
        let mut hasher = FxHasher::default();
        for part in parts {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
        let pins = Self {
            directory: directory.to_owned(),
            name: format!("{WIRE}-{:016x}", hasher.finish()),
        };
        fs::create_dir_all(directory).map_err(pins.failed("make"))?;
        Ok(pins)
    }

    /// Whether they are there.
    pub(super) fn are_there(&self) -> bool {
        self.place().is_dir()
    }

    /// Other sets whose records can be read.
    pub(super) fn others(&self) -> Vec<Former> {
        Former::all(&self.directory, &self.place())
    }

    /// Removes all other sets; returns how many there were.
    pub(super) fn remove_others(&self) -> Result<usize, Error> {
        let sets = sets(&self.directory).map_err(self.failed("read the directory of"))?;
        let mut removed = 0;
        for set in sets.iter().filter(|set| **set != self.place()) {
            pin::remove(set).map_err(self.failed("remove others than"))?;
            removed += 1;
        }
        Ok(removed)
    }

    /// Begins to make them: removes what a former try may have left.
    pub(super) fn begin(&self) -> Result<(), Error> {
        let new = self.directory.join(UNFINISHED);
        pin::remove(&new).and_then(|_| fs::create_dir(&new)).map_err(self.failed("make"))
    }

    /// Keeps a program, map or link.
    pub(super) fn keep(&self, sort: &str, name: &str, fd: BorrowedFd<'_>) -> Result<(), Error> {
        let path = self.directory.join(UNFINISHED).join(format!("{sort}_{name}"));
        pin::pin(fd, &path).map_err(self.failed("pin something in"))
    }

    /// They are complete.
    pub(super) fn finish(&self) -> Result<(), Error> {
        let renamed = fs::rename(self.directory.join(UNFINISHED), self.place());
        renamed.map_err(self.failed("finish"))
    }

    /// Opens a program or map.
    pub(super) fn open(&self, sort: &str, name: &str) -> Result<OwnedFd, Error> {
        let path = self.place().join(format!("{sort}_{name}"));
        pin::open(&path).map_err(self.failed("open what is pinned in"))
    }

    /// Removes them.
    pub(super) fn remove(&self) -> Result<(), Error> {
        pin::remove(&self.place()).map(drop).map_err(self.failed("remove"))
    }

    fn place(&self) -> PathBuf {
        self.directory.join(&self.name)
    }

    fn failed(&self, what: &'static str) -> impl FnOnce(io::Error) -> Error {
        let directory = self.place();
        move |source| Error::Pin { what, directory, source }
    }
}

/// Names the ring whose map has this number: numbers begin anew with the machine.
pub(super) fn ring_name(map: u32) -> String {
    format!("{}:{map}", host::boot_id())
}
