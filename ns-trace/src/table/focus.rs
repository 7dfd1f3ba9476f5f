//! One namespace that somebody asks about.

use ns_trace_common::Ns;
use rustc_hash::FxHashMap;

use super::{Row, Table, member::Member};
use crate::model::{Kind, NsRef, NsRow, Selector, Slot};

/// How many tasks of a mount namespace are named: one that sees all its mounts should be among them.
const WITNESSES: usize = 16;

/// Below how many others a namespace may be for a look at no more than that and them: of more the
/// whole world is not much more.
const MOST_BELOW: usize = 512;

/// A namespace, and what only the table knows for whoever asks about it.
#[derive(Debug)]
pub struct Focus {
    /// Of what type it is.
    pub kind: Kind,
    /// What the probes know it by.
    pub ns: Ns,
    /// It and those above it, as pictures show them, by inode and kind.
    pub rows: Vec<NsRow>,
    /// Those that keep it because it is their owner or parent.
    pub below: Vec<(Kind, Ns)>,
    /// Whether there may be more of these.
    pub may_have_more: bool,
    /// All mount namespaces that somebody is in, each with some of those.
    pub mounts: Vec<(Ns, NsRow)>,
}

impl Table {
    /// The one namespace that a selector names, if it does and that is known; through whose eyes mounts
    /// were seen, by the inode of the mount namespace, is in `witnesses`. None too if so many are below
    /// it that it takes a look at everything.
    #[must_use]
    pub fn focus(&self, selector: &Selector, witnesses: &FxHashMap<u32, u32>) -> Option<Focus> {
        let id = match selector {
            Selector::Inode(inode) | Selector::Kind { inode, .. } => self.rows.by_inode(*inode)?,
            Selector::Id(id) => self.rows.iter().find(|(_, row)| row.ns.id == *id)?.0,
            Selector::Pid { pid, slot: Some(slot) } => {
                self.tasks.get(pid)?.set.rows.get(*slot as usize).copied().flatten()?
            }
            _ => return None,
        };
        let row = self.rows.get(id)?;
        let is_meant = match selector {
            Selector::Kind { kind, .. } => row.kind == *kind,
            // Older kernels give none.
            Selector::Id(id) => *id != 0,
            _ => true,
        };
        if !is_meant {
            return None;
        }
        let below = self.below(row);
        (below.len() <= MOST_BELOW).then(|| Focus {
            kind: row.kind,
            ns: row.ns,
            rows: self.above(row),
            below,
            may_have_more: row.kind.nests() && !self.is_complete,
            mounts: self.witnesses(witnesses),
        })
    }

    /// The namespaces that one is the owner or parent of.
    fn below(&self, above: &Row) -> Vec<(Kind, Ns)> {
        if !above.kind.nests() {
            return Vec::new();
        }
        let is_above = |ns: &NsRef| (ns.kind, ns.inode) == (above.kind, above.ns.inode);
        let rows = self.rows.iter().map(|(_, row)| row);
        let below = rows.filter(|row| [row.owner, row.parent].iter().flatten().any(is_above));
        below.map(|row| (row.kind, row.ns)).collect()
    }

    /// The namespaces that a task is in, with those above them, as pictures show them.
    #[must_use]
    pub fn around_task(&self, tid: u32) -> Vec<NsRow> {
        let Some(member) = self.tasks.get(&tid) else { return Vec::new() };
        let rows = member.set.rows.iter().flatten().filter_map(|id| self.rows.get(*id));
        let mut rows: Vec<_> = rows.flat_map(|row| self.above(row)).collect();
        rows.sort_by_key(|row| (row.info.inode, row.info.kind));
        rows.dedup_by_key(|row| (row.info.inode, row.info.kind));
        rows
    }

    /// A namespace with its owners and parents, and theirs.
    fn above(&self, row: &Row) -> Vec<NsRow> {
        let mut rows: Vec<NsRow> = Vec::new();
        let mut open = vec![row];
        while let Some(row) = open.pop() {
            if rows.iter().all(|known| known.info.inode != row.ns.inode) {
                rows.push(row.picture());
                let above = [row.owner, row.parent].into_iter().flatten();
                let above = above.filter_map(|ns| self.rows.get(self.rows.by_inode(ns.inode)?));
                open.extend(above);
            }
        }
        rows.sort_by_key(|row| (row.info.inode, row.info.kind));
        rows
    }

    /// The mount namespaces that somebody is in, each with some of those: the one that is `known` of it
    /// (by inode) if that is still there.
    fn witnesses(&self, known: &FxHashMap<u32, u32>) -> Vec<(Ns, NsRow)> {
        let place = |member: &Member| member.set.rows.get(Slot::Mnt as usize).copied().flatten();
        let (mut rows, mut unknown) = (Vec::new(), FxHashMap::default());
        for (id, row) in self.rows.iter().filter(|(_, row)| row.kind == Kind::Mnt) {
            let mut picture = row.picture();
            let witness = known
                .get(&row.ns.inode)
                .filter(|tid| self.tasks.get(tid).is_some_and(|member| place(member) == Some(id)));
            if let Some(tid) = witness {
                picture.processes.push(*tid);
                rows.push((row.ns, picture));
            } else if row.members > 0 {
                unknown.insert(id, (row.ns, picture));
            }
        }
        if unknown.is_empty() {
            return rows;
        }
        for (tid, member) in &self.tasks {
            if let Some((_, row)) = place(member).and_then(|id| unknown.get_mut(&id)) {
                // The lowest numbers: they stay the longest.
                let at = row.processes.partition_point(|known| known < tid);
                if at < WITNESSES {
                    row.processes.truncate(WITNESSES - 1);
                    row.processes.insert(at, *tid);
                }
            }
        }
        rows.extend(unknown.into_values());
        rows
    }
}
