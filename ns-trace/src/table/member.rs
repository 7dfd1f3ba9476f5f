//! Tasks, and what they share.

use std::{
    cell::{OnceCell, RefCell},
    rc::Rc,
    sync::Arc,
};

use ns_trace_common::{COMM_LEN, Ns, SLOTS, Slot, Task};
use serde::{Deserialize, Serialize};

use super::{Surroundings, Table, rows::RowId};
use crate::model::{
    Ancestor, Caps, Creator, Kind, Placement, Process, Slots, TaskRef, printable, same,
};

/// `PF_KTHREAD` of include/linux/sched.h.
const KERNEL_THREAD: u32 = 0x0020_0000;

/// What a process runs.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub struct Program {
    /// The file.
    pub exe: Option<Arc<str>>,
    /// The arguments.
    pub args: Option<Arc<[String]>>,
    /// Whether the arguments were cut.
    pub truncated: bool,
    /// Whether any of it was not UTF-8.
    pub lossy: bool,
}

impl Program {
    /// From a file name and NUL-separated arguments; `None` for what is unknown.
    #[must_use]
    pub fn new(exe: Option<&[u8]>, args: Option<&[u8]>, truncated: bool) -> Self {
        let mut lossy = false;
        let mut text = |bytes: &[u8]| {
            let (text, escaped) = printable(bytes);
            lossy |= escaped;
            text
        };
        let exe = exe.map(|exe| Arc::from(text(exe)));
        let args = args.map(|args| {
            let args = args.strip_suffix(b"\0").unwrap_or(args);
            args.split(|byte| *byte == 0).map(&mut text).collect()
        });
        Self { exe, args, truncated, lossy }
    }
}

impl Program {
    /// What is behind a link of /proc to an open file, by which runtimes run themselves again: of that
    /// to its own file what it was before, else what /proc says of it now.
    pub(super) fn behind_links(
        self,
        former: Option<Arc<str>>,
        now: impl FnOnce() -> Option<Self>,
    ) -> Self {
        let exe = self.exe.as_deref().unwrap_or_default();
        let is_own = matches!(exe, "/proc/self/exe" | "/proc/thread-self/exe");
        let is_open = exe.starts_with("/proc/self/fd/") || exe.starts_with("/dev/fd/");
        if !is_own && !is_open {
            return self;
        }
        let found = former.filter(|_| is_own).or_else(|| now()?.exe);
        Self { exe: found.or(self.exe), ..self }
    }
}

/// The program of a process, shared with the children that have not yet run another; empty until
/// somebody asks about a process older than the tracer.
pub(super) type SharedProgram = Rc<OnceCell<Program>>;

/// Ten namespaces, as a task has them; shared by tasks that have the same.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Set {
    pub(super) key: [Ns; SLOTS],
    pub(super) rows: [Option<RowId>; SLOTS],
    pub(super) slots: Slots,
}

impl Set {
    /// The row in a slot, if this namespace is there.
    pub(super) fn row(&self, slot: usize, ns: &Ns) -> Option<RowId> {
        self.key.get(slot).filter(|known| *known == ns)?;
        self.rows.get(slot).copied().flatten()
    }

    /// The rows that tasks are in which have this set; the ones for their children are left out.
    pub(super) fn own(&self) -> impl Iterator<Item = RowId> {
        let slots = Kind::ALL.into_iter().map(Slot::of);
        slots.filter_map(|slot| self.rows.get(slot as usize).copied().flatten())
    }

    /// The rows, each once: a namespace is mostly its own children's as well.
    pub(super) fn distinct(&self) -> impl Iterator<Item = RowId> {
        let row = |slot: Slot| self.rows.get(slot as usize).copied().flatten();
        Slot::ALL.into_iter().filter_map(move |slot| match slot {
            Slot::PidForChildren if row(slot) == row(Slot::Pid) => None,
            Slot::TimeForChildren if row(slot) == row(Slot::Time) => None,
            _ => row(slot),
        })
    }
}

/// What changes of a task without an event: who it is.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    tid: u32,
    start_ns: u64,
    ppid: u32,
    uid: u32,
    gid: u32,
    euid: u32,
    caps: u64,
    comm: [u8; COMM_LEN],
}

impl From<&Task> for Identity {
    fn from(task: &Task) -> Self {
        let Task { tid, start_ns, ppid, uid, gid, euid, caps, comm, .. } = *task;
        Self { tid, start_ns, ppid, uid, gid, euid, caps, comm }
    }
}

