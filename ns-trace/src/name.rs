//! Names of namespaces: files on which they are mounted, where ip-netns(8) has them.
//!
//! A network namespace has its name in `/run/netns`, as with `ip netns`; one of another type in
//! `/run/ns-trace/names/TYPE`. Whoever adds or removes a name holds a lock on the directory, and
//! does it in a process that is not stopped half way: whatever is killed, a name is whole or absent.

mod change;
mod error;

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io,
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    },
    path::{Path, PathBuf},
};

use rustix::fs::statfs;

pub use self::{change::Source, error::Error};
use crate::model::Kind;

/// Where `ip netns` keeps names.
const NET: &str = "/run/netns";

/// Where all others are.
const OTHERS: &str = "/run/ns-trace/names";

/// `NSFS_MAGIC` of include/uapi/linux/magic.h.
const NSFS: u64 = 0x6e73_6673;

/// The longest name of a file (`NAME_MAX`).
const LONGEST: usize = 255;

/// The names of namespaces of one type.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Names {
    kind: Kind,
    directory: PathBuf,
}

impl Names {
    /// The names of namespaces of this type.
    #[must_use]
    pub fn of(kind: Kind) -> Self {
        let directory = match kind {
            Kind::Net => NET.into(),
            kind => Path::new(OTHERS).join(kind.name()),
        };
        Self { kind, directory }
    }

    /// The files that have this name, and of which type each is, or was before it died.
    #[must_use]
    pub fn files(name: &OsStr) -> Vec<(Kind, PathBuf)> {
        let file = |kind| Some((kind, Self::of(kind).path(name).ok()?));
        let found = Kind::ALL.into_iter().filter_map(file);
        found.filter(|(_, path)| path.symlink_metadata().is_ok()).collect()
    }

    /// Whether a file is where names are.
    #[must_use]
    pub fn has(file: &Path) -> bool {
        file.starts_with(NET) || file.starts_with(OTHERS)
    }

    /// The type.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The directory in which they are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The file of a name.
    ///
    /// # Errors
    ///
    /// If it can be no name.
    pub fn path(&self, name: &OsStr) -> Result<PathBuf, Error> {
        let bytes = name.as_bytes();
        let is_name = !bytes.is_empty()
            && bytes.len() <= LONGEST
            && !bytes.contains(&b'/')
            && ![&b"."[..], b".."].contains(&bytes);
        if is_name { Ok(self.directory.join(name)) } else { Err(Error::invalid(name)) }
    }

    /// Opens the namespace of a name.
    ///
    /// # Errors
    ///
    /// If there is none, or the file of that name is something else.
    pub fn open(&self, name: &OsStr) -> Result<OwnedFd, Error> {
        let path = self.path(name)?;
        let failed = |source| Error::Open { kind: self.kind, name: name.to_owned(), source };
        let file = OwnedFd::from(File::open(&path).map_err(failed)?);
        let is_nsfs =
            rustix::fs::fstatfs(&file).is_ok_and(|found| found.f_type.cast_unsigned() == NSFS);
        if is_nsfs { Ok(file) } else { Err(Error::Dead { kind: self.kind, path }) }
    }

    /// All names, in the order of the directory; dead files are among them, as with `ip netns`.
    ///
    /// # Errors
    ///
    /// If there is a directory that cannot be read.
    pub fn list(&self) -> Result<Vec<OsString>, Error> {
        let failed = |source| Error::Directory { path: self.directory.clone(), source };
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        entries.map(|entry| Ok(entry.map_err(failed)?.file_name())).collect()
    }

    /// The names of the namespace that this file is.
    ///
    /// # Errors
    ///
    /// If there is a directory that cannot be read.
    pub fn of_file(&self, file: &fs::Metadata) -> Result<Vec<OsString>, Error> {
        let is_it = |name: &OsString| {
            let found = fs::metadata(self.directory.join(name));
            found.is_ok_and(|found| (found.dev(), found.ino()) == (file.dev(), file.ino()))
        };
        Ok(self.list()?.into_iter().filter(is_it).collect())
    }

    /// Whether a namespace is mounted on the file of a name.
    #[must_use]
    pub fn is_alive(&self, name: &OsStr) -> bool {
        statfs(self.directory.join(name)).is_ok_and(|found| found.f_type.cast_unsigned() == NSFS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_names_of_files() {
        let names = Names::of(Kind::Net);
        let path = |name: &str| names.path(OsStr::new(name)).ok();
        assert_eq!(path("blue"), Some("/run/netns/blue".into()));
        assert_eq!(path(".hidden"), Some("/run/netns/.hidden".into()));
        assert!(path(&"x".repeat(LONGEST)).is_some());
        for wrong in ["", ".", "..", "a/b", "/", &"x".repeat(LONGEST + 1)] {
            assert_eq!(path(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_type_has_a_place_of_its_own() {
        let uts = Names::of(Kind::Uts).path(OsStr::new("blue")).unwrap();
        assert_eq!(uts, Path::new("/run/ns-trace/names/uts/blue"));
    }
}
