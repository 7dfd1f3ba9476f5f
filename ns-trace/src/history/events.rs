//! Events as they come back from the store.

use std::{hash::Hash, sync::Arc};

use rusqlite::{Connection, Row, Statement};
use rustc_hash::FxHashMap;

use super::{
    Error, Result,
    detail::{Detail, End},
    life::{self, CREATOR, CREATOR_JOIN, INFO, INFO_COLUMNS, JOIN},
};
use crate::model::{
    Caps, Cause, Container, Creator, Errno, Event, Flags, NsInfo, NsRef, Pod, Process, Runtime,
    SLOTS, Slot, Slots, Time,
    event::{
        Alert, Body, Change, Create, Destroy, Enter, EventKind, Exec, Exist, Exit, Fail, Fork, Map,
        ProcessTarget, Relation, SchemaName, Source, Target,
    },
};

/// How many rows of each sort are remembered.
const MOST: usize = 16_384;

/// The columns of an event, of the table `e`, in the order in which they are read.
pub(super) const COLUMNS: &str = "e.seq, e.time, e.boot_ns, e.event, e.source, e.process, e.ns, \
    e.cause, e.flags, e.op, e.errno, e.relation, e.repeat, e.lossy, e.detail";

/// What is read of a process.
#[derive(Clone)]
struct Task {
    process: Arc<Process>,
    container: Option<Arc<Container>>,
    pod: Option<Arc<Pod>>,
}

/// What is read of a program: where it is, its arguments, and whether they were cut.
type Program = (Option<Arc<str>>, Option<Arc<[String]>>, bool);

/// What is read of the place of a process: its cgroup, and what that makes it a part of.
#[derive(Clone)]
struct Place {
    cgroup: Option<Arc<str>>,
    cgroup_id: Option<u64>,
    container: Option<Arc<Container>>,
    pod: Option<Arc<Pod>>,
}

/// What is read of a namespace.
#[derive(Clone)]
struct Life {
    ns: NsInfo,
    creator: Option<Arc<Creator>>,
    last_task: Option<u64>,
}

/// Makes events of rows; what they share is read once.
pub(super) struct Events<'c> {
    changes_of: Statement<'c>,
    life_of: Statement<'c>,
    task_of: Statement<'c>,
    program_of: Statement<'c>,
    place_of: Statement<'c>,
    slots_of: Statement<'c>,
    tasks: FxHashMap<i64, Task>,
    lives: FxHashMap<i64, Life>,
    programs: FxHashMap<i64, Program>,
    places: FxHashMap<i64, Place>,
    slots: FxHashMap<i64, Slots>,
}

/// The columns that not every event has.
struct Columns {
    process: Option<Task>,
    ns: Option<Life>,
    cause: Cause,
    flags: Flags,
    op: u64,
    errno: Option<Errno>,
    relation: Option<Relation>,
    repeat: Option<u64>,
    detail: Detail,
}

impl<'c> Events<'c> {
    pub(super) fn new(connection: &'c Connection) -> Result<Self> {
        Ok(Self {
            changes_of: connection.prepare(
                "SELECT c.slot, s.kind, s.inode, s.ns_id, s.initial, \
                t.kind, t.inode, t.ns_id, t.initial FROM change c \
                LEFT JOIN namespace s ON s.id = c.source LEFT JOIN namespace t ON t.id = c.target \
                WHERE c.seq = ?1 ORDER BY c.number",
            )?,
            life_of: connection.prepare(&format!(
                "SELECT {INFO}, n.last_task, {CREATOR} FROM namespace n {JOIN} {CREATOR_JOIN} \
                 WHERE n.id = ?1"
            ))?,
            task_of: connection.prepare(
                "SELECT pid, tid, ppid, vpid, start_ns, comm, uid, gid, euid, caps, slots, \
                program, place FROM process WHERE id = ?1",
            )?,
            program_of: connection
                .prepare("SELECT exe, args, truncated FROM program WHERE id = ?1")?,
            place_of: connection.prepare(
                "SELECT cgroup, cgroup_id, container, runtime, pod FROM place WHERE id = ?1",
            )?,
            slots_of: connection.prepare("SELECT * FROM slots WHERE id = ?1")?,
            tasks: FxHashMap::default(),
            lives: FxHashMap::default(),
            programs: FxHashMap::default(),
            places: FxHashMap::default(),
            slots: FxHashMap::default(),
        })
    }

