//! Processes and threads, from /proc on all processors.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use rustc_hash::{FxHashMap, FxHashSet};
use rustix::{
    fs::{AtFlags, Mode, OFlags, RawDir, fstat, openat, readlinkat_raw, statat},
    io::{Errno, read},
};

use super::{
    crowd,
    stat::{self, number},
};
use crate::{
    model::{NsRef, ProcessRow, SLOTS, Slot, Slots, ThreadRow, Want, printable},
    sys::process::initial_in_sight,
};

/// The processes and their namespaces.
#[derive(Debug, Default)]
pub struct Tasks {
    /// By number.
    pub processes: Vec<ProcessRow>,
    /// How many did not let their namespaces be read; they are among `processes`, without any.
    pub unreadable: u32,
}

/// Reads all of /proc. Processes that end meanwhile are left out; what may not be read is counted.
///
/// # Errors
///
/// If /proc cannot be listed.
pub fn scan(want: &Want) -> io::Result<Tasks> {
    let proc = openat(rustix::fs::CWD, "/proc", DIRECTORY, Mode::empty())?;
    let pids = numbers(&proc)?;
    let wanted = Wanted::new(want, &proc);
    let read = |pids: &[u32], whole: bool| {
        let begin = || Worker::new(&proc, &wanted, want);
        let step = |worker: &mut Worker<'_>, pid: &u32| {
            if whole { worker.process(*pid) } else { worker.place(*pid) }
        };
        let mut tasks = Tasks::default();
        for worker in crowd::share(pids, begin, step) {
            tasks.processes.extend(worker.tasks.processes);
            tasks.unreadable += worker.tasks.unreadable;
        }
        tasks
    };
    if !want.first {
        let mut tasks = read(&pids, true);
        tasks.processes.sort_unstable_by_key(|process| process.pid);
        return Ok(tasks);
    }
    let mut tasks = read(&pids, false);
    tasks.processes.sort_unstable_by_key(|process| process.pid);
    complete(&mut tasks, |firsts| read(firsts, true));
    Ok(tasks)
}

/// Completes the first process of each namespace by what `read` finds of it. One that is gone by then
/// makes room for the next.
fn complete(tasks: &mut Tasks, read: impl Fn(&[u32]) -> Tasks) {
    let mut complete = FxHashSet::default();
    loop {
        let mut firsts = firsts(&tasks.processes);
        firsts.retain(|pid| complete.insert(*pid));
        if firsts.is_empty() {
            return;
        }
        let found = read(&firsts);
        tasks.unreadable += found.unreadable;
        let mut found: FxHashMap<_, _> =
            found.processes.into_iter().map(|process| (process.pid, process)).collect();
        let firsts: FxHashSet<_> = firsts.into_iter().collect();
        tasks.processes.retain_mut(|process| {
            let Some(full) = found.remove(&process.pid) else {
                return !firsts.contains(&process.pid);
            };
            *process = full;
            true
        });
    }
}

/// The first process of each namespace, if they are by number.
fn firsts(processes: &[ProcessRow]) -> Vec<u32> {
    let (mut sets, mut met) = (FxHashSet::default(), FxHashSet::default());
    let mut firsts = Vec::new();
    for process in processes {
        // Most are where others are, and have the same set then.
        if sets.insert(Arc::as_ptr(&process.slots.0)) {
            let slots = process.slots.0.iter().flatten();
            let new = slots.filter(|ns| met.insert((ns.kind, ns.inode))).count();
            firsts.extend((new > 0).then_some(process.pid));
        }
    }
    firsts
}

pub(super) const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A directory to find files in, which need not be readable itself.
const PLACE: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// About how many processes there are: /proc has a link for each (fs/proc/root.c, `proc_root_getattr`).
#[must_use]
pub fn count() -> u32 {
    let links = statat(rustix::fs::CWD, "/proc", AtFlags::empty()).map_or(0, |proc| proc.st_nlink);
    u32::try_from(links).unwrap_or(u32::MAX)
}

/// The threads of a process; none if it is gone.
#[must_use]
pub fn threads(pid: u32) -> Vec<u32> {
    let directory = openat(rustix::fs::CWD, format!("/proc/{pid}/task"), DIRECTORY, Mode::empty());
    directory.ok().and_then(|directory| numbers(&directory).ok()).unwrap_or_default()
}

