//! The namespaces of the present, and which rows they have.

use std::{collections::VecDeque, sync::Arc};

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use rustc_hash::{FxHashMap, FxHashSet};

use super::End;
use crate::{
    history::{
        Result,
        life::{self, CREATOR, CREATOR_JOIN, INFO, INFO_COLUMNS, JOIN},
        schema::NEVER,
    },
    model::{
        Creator, Event, Kind, NsInfo, NsRef, Time,
        event::{Body, Create, Destroy, Host, Reason},
    },
    sys::host,
};

/// How many of the dead are remembered: late events may point at them.
const DEAD: usize = 8192;

/// Every namespace that events may point at.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// The row of this boot; 0 as long as it has none.
    boot: i64,
    boot_id: String,
    rows: FxHashMap<NsRef, i64>,
    /// The living.
    alive: FxHashMap<(Kind, u32), i64>,
    known: FxHashMap<i64, Known>,
    dead: VecDeque<i64>,
    /// Those that a former run knew and this one has not met yet.
    unsettled: Option<Unsettled>,
}

/// What stands in a row.
#[derive(Debug)]
struct Known {
    ns: NsInfo,
    /// Whether an event has told of it.
    is_told: bool,
    is_alive: bool,
    creator: Option<Arc<Creator>>,
    last_task: Option<u64>,
}

#[derive(Debug)]
struct Unsettled {
    time: i64,
    rows: FxHashSet<i64>,
    /// Whether the start tells what exists at all.
    is_told: bool,
}

impl Known {
    /// What finds the rows for which a condition holds.
    fn query(condition: &str) -> String {
        format!(
            "SELECT {INFO}, n.began IS NOT NULL, {CREATOR} FROM namespace n {JOIN} {CREATOR_JOIN} \
             WHERE {condition}"
        )
    }

    /// Reads the row of one that lives.
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            ns: life::info(row)?,
            is_told: row.get(INFO_COLUMNS)?,
            is_alive: true,
            creator: life::creator(row, INFO_COLUMNS + 1)?,
            last_task: None,
        })
    }
}

impl Names {
    /// What a store knows of this boot.
    pub(super) fn load(connection: &Connection) -> Result<Self> {
        let mut names = Self { boot_id: host::boot_id(), ..Self::default() };
        let query = "SELECT id FROM boot WHERE boot_id = ?1";
        let boot = connection.query_row(query, [&names.boot_id], |row| row.get(0)).optional()?;
        names.boot = boot.unwrap_or_default();
        names.read_living(connection)?;
        Ok(names)
    }

    fn read_living(&mut self, connection: &Connection) -> Result<()> {
        let query = Known::query("n.ended = ?1 AND n.boot = ?2");
        let mut statement = connection.prepare(&query)?;
        let mut rows = statement.query(params![NEVER, self.boot])?;
        while let Some(row) = rows.next()? {
            self.know(row.get(0)?, Known::read(row)?);
        }
        Ok(())
    }

    fn know(&mut self, row: i64, known: Known) {
        let at = known.ns.to_ref();
        self.rows.insert(at, row);
        self.alive.insert((at.kind, at.inode), row);
        self.known.insert(row, known);
    }

    /// The row of this boot.
    pub(super) const fn boot(&self) -> i64 {
        self.boot
    }

    /// Whether a start has left namespaces over of which it is not known whether they still live.
    pub(super) fn is_unsettled(&self) -> bool {
        self.unsettled.as_ref().is_some_and(|unsettled| unsettled.is_told)
    }

    /// Notices an event that is about to be stored.
    pub(super) fn arrive(&mut self, connection: &Connection, event: &Event) -> Result<()> {
        if let Body::Sync(sync) = &event.body {
            self.settle(connection)?;
            self.enter_boot(connection, &sync.host)?;
            if sync.reason == Reason::Start {
                self.doubt(event.time);
            }
            return Ok(());
        }
        if self.boot == 0 {
            let host = Host {
                name: host::name(),
                boot_id: self.boot_id.clone(),
                kernel: host::kernel(),
                backend: String::new(),
            };
            self.enter_boot(connection, &host)?;
        }
        if !matches!(event.body, Body::Exist(_)) {
            self.settle(connection)?;
        }
        Ok(())
    }

