//! What holds a namespace, in words and as JSON.

use std::sync::Arc;

use serde::Serialize;

use super::quantity::Count;
use crate::model::{Holder, NsRef, NsRow, Slot, World, printable};

/// A process that is in a namespace.
#[derive(Debug, Serialize)]
pub struct Member {
    /// Its number.
    pub pid: u32,
    /// Its parent's number.
    pub ppid: u32,
    /// Its effective user.
    pub uid: u32,
    /// Its name.
    pub comm: Arc<str>,
    /// How many threads it has.
    pub threads: u32,
    /// Whether it has ended, and is there until its parent waits for it.
    pub ended: bool,
}

/// What holds a namespace; what does not apply is left out.
#[derive(Debug, Serialize)]
pub struct Keeper {
    /// `thread`, `for_children`, `fd`, `socket`, `pidfd`, `proc_file`, `cgroup_file`, `cred`, `peer`, `signal`, `message`, `ring`, `memory`, `mount`, `proc_mount`, `child`, `owned`.
    pub holder: &'static str,
    /// The process; of a mount one that sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The thread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tid: Option<u32>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comm: Option<Arc<str>>,
    /// The number of the descriptor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fd: Option<u32>,
    /// What a message or ring keeps, by the word for it as an open file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<&'static str>,
    /// The number of the segment of memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment: Option<u32>,
    /// Which slot for children.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<Slot>,
    /// Where it is mounted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// In which mount namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mnt_ns: Option<NsRef>,
    /// The namespace below or behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ns: Option<NsRef>,
}

impl Member {
    /// The processes in `row`.
    #[must_use]
    pub fn of(row: &NsRow, world: &World) -> Vec<Self> {
        let processes = row.processes.iter().filter_map(|pid| world.process(*pid));
        let member = processes.map(|process| Self {
            pid: process.pid,
            ppid: process.ppid,
            uid: process.uid,
            comm: Arc::clone(&process.comm),
            threads: process.count,
            ended: process.has_ended(),
        });
        member.collect()
    }
}

impl Keeper {
    /// What `holder` is.
    #[must_use]
    pub fn new(holder: &Holder, world: &World) -> Self {
        let mut keeper = Self {
            holder: holder.name(),
            pid: None,
            tid: None,
            comm: None,
            fd: None,
            kept: holder.kept(),
            segment: None,
            slot: None,
            path: None,
            mnt_ns: None,
            ns: None,
        };
        let task = match holder {
            Holder::Thread { pid, tid, .. } => Some((*pid, *tid)),
            Holder::ForChildren { pid, tid, slot } => {
                keeper.slot = Some(*slot);
                Some((*pid, *tid))
            }
            Holder::Fd { pid, tid, fd }
            | Holder::Socket { pid, tid, fd }
            | Holder::File { pid, tid, fd, .. } => {
                keeper.fd = Some(*fd);
                Some((*pid, *tid))
            }
            Holder::Memory { pid, segment } => {
                keeper.segment = Some(*segment);
                Some((*pid, *pid))
            }
            Holder::Mount { path, mnt_ns, pid } | Holder::ProcMount { path, mnt_ns, pid } => {
                keeper.path = Some(printable(path.as_os_str().as_encoded_bytes()).0);
                keeper.mnt_ns = Some(*mnt_ns);
                keeper.pid = Some(*pid);
                None
            }
            Holder::Child(ns) | Holder::Owned(ns) => {
                keeper.ns = Some(*ns);
                None
            }
        };
        if let Some((pid, tid)) = task {
            keeper.pid = Some(pid);
            keeper.tid = Some(tid);
            keeper.comm = name(world, pid, tid);
        }
        keeper
    }

    /// Who or what it is, for people.
    #[must_use]
    pub fn what(&self) -> String {
        let ns = self.ns.map(|ns| ns.to_string()).unwrap_or_default();
        match (self.fd, &self.path, self.slot) {
            (Some(fd), ..) => {
                let place = format!("descriptor {fd} of {}", self.task());
                match (self.holder, self.kept) {
                    ("message", Some(kept)) => format!("{kept} in a message that waits at {place}"),
                    ("ring", Some(kept)) => format!("{kept} registered with {place}"),
                    _ => place,
                }
            }
            (_, Some(path), _) => {
                let place = self.mnt_ns.map(|ns| ns.to_string()).unwrap_or_default();
                let pid = self.pid.unwrap_or_default();
                format!("{path} in {place} (where process {pid} is)")
            }
            (_, _, Some(slot)) => format!("{} of {}", slot.name(), self.task()),
            _ if self.ns.is_some() => ns,
            _ => match self.segment {
                Some(segment) => format!("segment {segment}, attached to {}", self.task()),
                None => self.task(),
            },
        }
    }

    /// What would make it let go, for people.
    #[must_use]
    pub fn release(&self) -> String {
        let ns = self.ns.map(|ns| ns.to_string()).unwrap_or_default();
        let pid = self.pid.unwrap_or_default();
        match (self.holder, &self.path) {
            ("mount", Some(path)) => {
                format!("umount {path} in the mount namespace of process {pid}")
            }
            ("proc_mount", Some(path)) => {
                format!("umount the procfs at {path} in the mount namespace of process {pid}")
            }
            ("child", _) => format!("the end of {ns}, which is below it"),
            ("owned", _) => format!("the end of {ns}, which it owns"),
            ("memory", _) => {
                let segment = self.segment.unwrap_or_default();
                format!("detaching segment {segment} from {}", self.task())
            }
            _ => self.fd.map_or_else(
                || format!("the end of {}", self.task()),
                |fd| format!("closing descriptor {fd} of {}", self.task()),
            ),
        }
    }

    fn task(&self) -> String {
        let comm = self.comm.as_deref().unwrap_or("?");
        let (pid, tid) = (self.pid.unwrap_or_default(), self.tid.unwrap_or_default());
        if pid == tid { format!("{comm} ({pid})") } else { format!("{comm} ({pid}, thread {tid})") }
    }
}

/// The name of a task, as far as it is known.
fn name(world: &World, pid: u32, tid: u32) -> Option<Arc<str>> {
    let process = world.process(pid)?;
    let thread = process.threads.iter().find(|thread| thread.tid == tid);
    Some(Arc::clone(thread.map_or(&process.comm, |thread| &thread.comm)))
}

/// What would free `row`, one step each, all of which must happen; none if nothing visible holds it.
#[must_use]
pub fn releases(row: &NsRow, members: &[Member], keepers: &[Keeper]) -> Vec<String> {
    if row.info.initial {
        return vec!["nothing: it is initial, and there as long as the system runs".to_owned()];
    }
    let mut steps = Vec::new();
    let (ended, running): (Vec<_>, Vec<_>) = members.iter().partition(|member| member.ended);
    if !running.is_empty() {
        let count = Count(running.len() as u64, "process");
        let pids = running.iter().take(8).map(|member| member.pid.to_string());
        let mut pids: Vec<_> = pids.collect();
        if running.len() > pids.len() {
            pids.push("\u{2026}".to_owned());
        }
        steps.push(format!("the end of {count} in it: {}", pids.join(", ")));
    }
    steps.extend(ended.iter().map(|member| {
        let Member { pid, ppid, comm, .. } = member;
        format!("process {ppid} waiting for its child {comm} ({pid}), which has ended")
    }));
    steps.extend(keepers.iter().map(Keeper::release));
    steps
}
