//! The directory in which the collector can be found, and that no second one takes.

use std::{
    env,
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process,
};

use rustix::{
    fs::{FlockOperation, flock},
    process::geteuid,
};

use super::Error;

/// Where lock and sockets are made if nothing else is said.
#[must_use]
pub fn default_directory() -> PathBuf {
    let own = env::var_os("XDG_RUNTIME_DIR").filter(|_| !geteuid().is_root());
    own.map_or_else(|| PathBuf::from("/run"), PathBuf::from).join("ns-trace")
}

/// Where the history is if nothing else is said.
#[must_use]
pub fn default_history() -> PathBuf {
    let own = (!geteuid().is_root()).then(|| {
        let state = env::var_os("XDG_STATE_HOME").filter(|path| !path.is_empty());
        state.map(PathBuf::from).or_else(|| {
            let home = env::var_os("HOME").filter(|path| !path.is_empty());
            home.map(|home| PathBuf::from(home).join(".local/state"))
        })
    });
    own.flatten().unwrap_or_else(|| "/var/lib".into()).join("ns-trace/history.db")
}

/// The directory, taken. What was made in it goes with this.
///
/// The kernel lets the lock go with its process, however that ends: what a killed collector has left
/// is in nobody's way.
#[derive(Debug)]
pub struct Place {
    directory: PathBuf,
    lock: PathBuf,
    _held: File,
    is_own: bool,
}

impl Place {
    /// Takes it.
    ///
    /// # Errors
    ///
    /// If another collector has it, or it cannot be made.
    pub fn take(directory: &Path) -> Result<Self, Error> {
        let shown = directory.display();
        let made = DirBuilder::new().mode(0o755).create(directory);
        let is_own = made.is_ok();
        match made {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Error::io(format!("make the directory {shown}"))(error));
            }
            _ => {}
        }
        let lock = directory.join("lock");
        let open = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock);
        // Whoever may read it may lock it.
        let open = open.and_then(|held| {
            held.set_permissions(Permissions::from_mode(0o600))?;
            Ok(held)
        });
        let mut held = open.map_err(Error::io(format!("open {}", lock.display())))?;
        if flock(&held, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut text = String::new();
            // Whoever has it may not have written it yet.
            let _len = held.read_to_string(&mut text);
            let pid = text.trim().parse().unwrap_or(0);
            return Err(Error::Taken { directory: directory.to_owned(), pid });
        }
        let written = held.set_len(0).and_then(|()| held.rewind());
        let written = written.and_then(|()| writeln!(held, "{}", process::id()));
        written.map_err(Error::io(format!("write {}", lock.display())))?;
        Ok(Self { directory: directory.to_owned(), lock, _held: held, is_own })
    }

    /// The path of a socket in it; a former one of that name is removed.
    ///
    /// # Errors
    ///
    /// If something else is in the way.
    pub fn socket(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.directory.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(path),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // The file goes while it is locked: who opens it later makes another. Who has it open already
        // finds it free and may be a second one for a moment; its sockets then are the ones that count.
        let _gone = fs::remove_file(&self.lock);
        if self.is_own {
            // Somebody else's files may be in it.
            let _gone = fs::remove_dir(&self.directory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_has_the_place() {
        let name = format!("ns-trace-test-{}-place", process::id());
        let directory = env::temp_dir().join(name);
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("lock"), "").unwrap();
        let place = Place::take(&directory).unwrap();
        let lock = fs::metadata(directory.join("lock")).unwrap();
        assert_eq!(lock.permissions().mode() & 0o777, 0o600);
        match Place::take(&directory) {
            Err(Error::Taken { pid, .. }) => assert_eq!(pid, process::id()),
            other => panic!("{other:?}"),
        }
        let socket = place.socket("a").unwrap();
        fs::write(&socket, "left by one that was killed").unwrap();
        assert_eq!(place.socket("a").unwrap(), socket);
        assert!(!socket.exists());
        drop(place);
        fs::remove_dir(&directory).unwrap();
        drop(Place::take(&directory).unwrap());
        assert!(!directory.exists());
    }
}