    /// Takes nothing that was told of for alive any more, unless it is [found](Self::found).
    pub(super) fn doubt(&mut self, Time(time): Time) {
        let is_told = |row: &&i64| self.known.get(row).is_some_and(|known| known.is_told);
        let rows = self.alive.values().filter(is_told).copied().collect();
        self.unsettled = Some(Unsettled { time, rows, is_told: false });
    }

    /// Takes those for gone that the last start has not found any more.
    pub(super) fn settle(&mut self, connection: &Connection) -> Result<()> {
        let Some(unsettled) = self.unsettled.take().filter(|unsettled| unsettled.is_told) else {
            return Ok(());
        };
        for row in unsettled.rows {
            self.end(connection, row, unsettled.time, None, None)?;
        }
        Ok(())
    }

    fn enter_boot(&mut self, connection: &Connection, host: &Host) -> Result<()> {
        if self.boot != 0 && self.boot_id == host.boot_id {
            return Ok(());
        }
        // Nothing outlives its boot; of when it ended the last event is the nearest that is known.
        let end = "UPDATE namespace SET ended = \
            max(ifnull(began, 0), (SELECT ifnull(max(time), 0) FROM event)) WHERE ended = ?1";
        connection.execute(end, [NEVER])?;
        let query = "SELECT id FROM boot WHERE boot_id = ?1";
        let boot = connection.query_row(query, [&host.boot_id], |row| row.get(0)).optional()?;
        let boot = if let Some(boot) = boot {
            boot
        } else {
            let put = "INSERT INTO boot VALUES (NULL, ?1, ?2, ?3)";
            let mut put = connection.prepare_cached(put)?;
            put.insert(params![host.boot_id, host.name, host.kernel])?
        };
        *self = Self { boot, boot_id: host.boot_id.clone(), ..Self::default() };
        Ok(())
    }