/// The entries of a directory that are numbers.
pub(super) fn numbers(directory: impl AsFd) -> io::Result<Vec<u32>> {
    let mut buffer = vec![MaybeUninit::uninit(); 32 << 10];
    let mut entries = RawDir::new(directory, &mut buffer);
    let mut numbers = Vec::new();
    while let Some(entry) = entries.next() {
        numbers.extend(number(entry?.file_name().to_bytes()));
    }
    Ok(numbers)
}

/// Which entries of `/proc/<pid>/ns` to read.
struct Wanted {
    slots: Vec<(Slot, &'static str, Option<u32>)>,
}

impl Wanted {
    /// Those that are wanted and that this kernel has.
    fn new(want: &Want, proc: &OwnedFd) -> Self {
        let has = |path: &str| statat(proc, path, AtFlags::SYMLINK_NOFOLLOW).is_ok();
        let slots = Slot::ALL.into_iter().filter(|slot| want.slot(*slot));
        let slots = slots.map(|slot| (slot, slot.name(), initial_in_sight(slot.kind().name())));
        Self { slots: slots.filter(|(_, name, _)| has(&format!("self/ns/{name}"))).collect() }
    }
}

type Inodes = [u32; SLOTS];

/// One of the threads that read.
struct Worker<'a> {
    proc: &'a OwnedFd,
    wanted: &'a Wanted,
    want: &'a Want,
    tasks: Tasks,
    /// Most tasks are where others are.
    known: FxHashMap<Inodes, Slots>,
}

impl<'a> Worker<'a> {
    fn new(proc: &'a OwnedFd, wanted: &'a Wanted, want: &'a Want) -> Self {
        Self { proc, wanted, want, tasks: Tasks::default(), known: FxHashMap::default() }
    }

    /// Reads one process; no error is more than that it is gone.
    fn process(&mut self, pid: u32) {
        if let Ok(Some(process)) = self.read(pid) {
            self.tasks.processes.push(process);
        }
    }

    /// Reads where one process is, and nothing else of it.
    fn place(&mut self, pid: u32) {
        if let Ok(slots) = self.slots_if_allowed(self.proc, &format!("{pid}/ns")) {
            self.tasks.processes.push(ProcessRow { pid, slots, ..ProcessRow::default() });
        }
    }

    fn read(&mut self, pid: u32) -> Result<Option<ProcessRow>, Errno> {
        let directory = openat(self.proc, itoa::Buffer::new().format(pid), PLACE, Mode::empty())?;
        let slots = self.slots_if_allowed(&directory, "ns")?;
        let uid = fstat(&directory)?.st_uid;
        let mut line = [0; 512];
        let line = content(&directory, "stat", &mut line)?;
        let Some(stat) = stat::parse(line) else {
            return Ok(None);
        };
        let mut process = ProcessRow {
            pid,
            ppid: stat.ppid,
            uid,
            comm: printable(stat.comm).0.into(),
            count: stat.count,
            slots,
            ..ProcessRow::default()
        };
        if self.want.threads && process.count > 1 {
            process.threads = self.threads(&directory, &process)?;
        }
        Ok(Some(process))
    }

    /// The namespaces in the directory `path`; none if they may not be read, which is counted.
    fn slots_if_allowed(&mut self, parent: impl AsFd, path: &str) -> Result<Slots, Errno> {
        match self.slots(parent, path) {
            Err(Errno::ACCESS | Errno::PERM) => {
                self.tasks.unreadable += 1;
                Ok(Slots::default())
            }
            slots => slots,
        }
    }

    /// The namespaces in the directory `path`.
    fn slots(&mut self, parent: impl AsFd, path: &str) -> Result<Slots, Errno> {
        // The way to ten links is long in /proc, where every step asks for the task.
        let directory = openat(parent, path, PLACE, Mode::empty())?;
        let mut inodes = Inodes::default();
        let mut link = [const { MaybeUninit::uninit() }; 40];
        for (slot, name, _) in &self.wanted.slots {
            match readlinkat_raw(&directory, *name, &mut link) {
                Ok((link, _)) => inodes[*slot as usize] = inode(link).unwrap_or_default(),
                // A zombie has left all but two; `pid_for_children` may have no process yet.
                Err(Errno::NOENT) => {}
                Err(error) => return Err(error),
            }
        }
        let wanted = &self.wanted.slots;
        let slots = self.known.entry(inodes).or_insert_with(|| {
            let mut slots = [None; SLOTS];
            for (slot, _, initial) in wanted {
                let inode = inodes[*slot as usize];
                let initial = *initial == Some(inode);
                let ns = NsRef { kind: slot.kind(), inode, id: None, initial };
                slots[*slot as usize] = (inode != 0).then_some(ns);
            }
            Slots(Arc::new(slots))
        });
        Ok(slots.clone())
    }

