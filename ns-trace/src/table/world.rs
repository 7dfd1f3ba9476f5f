//! The table as others see it: a plain picture of what exists.

use std::{rc::Rc, sync::Arc};

use ns_trace_common::Slot;
use rustc_hash::FxHashMap;

use super::{
    Row, RowId, Surroundings, Table,
    member::{Member, Set},
};
use crate::model::{NsRow, ProcessRow, Slots, ThreadRow, World};

/// Which processes are wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Crowd {
    /// All.
    Whole,
    /// The first in each namespace: of the others nothing but how many they are.
    Firsts,
}

/// How many are in a set.
#[derive(Default)]
struct Tally {
    threads: u32,
    nprocs: u32,
    /// The process of the lowest number, if there is one.
    first: Option<u32>,
}

/// Where in a picture the row of each namespace is.
struct Places(Vec<Option<(RowId, usize)>>);

impl Places {
    /// Those of the rows that tasks in `set` are in; the ones for their children are left out.
    fn of(&self, set: &Set) -> impl Iterator<Item = usize> {
        let is_own = |slot: &Slot| !matches!(slot, Slot::PidForChildren | Slot::TimeForChildren);
        Slot::ALL.into_iter().filter(is_own).filter_map(|slot| {
            let id = set.rows.get(slot as usize).copied().flatten()?;
            // One that is gone may have left its place to another.
            let found = self.0.get(id.place()).copied().flatten();
            found.filter(|(known, _)| *known == id).map(|(_, at)| at)
        })
    }
}

impl Table {
    /// What is alive, with what is known of it and who is in it; nothing of files, mounts and users.
    #[must_use]
    pub fn world(&self, crowd: Crowd) -> World {
        let mut order: Vec<_> =
            self.rows.iter().map(|(id, row)| (row.ns.inode, row.kind, id)).collect();
        order.sort_unstable_by_key(|(inode, kind, _)| (*inode, *kind));
        let rows = order.iter().filter_map(|(.., id)| self.rows.get(*id));
        let mut namespaces: Vec<NsRow> = rows.map(Row::picture).collect();
        let mut places = Places(vec![None; self.rows.room()]);
        for (at, (.., id)) in order.iter().enumerate() {
            if let Some(place) = places.0.get_mut(id.place()) {
                *place = Some((*id, at));
            }
        }
        let processes = match crowd {
            Crowd::Whole => self.whole(&mut namespaces, &places),
            Crowd::Firsts => self.firsts(&mut namespaces, &places),
        };
        World { namespaces, processes, unreadable: 0 }
    }

    /// Puts everybody into the rows.
    fn whole(&self, namespaces: &mut [NsRow], places: &Places) -> Vec<ProcessRow> {
        let mut members: Vec<_> = self.tasks.values().collect();
        members.sort_unstable_by_key(|member| (member.task.pid, member.task.tid));
        for member in &members {
            let task = &member.task;
            for at in places.of(&member.set) {
                let Some(row) = namespaces.get_mut(at) else { continue };
                row.threads += 1;
                if task.pid == task.tid {
                    row.nprocs += 1;
                    row.processes.push(task.pid);
                }
            }
        }
        members.chunk_by(|one, other| one.task.pid == other.task.pid).map(process).collect()
    }

    /// Counts those in the rows, and puts the first of each there: set by set, for there are far fewer
    /// sets than tasks.
    fn firsts(&self, namespaces: &mut [NsRow], places: &Places) -> Vec<ProcessRow> {
        let mut tallies: FxHashMap<*const Set, (&Set, Tally)> = FxHashMap::default();
        let mut threads = Vec::new();
        for (tid, member) in &self.tasks {
            let Member { pid, set, .. } = member;
            let (_, tally) = tallies.entry(Rc::as_ptr(set)).or_insert((set, Tally::default()));
            tally.threads += 1;
            if pid == tid {
                tally.nprocs += 1;
                tally.first = Some(tally.first.map_or(*pid, |first| first.min(*pid)));
            } else {
                threads.push(member);
            }
        }
        for (set, tally) in tallies.values() {
            for at in places.of(set) {
                let Some(row) = namespaces.get_mut(at) else { continue };
                row.threads += tally.threads;
                row.nprocs += tally.nprocs;
                let first = row.processes.first().copied().into_iter().chain(tally.first).min();
                row.processes.clear();
                row.processes.extend(first);
            }
        }
        let firsts = namespaces.iter().filter_map(|row| row.processes.first());
        let group = |pid: &u32| (*pid, self.tasks.get(pid).into_iter().collect());
        let mut groups: FxHashMap<u32, Vec<&Member>> = firsts.map(group).collect();
        for member in threads {
            if let Some(group) = groups.get_mut(&member.pid) {
                group.push(member);
            }
        }
        let mut processes: Vec<_> = groups
            .into_values()
            .map(|mut group| {
                group.sort_unstable_by_key(|member| member.task.tid);
                process(&group)
            })
            .collect();
        processes.sort_unstable_by_key(|process| process.pid);
        processes
    }

    /// Finds out what a process runs that is older than the tracer, if nobody has before.
    pub fn learn(&self, pid: u32, surroundings: &mut impl Surroundings) {
        if let Some(member) = self.tasks.get(&pid) {
            member.program(surroundings);
        }
    }
}

impl Row {
    /// The namespace as pictures show it, without who is in it.
    #[must_use]
    pub fn picture(&self) -> NsRow {
        NsRow {
            info: self.info(),
            creator: self.creator.clone(),
            cause: self.cause,
            died: self.died,
            ..NsRow::new(self.info().to_ref())
        }
    }
}

/// A process from its threads, which are in the order of their numbers.
fn process(group: &[&Member]) -> ProcessRow {
    let pid = group.first().map_or(0, |member| member.task.pid);
    let members = || group.iter().copied();
    let leader = members().find(|member| member.task.tid == pid);
    // The first thread may have ended before the others.
    let slots = leader.map_or_else(Slots::default, |leader| leader.set.slots.clone());
    let shown = leader.or(members().next());
    let is_elsewhere = |member: &&Member| member.task.tid != pid && member.set.slots != slots;
    let thread = |member: &Member| ThreadRow {
        tid: member.task.tid,
        comm: member.comm(),
        slots: member.set.slots.clone(),
    };
    ProcessRow {
        pid,
        ppid: shown.map_or(0, |shown| shown.task.ppid),
        uid: shown.map_or(0, |shown| shown.task.euid),
        comm: shown.map_or_else(|| Arc::from(""), Member::comm),
        count: u32::try_from(group.len()).unwrap_or(u32::MAX),
        args: shown.and_then(Member::args),
        threads: members().filter(is_elsewhere).map(thread).collect(),
        slots,
    }
}
