//! Who descends from whom: by birth, whoever adopted a process since.

use std::{collections::VecDeque, sync::Arc};

use rustc_hash::FxHashMap;

use crate::model::{Ancestor, Event, Process, event::Body};

/// How many ancestors a condition sees.
const GENERATIONS: usize = 32;

/// How many processes are remembered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// That may be alive.
    pub(super) known: usize,
    /// That have ended: their descendants may do something yet.
    pub(super) ended: usize,
}

impl Default for Limits {
    /// Some 20 MiB at most.
    fn default() -> Self {
        Self { known: 1 << 17, ended: 1 << 14 }
    }
}

/// The processes that were seen.
#[derive(Debug, Default)]
pub(super) struct Lineage {
    limits: Limits,
    known: FxHashMap<u32, Arc<Ancestor>>,
    /// Those that have ended, the first first, by number and start.
    ended: VecDeque<(u32, u64)>,
    /// How many were not remembered.
    pub(super) dropped: u64,
}

impl Lineage {
    /// Takes in what an event says of processes.
    pub(super) fn learn(&mut self, event: &Event) {
        let Some(process) = event.body.process() else { return };
        self.meet(event, process);
        match &event.body {
            Body::Fork(fork) if fork.child.pid != process.pid => {
                self.insert(Ancestor {
                    pid: fork.child.pid,
                    ppid: process.pid,
                    start_ns: fork.child.start_ns,
                    ..ancestor(event, process)
                });
            }
            Body::Exit(_) if process.pid == process.tid => {
                self.end((process.pid, process.start_ns));
            }
            _ => {}
        }
    }

    fn insert(&mut self, ancestor: Ancestor) {
        if self.known.len() >= self.limits.known && !self.known.contains_key(&ancestor.pid) {
            self.dropped += 1;
            return;
        }
        self.known.insert(ancestor.pid, Arc::new(ancestor));
    }

    /// Takes in all processes that there are; the others have ended unseen.
    pub(super) fn renew(&mut self, processes: impl Iterator<Item = Ancestor>) {
        let mut gone: FxHashMap<u32, u64> =
            self.known.values().map(|known| (known.pid, known.start_ns)).collect();
        for (pid, _) in &self.ended {
            gone.remove(pid);
        }
        for shown in processes {
            gone.remove(&shown.pid);
            self.meet_again(shown);
        }
        for ended in gone {
            self.end(ended);
        }
    }

    /// Whose child a process was is known if its birth was seen.
    fn meet_again(&mut self, mut shown: Ancestor) {
        let known = self.known.get(&shown.pid);
        if let Some(known) = known.filter(|known| known.start_ns == shown.start_ns) {
            shown.ppid = known.ppid;
            shown.exe = shown.exe.or_else(|| known.exe.clone());
        }
        self.insert(shown);
    }

    /// A process has ended: it is remembered until enough others have.
    fn end(&mut self, ended: (u32, u64)) {
        self.ended.push_back(ended);
        if self.ended.len() > self.limits.ended {
            self.forget();
        }
    }

    /// Of a process that does something all but its birth may have changed.
    fn meet(&mut self, event: &Event, process: &Process) {
        let fresh = ancestor(event, process);
        let Some(known) = self.known.get_mut(&process.pid) else { return self.insert(fresh) };
        let is_leader = process.pid == process.tid;
        if is_leader && known.start_ns != 0 && known.start_ns != process.start_ns {
            // The number has been given to another.
            return self.insert(fresh);
        }
        let fresh =
            Ancestor { ppid: known.ppid, start_ns: known.start_ns.max(fresh.start_ns), ..fresh };
        if **known != fresh {
            *known = Arc::new(fresh);
        }
    }

    fn forget(&mut self) {
        let Some((pid, start_ns)) = self.ended.pop_front() else { return };
        if self.known.get(&pid).is_some_and(|known| known.start_ns == start_ns) {
            self.known.remove(&pid);
        }
    }

    /// A process as it was when it was last heard of.
    pub(super) fn get(&self, process: &Process) -> Option<Arc<Ancestor>> {
        let known = self.known.get(&process.pid)?;
        let is_leader = process.pid == process.tid;
        let is_same = !is_leader || known.start_ns == 0 || known.start_ns == process.start_ns;
        is_same.then(|| Arc::clone(known))
    }

    /// The ancestors of a process, the nearest first.
    pub(super) fn of(&self, process: &Process) -> Vec<Arc<Ancestor>> {
        let own = self.known.get(&process.pid);
        let (mut parent, mut born) = match own {
            Some(own) => (own.ppid, own.start_ns),
            None => (process.ppid, 0),
        };
        let mut ancestors = Vec::new();
        while let Some(ancestor) = self.known.get(&parent).filter(|_| parent != process.pid) {
            // Whoever is younger than its child has only the number of the parent.
            let is_younger = born != 0 && ancestor.start_ns > born;
            if is_younger || ancestors.len() == GENERATIONS {
                break;
            }
            ancestors.push(Arc::clone(ancestor));
            (parent, born) = (ancestor.ppid, ancestor.start_ns);
        }
        ancestors
    }
}

