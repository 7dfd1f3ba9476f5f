//! The table as others see it: a plain picture of what exists.

use std::sync::Arc;

use super::{Row, Surroundings, Table, member::Member};
use crate::model::{NsRow, ProcessRow, Slots, ThreadRow, World};

impl Table {
    /// What is alive, with what is known of it and who is in it; nothing of files, mounts and users.
    #[must_use]
    pub fn world(&self) -> World {
        let order = self.rows.in_order();
        let mut namespaces: Vec<NsRow> = order.rows.iter().map(|row| row.picture()).collect();
        let mut members: Vec<_> = self.tasks.values().collect();
        members.sort_unstable_by_key(|member| (member.task.pid, member.task.tid));
        for member in &members {
            let task = &member.task;
            for id in member.set.own() {
                let row = order.place(id).and_then(|at| namespaces.get_mut(at));
                let Some(row) = row else { continue };
                row.threads += 1;
                if task.pid == task.tid {
                    row.nprocs += 1;
                    row.processes.push(task.pid);
                }
            }
        }
        let groups = members.chunk_by(|one, other| one.task.pid == other.task.pid);
        let processes = groups.map(|group| process(group.iter().copied())).collect();
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
            creator: self.creator.clone(),
            cause: self.cause,
            died: self.died,
            ..NsRow::new(self.info().to_ref())
        }
    }
}

/// A process from its threads, which are in the order of their numbers but for the first.
pub(super) fn process<'m, T>(threads: T) -> ProcessRow
where
    T: Iterator<Item = &'m Member> + Clone,
{
    let pid = threads.clone().next().map_or(0, |member| member.task.pid);
    let leader = threads.clone().find(|member| member.task.tid == pid);
    // The first thread may have ended before the others.
    let slots = leader.map_or_else(Slots::default, |leader| leader.set.slots.clone());
    let shown = leader.or(threads.clone().next());
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
        count: u32::try_from(threads.clone().count()).unwrap_or(u32::MAX),
        args: shown.and_then(Member::args),
        threads: threads.filter(is_elsewhere).map(thread).collect(),
        slots,
    }
}
