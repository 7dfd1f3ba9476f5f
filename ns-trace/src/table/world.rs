//! The table as others see it: a plain picture of what exists.

use std::{collections::BTreeMap, sync::Arc};

use ns_trace_common::Slot;
use rustc_hash::FxHashMap;

use super::{Row, RowId, Table, member::Member};
use crate::model::{NsRow, ProcessRow, Slots, ThreadRow, World};

/// The slots that a task is in, those for its children left out.
fn own_slots() -> impl Iterator<Item = Slot> {
    let is_own = |slot: &Slot| !matches!(slot, Slot::PidForChildren | Slot::TimeForChildren);
    Slot::ALL.into_iter().filter(is_own)
}

impl Table {
    /// What is alive, with what is known of it and who is in it; nothing of files, mounts and users.
    #[must_use]
    pub fn world(&self) -> World {
        let mut rows: FxHashMap<RowId, NsRow> =
            self.rows.iter().map(|(id, row)| (id, row.picture())).collect();
        let mut groups: BTreeMap<u32, Vec<&Member>> = BTreeMap::new();
        for member in self.tasks.values() {
            groups.entry(member.task.pid).or_default().push(member);
            for slot in own_slots() {
                let id = member.set.rows.get(slot as usize).copied().flatten();
                let Some(row) = id.and_then(|id| rows.get_mut(&id)) else { continue };
                row.threads += 1;
                if member.task.tid == member.task.pid {
                    row.processes.push(member.task.pid);
                }
            }
        }
        let mut namespaces: Vec<NsRow> = rows.into_values().collect();
        namespaces.sort_unstable_by_key(|row| (row.info.inode, row.info.kind));
        for row in &mut namespaces {
            row.processes.sort_unstable();
        }
        let processes = groups.into_iter().map(|(pid, group)| process(pid, group)).collect();
        World { namespaces, processes, unreadable: 0 }
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

/// A process from its threads.
fn process(pid: u32, mut group: Vec<&Member>) -> ProcessRow {
    group.sort_unstable_by_key(|member| member.task.tid);
    let leader = group.iter().find(|member| member.task.tid == pid);
    // The first thread may have ended before the others.
    let slots = leader.map_or_else(Slots::default, |leader| leader.set.slots.clone());
    let shown = leader.or(group.first());
    let task = shown.map(|member| member.task).unwrap_or_default();
    let is_elsewhere = |member: &&&Member| member.task.tid != pid && member.set.slots != slots;
    let thread = |member: &&Member| ThreadRow {
        tid: member.task.tid,
        comm: member.comm(),
        slots: member.set.slots.clone(),
    };
    ProcessRow {
        pid,
        ppid: task.ppid,
        uid: task.euid,
        comm: shown.map_or_else(|| Arc::from(""), |member| member.comm()),
        count: u32::try_from(group.len()).unwrap_or(u32::MAX),
        threads: group.iter().filter(is_elsewhere).map(thread).collect(),
        slots,
    }
}
