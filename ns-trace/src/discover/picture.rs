//! Tasks and namespaces as the kernel's own memory has them, put into the same shape as those of
//! /proc. Numbers are those of the initial namespaces.

use std::sync::Arc;

use ns_trace_common::{Kind, Ns, SLOTS, Slot, Task, files::Held, inspect::Inspect};
use rustc_hash::{FxHashMap, FxHashSet};

use super::tasks::Tasks;
use crate::{
    model::{Hold, Holder, NsRef, ProcessRow, Slots, ThreadRow, Want, printable},
    sys::process::initial_in_sight,
};

/// The tasks seen so far.
#[derive(Debug)]
pub struct Picture<'a> {
    want: &'a Want,
    initial: [Option<u32>; 8],
    processes: FxHashMap<u32, ProcessRow>,
    /// Threads that are not the first of their process; those may come later.
    threads: Vec<(u32, ThreadRow)>,
    /// Most tasks are where others are.
    slots: FxHashMap<[u32; SLOTS], Slots>,
    /// The namespaces in the slots, by kind and inode.
    met: FxHashMap<(Kind, u32), Ns>,
}

/// A namespace whose relatives are known.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Which.
    pub ns: NsRef,
    /// Its owner.
    pub owner: Option<NsRef>,
    /// Its parent.
    pub parent: Option<NsRef>,
    /// Who made its owner, or a user namespace itself.
    pub uid: u32,
}

impl<'a> Picture<'a> {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(want: &'a Want) -> Self {
        Self {
            want,
            initial: Kind::ALL.map(|kind| initial_in_sight(kind.name())),
            processes: FxHashMap::default(),
            threads: Vec::new(),
            slots: FxHashMap::default(),
            met: FxHashMap::default(),
        }
    }

    /// Takes in one task.
    pub fn add(&mut self, task: &Task) {
        let slots = self.slots_of(task);
        let len = task.comm.iter().position(|byte| *byte == 0).unwrap_or(task.comm.len());
        let comm = Arc::from(printable(task.comm.get(..len).unwrap_or_default()).0);
        let process = self.processes.entry(task.pid).or_default();
        process.count += 1;
        if task.tid == task.pid {
            process.pid = task.pid;
            process.ppid = task.ppid;
            process.uid = task.euid;
            process.comm = comm;
            process.slots = slots;
        } else if self.want.threads {
            self.threads.push((task.pid, ThreadRow { tid: task.tid, comm, slots }));
        }
    }

    fn slots_of(&mut self, task: &Task) -> Slots {
        let wanted = |slot: Slot| self.want.slot(slot).then(|| task.slot(slot).inode);
        let inodes = Slot::ALL.map(|slot| wanted(slot).unwrap_or_default());
        let (initial, met) = (&self.initial, &mut self.met);
        let slots = self.slots.entry(inodes).or_insert_with(|| {
            Slots(Arc::new(Slot::ALL.map(|slot| {
                let inode = inodes[slot as usize];
                (inode != 0).then(|| {
                    let ns = task.slot(slot);
                    met.insert((slot.kind(), inode), *ns);
                    reference(slot.kind(), ns, initial)
                })
            })))
        });
        slots.clone()
    }

    /// Questions about the namespaces that tasks are in and that are not among `known`.
    #[must_use]
    pub fn questions(&self, known: &[Known], want: u32) -> Vec<Inspect> {
        let known: FxHashSet<_> = known.iter().map(|one| (one.ns.kind, one.ns.inode)).collect();
        let strange = self.met.iter().filter(|(key, _)| !known.contains(*key));
        let question = |(key, ns): (&(Kind, u32), &Ns)| Inspect {
            ns: *ns,
            kind: key.0 as u32,
            want,
            ..Inspect::default()
        };
        strange.map(question).collect()
    }

    /// What an answer says, `None` if that namespace is gone.
    #[must_use]
    pub fn known(&self, answer: &Inspect) -> Option<Known> {
        let kind = Kind::ALL.into_iter().find(|kind| *kind as u32 == answer.kind)?;
        if answer.alive == 0 || !self.want.kinds.contains(kind) {
            return None;
        }
        let some = |kind, ns: &Ns| (ns.inode != 0).then(|| reference(kind, ns, &self.initial));
        let has_parent = matches!(kind, Kind::Pid | Kind::User);
        Some(Known {
            ns: reference(kind, &answer.ns, &self.initial),
            owner: some(Kind::User, &answer.owner),
            parent: some(kind, &answer.parent).filter(|_| has_parent),
            uid: answer.uid,
        })
    }

    /// What a file holds.
    #[must_use]
    pub fn held(&self, found: &Held) -> Option<(NsRef, Holder)> {
        let kind = Kind::ALL.into_iter().find(|kind| *kind as u32 == found.kind)?;
        let hold = Hold::ALL.into_iter().find(|hold| *hold as u32 == found.hold)?;
        let Held { pid, tid, fd, .. } = *found;
        let ns = reference(kind, &found.ns, &self.initial);
        Some((ns, Holder::File { hold, pid, tid, fd }))
    }

    /// The processes.
    #[must_use]
    pub fn finish(mut self) -> Tasks {
        for (pid, thread) in self.threads {
            if let Some(process) = self.processes.get_mut(&pid)
                && !same(&thread.slots, &process.slots)
            {
                process.threads.push(thread);
            }
        }
        // Without its first thread a process was met while it ended.
        let mut processes: Vec<_> =
            self.processes.into_values().filter(|process| process.pid != 0).collect();
        processes.sort_unstable_by_key(|process| process.pid);
        for process in &mut processes {
            process.threads.sort_unstable_by_key(|thread| thread.tid);
        }
        Tasks { processes, unreadable: 0 }
    }
}

/// Equal sets are one and the same mostly.
fn same(one: &Slots, other: &Slots) -> bool {
    Arc::ptr_eq(&one.0, &other.0) || one == other
}

fn reference(kind: Kind, ns: &Ns, initial: &[Option<u32>; 8]) -> NsRef {
    let id = (ns.id != 0).then_some(ns.id);
    let initial = initial[kind as usize] == Some(ns.inode);
    NsRef { kind, inode: ns.inode, id, initial }
}
