//! What writes a store.

mod names;
mod tasks;

use rusqlite::{Connection, params};

use self::{names::Names, tasks::Tasks};
use super::{
    Result, Store,
    detail::{Detail, End},
};
use crate::model::{
    Cause, Errno, Event, Flags, NsInfo, NsRef, Slot, Time,
    event::{Body, Change, Relation, Source, Target},
};

/// How many statements are kept compiled.
const STATEMENTS: usize = 64;

/// What writes a store. Events are appended to a transaction that [`commit`](Self::commit) ends: until
/// then nobody sees them, and after a failure all since the last commit are to be appended again.
#[derive(Debug)]
pub struct Writer {
    store: Store,
    names: Names,
    tasks: Tasks,
    /// Whether a transaction is open.
    is_open: bool,
    last: u64,
    /// How many events were forgotten since it was looked for what nobody points at any more.
    pub(super) forgotten: u64,
}

/// The columns of an event that not every one has.
#[derive(Default)]
struct Columns {
    ns: Option<i64>,
    cause: Option<Cause>,
    flags: Option<Flags>,
    op: Option<u64>,
    errno: Option<i32>,
    relation: Option<Relation>,
    repeat: Option<u64>,
}

impl Writer {
    pub(super) fn new(store: Store) -> Result<Self> {
        let last = store.last_seq()?;
        store.connection.set_prepared_statement_cache_capacity(STATEMENTS);
        let names = Names::load(&store.connection)?;
        Ok(Self { store, names, tasks: Tasks::default(), is_open: false, last, forgotten: 0 })
    }

    /// The number of the last event that was committed.
    #[must_use]
    pub const fn last_seq(&self) -> u64 {
        self.last
    }

    /// The store, to be read.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Appends an event. Its number must be greater than those before.
    ///
    /// # Errors
    ///
    /// If it cannot be written: the transaction is rolled back then, and all events since the last
    /// commit must be appended again.
    pub fn append(&mut self, event: &Event) -> Result<()> {
        let appended = self.begin().and_then(|()| self.add(event));
        if appended.is_err() {
            self.roll_back();
        }
        appended
    }

    /// Takes note of a namespace that an `exist` event tells of, without that event: where a start
    /// looks at what there is, it follows the `sync` that says so.
    ///
    /// # Errors
    ///
    /// As with [`append`](Self::append).
    pub fn meet(&mut self, event: &Event) -> Result<()> {
        let Body::Exist(exist) = &event.body else { return Ok(()) };
        let met = self.begin().and_then(|()| {
            let connection = &self.store.connection;
            self.names.arrive(connection, event)?;
            self.names.found(connection, event, &exist.ns, None).map(drop)
        });
        if met.is_err() {
            self.roll_back();
        }
        met
    }

    /// Takes note of all that exists, by `exist` events without which the store has missed something:
    /// whatever else it has for alive has ended by then.
    ///
    /// # Errors
    ///
    /// As with [`append`](Self::append).
    pub fn renew(&mut self, time: Time, all: &[Event]) -> Result<()> {
        self.names.doubt(time);
        all.iter().try_for_each(|event| self.meet(event))?;
        self.settle()
    }

    /// Begins a new store in the place of this one, which somebody has taken away; numbers go on.
    ///
    /// # Errors
    ///
    /// If there cannot be one: until there is, nothing can be written.
    pub fn begin_anew(&mut self) -> Result<()> {
        // What was not committed goes with the old one.
        (self.is_open, self.tasks) = (false, Tasks::default());
        self.store.replace()?;
        self.store.connection.set_prepared_statement_cache_capacity(STATEMENTS);
        self.names = Names::load(&self.store.connection)?;
        Ok(())
    }

    /// Makes what was appended since the last commit last.
    ///
    /// What is committed survives the end of this process; it survives a power failure once
    /// [`sync`](Self::sync) was asked for in the same or a later commit.
    ///
    /// # Errors
    ///
    /// If it cannot be written: as with [`append`](Self::append).
    pub fn commit(&mut self) -> Result<()> {
        let committed = self.end();
        if committed.is_err() {
            self.roll_back();
        }
        committed
    }