    /// Makes an event of a row of [`COLUMNS`].
    pub(super) fn read(&mut self, row: &Row<'_>) -> Result<Event> {
        let seq = unsigned(row, 0)?.unwrap_or_default();
        let broken = |what: &str| Error::Broken { seq, what: what.to_owned() };
        let boot_ns = unsigned(row, 2)?.unwrap_or_default();
        let kind = EventKind::ALL.get(usize::from(row.get::<_, u8>(3)?)).copied();
        let kind = kind.ok_or_else(|| broken("its sort is unknown"))?;
        let detail: Option<String> = row.get(14)?;
        let detail: Option<Detail> = detail
            .map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|error| broken(&error.to_string()))?;
        let columns = Columns {
            process: row.get::<_, Option<i64>>(5)?.map(|id| self.task(id)).transpose()?,
            ns: row.get::<_, Option<i64>>(6)?.map(|id| self.life(id)).transpose()?,
            cause: Cause::from_wire(row.get::<_, Option<u32>>(7)?.unwrap_or_default()),
            flags: Flags::from_bits(unsigned(row, 8)?.unwrap_or_default()),
            op: unsigned(row, 9)?.unwrap_or_default(),
            errno: row.get::<_, Option<i32>>(10)?.map(Errno::from_raw),
            relation: row.get::<_, Option<u8>>(11)?.and_then(relation),
            repeat: unsigned(row, 12)?,
            detail: detail.unwrap_or_default(),
        };
        let task = columns.process.as_ref();
        let container =
            task.map_or(columns.detail.container.clone(), |task| task.container.clone());
        let pod = task.map_or(columns.detail.pod.clone(), |task| task.pod.clone());
        let body = self.body(kind, seq, boot_ns, columns)?;
        let body = body.ok_or_else(|| broken("a part of it is missing"))?;
        Ok(Event {
            schema: SchemaName::V1,
            seq,
            time: Time(row.get(1)?),
            boot_ns,
            source: source(row.get(4)?),
            body,
            container,
            pod,
            lossy: row.get(13)?,
        })
    }

    /// What is special to a sort of event; `None` if something of it is not there.
    fn body(
        &mut self,
        kind: EventKind,
        seq: u64,
        boot_ns: u64,
        columns: Columns,
    ) -> Result<Option<Body>> {
        let changes = match kind {
            EventKind::Enter | EventKind::Exec | EventKind::Fail => self.changes(seq)?,
            _ => Vec::new(),
        };
        Ok(body(kind, boot_ns, columns, changes))
    }

    fn changes(&mut self, seq: u64) -> Result<Vec<Change>> {
        let rows = self.changes_of.query_map([seq.cast_signed()], |row| {
            let slot =
                Slot::ALL.get(usize::from(row.get::<_, u8>(0)?)).copied().unwrap_or(Slot::Mnt);
            Ok(Change { slot, from: life::optional(row, 1)?, to: life::optional(row, 5)? })
        })?;
        Ok(rows.collect::<std::result::Result<_, _>>()?)
    }

    fn life(&mut self, id: i64) -> Result<Life> {
        if let Some(life) = self.lives.get(&id) {
            return Ok(life.clone());
        }
        let life = self.life_of.query_row([id], |row| {
            Ok(Life {
                ns: life::info(row)?,
                last_task: unsigned(row, INFO_COLUMNS)?,
                creator: life::creator(row, INFO_COLUMNS + 1)?,
            })
        })?;
        remember(&mut self.lives, id, life.clone());
        Ok(life)
    }

    fn task(&mut self, id: i64) -> Result<Task> {
        if let Some(task) = self.tasks.get(&id) {
            return Ok(task.clone());
        }
        let (process, [slots, program, place]) = self.task_of.query_row([id], |row| {
            Ok((process(row)?, [row.get::<_, i64>(10)?, row.get(11)?, row.get(12)?]))
        })?;
        let (exe, args, args_truncated) = self.program(program)?;
        let Place { cgroup, cgroup_id, container, pod } = self.place(place)?;
        let process = Process {
            exe,
            args,
            args_truncated,
            cgroup,
            cgroup_id,
            ns: self.slots(slots)?,
            container: container.clone(),
            pod: pod.clone(),
            ..process
        };
        let task = Task { process: Arc::new(process), container, pod };
        remember(&mut self.tasks, id, task.clone());
        Ok(task)
    }

    fn program(&mut self, id: i64) -> Result<Program> {
        if let Some(program) = self.programs.get(&id) {
            return Ok(program.clone());
        }
        let program = self.program_of.query_row([id], |row| {
            let args: Option<String> = row.get(1)?;
            let args = args.and_then(|args| serde_json::from_str::<Vec<String>>(&args).ok());
            Ok((text(row, 0)?, args.map(Arc::from), row.get(2)?))
        })?;
        remember(&mut self.programs, id, program.clone());
        Ok(program)
    }

    fn place(&mut self, id: i64) -> Result<Place> {
        if let Some(place) = self.places.get(&id) {
            return Ok(place.clone());
        }
        let place = self.place_of.query_row([id], place)?;
        remember(&mut self.places, id, place.clone());
        Ok(place)
    }

    fn slots(&mut self, id: i64) -> Result<Slots> {
        if let Some(slots) = self.slots.get(&id) {
            return Ok(slots.clone());
        }
        let mut names = [None; SLOTS];
        let rows: [Option<i64>; SLOTS] = self.slots_of.query_row([id], |row| {
            let mut rows = [None; SLOTS];
            for (at, place) in rows.iter_mut().enumerate() {
                *place = row.get(at + 1)?;
            }
            Ok(rows)
        })?;
        for (name, row) in names.iter_mut().zip(rows) {
            *name = row.map(|row| self.life(row)).transpose()?.map(|life| life.ns.to_ref());
        }
        let slots = Slots(Arc::new(names));
        remember(&mut self.slots, id, slots.clone());
        Ok(slots)
    }
}

