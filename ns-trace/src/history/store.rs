//! The file: opened to be written or to be read.

use std::{
    fmt::Write as _,
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};
use rustix::{
    fs::{Access, AtFlags, CWD, FlockOperation, accessat, flock},
    io::Errno,
};

use super::{Error, Result, Writer, schema};

/// How long somebody waits for the other side's lock, which is held for moments only.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often, and after which pause, it is tried to have the store for oneself.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(10);

/// To how many bytes the log is cut when all of it has moved to the file.
const LOG: i64 = 16 << 20;
/// How many KiB of the file the writer keeps in memory: the ends of all tables and indices, to which
/// it adds.
const CACHE: i64 = 8 << 10;

/// A store.
#[derive(Debug)]
pub struct Store {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    /// Of whom it tells; `None` is of everybody.
    pub(super) only: Option<u32>,
    /// Held while this one writes. Closed after the connection: that would lose the locks that
    /// `SQLite` holds on the same file (`fcntl(2)`).
    lock: Option<File>,
}

impl Store {
    /// Opens a store to write it; makes the file (mode 0600) and its directory (mode 0700) if need
    /// be, and brings the tables of an older version up to date.
    ///
    /// # Errors
    ///
    /// If it cannot be made or read, is of a newer version or something else, or another writes it.
    pub fn open(path: &Path) -> Result<Self> {
        let named = |source| Error::Open { path: path.to_owned(), source };
        if let Some(directory) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(named)?;
        }
        let open = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .mode(0o600)
            .truncate(false)
            .open(path);
        let lock = open.map_err(named)?;
        let mut tries = 0..TRIES;
        while let Err(error) = flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            match error {
                // Who asks whether it is written has it for a moment.
                Errno::WOULDBLOCK if tries.next().is_some() => thread::sleep(PAUSE),
                Errno::WOULDBLOCK => return Err(Error::Taken(path.to_owned())),
                error => return Err(named(error.into())),
            }
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = opened(Connection::open_with_flags(path, flags))?;
        // Whether it is ours, before anything is written to it.
        let version = schema::check(&connection, path)?;
        if version == 0 {
            // Only an empty file can be told that pages are to be given back.
            connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        }
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        connection.pragma_update(None, "journal_size_limit", LOG)?;
        connection.pragma_update(None, "cache_size", -CACHE)?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        schema::migrate(&mut connection, path)?;
        Ok(Self { connection, path: path.to_owned(), only: None, lock: Some(lock) })
    }

    /// Opens a store to read it, also while another process writes it.
    ///
    /// # Errors
    ///
    /// If there is none, it cannot be read, or it is of a newer version or something else.
    pub fn read(path: &Path) -> Result<Self> {
        is_readable(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Error::Missing(path.to_owned()),
            _ => Error::Open { path: path.to_owned(), source },
        })?;
        let mut connection = connect(path, "")?;
        if let Err(error) = schema::check(&connection, path) {
            let is_fixed = matches!(&error, Error::Sqlite(error) if is_read_only(error));
            if !is_fixed {
                return Err(error);
            }
            // The log of who writes it, or of who was killed while writing, cannot be read without writing.
            if has_log(path) {
                return Err(Error::Log(path.to_owned()));
            }
            // Nobody writes it, or its log would be there; and here nobody can.
            connection = connect(path, "?immutable=1")?;
        }
        match schema::check(&connection, path)? {
            0 => Err(Error::Foreign(path.to_owned())),
            _ => Ok(Self { connection, path: path.to_owned(), only: None, lock: None }),
        }
    }

    /// The same as a user may see it: the events of their processes, and the namespaces that those
    /// have made or were in. The initial ones, and what says how good the stream is, everybody sees.
    #[must_use]
    pub fn only_of(self, uid: u32) -> Self {
        Self { only: Some(uid), ..self }
    }

    /// What writes it.
    ///
    /// # Errors
    ///
    /// If what is known of the living cannot be read.
    pub fn writer(self) -> Result<Writer> {
        Writer::new(self)
    }

    /// The number of the last event, 0 if there is none.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn last_seq(&self) -> Result<u64> {
        let last = "SELECT max(seq) FROM event";
        let last: Option<i64> = self.connection.query_row(last, [], |row| row.get(0))?;
        Ok(last.unwrap_or_default().cast_unsigned())
    }

    /// Whether what this one writes is still what is at its path.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        let place = |file: fs::Metadata| (file.dev(), file.ino());
        let ours = self.lock.as_ref().and_then(|lock| lock.metadata().ok()).map(place);
        ours.is_some() && fs::metadata(&self.path).ok().map(place) == ours
    }

    /// Whether a collector, another process than this, writes it now.
    #[must_use]
    pub fn is_written(&self) -> bool {
        // To close the file loses this process's locks on it: nothing that is read may need them later.
        let shared = FlockOperation::NonBlockingLockShared;
        File::open(&self.path).is_ok_and(|file| flock(file, shared) == Err(Errno::WOULDBLOCK))
    }

    /// Opens another in the place of this one, which somebody has taken away.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open); this one is closed all the same.
    pub(super) fn replace(&mut self) -> Result<()> {
        // Its locks go with it, on whatever lies at its path by now: the new one comes after that.
        self.connection = Connection::open_in_memory()?;
        self.lock = None;
        let mut index = self.path.as_os_str().to_owned();
        index.push("-shm");
        // Of the old one; it would be taken for the new one's.
        let _gone = fs::remove_file(index);
        *self = Self::open(&self.path)?;
        Ok(())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether there is a file that may be read.
///
/// It is not opened for that: to open a pipe would wait for its writer, and to close the file would lose
/// the locks that `SQLite` holds on it if this process writes it, too (`fcntl(2)`).
fn is_readable(path: &Path) -> io::Result<()> {
    accessat(CWD, path, Access::READ_OK, AtFlags::EACCESS)?;
    let is_file = fs::metadata(path)?.is_file();
    if is_file { Ok(()) } else { Err(io::Error::other("it is no regular file")) }
}

/// Whether there is more beside the file: what was committed and has not moved to it yet.
fn has_log(path: &Path) -> bool {
    // SQLite looks for it where the file really is.
    let mut log = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()).into_os_string();
    log.push("-wal");
    fs::metadata(log).is_ok_and(|log| log.len() > 0)
}

fn connect(path: &Path, how: &str) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let mut uri = String::from("file:");
    for byte in std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()) {
        match byte {
            b'/' | b'.' | b'-' | b'_' => uri.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => uri.push(char::from(*byte)),
            byte => {
                // Writing to a string cannot fail.
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    opened(Connection::open_with_flags(uri + how, flags))
}

/// What holds of every connection.
fn opened(connection: rusqlite::Result<Connection>) -> Result<Connection> {
    let connection = connection?;
    connection.busy_timeout(PATIENCE)?;
    // A statement is compiled once, not again for each value that is bound to it: looking up a row costs
    // a twentieth of compiling the question.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

fn is_read_only(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{CannotOpen, ReadOnly};
    matches!(error.sqlite_error_code(), Some(CannotOpen | ReadOnly))
}