    /// Whether the next commits are to survive a power failure too, which waits for the disk.
    ///
    /// # Errors
    ///
    /// If it is said between an event and its commit.
    pub fn sync(&mut self, is_wanted: bool) -> Result<()> {
        let how = if is_wanted { "FULL" } else { "NORMAL" };
        Ok(self.store.connection.pragma_update(None, "synchronous", how)?)
    }

    /// Waits until all that was committed is on the disk, as far as no reader is in the way.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn wait_for_disk(&mut self) -> Result<()> {
        // A checkpoint begins by that (https://www.sqlite.org/wal.html, "Performance Considerations").
        Ok(self.store.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?)
    }

    /// Says that nothing follows for now: namespaces that the last start did not find any more are
    /// taken for gone.
    ///
    /// # Errors
    ///
    /// As with [`append`](Self::append).
    pub fn settle(&mut self) -> Result<()> {
        if !self.names.is_unsettled() {
            return Ok(());
        }
        let settled = self.begin().and_then(|()| self.names.settle(&self.store.connection));
        if settled.is_err() {
            self.roll_back();
        }
        settled
    }

    /// Does something in a transaction of its own, after which nothing is known by heart that may be
    /// gone.
    pub(super) fn alone<T>(&mut self, what: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let done = self.begin().and_then(|()| what(&self.store.connection));
        let done = done.and_then(|value| self.end().map(|()| value));
        if done.is_err() {
            self.roll_back();
        }
        self.tasks = Tasks::default();
        self.names.forget_dead();
        done
    }

    fn begin(&mut self) -> Result<()> {
        if !self.is_open {
            self.store.connection.execute_batch("BEGIN IMMEDIATE")?;
            self.is_open = true;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        if self.is_open {
            self.store.connection.execute_batch("COMMIT")?;
            self.is_open = false;
            self.last = self.last.max(self.store.last_seq()?);
        }
        Ok(())
    }

    /// Forgets what was not committed, also of what is known by heart.
    fn roll_back(&mut self) {
        self.is_open = false;
        // SQLite may have done it by itself: then there is nothing to roll back.
        let _done = self.store.connection.execute_batch("ROLLBACK");
        self.tasks = Tasks::default();
        // If the living cannot be read, nothing can be written either, and it is tried again.
        self.names = Names::load(&self.store.connection).unwrap_or_default();
    }

    fn add(&mut self, event: &Event) -> Result<()> {
        let Self { store, names, tasks, .. } = self;
        let connection = &store.connection;
        names.arrive(connection, event)?;
        let process = event.body.process();
        let process =
            process.map(|process| tasks.put(connection, names, process, event)).transpose()?;
        let mut detail = Detail::default();
        if process.is_none() {
            (detail.container, detail.pod) = (event.container.clone(), event.pod.clone());
        }
        let columns = columns(connection, names, event, process, &mut detail)?;
        let put = "INSERT INTO event VALUES \
            (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";
        connection.prepare_cached(put)?.execute(params![
            event.seq.cast_signed(),
            event.time.0,
            names.boot(),
            event.boot_ns.cast_signed(),
            event.body.kind() as u8,
            source(event.source),
            process,
            columns.ns,
            columns.cause.map(|cause| cause as u32),
            columns.flags.map(|flags| flags.bits().cast_signed()),
            columns.op.map(u64::cast_signed),
            columns.errno,
            columns.relation.map(|relation| relation as u8),
            columns.repeat.map(u64::cast_signed),
            event.lossy,
            detail.text(),
        ])?;
        Ok(())
    }
}

/// The number of a source.
const fn source(source: Source) -> u8 {
    match source {
        Source::Probe => 0,
        Source::Snapshot => 1,
        Source::Replay => 2,
    }
}

