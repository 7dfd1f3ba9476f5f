//! Whose events are wanted: everybody's, some processes', or one command's tree.

use std::hash::Hash;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::{
    model::{Event, event::Body},
    table::RowId,
};

/// Threads of a process that was there before: nobody has counted them, so their ends cannot tell
/// when it is over.
const UNCOUNTED: u32 = u32::MAX / 2;

/// A set of processes that may grow as they fork.
#[derive(Debug, Default)]
pub struct Scope {
    /// `None` admits everybody.
    members: Option<Members>,
}

#[derive(Debug, Default)]
struct Members {
    /// Processes by number, with how many of their threads are alive as far as seen.
    pids: FxHashMap<u32, u32>,
    /// Whether children belong to it.
    follows: bool,
    /// Children of this process belong to it: the tracer itself, whose only child is the command.
    root: Option<u32>,
    /// Whether a first process has been seen.
    started: bool,
    /// Namespaces that members made: their deaths belong to it.
    made: FxHashSet<Made>,
}

/// A namespace, by the table's id or, in a replay, by what names it in events.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Made {
    Row(RowId),
    Named(u32, Option<u64>, Option<u64>),
}

impl Scope {
    /// Everybody.
    #[must_use]
    pub fn everybody() -> Self {
        Self::default()
    }

    /// The processes with these numbers, and their descendants if `follows`.
    #[must_use]
    pub fn processes(pids: &[u32], follows: bool) -> Self {
        let pids = pids.iter().map(|pid| (*pid, UNCOUNTED)).collect();
        Self { members: Some(Members { pids, follows, started: true, ..Members::default() }) }
    }

    /// The tracer's own children, once its number is [known](Self::set_root), and their
    /// descendants.
    #[must_use]
    pub fn tree_below_self() -> Self {
        Self { members: Some(Members { follows: true, ..Members::default() }) }
    }

    /// Says which number the tracer has in the initial pid namespace.
    pub const fn set_root(&mut self, pid: u32) {
        if let Some(members) = &mut self.members
            && members.follows
            && !members.started
        {
            members.root = Some(pid);
        }
    }

    /// Whether it must be shown `fork` and `exit` events.
    #[must_use]
    pub const fn needs_tasks(&self) -> bool {
        matches!(&self.members, Some(Members { follows: true, .. }))
    }

    /// Whether it had a process and has none any more.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        let over = |members: &Members| members.started && members.pids.is_empty();
        self.members.as_ref().is_some_and(over)
    }

    /// Whether a namespace that a member made still lives.
    #[must_use]
    pub fn has_namespaces(&self) -> bool {
        self.members.as_ref().is_some_and(|members| !members.made.is_empty())
    }

    /// Takes in who there is at the start, thread by thread as (pid, ppid).
    ///
    /// # Errors
    ///
    /// The number of a process that is asked for but not there.
    pub fn begin(&mut self, tasks: impl Iterator<Item = (u32, u32)> + Clone) -> Result<(), u32> {
        let Some(members) = self.members.as_mut().filter(|members| members.started) else {
            // What the tracer's own process has for children by now is not the command.
            return Ok(());
        };
        let alive: FxHashSet<u32> = tasks.clone().map(|(pid, _)| pid).collect();
        if let Some(pid) = members.pids.keys().filter(|pid| !alive.contains(pid)).min() {
            return Err(*pid);
        }
        self.reconcile(tasks);
        Ok(())
    }

    /// Takes in who there is, as [`begin`](Self::begin), when forks and exits went by unseen.
    pub fn reconcile(&mut self, tasks: impl Iterator<Item = (u32, u32)>) {
        if let Some(members) = self.members.as_mut().filter(|members| members.follows) {
            members.reconcile(tasks);
        }
    }

    /// Whether `event` belongs to it; `row` is the namespace that it is about.
    pub fn admits(&mut self, event: &Event, row: Option<RowId>) -> bool {
        self.members.as_mut().is_none_or(|members| members.admits(event, row))
    }
}

