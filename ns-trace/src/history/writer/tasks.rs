//! Processes on their way into the store, each distinct one once.

use std::{hash::Hash, sync::Arc};

use rusqlite::{Connection, params};
use rustc_hash::FxHashMap;

use super::names::Names;
use crate::{
    history::Result,
    model::{Container, Event, Pod, Process, SLOTS, Slots},
};

/// How many of each are known by heart. What is forgotten is stored once more when it comes again.
const MOST: usize = 4096;

/// Rows by what they hold.
#[derive(Debug)]
struct Known<K>(FxHashMap<K, i64>);

impl<K> Default for Known<K> {
    fn default() -> Self {
        Self(FxHashMap::default())
    }
}

impl<K: Eq + Hash> Known<K> {
    fn insert(&mut self, key: K, row: i64) {
        if self.0.len() >= MOST {
            self.0.clear();
        }
        self.0.insert(key, row);
    }
}

type Program = (Option<Arc<str>>, Option<Arc<[String]>>, bool);
type Place =
    (Option<Arc<str>>, Option<u64>, Option<Arc<str>>, Option<&'static str>, Option<Arc<str>>);

/// A process as it was stored last.
#[derive(Debug)]
struct Stored {
    process: Arc<Process>,
    container: Option<Arc<Container>>,
    pod: Option<Arc<Pod>>,
    slots: i64,
    row: i64,
}

/// The processes that were stored last.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    latest: FxHashMap<u32, Stored>,
    slots: Known<[Option<i64>; SLOTS]>,
    programs: Known<Program>,
    places: Known<Place>,
}

impl Tasks {
    /// The row of an event's process.
    pub(super) fn put(
        &mut self,
        connection: &Connection,
        names: &mut Names,
        process: &Arc<Process>,
        event: &Event,
    ) -> Result<i64> {
        let slots = self.slots(connection, names, &process.ns)?;
        if let Some(stored) = self.latest.get(&process.tid)
            && stored.slots == slots
            && stored.process == *process
            && stored.container == event.container
            && stored.pod == event.pod
        {
            return Ok(stored.row);
        }
        let program = self.program(connection, process)?;
        let place = self.place(connection, process, event)?;
        let put = "INSERT INTO process VALUES \
            (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
        let row = connection.prepare_cached(put)?.insert(params![
            process.pid,
            process.tid,
            process.ppid,
            process.vpid,
            process.start_ns.cast_signed(),
            &*process.comm,
            process.uid,
            process.gid,
            process.euid,
            process.caps.map(|caps| caps.0.cast_signed()),
            slots,
            program,
            place,
        ])?;
        if self.latest.len() >= MOST {
            self.latest.clear();
        }
        let (process, container) = (Arc::clone(process), event.container.clone());
        let stored = Stored { process, container, pod: event.pod.clone(), slots, row };
        self.latest.insert(stored.process.tid, stored);
        Ok(row)
    }

    fn slots(&mut self, connection: &Connection, names: &mut Names, slots: &Slots) -> Result<i64> {
        let mut rows = [None; SLOTS];
        for (row, ns) in rows.iter_mut().zip(slots.0.iter()) {
            *row = ns.as_ref().map(|ns| names.row(connection, ns)).transpose()?;
        }
        if let Some(row) = self.slots.0.get(&rows) {
            return Ok(*row);
        }
        let put = "INSERT INTO slots VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        let row = connection.prepare_cached(put)?.insert(rusqlite::params_from_iter(rows))?;
        self.slots.insert(rows, row);
        Ok(row)
    }

    fn program(&mut self, connection: &Connection, process: &Process) -> Result<i64> {
        let program = (process.exe.clone(), process.args.clone(), process.args_truncated);
        if let Some(row) = self.programs.0.get(&program) {
            return Ok(*row);
        }
        let (exe, args, truncated) = &program;
        // Lists of strings are always JSON.
        let text = args.as_ref().and_then(|args| serde_json::to_string(&**args).ok());
        let put = "INSERT INTO program VALUES (NULL, ?1, ?2, ?3)";
        let row =
            connection.prepare_cached(put)?.insert(params![exe.as_deref(), text, truncated])?;
        self.programs.insert(program, row);
        Ok(row)
    }

    fn place(&mut self, connection: &Connection, process: &Process, event: &Event) -> Result<i64> {
        let container = event.container.as_deref();
        let place = (
            process.cgroup.clone(),
            process.cgroup_id,
            container.map(|container| Arc::clone(&container.id)),
            container.and_then(|container| container.runtime).map(crate::model::Runtime::name),
            event.pod.as_deref().map(|pod| Arc::clone(&pod.uid)),
        );
        if let Some(row) = self.places.0.get(&place) {
            return Ok(*row);
        }
        let (cgroup, cgroup_id, container, runtime, pod) = &place;
        let put = "INSERT INTO place VALUES (NULL, ?1, ?2, ?3, ?4, ?5)";
        let row = connection.prepare_cached(put)?.insert(params![
            cgroup.as_deref(),
            cgroup_id.map(u64::cast_signed),
            container.as_deref(),
            runtime,
            pod.as_deref(),
        ])?;
        self.places.insert(place, row);
        Ok(row)
    }
}
