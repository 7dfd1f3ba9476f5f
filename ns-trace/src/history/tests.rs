//! The store: what is put in comes out again, and what was there is known.

mod life;
mod retention;

use std::{
    fs,
    ops::ControlFlow,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use proptest::{collection::vec, prelude::*};
use rusqlite::Connection;
use rustix::fs::{CWD, Mode, mkfifoat};

use super::{Error, Name, Query, Store, schema};
use crate::model::{Event, arbitrary, event::EventKind};

/// A directory for a store; it goes with this.
pub(super) struct Directory(PathBuf);

impl Directory {
    pub(super) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ns-trace-test-{}-history-{number}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    pub(super) fn store(&self) -> PathBuf {
        self.0.join("history.db")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// All events of a store, as they are asked for; in pages they are the same.
pub(super) fn found(store: &Store, query: &Query) -> Vec<Event> {
    let mut found = Vec::new();
    let pages: Vec<Vec<_>> = store.pages(query, 2).unwrap().map(Result::unwrap).collect();
    assert!(pages.iter().all(|page| page.len() <= 2));
    let ended = store.events::<()>(query, |event| {
        found.push(event);
        ControlFlow::Continue(())
    });
    ended.unwrap();
    let limit = query.limit.map_or(usize::MAX, |limit| limit.try_into().unwrap());
    assert_eq!(pages.into_iter().flatten().take(limit).collect::<Vec<_>>(), found);
    found
}

fn write(path: &Path, events: &[Event]) {
    let mut writer = Store::open(path).unwrap().writer().unwrap();
    for event in events {
        writer.append(event).unwrap();
    }
    writer.commit().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// Whatever happens, it is the same when it is read again.
    #[test]
    fn what_is_put_in_comes_out_again(mut events in vec(arbitrary::event(), 1..24)) {
        for (event, seq) in events.iter_mut().zip(5..) {
            event.seq = seq;
        }
        let directory = Directory::new();
        write(&directory.store(), &events);
        let store = Store::read(&directory.store()).unwrap();
        let read = found(&store, &Query::default());
        for (read, event) in read.iter().zip(&events) {
            prop_assert_eq!(
                serde_json::to_string(read).unwrap(), serde_json::to_string(event).unwrap()
            );
        }
        prop_assert_eq!(read.len(), events.len());
        prop_assert_eq!(store.last_seq().unwrap(), events.last().unwrap().seq);
        // By its process, each is found too.
        let process = events.iter().find_map(|event| event.body.process());
        if let Some(process) = process {
            let query = Query { pids: vec![process.pid], ..Query::default() };
            let of_it = |event: &&Event| {
                event.body.kind() == EventKind::Lost
                    || event.body.process().is_some_and(|other| other.pid == process.pid)
            };
            prop_assert_eq!(found(&store, &query).len(), events.iter().filter(of_it).count());
        }
    }
}

#[test]
fn only_the_owner_may_read_it_and_only_one_writes_it() {
    let directory = Directory::new();
    let path = directory.store();
    let writer = Store::open(&path).unwrap().writer().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    assert_eq!(mode(&directory.0.join("history.db-wal")), 0o600);
    assert!(matches!(Store::open(&path), Err(Error::Taken(_))));
    assert!(Store::read(&path).unwrap().is_written());
    drop(writer);
    assert!(!Store::read(&path).unwrap().is_written());
    Store::open(&path).unwrap();
}

#[test]
fn what_is_not_committed_is_not_there() {
    let directory = Directory::new();
    let path = directory.store();
    let mut writer = Store::open(&path).unwrap().writer().unwrap();
    writer.append(&life::create(1, 10, 7)).unwrap();
    writer.commit().unwrap();
    assert_eq!(writer.last_seq(), 1);
    writer.append(&life::create(2, 20, 8)).unwrap();
    drop(writer);
    assert_eq!(Store::read(&path).unwrap().last_seq().unwrap(), 1);
}

#[test]
fn a_number_that_is_there_already_leaves_the_rest_as_it_was() {
    let directory = Directory::new();
    let path = directory.store();
    let mut writer = Store::open(&path).unwrap().writer().unwrap();
    writer.append(&life::create(1, 10, 7)).unwrap();
    writer.commit().unwrap();
    writer.append(&life::create(2, 20, 8)).unwrap();
    assert!(writer.append(&life::create(1, 30, 9)).is_err());
    // All since the commit is to be appended again.
    writer.append(&life::create(2, 20, 8)).unwrap();
    writer.append(&life::create(3, 30, 9)).unwrap();
    writer.commit().unwrap();
    let numbers: Vec<_> =
        found(writer.store(), &Query::default()).iter().map(|event| event.seq).collect();
    assert_eq!(numbers, [1, 2, 3]);
}

#[test]
fn an_older_file_is_brought_up_to_date() {
    let directory = Directory::new();
    let path = directory.store();
    write(&path, &[life::create(7, 10, 7)]);
    let mut connection = Connection::open(&path).unwrap();
    let version = |connection: &Connection| -> u32 {
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    };
    assert_eq!(version(&connection), schema::VERSION);
    let later = "CREATE TABLE later(id INTEGER PRIMARY KEY, seq INTEGER NOT NULL) STRICT; \
        INSERT INTO later SELECT 1, seq FROM event";
    let steps = [&schema::STEPS[..], &[later]].concat();
    // A step that fails leaves it as it was.
    let broken = [&steps[..], &["CREATE TABLE later(id INTEGER) STRICT"]].concat();
    assert!(schema::migrate_to(&mut connection, &path, &broken).is_err());
    assert_eq!(version(&connection), schema::VERSION);
    assert_eq!(found(&Store::read(&path).unwrap(), &Query::default()).len(), 1);
    // Only what is new is done, with what was there.
    schema::migrate_to(&mut connection, &path, &steps).unwrap();
    assert_eq!(version(&connection), schema::VERSION + 1);
    let seq = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
    assert_eq!(connection.query_row("SELECT seq FROM later", [], seq).unwrap(), 7);
}

#[test]
fn what_is_no_history_of_ours_is_refused_with_a_sentence() {
    let directory = Directory::new();
    let path = directory.store();
    let said = |path: &Path| match (Store::read(path), Store::open(path)) {
        (Err(read), Err(open)) => (read.to_string(), open.to_string()),
        other => panic!("{other:?}"),
    };
    assert!(matches!(Store::read(&path), Err(Error::Missing(_))));
    write(&path, &[life::create(1, 10, 7)]);
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let sentence = format!(
        "the history {} has version 99; this ns-trace knows versions up to {}",
        path.display(),
        schema::VERSION
    );
    assert_eq!(said(&path), (sentence.clone(), sentence));
    let version = "does not say which version it has; move it away, and a new one is begun";
    let versionless = format!("the history {} {version}", path.display());
    for version in [0, -1] {
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "user_version", version).unwrap();
        drop(connection);
        assert_eq!(said(&path), (versionless.clone(), versionless.clone()));
    }
    let foreign = format!("{} is no history of ns-trace", path.display());
    fs::write(&path, "something else that is long enough to be looked at").unwrap();
    assert_eq!(said(&path), (foreign.clone(), foreign.clone()));
    fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE a(b)").unwrap();
    assert_eq!(said(&path), (foreign.clone(), foreign));
}

#[test]
fn what_is_no_file_is_refused_and_not_waited_for() {
    let directory = Directory::new();
    fs::create_dir(&directory.0).unwrap();
    let path = directory.store();
    mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
    for path in [&path, &directory.0] {
        let said = Store::read(path).unwrap_err().to_string();
        let sentence = format!("cannot open the history {}: it is no regular file", path.display());
        assert_eq!(said, sentence);
    }
}

#[test]
fn to_read_it_leaves_the_locks_of_who_writes_it() {
    let directory = Directory::new();
    let path = directory.store();
    let writer = Store::open(&path).unwrap().writer().unwrap();
    let locks = || -> usize {
        let inode = format!(":{} ", fs::metadata(&path).unwrap().ino());
        let locks = fs::read_to_string("/proc/locks").unwrap();
        locks.lines().filter(|line| line.contains("POSIX") && line.contains(&inode)).count()
    };
    let before = locks();
    drop(Store::read(&path).unwrap());
    assert_eq!((before, locks()), (1, 1));
    drop(writer);
}

#[test]
fn who_takes_their_time_over_a_page_keeps_nobody_from_writing() {
    let directory = Directory::new();
    let path = directory.store();
    let mut writer = Store::open(&path).unwrap().writer().unwrap();
    (1..=4).for_each(|seq| writer.append(&life::create(seq, 10, 7)).unwrap());
    writer.commit().unwrap();
    let about = Some(vec![Name { kind: None, inode: Some(7), id: None }]);
    for query in [Query::default(), Query { namespaces: about, ..Query::default() }] {
        let store = Store::read(&path).unwrap();
        let mut pages = store.pages(&query, 3).unwrap();
        assert_eq!(pages.next().unwrap().unwrap().len(), 3);
        let seq = writer.last_seq() + 1;
        writer.append(&life::create(seq, 10, 7)).unwrap();
        writer.commit().unwrap();
        // All of the log moves to the file, and it begins anew.
        let is_busy = |row: &rusqlite::Row<'_>| row.get::<_, bool>(0);
        let cut = "PRAGMA wal_checkpoint(TRUNCATE)";
        assert!(!writer.store().connection.query_row(cut, [], is_busy).unwrap());
        // What came since it was asked is none of its events.
        let rest: Vec<_> = pages.map(|page| page.unwrap().len()).collect();
        assert_eq!(rest.iter().sum::<usize>() as u64, seq - 4);
    }
}

#[test]
fn events_are_found_by_what_they_are_about() {
    let directory = Directory::new();
    let path = directory.store();
    let events = [
        life::create(1, 10, 7),
        life::enter(2, 20, 7),
        life::create(3, 30, 8),
        life::lost(4, 40),
        life::destroy(5, 50, 7),
    ];
    write(&path, &events);
    let store = Store::read(&path).unwrap();
    let numbers =
        |query: &Query| -> Vec<_> { found(&store, query).iter().map(|event| event.seq).collect() };
    let about = |inode| Some(vec![Name { kind: None, inode: Some(inode), id: None }]);
    let all = Query::default;
    assert_eq!(numbers(&Query { namespaces: about(7), ..all() }), [1, 2, 4, 5]);
    assert_eq!(numbers(&Query { namespaces: about(8), ..all() }), [3, 4]);
    assert_eq!(numbers(&Query { namespaces: Some(Vec::new()), ..all() }), [4]);
    assert_eq!(numbers(&Query { events: vec![EventKind::Enter], ..all() }), [2, 4]);
    assert_eq!(numbers(&Query { uid: Some(1000), ..all() }), [1, 2, 3, 4]);
    assert_eq!(numbers(&Query { uid: Some(1), ..all() }), [4]);
    assert_eq!(numbers(&Query { pids: vec![107], namespaces: about(8), ..all() }), [4]);
    assert_eq!(numbers(&Query { pids: vec![108], namespaces: about(8), ..all() }), [3, 4]);
    assert_eq!(numbers(&Query { container: Some("c".to_owned()), ..all() }), [4]);
    let time = |nanos| Some(crate::model::Time(nanos));
    assert_eq!(numbers(&Query { since: time(20), until: time(40), ..all() }), [2, 3]);
    assert_eq!(numbers(&Query { after: Some(2), limit: Some(2), ..all() }), [3, 4]);
}