impl Members {
    fn reconcile(&mut self, tasks: impl Iterator<Item = (u32, u32)>) {
        let mut threads = FxHashMap::<u32, u32>::default();
        let mut children = FxHashMap::<u32, Vec<u32>>::default();
        for (pid, ppid) in tasks {
            let count = threads.entry(pid).or_default();
            *count += 1;
            if *count == 1 {
                children.entry(ppid).or_default().push(pid);
            }
        }
        let mut left: Vec<u32> = std::mem::take(&mut self.pids).into_keys().collect();
        if !self.started {
            // The fork of the command itself may be what went by.
            left.extend(self.root.and_then(|root| children.get(&root)).into_iter().flatten());
        }
        while let Some(pid) = left.pop() {
            if let Some(count) = threads.remove(&pid) {
                self.pids.insert(pid, count);
                left.extend(children.get(&pid).into_iter().flatten());
            }
        }
        // If nobody is there, the command has come and gone unseen.
        self.started = true;
    }

    fn admits(&mut self, event: &Event, row: Option<RowId>) -> bool {
        let made = |inode, id, born| row.map_or(Made::Named(inode, id, born), Made::Row);
        match &event.body {
            Body::Create(create) => {
                let ours = self.pids.contains_key(&create.process.pid);
                if ours {
                    let ns = &create.ns;
                    self.made.insert(made(ns.inode, ns.id, ns.born));
                }
                ours
            }
            Body::Destroy(destroy) => {
                let ns = &destroy.ns;
                self.made.remove(&made(ns.inode, ns.id, ns.born))
            }
            Body::Fork(fork) => {
                let child = fork.child.pid;
                let parent = fork.process.pid;
                let is_thread = child == parent;
                let from_root = self.root == Some(parent) && !is_thread;
                let ours = self.pids.contains_key(&parent);
                if from_root || (ours && self.follows) {
                    *self.pids.entry(child).or_default() += 1;
                    self.started = true;
                }
                ours
            }
            Body::Exit(exit) => {
                let pid = exit.process.pid;
                let Some(threads) = self.pids.get_mut(&pid) else { return false };
                *threads = threads.saturating_sub(1);
                if *threads == 0 && self.follows {
                    self.pids.remove(&pid);
                }
                true
            }
            // What exists is nobody's doing.
            Body::Exist(_) => false,
            Body::Lost(_) | Body::Sync(_) => true,
            Body::Enter(_) | Body::Fail(_) | Body::Map(_) | Body::Exec(_) | Body::Alert(_) => {
                let process = event.body.process();
                process.is_some_and(|process| self.pids.contains_key(&process.pid))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_there_counts_with_threads_and_descendants() {
        let mut scope = Scope::processes(&[10], true);
        let tasks = [(1, 0), (10, 1), (10, 1), (11, 10), (12, 11), (13, 1)];
        assert_eq!(scope.begin(tasks.into_iter()), Ok(()));
        let members = scope.members.as_ref().map(|members| members.pids.clone());
        assert_eq!(members, Some([(10, 2), (11, 1), (12, 1)].into_iter().collect()));
        scope.reconcile([(1, 0), (13, 1)].into_iter());
        assert!(scope.has_ended());
    }

    #[test]
    fn one_that_is_not_there_is_missing() {
        let mut scope = Scope::processes(&[10, 30, 20], false);
        assert_eq!(scope.begin([(10, 1), (1, 0)].into_iter()), Err(20));
        assert_eq!(Scope::everybody().begin([].into_iter()), Ok(()));
    }

    #[test]
    fn a_command_whose_fork_was_lost_is_found() {
        let mut scope = Scope::tree_below_self();
        scope.set_root(5);
        assert_eq!(scope.begin([(1, 0), (5, 1), (4, 5)].into_iter()), Ok(()));
        scope.reconcile([(1, 0), (5, 1), (6, 5), (7, 6)].into_iter());
        assert!(!scope.has_ended());
        scope.reconcile([(1, 0), (5, 1), (7, 1)].into_iter());
        assert!(!scope.has_ended(), "7 outlives 6");
        scope.reconcile([(1, 0), (5, 1), (8, 5)].into_iter());
        assert!(scope.has_ended(), "8 is the tracer's, not the command's");
    }
}
