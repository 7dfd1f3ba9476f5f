//! What can go wrong with a name.

use std::{
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
};

use crate::model::Kind;

/// A failure; the words are those of ip-netns(8).
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the sentences say it")]
pub enum Error {
    #[error("Invalid netns name \"{}\"", .0.display())]
    Invalid(OsString),
    #[error("Cannot open {} namespace \"{}\": {}", long(*kind), name.display(), words(source))]
    Open { kind: Kind, name: OsString, source: io::Error },
    #[error("Cannot open {} namespace: {} is a plain file, no namespace", long(*kind), path.display())]
    Dead { kind: Kind, path: PathBuf },
    #[error("cannot use the directory {}: {}", path.display(), words(source))]
    Directory { path: PathBuf, source: io::Error },
    #[error("Cannot create namespace file \"{}\": {}", path.display(), words(source))]
    Create { path: PathBuf, source: io::Error },
    #[error("Failed to create a new {} namespace \"{}\": {}", long(*kind), name(path), words(source))]
    Unshare { kind: Kind, path: PathBuf, source: io::Error },
    #[error("Bind {what} -> {} failed: {}", path.display(), words(source))]
    Bind { kind: Kind, what: String, path: PathBuf, source: io::Error },
    #[error("Cannot remove namespace file \"{}\": {}", path.display(), words(source))]
    Remove { path: PathBuf, source: io::Error },
}

impl Error {
    pub(super) fn invalid(name: &OsStr) -> Self {
        Self::Invalid(name.to_owned())
    }

    /// The error number behind it, if there is one.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Invalid(_) | Self::Dead { .. } => None,
            Self::Open { source, .. }
            | Self::Directory { source, .. }
            | Self::Create { source, .. }
            | Self::Unshare { source, .. }
            | Self::Bind { source, .. }
            | Self::Remove { source, .. } => source.raw_os_error(),
        }
    }
}

fn name(path: &Path) -> std::ffi::os_str::Display<'_> {
    path.file_name().unwrap_or_default().display()
}

/// A type in words.
pub(super) const fn long(kind: Kind) -> &'static str {
    match kind {
        Kind::Mnt => "mount",
        Kind::Net => "network",
        Kind::Pid => "pid",
        Kind::Ipc => "ipc",
        Kind::Uts => "uts",
        Kind::User => "user",
        Kind::Cgroup => "cgroup",
        Kind::Time => "time",
    }
}

/// An error without the number that Rust adds to it.
pub(super) fn words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