/// A task.
#[derive(Debug)]
pub(super) struct Member {
    /// `task.pid`: who counts all tasks reads no more of each than the map holds.
    pub(super) pid: u32,
    /// As last seen.
    pub(super) task: Box<Task>,
    pub(super) set: Rc<Set>,
    pub(super) program: SharedProgram,
    comm: Arc<str>,
    comm_lossy: bool,
    /// What it was last as the maker of a namespace.
    maker: RefCell<Option<Arc<Creator>>>,
    pub(super) placement: Placement,
    /// When a record of its own last told of it: nanoseconds of the boot clock.
    pub(super) seen_ns: u64,
}

impl Member {
    pub(super) fn new(
        task: &Task,
        set: Rc<Set>,
        program: SharedProgram,
        seen_ns: u64,
        surroundings: &mut impl Surroundings,
    ) -> Self {
        let (comm, comm_lossy) = comm_of(task);
        let placement = surroundings.placement(task.cgroup_id, task.legacy_cgroup_id);
        Self {
            pid: task.pid,
            task: Box::new(*task),
            set,
            program,
            comm,
            comm_lossy,
            maker: RefCell::default(),
            placement,
            seen_ns,
        }
    }

    /// A child: what is the same is shared.
    pub(super) fn child(
        &self,
        task: &Task,
        set: Rc<Set>,
        seen_ns: u64,
        surroundings: &mut impl Surroundings,
    ) -> Self {
        let mut child = Self {
            pid: task.pid,
            task: self.task.clone(),
            set,
            program: Rc::clone(&self.program),
            comm: Arc::clone(&self.comm),
            comm_lossy: self.comm_lossy,
            maker: RefCell::default(),
            placement: self.placement.clone(),
            seen_ns,
        };
        child.update(task, seen_ns, surroundings);
        child
    }

    /// Takes over what a record says of the task.
    pub(super) fn update(
        &mut self,
        task: &Task,
        seen_ns: u64,
        surroundings: &mut impl Surroundings,
    ) {
        if task.comm != self.task.comm {
            (self.comm, self.comm_lossy) = comm_of(task);
        }
        let ids = |task: &Task| (task.cgroup_id, task.legacy_cgroup_id);
        if ids(task) != ids(&self.task) {
            self.placement = surroundings.placement(task.cgroup_id, task.legacy_cgroup_id);
        }
        self.pid = task.pid;
        *self.task = *task;
        self.seen_ns = seen_ns;
    }

    /// Takes over who it is now.
    fn identify(&mut self, now: &Identity) {
        let task = &mut *self.task;
        let is_renamed = task.comm != now.comm;
        (task.ppid, task.uid, task.gid, task.euid) = (now.ppid, now.uid, now.gid, now.euid);
        (task.caps, task.comm) = (now.caps, now.comm);
        if is_renamed {
            (self.comm, self.comm_lossy) = comm_of(&self.task);
        }
    }

    /// Learns from its child what it is allowed: a new task has the credentials of its maker
    /// (`copy_creds` of kernel/cred.c), and nothing tells when these change.
    pub(super) fn has_credentials_of(&mut self, child: &Task) {
        (self.task.uid, self.task.gid, self.task.euid) = (child.uid, child.gid, child.euid);
        self.task.caps = child.caps;
    }

    /// Its name.
    pub(super) fn comm(&self) -> Arc<str> {
        Arc::clone(&self.comm)
    }

    /// The task as events show it.
    pub(super) fn process(&self, surroundings: &mut impl Surroundings) -> Arc<Process> {
        let program = self.program(surroundings);
        let task = &self.task;
        let Placement { cgroup, lossy, container, pod } = self.placement.clone();
        Arc::new(Process {
            pid: task.pid,
            tid: task.tid,
            ppid: task.ppid,
            vpid: Some(task.vpid),
            start_ns: task.start_ns,
            comm: Arc::clone(&self.comm),
            exe: program.exe.clone(),
            args: program.args.clone(),
            args_truncated: program.truncated,
            uid: task.uid,
            gid: Some(task.gid),
            euid: Some(task.euid),
            caps: Some(Caps(task.caps)),
            cgroup,
            cgroup_id: Some(task.cgroup_id),
            ns: self.set.slots.clone(),
            lossy: self.comm_lossy || program.lossy || lossy,
            container,
            pod,
        })
    }

