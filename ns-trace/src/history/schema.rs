//! The tables, version by version.
//!
//! Numbers of 64 bits without a sign are stored bit by bit in integers that have one. `kind` is the
//! number of the type of namespace, in the order mnt, pid, ipc, uts, net, user, cgroup, time; `event`
//! that of the sort of event, in the order of the schema. `time`, `began` and `ended` are nanoseconds
//! since 1970.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::{Error, Result};

/// Marks the file as ours (`PRAGMA application_id`): "nstr".
pub(super) const APPLICATION: i32 = 0x6e73_7472;

/// What a namespace that lives has for its end: it sorts behind every end.
pub(super) const NEVER: i64 = i64::MAX;

/// What makes each version from the one before; never changed once it was released.
pub(super) const STEPS: [&str; 2] = [
    "
CREATE TABLE boot(
    id INTEGER PRIMARY KEY, boot_id TEXT NOT NULL, host TEXT NOT NULL, kernel TEXT NOT NULL
) STRICT;

-- A namespace from its birth to its end. `began` is null while no event has told of it: it was but
-- pointed at. `creator` is the process that made it, `first` the event that told of it first.
CREATE TABLE namespace(
    id INTEGER PRIMARY KEY, boot INTEGER NOT NULL, kind INTEGER NOT NULL, inode INTEGER NOT NULL,
    ns_id INTEGER, initial INTEGER NOT NULL, born INTEGER, owner INTEGER, parent INTEGER,
    level INTEGER, began INTEGER, ended INTEGER NOT NULL, first INTEGER, last INTEGER,
    cause INTEGER, creator INTEGER, last_task INTEGER
) STRICT;
CREATE INDEX namespace_inode ON namespace(inode);
CREATE INDEX namespace_life ON namespace(ended, began);
CREATE INDEX namespace_began ON namespace(began);
CREATE INDEX namespace_creator ON namespace(creator) WHERE creator IS NOT NULL;
CREATE INDEX namespace_ns_id ON namespace(ns_id) WHERE ns_id IS NOT NULL;

CREATE TABLE slots(
    id INTEGER PRIMARY KEY, mnt INTEGER, pid INTEGER, pid_for_children INTEGER, ipc INTEGER,
    uts INTEGER, net INTEGER, user INTEGER, cgroup INTEGER, time INTEGER, time_for_children INTEGER
) STRICT;

CREATE TABLE program(
    id INTEGER PRIMARY KEY, exe TEXT, args TEXT, truncated INTEGER NOT NULL
) STRICT;

CREATE TABLE place(
    id INTEGER PRIMARY KEY, cgroup TEXT, cgroup_id INTEGER, container TEXT, runtime TEXT, pod TEXT
) STRICT;

-- A process as it was at some event; another row when anything of it changed.
CREATE TABLE process(
    id INTEGER PRIMARY KEY, pid INTEGER NOT NULL, tid INTEGER NOT NULL, ppid INTEGER NOT NULL,
    vpid INTEGER, start_ns INTEGER NOT NULL, comm TEXT NOT NULL, uid INTEGER NOT NULL, gid INTEGER,
    euid INTEGER, caps INTEGER, slots INTEGER NOT NULL, program INTEGER NOT NULL,
    place INTEGER NOT NULL
) STRICT;
CREATE INDEX process_pid ON process(pid);

-- `ns` is the namespace that the event is about, of a failed setns its target.
CREATE TABLE event(
    seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, boot INTEGER NOT NULL, boot_ns INTEGER NOT NULL,
    event INTEGER NOT NULL, source INTEGER NOT NULL, process INTEGER, ns INTEGER, cause INTEGER,
    flags INTEGER, op INTEGER, errno INTEGER, relation INTEGER, repeat INTEGER,
    lossy INTEGER NOT NULL, detail TEXT
) STRICT;
CREATE INDEX event_time ON event(time);
CREATE INDEX event_process ON event(process) WHERE process IS NOT NULL;
CREATE INDEX event_ns ON event(ns) WHERE ns IS NOT NULL;
CREATE INDEX event_lost ON event(event) WHERE event = 9;

-- What a task changed; of a setns by pidfd that failed, what it was pointed at.
CREATE TABLE change(
    seq INTEGER NOT NULL, number INTEGER NOT NULL, slot INTEGER NOT NULL, source INTEGER,
    target INTEGER, PRIMARY KEY(seq, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX change_source ON change(source) WHERE source IS NOT NULL;
CREATE INDEX change_target ON change(target) WHERE target IS NOT NULL;
",
    "
CREATE INDEX event_alert ON event(event) WHERE event = 11;
",
];

/// The version that this program writes.
pub(super) const VERSION: u32 = 2;

const _: () = assert!(STEPS.len() == VERSION as usize, "each step makes one version");

/// Brings a file to the version of this program, or makes it one.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<()> {
    migrate_to(connection, path, &STEPS)
}

pub(super) fn migrate_to(connection: &mut Connection, path: &Path, steps: &[&str]) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version = check(&transaction, path)?;
    let last = u32::try_from(steps.len()).unwrap_or(u32::MAX);
    if version < last {
        for step in steps.iter().skip(version as usize) {
            transaction.execute_batch(step)?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", last)?;
    }
    transaction.commit()?;
    Ok(())
}

/// The version of a file, 0 of an empty one.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<u32> {
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get(0));
    let application: i32 = number("application_id").map_err(|error| foreign(error, path))?;
    let version: i32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let is_empty = || {
        let count = "SELECT count(*) FROM sqlite_schema";
        connection.query_row(count, [], |row| row.get::<_, u32>(0)).map(|count| count == 0)
    };
    if application != APPLICATION && !(application == 0 && version == 0 && is_empty()?) {
        return Err(Error::Foreign(path.to_owned()));
    }
    let version = u32::try_from(version).unwrap_or_default();
    if application == APPLICATION && version == 0 {
        return Err(Error::Versionless(path.to_owned()));
    }
    if version > VERSION {
        return Err(Error::Newer { path: path.to_owned(), version, known: VERSION });
    }
    Ok(version)
}

/// A file that is no database at all is somebody else's.
pub(super) fn foreign(error: rusqlite::Error, path: &Path) -> Error {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => Error::Foreign(path.to_owned()),
        _ => error.into(),
    }
}
