//! Many processes in many namespaces.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::actor::Actor;

/// Mount, uts, ipc and cgroup namespaces for everybody.
const EACH: u64 = 0x0e02_0000;
/// For some: network, pid and user namespaces too.
const NET: u64 = 0x4000_0000;
const PID: u64 = 0x2000_0000;
const USER: u64 = 0x1000_0000;

/// Families of actors, each member the child of the one before and in namespaces of its own.
pub(crate) struct Crowd {
    families: Vec<Actor>,
    /// The members.
    pub(crate) pids: BTreeSet<u64>,
}

impl Crowd {
    /// So many families of so many members.
    pub(crate) fn gather(families: usize, members: usize) -> Result<Self> {
        let mut crowd = Self { families: Vec::new(), pids: BTreeSet::new() };
        for _ in 0..families {
            let mut actor = Actor::start()?;
            for member in 0..members {
                let flags = match member % 10 {
                    3 => EACH | NET,
                    5 => EACH | PID,
                    // Without a map root of the new one may not make others.
                    7 if member < 10 => EACH | USER | NET,
                    _ => EACH,
                };
                if member == 1 {
                    // For the children.
                    actor.act("unshare 80")?;
                }
                let task = actor.task(&format!("clone {flags:x}"))?;
                if flags & USER != 0 {
                    actor.become_root()?;
                }
                crowd.pids.insert(task.pid);
            }
            crowd.families.push(actor);
        }
        Ok(crowd)
    }

    /// Ends them all.
    pub(crate) fn end(self) -> Result<()> {
        self.families.into_iter().try_for_each(Actor::end)
    }
}