    /// The row of a namespace that something points at.
    pub(super) fn row(&mut self, connection: &Connection, ns: &NsRef) -> Result<i64> {
        if let Some(row) = self.rows.get(ns) {
            return Ok(*row);
        }
        if let Some(row) = self.alias(connection, ns)? {
            return Ok(row);
        }
        let put = "INSERT INTO namespace(boot, kind, inode, ns_id, initial, ended) \
            VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let row = connection.prepare_cached(put)?.insert(params![
            self.boot,
            ns.kind as u32,
            ns.inode,
            ns.id.map(u64::cast_signed),
            ns.initial,
            NEVER
        ])?;
        let NsRef { kind, inode, id, initial } = *ns;
        let ns =
            NsInfo { kind, inode, id, initial, born: None, owner: None, parent: None, level: None };
        let known = Known { ns, is_told: false, is_alive: true, creator: None, last_task: None };
        // One that is told of keeps its place: this may be a late look at a former one.
        let holder = self.alive.get(&(kind, inode)).copied();
        self.know(row, known);
        if let Some(holder) = holder {
            self.alive.insert((kind, inode), holder);
        }
        Ok(row)
    }

    /// The row of a living namespace whose id was not known, or is not here.
    fn alias(&mut self, connection: &Connection, ns: &NsRef) -> Result<Option<i64>> {
        let Some(row) = self.alive.get(&(ns.kind, ns.inode)).copied() else { return Ok(None) };
        let Some(known) = self.known.get_mut(&row) else { return Ok(None) };
        let is_same = known.ns.id.is_none() || ns.id.is_none() || known.ns.id == ns.id;
        if !is_same || known.ns.initial != ns.initial {
            return Ok(None);
        }
        if known.ns.id.is_none() && ns.id.is_some() {
            known.ns.id = ns.id;
            let put = "UPDATE namespace SET ns_id = ?2 WHERE id = ?1";
            connection.prepare_cached(put)?.execute(params![row, ns.id.map(u64::cast_signed)])?;
        }
        self.rows.insert(*ns, row);
        Ok(Some(row))
    }

    /// What an event says of a namespace, if it is something else than what stands in its row.
    pub(super) fn otherwise(&self, row: i64, ns: &NsInfo) -> Option<NsInfo> {
        let is_same = self.known.get(&row).is_some_and(|known| known.ns == *ns);
        (!is_same).then(|| ns.clone())
    }

    /// A namespace came to be.
    pub(super) fn born(
        &mut self,
        connection: &Connection,
        event: &Event,
        create: &Create,
        process: Option<i64>,
    ) -> Result<i64> {
        let row = self.fresh(connection, event, &create.ns)?;
        self.tell(connection, row, event.time, Some(event.seq), &create.ns)?;
        let put = "UPDATE namespace SET cause = ?2, creator = ?3 WHERE id = ?1";
        connection.prepare_cached(put)?.execute(params![row, create.cause as u32, process])?;
        if let Some(known) = self.known.get_mut(&row) {
            known.creator = Some(Arc::new(Creator::from(&*create.process)));
        }
        Ok(row)
    }

    /// A row for a namespace of which nothing was told before; whoever had its place is gone.
    fn fresh(&mut self, connection: &Connection, event: &Event, ns: &NsInfo) -> Result<i64> {
        let at = ns.to_ref();
        let former = self.alive.get(&(at.kind, at.inode)).copied();
        let pointed_at = self.rows.get(&at).copied().filter(|row| {
            let known = self.known.get(row);
            at.id.is_some() && known.is_some_and(|known| known.is_alive && !known.is_told)
        });
        if let Some(former) = former.filter(|former| Some(*former) != pointed_at) {
            self.end(connection, former, event.time.0, None, None)?;
        }
        if let Some(row) = pointed_at {
            self.alive.insert((at.kind, at.inode), row);
            return Ok(row);
        }
        self.rows.remove(&at);
        self.row(connection, &at)
    }

    /// A namespace exists; `seq` is the event that is stored for that, if one is.
    pub(super) fn found(
        &mut self,
        connection: &Connection,
        event: &Event,
        ns: &NsInfo,
        seq: Option<u64>,
    ) -> Result<i64> {
        self.revive(connection, &ns.to_ref())?;
        let row = self.row(connection, &ns.to_ref())?;
        let known = self.known.get(&row);
        let differs = |one: Option<NsRef>, other: Option<NsRef>| {
            one.is_some() && other.is_some() && one != other
        };
        let is_other = known.is_some_and(|known| {
            !known.is_alive
                // Another has the inode by now, which where there are no ids is all that is left.
                || known.ns.born.zip(ns.born).is_some_and(|(one, other)| one != other)
                || differs(known.ns.owner, ns.owner)
                || differs(known.ns.parent, ns.parent)
        });
        let row = if is_other { self.fresh(connection, event, ns)? } else { row };
        self.tell(connection, row, event.time, seq, ns)?;
        // Whoever was thought to have the inode has it no longer.
        let former = self.alive.insert((ns.kind, ns.inode), row);
        if let Some(former) = former.filter(|former| *former != row) {
            self.end(connection, former, event.time.0, None, None)?;
        }
        if let Some(unsettled) = &mut self.unsettled {
            unsettled.is_told = true;
            unsettled.rows.remove(&row);
        }
        Ok(row)
    }

    /// Has the life of a namespace go on that was taken for gone as a start had not found it, though
    /// something had kept it that is found later only. No two have the same id, unless it is unknown.
    fn revive(&mut self, connection: &Connection, ns: &NsRef) -> Result<()> {
        let Some(id) = ns.id.filter(|_| !self.alive.contains_key(&(ns.kind, ns.inode))) else {
            return Ok(());
        };
        // The kernel has not told of its end.
        let query = Known::query(
            "n.ns_id = ?1 AND n.kind = ?2 AND n.inode = ?3 AND n.boot = ?4 AND n.last IS NULL \
             ORDER BY n.id DESC LIMIT 1",
        );
        let mut statement = connection.prepare_cached(&query)?;
        let at = params![id.cast_signed(), ns.kind as u32, ns.inode, self.boot];
        let read = |row: &Row<'_>| Ok((row.get(0)?, Known::read(row)?));
        let Some((row, known)) = statement.query_row(at, read).optional()? else {
            return Ok(());
        };
        let put = "UPDATE namespace SET ended = ?2 WHERE id = ?1";
        connection.prepare_cached(put)?.execute(params![row, NEVER])?;
        self.know(row, known);
        Ok(())
    }

    /// The kernel freed a namespace. Returns what its row now says of its end.
    pub(super) fn died(
        &mut self,
        connection: &Connection,
        event: &Event,
        destroy: &Destroy,
    ) -> Result<(i64, End)> {
        let row = self.row(connection, &destroy.ns.to_ref())?;
        let is_told = self.known.get(&row).is_some_and(|known| known.is_told);
        if !is_told {
            self.tell(connection, row, event.time, Some(event.seq), &destroy.ns)?;
            let lifetime = destroy.lifetime_ns.unwrap_or_default();
            let began = event.time.0.saturating_sub_unsigned(lifetime);
            let put = "UPDATE namespace SET began = ?2 WHERE id = ?1";
            connection.prepare_cached(put)?.execute(params![row, began])?;
        }
        let (seq, last_task) = (Some(event.seq), destroy.last_task_boot_ns);
        self.end(connection, row, event.time.0, seq, last_task)?;
        let known = self.known.get(&row);
        let born = known.and_then(|known| known.ns.born);
        let end = End {
            creator: known.and_then(|known| known.creator.clone()),
            lifetime_ns: born.map(|born| event.boot_ns.saturating_sub(born)),
            last_task_boot_ns: known.and_then(|known| known.last_task),
        };
        Ok((row, end))
    }

    /// Writes to a row what an event tells, as far as it is not there yet.
    fn tell(
        &mut self,
        connection: &Connection,
        row: i64,
        Time(time): Time,
        seq: Option<u64>,
        ns: &NsInfo,
    ) -> Result<()> {
        let Some(known) = self.known.get_mut(&row) else { return Ok(()) };
        let was_told = std::mem::replace(&mut known.is_told, true);
        let old = known.ns.clone();
        known.ns.born = old.born.or(ns.born);
        known.ns.owner = old.owner.or(ns.owner);
        known.ns.parent = old.parent.or(ns.parent);
        known.ns.level = old.level.or(ns.level);
        let new = known.ns.clone();
        if was_told && new == old {
            return Ok(());
        }
        let mut relative = |ns: Option<NsRef>| ns.map(|ns| self.row(connection, &ns)).transpose();
        let (owner, parent) = (relative(new.owner)?, relative(new.parent)?);
        let put = "UPDATE namespace SET born = ?2, owner = ?3, parent = ?4, level = ?5, \
            began = ifnull(began, ?6), first = ifnull(first, ?7) WHERE id = ?1";
        connection.prepare_cached(put)?.execute(params![
            row,
            new.born.map(u64::cast_signed),
            owner,
            parent,
            new.level,
            time,
            seq.map(u64::cast_signed)
        ])?;
        Ok(())
    }

    /// Ends a life; `seq` is the event that told so.
    fn end(
        &mut self,
        connection: &Connection,
        row: i64,
        time: i64,
        seq: Option<u64>,
        last_task: Option<u64>,
    ) -> Result<()> {
        let Some(known) = self.known.get_mut(&row).filter(|known| known.is_alive) else {
            return Ok(());
        };
        (known.is_alive, known.last_task) = (false, last_task);
        let at = (known.ns.kind, known.ns.inode);
        if self.alive.get(&at) == Some(&row) {
            self.alive.remove(&at);
        }
        let put = "UPDATE namespace SET ended = ?2, last = ?3, last_task = ?4 WHERE id = ?1";
        connection.prepare_cached(put)?.execute(params![
            row,
            time,
            seq.map(u64::cast_signed),
            last_task.map(u64::cast_signed)
        ])?;
        self.dead.push_back(row);
        while self.dead.len() > DEAD {
            self.forget_oldest();
        }
        Ok(())
    }

    /// Forgets all the dead.
    pub(super) fn forget_dead(&mut self) {
        while !self.dead.is_empty() {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(row) = self.dead.pop_front() else { return };
        // It may have been found alive since.
        if self.known.get(&row).is_some_and(|known| known.is_alive) {
            return;
        }
        let Some(known) = self.known.remove(&row) else { return };
        let named = known.ns.to_ref();
        for name in [named, NsRef { id: None, ..named }] {
            if self.rows.get(&name) == Some(&row) {
                self.rows.remove(&name);
            }
        }
    }
}