    /// The threads that are not where the first one is.
    fn threads(&mut self, process: &OwnedFd, leader: &ProcessRow) -> Result<Vec<ThreadRow>, Errno> {
        let directory = openat(process, "task", DIRECTORY, Mode::empty())?;
        let Ok(tids) = numbers(&directory) else {
            return Ok(Vec::new());
        };
        let mut threads = Vec::new();
        for tid in tids.into_iter().filter(|tid| *tid != leader.pid) {
            let Ok(slots) = self.slots(&directory, &format!("{tid}/ns")) else {
                continue;
            };
            if slots != leader.slots {
                let mut name = [0; 64];
                let name = content(&directory, &format!("{tid}/comm"), &mut name);
                let name = name.unwrap_or_default();
                let name = name.strip_suffix(b"\n").unwrap_or(name);
                threads.push(ThreadRow { tid, comm: printable(name).0.into(), slots });
            }
        }
        threads.sort_unstable_by_key(|thread| thread.tid);
        Ok(threads)
    }
}

/// A short file, as much of it as there is room.
fn content<'a>(directory: impl AsFd, name: &str, room: &'a mut [u8]) -> Result<&'a [u8], Errno> {
    let file = openat(directory, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let len = read(&file, &mut *room)?;
    Ok(room.get(..len).unwrap_or_default())
}

/// The number in `net:[4026531840]`.
pub(super) fn inode(link: &[u8]) -> Option<u32> {
    let start = link.iter().position(|byte| *byte == b'[')? + 1;
    number(link.get(start..)?.strip_suffix(b"]")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;

    #[test]
    fn inodes_are_read_from_links() {
        assert_eq!(inode(b"net:[4026531840]"), Some(4_026_531_840));
        assert_eq!(inode(b"net:[4026531840"), None);
        assert_eq!(inode(b"/dev/null"), None);
    }

    #[test]
    fn this_process_is_found_where_it_is() {
        let tasks = scan(&Want::ALL).expect("a list of /proc");
        let own = tasks.processes.iter().find(|process| process.pid == std::process::id());
        let own = own.expect("this process");
        for slot in Slot::ALL {
            let link = std::fs::read_link(format!("/proc/self/ns/{}", slot.name()));
            let link = link.ok().and_then(|link| inode(link.as_os_str().as_encoded_bytes()));
            assert_eq!(own.slots.get(slot).map(|ns| ns.inode), link, "{slot:?}");
        }
        assert!(own.count >= 2, "the tests run in a thread of their own");
        assert!(tasks.processes.is_sorted_by_key(|process| process.pid));
    }

    fn process(pid: u32, comm: &str, inode: u32) -> ProcessRow {
        let mut slots = [None; SLOTS];
        let ns = NsRef { kind: Kind::Uts, inode, id: None, initial: false };
        slots[Slot::Uts as usize] = Some(ns);
        ProcessRow {
            pid,
            comm: comm.into(),
            slots: Slots(Arc::new(slots)),
            ..ProcessRow::default()
        }
    }

    #[test]
    fn the_first_of_each_namespace_is_complete_whoever_goes() {
        // 1 is gone when it is read, 3 is elsewhere.
        let places = [(1, 10), (2, 10), (3, 11), (4, 10), (5, 12)];
        let processes = places.map(|(pid, inode)| process(pid, "", inode)).to_vec();
        let mut tasks = Tasks { processes, unreadable: 0 };
        complete(&mut tasks, |firsts| {
            let left = firsts.iter().filter(|pid| **pid != 1);
            let place = |pid: u32| if pid == 3 { 12 } else { places[pid as usize - 1].1 };
            let processes = left.map(|pid| process(*pid, "known", place(*pid))).collect();
            Tasks { processes, unreadable: 0 }
        });
        let found: Vec<_> =
            tasks.processes.iter().map(|process| (process.pid, &*process.comm)).collect();
        assert_eq!(found, [(2, "known"), (3, "known"), (4, ""), (5, "known")]);
    }
}