fn remember<K: Eq + Hash, V>(known: &mut FxHashMap<K, V>, key: K, value: V) {
    if known.len() >= MOST {
        known.clear();
    }
    known.insert(key, value);
}

fn unsigned(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<u64>> {
    Ok(row.get::<_, Option<i64>>(at)?.map(i64::cast_unsigned))
}

const fn source(number: u8) -> Source {
    match number {
        0 => Source::Probe,
        1 => Source::Snapshot,
        _ => Source::Replay,
    }
}

const fn relation(number: u8) -> Option<Relation> {
    match number {
        0 => Some(Relation::Host),
        1 => Some(Relation::Own),
        2 => Some(Relation::Other),
        _ => None,
    }
}

fn text(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Arc<str>>> {
    Ok(row.get::<_, Option<String>>(at)?.map(Arc::from))
}

/// A process without its program, its place and its namespaces.
fn process(row: &Row<'_>) -> rusqlite::Result<Process> {
    Ok(Process {
        pid: row.get(0)?,
        tid: row.get(1)?,
        ppid: row.get(2)?,
        vpid: row.get(3)?,
        start_ns: unsigned(row, 4)?.unwrap_or_default(),
        comm: row.get::<_, String>(5)?.into(),
        uid: row.get(6)?,
        gid: row.get(7)?,
        euid: row.get(8)?,
        caps: unsigned(row, 9)?.map(Caps),
        ..Process::default()
    })
}

fn place(row: &Row<'_>) -> rusqlite::Result<Place> {
    let runtime = text(row, 3)?
        .and_then(|name| Runtime::ALL.into_iter().find(|runtime| runtime.name() == &*name));
    Ok(Place {
        cgroup: text(row, 0)?,
        cgroup_id: unsigned(row, 1)?,
        container: text(row, 2)?.map(|id| Arc::new(Container { id, runtime })),
        pod: text(row, 4)?.map(|uid| Arc::new(Pod { uid })),
    })
}

/// Puts an event together; `None` if something of it is not there.
fn body(kind: EventKind, boot_ns: u64, columns: Columns, changes: Vec<Change>) -> Option<Body> {
    let Columns { process, ns, cause, flags, op, errno, relation, repeat, detail } = columns;
    let process = process.map(|task| task.process);
    let told = |life: Option<&Life>| detail.ns.clone().or_else(|| life.map(|life| life.ns.clone()));
    let info = told(ns.as_ref());
    Some(match kind {
        EventKind::Create => {
            Body::Create(Create { cause, flags, op, ns: info?, process: process? })
        }
        EventKind::Enter => {
            Body::Enter(Enter { cause, flags, op, changes, relation, repeat, process: process? })
        }
        EventKind::Fail => {
            let target = match detail.target {
                Some(pid) => {
                    let ns: Vec<NsRef> = changes.iter().filter_map(|change| change.to).collect();
                    Some(Target::Process(ProcessTarget { pid, ns }))
                }
                None => ns.map(|life| Target::Namespace(life.ns.to_ref())),
            };
            let (errno, process) = (errno?, process?);
            Body::Fail(Fail { cause, flags, op, errno, target, relation, repeat, process })
        }
        EventKind::Destroy => {
            let life = ns?;
            let end = detail.end.unwrap_or_else(|| End {
                lifetime_ns: life.ns.born.map(|born| boot_ns.saturating_sub(born)),
                creator: life.creator,
                last_task_boot_ns: life.last_task,
            });
            let End { creator, lifetime_ns, last_task_boot_ns } = end;
            Body::Destroy(Destroy { ns: info?, creator, lifetime_ns, last_task_boot_ns })
        }
        EventKind::Map => Body::Map(Map { ns: info?, map: detail.map?, errno, process: process? }),
        EventKind::Exist => Body::Exist(Exist { ns: info?, members: detail.members? }),
        EventKind::Fork => Body::Fork(Fork { child: detail.child?, process: process? }),
        EventKind::Exec => Body::Exec(Exec { changes, process: process? }),
        EventKind::Exit => Body::Exit(Exit { status: detail.status?, process: process? }),
        EventKind::Lost => Body::Lost(detail.lost?),
        EventKind::Sync => Body::Sync(detail.sync?),
        EventKind::Alert => {
            let alert = detail.alert?;
            Body::Alert(Box::new(Alert { ns: info, process, ..*alert }))
        }
    })
}