fn ancestor(event: &Event, process: &Process) -> Ancestor {
    let is_leader = process.pid == process.tid;
    Ancestor {
        pid: process.pid,
        ppid: process.ppid,
        start_ns: if is_leader { process.start_ns } else { 0 },
        comm: Arc::clone(&process.comm),
        exe: process.exe.clone(),
        uid: process.uid,
        euid: process.euid,
        caps: process.caps,
        container: event.container.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        TaskRef, Time,
        event::{Exit, Fork, SchemaName, Source, Status},
    };

    fn event(body: Body) -> Event {
        let (schema, source) = (SchemaName::V1, Source::Probe);
        let (container, pod) = (None, None);
        Event {
            schema,
            seq: 1,
            time: Time(0),
            boot_ns: 1,
            source,
            body,
            container,
            pod,
            lossy: false,
        }
    }

    fn process(pid: u32, start_ns: u64) -> Arc<Process> {
        Arc::new(Process { pid, tid: pid, start_ns, ..Process::default() })
    }

    fn fork(parent: (u32, u64), pid: u32, start_ns: u64) -> Event {
        let child = TaskRef { pid, tid: pid, start_ns };
        event(Body::Fork(Fork { child, process: process(parent.0, parent.1) }))
    }

    fn exit(pid: u32, start_ns: u64) -> Event {
        let status = Status::Code { code: 0 };
        event(Body::Exit(Exit { status, process: process(pid, start_ns) }))
    }

    fn pids(lineage: &Lineage, pid: u32) -> Vec<u32> {
        lineage.of(&process(pid, 0)).iter().map(|ancestor| ancestor.pid).collect()
    }

    #[test]
    fn a_number_that_is_given_again_is_another_process() {
        let mut lineage = Lineage::default();
        lineage.learn(&fork((10, 1), 20, 2));
        lineage.learn(&fork((20, 2), 30, 3));
        assert_eq!(pids(&lineage, 30), [20, 10]);
        lineage.learn(&exit(20, 2));
        assert_eq!(pids(&lineage, 30), [20, 10], "an orphan");
        lineage.learn(&fork((11, 1), 20, 9));
        assert_eq!(pids(&lineage, 30), [0; 0], "its parent's number is another's");
        assert_eq!(pids(&lineage, 20), [11]);
    }

    #[test]
    fn memory_is_bounded() {
        let limits = Limits { known: 10, ended: 3 };
        let mut lineage = Lineage { limits, ..Lineage::default() };
        for pid in 2..50 {
            lineage.learn(&fork((1, 1), pid, pid.into()));
            lineage.learn(&exit(pid, pid.into()));
        }
        assert_eq!((lineage.known.len(), lineage.dropped), (4, 0), "init and the last three");
        for pid in 50..60 {
            lineage.learn(&fork((1, 1), pid, pid.into()));
        }
        assert_eq!((lineage.known.len(), lineage.dropped), (10, 4));
        lineage.learn(&fork((5, 5), 5, 5));
        assert_eq!(lineage.dropped, 5, "a thread is no process, but its own is unknown");
    }

    #[test]
    fn a_snapshot_does_not_change_births() {
        let mut lineage = Lineage::default();
        lineage.learn(&fork((10, 1), 20, 2));
        for (start_ns, parents) in [(2, &[10][..]), (3, &[])] {
            let shown = Ancestor { pid: 20, ppid: 1, start_ns, ..Ancestor::default() };
            lineage.renew([shown].into_iter());
            assert_eq!(pids(&lineage, 20), parents);
        }
    }

    #[test]
    fn what_ended_unseen_makes_room() {
        let limits = Limits { known: 10, ended: 3 };
        let mut lineage = Lineage { limits, ..Lineage::default() };
        for pid in 2..11 {
            lineage.learn(&fork((1, 1), pid, pid.into()));
        }
        let shown = Ancestor { pid: 5, ppid: 1, start_ns: 5, ..Ancestor::default() };
        lineage.renew([shown].into_iter());
        assert_eq!((lineage.known.len(), lineage.dropped), (4, 0), "it, and three that ended");
        assert!(lineage.known.contains_key(&5));
    }

    #[test]
    fn a_circle_has_an_end() {
        let mut lineage = Lineage::default();
        for (pid, ppid) in [(5, 6), (6, 5)] {
            lineage.insert(Ancestor { pid, ppid, start_ns: 1, ..Ancestor::default() });
        }
        assert!(pids(&lineage, 5).len() <= GENERATIONS);
    }
}
