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

    /// Whether `event` belongs to it; `row` is the namespace that it is about.
    pub fn admits(&mut self, event: &Event, row: Option<RowId>) -> bool {
        self.members.as_mut().is_none_or(|members| members.admits(event, row))
    }
}

impl Members {
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
            Body::Enter(_) | Body::Fail(_) | Body::Exec(_) => {
                let process = event.body.process();
                process.is_some_and(|process| self.pids.contains_key(&process.pid))
            }
        }
    }
}
