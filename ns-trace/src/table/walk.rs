//! Taking in a snapshot while the world goes on.

use std::{cell::OnceCell, collections::hash_map::Entry, rc::Rc, sync::Arc};

use ns_trace_common::{Kind, Ns, SLOTS, Slot, Task};
use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    Finding, Surroundings, Table,
    member::{Member, Set},
};
use crate::model::{NsRef, Slots};

/// Thread number of kthreadd, which never leaves the initial namespaces.
const KTHREADD: u32 = 2;

/// A snapshot under way.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// When it began: what was seen later overrules it. Nanoseconds of the boot clock.
    began: u64,
    /// Tasks that ended meanwhile: thread number and start.
    ended: FxHashSet<(u32, u64)>,
    /// Namespaces that ended meanwhile, and when.
    died: FxHashMap<(Kind, Ns), u64>,
    /// Tasks that it met.
    met: FxHashSet<u32>,
    /// The sets of these, the last with the same namespaces.
    sets: FxHashMap<[Ns; SLOTS], Rc<Set>>,
}

impl Walk {
    pub(super) fn ended(&mut self, tid: u32, start_ns: u64) {
        self.ended.insert((tid, start_ns));
    }

    pub(super) fn died(&mut self, kind: Kind, ns: Ns, boot_ns: u64) {
        self.died.insert((kind, ns), boot_ns);
    }

    /// The one set for all tasks that have the same.
    fn share(&mut self, set: Set) -> Rc<Set> {
        match self.sets.entry(set.key) {
            Entry::Occupied(known) if **known.get() == set => Rc::clone(known.get()),
            entry => Rc::clone(entry.insert_entry(Rc::new(set)).get()),
        }
    }
}

impl Table {
    /// A snapshot begins: records from `boot_ns` on overrule what it shows.
    pub fn begin_walk(&mut self, boot_ns: u64) {
        self.walk = Some(Walk { began: boot_ns, ..Walk::default() });
    }

    /// Whether a snapshot is under way.
    #[must_use]
    pub const fn is_walking(&self) -> bool {
        self.walk.is_some()
    }

    /// The snapshot met a task.
    pub(super) fn walked(
        &mut self,
        task: &Task,
        boot_ns: u64,
        surroundings: &mut impl Surroundings,
        out: &mut Vec<Finding>,
    ) {
        if task.tid == KTHREADD {
            self.learn_initial(task);
        }
        let Some(walk) = &mut self.walk else { return };
        walk.met.insert(task.tid);
        let is_over = walk.ended.contains(&(task.tid, task.start_ns));
        let began = walk.began;
        let known = self.tasks.get(&task.tid);
        if is_over || known.is_some_and(|member| member.seen_ns >= began) {
            return;
        }
        if self.is_outdated(task, boot_ns) {
            return;
        }
        let set = self.resolve(&task.slots, None, boot_ns, out);
        let Some(walk) = &mut self.walk else { return };
        let set = walk.share(set);
        let known = self.tasks.get(&task.tid);
        let same = known.filter(|member| member.task.start_ns == task.start_ns);
        let member = if let Some(member) = same {
            member.child(task, Rc::clone(&set), began, surroundings)
        } else {
            let program = Rc::new(OnceCell::new());
            Member::new(task, Rc::clone(&set), program, began, surroundings)
        };
        self.join(&set);
        if let Some(former) = self.tasks.insert(task.tid, member) {
            let joined = set.distinct().filter(|id| !former.set.distinct().any(|old| old == *id));
            self.moved.extend(joined);
            self.leave(&former.set, boot_ns);
        }
    }

    /// Whether a task that was read at `boot_ns` has left since, unheard, for one of the namespaces
    /// that it was in has ended: another snapshot must show where it is.
    fn is_outdated(&self, task: &Task, boot_ns: u64) -> bool {
        let Some(walk) = &self.walk else { return false };
        Slot::ALL.into_iter().any(|slot| {
            let (kind, ns) = (slot.kind(), task.slot(slot));
            if self.rows.find(kind, ns).is_some() {
                return false;
            }
            let heir = self.rows.by_inode(ns.inode).and_then(|id| self.rows.get(id));
            heir.is_some_and(|heir| heir.since > boot_ns)
                || walk.died.get(&(kind, *ns)).is_some_and(|died| *died > boot_ns)
        })
    }

