//! Tasks and namespaces as the kernel's own memory has them, put into the same shape as those of
//! /proc. Numbers are those of the initial namespaces.

use std::{mem, sync::Arc};

use ns_trace_common::{
    COMM_LEN, Kind, Ns, SLOTS, Slot, Task,
    files::{Held, IN_SIGHT},
    inspect::Inspect,
};
use rustc_hash::{FxHashMap, FxHashSet};

use super::{files::Seen, tasks::Tasks};
use crate::{
    model::{Hold, Holder, NsRef, ProcessRow, Slots, ThreadRow, Want, Way, printable},
    sys::process::initial_in_sight,
};

/// The tasks seen so far.
#[derive(Debug)]
pub struct Picture<'a> {
    want: &'a Want,
    initial: [Option<u32>; 8],
    /// As they were met: nearly by number.
    processes: Vec<ProcessRow>,
    /// Threads that are not the first of their process; those may come later.
    threads: Vec<(u32, ThreadRow)>,
    /// How many such threads were met apart from the first one of their process.
    apart: FxHashMap<u32, u32>,
    /// Names: few are the only one of theirs.
    names: FxHashMap<[u8; COMM_LEN], Arc<str>>,
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
    /// What changes whenever something is mounted there, of mount namespaces only; 0 if unknown.
    pub event: u64,
}

impl<'a> Picture<'a> {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(want: &'a Want) -> Self {
        Self {
            want,
            initial: Kind::ALL.map(|kind| initial_in_sight(kind.name())),
            processes: Vec::new(),
            threads: Vec::new(),
            apart: FxHashMap::default(),
            names: FxHashMap::default(),
            slots: FxHashMap::default(),
            met: FxHashMap::default(),
        }
    }

    /// Takes in one task.
    pub fn add(&mut self, task: &Task) {
        let slots = self.slots_of(task);
        if task.tid == task.pid {
            let comm = self.name(task);
            self.processes.push(ProcessRow {
                pid: task.pid,
                ppid: task.ppid,
                uid: task.euid,
                comm,
                count: 1,
                args: None,
                slots,
                threads: Vec::new(),
            });
            return;
        }
        match self.processes.last_mut().filter(|process| process.pid == task.pid) {
            Some(process) => process.count += 1,
            None => *self.apart.entry(task.pid).or_default() += 1,
        }
        if self.want.threads {
            let comm = self.name(task);
            self.threads.push((task.pid, ThreadRow { tid: task.tid, comm, slots }));
        }
    }

    fn name(&mut self, task: &Task) -> Arc<str> {
        let text = || {
            let len = task.comm.iter().position(|byte| *byte == 0).unwrap_or(task.comm.len());
            Arc::from(printable(task.comm.get(..len).unwrap_or_default()).0)
        };
        Arc::clone(self.names.entry(task.comm).or_insert_with(text))
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
        Some(Known {
            ns: reference(kind, &answer.ns, &self.initial),
            owner: some(Kind::User, &answer.owner),
            parent: some(kind, &answer.parent).filter(|_| kind.nests()),
            uid: answer.uid,
            event: answer.event,
        })
    }

    /// What files hold.
    #[must_use]
    pub fn seen(&self, found: &[Held]) -> Seen {
        let in_sight = found.iter().filter(|held| held.hold == IN_SIGHT);
        Seen {
            holders: found.iter().filter_map(|held| self.held(held)).collect(),
            in_sight: in_sight.map(|held| held.pid).collect(),
        }
    }

    fn held(&self, found: &Held) -> Option<(NsRef, Holder)> {
        let kind = Kind::ALL.into_iter().find(|kind| *kind as u32 == found.kind)?;
        let hold = Hold::ALL.into_iter().find(|hold| *hold as u32 == found.hold)?;
        let way = Way::ALL.into_iter().find(|way| *way as u32 == found.way)?;
        let Held { pid, tid, fd, .. } = *found;
        let ns = reference(kind, &found.ns, &self.initial);
        let holder = match hold {
            Hold::Memory => Holder::Memory { pid, segment: fd },
            Hold::Socket if way == Way::Open => Holder::Socket { pid, tid, fd },
            _ => Holder::File { way, hold, pid, tid, fd },
        };
        Some((ns, holder))
    }

    /// The processes.
    #[must_use]
    pub fn finish(mut self) -> Tasks {
        let mut processes = mem::take(&mut self.processes);
        processes.sort_by_key(|process| process.pid);
        let place = |pid: u32| processes.binary_search_by_key(&pid, |process| process.pid).ok();
        // Without its first thread a process was met while it ended.
        let apart: Vec<_> =
            self.apart.iter().filter_map(|(pid, count)| Some((place(*pid)?, *count))).collect();
        let threads: Vec<_> = mem::take(&mut self.threads)
            .into_iter()
            .filter_map(|(pid, thread)| Some((place(pid)?, thread)))
            .collect();
        for (at, count) in apart {
            processes[at].count += count;
        }
        for (at, thread) in threads {
            if thread.slots != processes[at].slots {
                processes[at].threads.push(thread);
            }
        }
        for process in &mut processes {
            process.threads.sort_unstable_by_key(|thread| thread.tid);
        }
        Tasks { processes, unreadable: 0 }
    }
}

fn reference(kind: Kind, ns: &Ns, initial: &[Option<u32>; 8]) -> NsRef {
    let id = (ns.id != 0).then_some(ns.id);
    let initial = initial[kind as usize] == Some(ns.inode);
    NsRef { kind, inode: ns.inode, id, initial }
}
