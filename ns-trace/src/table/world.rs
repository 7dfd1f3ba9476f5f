//! The table as others see it: a plain picture of what exists.

use std::sync::Arc;

use ns_trace_common::Slot;

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
    /// The first in each namespace.
    Firsts,
}

/// A task with its numbers of process and thread, and where it is.
type Placed<'m> = (u32, u32, &'m Set, &'m Member);

fn placed(member: &Member) -> Placed<'_> {
    (member.task.pid, member.task.tid, &member.set, member)
}

/// The slots that a task is in, those for its children left out.
fn own_slots() -> impl Iterator<Item = Slot> {
    let is_own = |slot: &Slot| !matches!(slot, Slot::PidForChildren | Slot::TimeForChildren);
    Slot::ALL.into_iter().filter(is_own)
}

impl Table {
    /// What is alive, with what is known of it and who is in it; nothing of files, mounts and users. Of
    /// the processes only the first in each namespace, if no more are wanted.
    #[must_use]
    pub fn world(&self, crowd: Crowd) -> World {
        let mut order: Vec<_> =
            self.rows.iter().map(|(id, row)| (row.ns.inode, row.kind, id)).collect();
        order.sort_unstable_by_key(|(inode, kind, _)| (*inode, *kind));
        let rows = order.iter().filter_map(|(.., id)| self.rows.get(*id));
        let mut namespaces: Vec<NsRow> = rows.map(Row::picture).collect();
        // Which row is at a place, and where its picture is.
        let mut places: Vec<Option<(RowId, usize)>> = vec![None; self.rows.room()];
        for (at, (.., id)) in order.iter().enumerate() {
            if let Some(place) = places.get_mut(id.place()) {
                *place = Some((*id, at));
            }
        }
        let picture = |set: &Set, slot: Slot| {
            let id = set.rows.get(slot as usize).copied().flatten()?;
            // One that is gone may have left its place to another.
            let found = places.get(id.place()).copied().flatten();
            found.filter(|(known, _)| *known == id).map(|(_, at)| at)
        };
        // What is looked at twice is taken out: tasks lie far apart, those of a set side by side.
        let mut members: Vec<Placed<'_>> = self.tasks.values().map(placed).collect();
        members.sort_unstable_by_key(|(pid, tid, ..)| (*pid, *tid));
        let (mut processes, mut met, mut pictures) = (Vec::new(), None, Vec::new());
        for group in members.chunk_by(|one, other| one.0 == other.0) {
            let mut is_first = false;
            for (pid, tid, set, _) in group {
                if !met.is_some_and(|met| std::ptr::eq(met, *set)) {
                    met = Some(*set);
                    pictures.clear();
                    pictures.extend(own_slots().filter_map(|slot| picture(set, slot)));
                }
                for at in &pictures {
                    let Some(row) = namespaces.get_mut(*at) else { continue };
                    row.threads += 1;
                    if pid == tid {
                        is_first |= row.processes.is_empty();
                        row.processes.push(*pid);
                    }
                }
            }
            if is_first || crowd == Crowd::Whole {
                processes.push(process(group));
            }
        }
        World { namespaces, processes, unreadable: 0 }
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
            creator: self.creator.as_deref().cloned(),
            cause: self.cause,
            died: self.died,
            ..NsRow::new(self.info().to_ref())
        }
    }
}

/// A process from its threads, which are in the order of their numbers.
fn process(group: &[Placed<'_>]) -> ProcessRow {
    let pid = group.first().map_or(0, |(pid, ..)| *pid);
    let members = || group.iter().map(|(.., member)| *member);
    let leader = members().find(|member| member.task.tid == pid);
    // The first thread may have ended before the others.
    let slots = leader.map_or_else(Slots::default, |leader| leader.set.slots.clone());
    let shown = leader.or(members().next());
    let task = shown.map(|member| member.task).unwrap_or_default();
    let is_elsewhere = |member: &&Member| member.task.tid != pid && member.set.slots != slots;
    let thread = |member: &Member| ThreadRow {
        tid: member.task.tid,
        comm: member.comm(),
        slots: member.set.slots.clone(),
    };
    ProcessRow {
        pid,
        ppid: task.ppid,
        uid: task.euid,
        comm: shown.map_or_else(|| Arc::from(""), Member::comm),
        count: u32::try_from(group.len()).unwrap_or(u32::MAX),
        args: shown.and_then(Member::args),
        threads: members().filter(is_elsewhere).map(thread).collect(),
        slots,
    }
}