/// Stores what a sort of event has of its own, as far as it does not stand in its row; returns what
/// does.
fn columns(
    connection: &Connection,
    names: &mut Names,
    event: &Event,
    process: Option<i64>,
    detail: &mut Detail,
) -> Result<Columns> {
    let mut columns = Columns::default();
    match &event.body {
        Body::Create(create) => {
            (columns.cause, columns.flags) = (Some(create.cause), Some(create.flags));
            columns.op = Some(create.op);
            let ns = names.born(connection, event, create, process)?;
            columns.ns = Some(ns);
            detail.ns = names.otherwise(ns, &create.ns);
        }
        Body::Enter(enter) => {
            (columns.cause, columns.flags) = (Some(enter.cause), Some(enter.flags));
            (columns.op, columns.repeat) = (Some(enter.op), enter.repeat);
            columns.relation = enter.relation;
            changes(connection, names, event.seq, &enter.changes)?;
        }
        Body::Fail(fail) => {
            (columns.cause, columns.flags) = (Some(fail.cause), Some(fail.flags));
            (columns.op, columns.repeat) = (Some(fail.op), fail.repeat);
            (columns.relation, columns.errno) = (fail.relation, Some(fail.errno.raw()));
            match &fail.target {
                Some(Target::Namespace(ns)) => columns.ns = Some(names.row(connection, ns)?),
                Some(Target::Process(target)) => {
                    detail.target = Some(target.pid);
                    let change =
                        |ns: &NsRef| Change { slot: Slot::of(ns.kind), from: None, to: Some(*ns) };
                    let pointed_at: Vec<_> = target.ns.iter().map(change).collect();
                    changes(connection, names, event.seq, &pointed_at)?;
                }
                None => {}
            }
        }
        Body::Destroy(destroy) => {
            let end = End {
                creator: destroy.creator.clone(),
                lifetime_ns: destroy.lifetime_ns,
                last_task_boot_ns: destroy.last_task_boot_ns,
            };
            let (ns, expected) = names.died(connection, event, destroy)?;
            columns.ns = Some(ns);
            detail.ns = names.otherwise(ns, &destroy.ns);
            detail.end = (end != expected).then_some(end);
        }
        Body::Map(map) => {
            columns.ns = about(connection, names, &map.ns, detail)?;
            columns.errno = map.errno.map(Errno::raw);
            detail.map = Some(map.map.clone());
        }
        Body::Exist(exist) => {
            let ns = names.found(connection, event, &exist.ns, Some(event.seq))?;
            columns.ns = Some(ns);
            detail.ns = names.otherwise(ns, &exist.ns);
            detail.members = Some(exist.members);
        }
        Body::Fork(fork) => detail.child = Some(fork.child),
        Body::Exec(exec) => changes(connection, names, event.seq, &exec.changes)?,
        Body::Exit(exit) => detail.status = Some(exit.status.clone()),
        Body::Lost(lost) => detail.lost = Some(lost.clone()),
        Body::Sync(sync) => detail.sync = Some(sync.clone()),
        Body::Alert(alert) => {
            let mut rest = alert.clone();
            rest.process = None;
            if let Some(ns) = rest.ns.take() {
                columns.ns = about(connection, names, &ns, detail)?;
            }
            detail.alert = Some(rest);
        }
    }
    Ok(columns)
}

/// The row of a namespace that an event tells more of than its name.
fn about(
    connection: &Connection,
    names: &mut Names,
    ns: &NsInfo,
    detail: &mut Detail,
) -> Result<Option<i64>> {
    let row = names.row(connection, &ns.to_ref())?;
    detail.ns = names.otherwise(row, ns);
    Ok(Some(row))
}

fn changes(connection: &Connection, names: &mut Names, seq: u64, changes: &[Change]) -> Result<()> {
    for (number, change) in (0_u32..).zip(changes) {
        let mut row = |ns: &Option<_>| ns.as_ref().map(|ns| names.row(connection, ns)).transpose();
        let (from, to) = (row(&change.from)?, row(&change.to)?);
        let put = "INSERT INTO change VALUES (?1, ?2, ?3, ?4, ?5)";
        let slot = change.slot as u32;
        connection.prepare_cached(put)?.execute(params![
            seq.cast_signed(),
            number,
            slot,
            from,
            to
        ])?;
    }
    Ok(())
}