    /// The task as the maker of a namespace.
    pub(super) fn creator(&self, surroundings: &mut impl Surroundings) -> Arc<Creator> {
        let program = self.program(surroundings);
        let Task { pid, tid, start_ns, uid, .. } = *self.task;
        let is_same = |maker: &Arc<Creator>| {
            (maker.pid, maker.tid, maker.start_ns, maker.uid) == (pid, tid, start_ns, uid)
                && same(&maker.comm, &self.comm)
                && same(&maker.exe, &program.exe)
        };
        let maker = self.maker.take().filter(is_same).unwrap_or_else(|| {
            let (comm, exe) = (Arc::clone(&self.comm), program.exe.clone());
            Arc::new(Creator { pid, tid, start_ns, comm, exe, uid })
        });
        self.maker.replace(Some(Arc::clone(&maker)));
        maker
    }

    /// The process as its descendants see it; what it runs only if somebody has asked before.
    pub(super) fn ancestor(&self) -> Ancestor {
        Ancestor {
            pid: self.task.pid,
            ppid: self.task.ppid,
            start_ns: self.task.start_ns,
            comm: self.comm(),
            exe: self.program.get().and_then(|program| program.exe.clone()),
            uid: self.task.uid,
            euid: Some(self.task.euid),
            caps: Some(Caps(self.task.caps)),
            container: self.placement.container.clone(),
        }
    }

    /// All its arguments, if somebody has asked before and there are any.
    pub(super) fn args(&self) -> Option<Arc<[String]>> {
        let known = self.program.get().filter(|program| !program.truncated);
        // A process can empty its own: then it is its name that is shown.
        let is_shown = |args: &&Arc<[String]>| args.iter().any(|arg| !arg.is_empty());
        known.and_then(|program| program.args.as_ref()).filter(is_shown).cloned()
    }

    pub(super) fn reference(&self) -> TaskRef {
        TaskRef { pid: self.task.pid, tid: self.task.tid, start_ns: self.task.start_ns }
    }

    /// What its process runs, as far as that is known or can be found out.
    pub(super) fn program(&self, surroundings: &mut impl Surroundings) -> &Program {
        const UNKNOWN: &Program =
            &Program { exe: None, args: None, truncated: false, lossy: false };
        if self.program.get().is_none()
            && self.task.flags & KERNEL_THREAD == 0
            && let Some(program) = surroundings.program(self.task.pid)
        {
            // It was empty a moment ago, and nobody else is here.
            let _already = self.program.set(program);
        }
        self.program.get().unwrap_or(UNKNOWN)
    }
}

impl Table {
    /// Takes over who tasks are, as they were from `began` on (nanoseconds of the boot clock): that
    /// changes without an event, by setuid(2), by another name, or as a parent ends. Those that the table
    /// does not know are none of its business here.
    pub fn identify(&mut self, began: u64, all: &[Identity]) {
        for now in all {
            let known = self.tasks.get_mut(&now.tid);
            // What a record has told of since may be newer.
            let is_newer = |member: &&mut Member| {
                member.task.start_ns == now.start_ns && member.seen_ns < began
            };
            if let Some(member) = known.filter(is_newer) {
                member.identify(now);
            }
        }
    }
}

fn comm_of(task: &Task) -> (Arc<str>, bool) {
    let name = task.comm.split(|byte| *byte == 0).next().unwrap_or_default();
    let (text, lossy) = printable(name);
    (text.into(), lossy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_open_files_are_looked_behind() {
        let ran = |exe: &str, former: Option<&str>, now: Option<&str>| {
            let program = |exe: &str| Program::new(Some(exe.as_bytes()), Some(b"a\0b\0"), false);
            let program = program(exe).behind_links(former.map(Arc::from), || now.map(program));
            assert_eq!(program.args.as_deref().map(<[String]>::len), Some(2));
            program.exe.unwrap().to_string()
        };
        assert_eq!(ran("/bin/a", Some("/bin/b"), Some("/bin/c")), "/bin/a");
        assert_eq!(ran("/proc/self/exe", Some("/bin/b"), Some("/bin/c")), "/bin/b");
        assert_eq!(ran("/proc/self/exe", None, Some("/bin/c")), "/bin/c");
        for link in ["/proc/self/fd/3", "/dev/fd/3"] {
            assert_eq!(ran(link, Some("/bin/b"), Some("/bin/c")), "/bin/c");
            // It has gone.
            assert_eq!(ran(link, Some("/bin/b"), None), link);
        }
    }
}