    /// The snapshot is complete: tasks that it did not meet ended unseen, unless it was `cut`.
    pub fn end_walk(&mut self, boot_ns: u64, cut: bool) {
        let Some(walk) = self.walk.take() else { return };
        if cut {
            return;
        }
        let gone: Vec<u32> = self
            .tasks
            .iter()
            .filter(|(tid, member)| member.seen_ns < walk.began && !walk.met.contains(tid))
            .map(|(tid, _)| *tid)
            .collect();
        for tid in gone {
            if let Some(member) = self.tasks.remove(&tid) {
                self.leave(&member.set, boot_ns);
            }
        }
    }

    /// The namespaces of kthreadd are those that the system booted with.
    fn learn_initial(&mut self, task: &Task) {
        let before = self.initial;
        for kind in Kind::ALL {
            let slot = Slot::ALL.into_iter().find(|slot| slot.kind() == kind);
            let inode = slot.map_or(0, |slot| task.slot(slot).inode);
            if let Some(initial) = self.initial.get_mut(kind as usize) {
                *initial = inode;
            }
            if let Some(row) = self.rows.by_inode(inode).and_then(|id| self.rows.get_mut(id)) {
                row.initial = true;
            }
        }
        if self.initial != before {
            self.rename();
        }
    }

    /// Names anew what was named before the initial namespaces were known: that of the first task
    /// of all, from which everybody descends, among others.
    fn rename(&mut self) {
        let initial = self.initial;
        let rename = |name: &mut Option<NsRef>| {
            if let Some(name) = name {
                name.initial = initial.get(name.kind as usize) == Some(&name.inode);
            }
        };
        for row in self.rows.iter_mut() {
            rename(&mut row.owner);
            rename(&mut row.parent);
        }
        let mut renamed: FxHashMap<*const Set, (Rc<Set>, Rc<Set>)> = FxHashMap::default();
        for member in self.tasks.values_mut() {
            let (_, set) = renamed.entry(Rc::as_ptr(&member.set)).or_insert_with(|| {
                let mut names = Slot::ALL.map(|slot| member.set.slots.get(slot).copied());
                names.iter_mut().for_each(rename);
                let Set { key, rows, .. } = *member.set;
                let set = Set { key, rows, slots: Slots(Arc::new(names)) };
                // The former one is kept, lest another has its address.
                (Rc::clone(&member.set), Rc::new(set))
            });
            member.set = Rc::clone(set);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable as _;

    use super::*;
    use crate::{model::Placement, table::Program};

    struct Nothing;

    impl Surroundings for Nothing {
        fn placement(&mut self, _: u64, _: u64) -> Placement {
            Placement::default()
        }

        fn program(&mut self, _: u32) -> Option<Program> {
            None
        }
    }

    #[test]
    fn the_first_task_is_in_the_initial_namespaces_too() {
        let mut table = Table::new(false);
        let mut task = Task::zeroed();
        for (slot, inode) in Slot::ALL.into_iter().zip(100..) {
            let inode = match slot {
                Slot::PidForChildren => 101,
                Slot::TimeForChildren => 108,
                _ => inode,
            };
            task.slots[slot as usize] = Ns { inode, ..Ns::zeroed() };
        }
        table.begin_walk(1);
        let mut out = Vec::new();
        for tid in [1, KTHREADD] {
            let task = Task { pid: tid, tid, ..task };
            table.walked(&task, 1, &mut Nothing, &mut out);
        }
        table.end_walk(2, false);
        for member in table.tasks.values() {
            for slot in Slot::ALL {
                assert!(member.set.slots.get(slot).unwrap().initial, "{slot:?}");
            }
        }
        assert!(table.rows().all(|(_, row)| row.initial && row.members == 2));
    }
}
