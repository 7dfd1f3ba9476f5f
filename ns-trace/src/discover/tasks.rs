//! Processes and threads, from /proc on all processors.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use rustc_hash::FxHashMap;
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
    let slots = Wanted::new(want, &proc);
    let workers = crowd::share(
        &pids,
        || Worker::new(&proc, &slots, want),
        |worker, pid| worker.process(*pid),
    );
    let mut tasks = Tasks::default();
    for worker in workers {
        tasks.processes.extend(worker.tasks.processes);
        tasks.unreadable += worker.tasks.unreadable;
    }
    tasks.processes.sort_unstable_by_key(|process| process.pid);
    Ok(tasks)
}

pub(super) const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// About how many processes there are: /proc has a link for each (fs/proc/root.c, `proc_root_getattr`).
#[must_use]
pub fn count() -> u32 {
    let links = statat(rustix::fs::CWD, "/proc", AtFlags::empty()).map_or(0, |proc| proc.st_nlink);
    u32::try_from(links).unwrap_or(u32::MAX)
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
        let slots = slots.map(|slot| (slot, path(slot), initial_in_sight(slot.kind().name())));
        Self { slots: slots.filter(|(_, path, _)| has(&format!("self/{path}"))).collect() }
    }
}

const fn path(slot: Slot) -> &'static str {
    match slot {
        Slot::Mnt => "ns/mnt",
        Slot::Pid => "ns/pid",
        Slot::PidForChildren => "ns/pid_for_children",
        Slot::Ipc => "ns/ipc",
        Slot::Uts => "ns/uts",
        Slot::Net => "ns/net",
        Slot::User => "ns/user",
        Slot::Cgroup => "ns/cgroup",
        Slot::Time => "ns/time",
        Slot::TimeForChildren => "ns/time_for_children",
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

    fn read(&mut self, pid: u32) -> Result<Option<ProcessRow>, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(self.proc, itoa::Buffer::new().format(pid), flags, Mode::empty())?;
        let slots = match self.slots(&directory) {
            Err(Errno::ACCESS | Errno::PERM) => {
                self.tasks.unreadable += 1;
                Slots::default()
            }
            slots => slots?,
        };
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
            threads: Vec::new(),
        };
        if self.want.threads && process.count > 1 {
            process.threads = self.threads(&directory, &process)?;
        }
        Ok(Some(process))
    }

    /// The namespaces of the task whose directory that is.
    fn slots(&mut self, directory: impl AsFd) -> Result<Slots, Errno> {
        let mut inodes = Inodes::default();
        let mut link = [const { MaybeUninit::uninit() }; 40];
        for (slot, path, _) in &self.wanted.slots {
            match readlinkat_raw(&directory, *path, &mut link) {
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
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let tid_text = itoa::Buffer::new().format(tid).to_owned();
            let Ok(directory) = openat(&directory, tid_text, flags, Mode::empty()) else {
                continue;
            };
            let Ok(slots) = self.slots(&directory) else {
                continue;
            };
            if slots != leader.slots {
                let mut name = [0; 64];
                let name = content(&directory, "comm", &mut name).unwrap_or_default();
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
            let link = std::fs::read_link(format!("/proc/self/{}", path(slot)));
            let link = link.ok().and_then(|link| inode(link.as_os_str().as_encoded_bytes()));
            assert_eq!(own.slots.get(slot).map(|ns| ns.inode), link, "{slot:?}");
        }
        assert!(own.count >= 2, "the tests run in a thread of their own");
        assert!(tasks.processes.is_sorted_by_key(|process| process.pid));
    }
}
