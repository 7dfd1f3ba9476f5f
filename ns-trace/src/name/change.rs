//! Adding and removing names.

use std::{
    ffi::OsStr,
    fs::{DirBuilder, File, OpenOptions},
    io,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    },
    path::Path,
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
    mount::{
        MountPropagationFlags, UnmountFlags, mount_bind, mount_bind_recursive, mount_change,
        unmount,
    },
};

use super::{Error, Names};
use crate::{
    model::Kind,
    sys::{unshare::unshare, worker},
};

/// What is to have a name.
#[derive(Debug)]
pub enum Source {
    /// A new namespace.
    New,
    /// An open one, and what it is called in messages.
    Open(OwnedFd, String),
}

/// The steps at which adding can fail.
const CREATE: u8 = 1;
const UNSHARE: u8 = 2;
const BIND: u8 = 3;

impl Names {
    /// Gives a namespace a name.
    ///
    /// # Errors
    ///
    /// If there is such a file already, or something is not permitted; then nothing has changed.
    pub fn add(&self, name: &OsStr, source: &Source) -> Result<(), Error> {
        let path = self.path(name)?;
        let _lock = self.prepare()?;
        let (place, what) = match source {
            Source::New => {
                let own = format!("/proc/self/ns/{}", self.kind.name());
                (own.clone(), own)
            }
            Source::Open(file, what) => {
                (format!("/proc/self/fd/{}", file.as_raw_fd()), what.clone())
            }
        };
        let failed = |step, source: io::Error| {
            let path = path.clone();
            match step {
                CREATE => Error::Create { path, source },
                UNSHARE => Error::Unshare { kind: self.kind, path, source },
                _ => Error::Bind { kind: self.kind, what, path, source },
            }
        };
        let is_new = matches!(source, Source::New);
        match worker::run(|| mount_new(self.kind, is_new, &place, &path)) {
            Ok(Ok(())) => Ok(()),
            Ok(Err((step, errno))) => Err(failed(step, errno.into())),
            Err(error) => Err(failed(CREATE, error)),
        }
    }

    /// Takes a name away; the namespace ends with the last that holds it.
    ///
    /// # Errors
    ///
    /// If there is no such file, or something is not permitted.
    pub fn remove(&self, name: &OsStr) -> Result<(), Error> {
        let path = self.path(name)?;
        let failed = |source: io::Error| Error::Remove { path: path.clone(), source };
        let _lock = match self.lock() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(failed(error)),
            lock => {
                lock.map_err(|source| Error::Directory { path: self.directory.clone(), source })?
            }
        };
        let outcome = worker::run(|| {
            // There may be several mounts, and none on a dead file.
            let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
            while unmount(&path, flags).is_ok() {}
            rustix::fs::unlink(&path).map_err(|errno| (0, errno))
        });
        match outcome {
            Ok(outcome) => outcome.map_err(|(_, errno)| failed(errno.into())),
            Err(error) => Err(failed(error)),
        }
    }

    /// Makes the directory and what it must be, and locks it.
    ///
    /// # Errors
    ///
    /// If something is not permitted.
    pub fn prepare(&self) -> Result<OwnedFd, Error> {
        let failed = |source| Error::Directory { path: self.directory.clone(), source };
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o755).create(&self.directory).map_err(failed)?;
        let lock = self.lock().map_err(failed)?;
        self.propagate().map_err(|errno| failed(errno.into()))?;
        Ok(lock)
    }

    fn lock(&self) -> io::Result<OwnedFd> {
        let directory = OwnedFd::from(File::open(&self.directory)?);
        while let Err(errno) = flock(&directory, FlockOperation::LockExclusive) {
            if errno != Errno::INTR {
                return Err(errno.into());
            }
        }
        Ok(directory)
    }

    /// Makes the directory a mount of its own: a shared one, so that names appear in the mount
    /// namespaces that were made from this one; of mount namespaces a private one, since the kernel
    /// puts a mount namespace nowhere from where it would spread (`propagate_one` in fs/pnode.c).
    fn propagate(&self) -> Result<(), Errno> {
        let flags = match self.kind {
            Kind::Mnt => MountPropagationFlags::PRIVATE,
            _ => MountPropagationFlags::SHARED,
        } | MountPropagationFlags::REC;
        match mount_change(&self.directory, flags) {
            Err(Errno::INVAL) => {}
            outcome => return outcome,
        }
        mount_bind_recursive(&self.directory, &self.directory)?;
        mount_change(&self.directory, flags)
    }
}

/// Makes the file of a name, and the namespace if need be, and mounts the one on the other.
fn mount_new(kind: Kind, is_new: bool, place: &str, path: &Path) -> worker::Outcome {
    let errno = |error: io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o0).open(path);
    drop(file.map_err(|error| (CREATE, errno(error)))?);
    let made =
        if is_new { unshare(&[kind]).map_err(|error| (UNSHARE, errno(error))) } else { Ok(()) };
    let mounted = made.and_then(|()| mount_bind(place, path).map_err(|errno| (BIND, errno)));
    if mounted.is_err() {
        // It was made just now, under the lock.
        let _gone = rustix::fs::unlink(path);
    }
    mounted
}
