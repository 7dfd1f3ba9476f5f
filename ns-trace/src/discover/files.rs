//! Open files that keep a namespace: those of nsfs, sockets, tap devices.

use std::{
    mem::MaybeUninit,
    os::fd::{AsFd as _, OwnedFd},
};

use rustc_hash::FxHashMap;
use rustix::fs::{Mode, openat, readlinkat_raw};

use super::{
    crowd,
    tasks::{DIRECTORY, inode, numbers},
};
use crate::{
    model::{Holder, Kind, NsRef, ProcessRow, Want},
    sys::{file, nsfs},
};

/// What holds what.
pub(super) type Held = Vec<(NsRef, Holder)>;

/// Looks through the file tables of all processes, and of threads that have their own.
pub(super) fn scan(processes: &[ProcessRow], want: &Want) -> Held {
    let Ok(proc) = openat(rustix::fs::CWD, "/proc", DIRECTORY, Mode::empty()) else {
        return Held::new();
    };
    let begin = || Worker { proc: &proc, want, held: Held::new(), sockets: FxHashMap::default() };
    // Copies of sockets come and go in our own table while the others are read.
    let is_own = |process: &&ProcessRow| process.pid == std::process::id();
    let mut own = begin();
    processes.iter().filter(is_own).for_each(|process| own.process(process));
    let step = |worker: &mut Worker<'_>, process: &ProcessRow| {
        if !is_own(&process) {
            worker.process(process);
        }
    };
    let workers = crowd::share(processes, begin, step);
    workers.into_iter().chain([own]).flat_map(|worker| worker.held).collect()
}

struct Worker<'a> {
    proc: &'a OwnedFd,
    want: &'a Want,
    held: Held,
    /// The namespaces of the sockets met so far, by the inode of the socket: many processes share
    /// them with their parents. `None` is out of reach.
    sockets: FxHashMap<u32, Option<NsRef>>,
}

impl Worker<'_> {
    /// Whatever cannot be read is gone, or counted as unreadable already.
    fn process(&mut self, process: &ProcessRow) {
        let pid = process.pid;
        self.table(pid, pid);
        if process.count < 2 {
            return;
        }
        let path = format!("{pid}/task");
        let Ok(directory) = openat(self.proc, path, DIRECTORY, Mode::empty()) else {
            return;
        };
        for tid in numbers(&directory).unwrap_or_default() {
            // Where the kernel cannot compare them, a table is taken for shared.
            if tid != pid && file::same_table(pid, tid).is_ok_and(|same| !same) {
                self.table(pid, tid);
            }
        }
    }

    /// Reads the table of one thread.
    fn table(&mut self, pid: u32, tid: u32) {
        let path = if pid == tid { format!("{pid}/fd") } else { format!("{pid}/task/{tid}/fd") };
        let Ok(directory) = openat(self.proc, path, DIRECTORY, Mode::empty()) else {
            return;
        };
        let mut handle = None;
        let mut room = [const { MaybeUninit::uninit() }; 40];
        for fd in numbers(&directory).unwrap_or_default() {
            let mut name = itoa::Buffer::new();
            let Ok((link, _)) = readlinkat_raw(&directory, name.format(fd), &mut room) else {
                continue;
            };
            if let Some(ns) = namespace(link) {
                self.held.push((ns, Holder::Fd { pid, tid, fd }));
                continue;
            }
            let asked = self.want.kinds.contains(Kind::Net)
                && (link.starts_with(b"socket:[") || link == b"/dev/net/tun");
            if asked && let Some(ns) = self.socket(link, pid, tid, fd, &mut handle) {
                self.held.push((ns, Holder::Socket { pid, tid, fd }));
            }
        }
    }

    /// The network namespace that a socket or tap device was made in.
    fn socket(
        &mut self,
        link: &[u8],
        pid: u32,
        tid: u32,
        fd: u32,
        handle: &mut Option<OwnedFd>,
    ) -> Option<NsRef> {
        let number = inode(link);
        if let Some(known) = number.and_then(|number| self.sockets.get(&number)) {
            return *known;
        }
        if handle.is_none() {
            let opened = if pid == tid { file::process(pid) } else { file::thread(tid) };
            *handle = opened.ok();
        }
        let ns = handle.as_ref().and_then(|handle| {
            let copy = file::duplicate(handle, fd).ok()?;
            let ns = if number.is_some() { nsfs::of_socket(&copy) } else { nsfs::of_tun(&copy) };
            nsfs::reference(ns.ok()?.as_fd()).ok()
        });
        if let Some(number) = number {
            self.sockets.insert(number, ns);
        }
        ns
    }
}

/// The namespace in `net:[4026531840]`. No path looks like this: paths begin with a slash.
pub(super) fn namespace(link: &[u8]) -> Option<NsRef> {
    let colon = link.iter().position(|byte| *byte == b':')?;
    let name = link.get(..colon)?;
    let kind = Kind::ALL.into_iter().find(|kind| kind.name().as_bytes() == name)?;
    Some(NsRef { kind, inode: inode(link)?, id: None, initial: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_of_namespaces_are_namespaces() {
        let ns = namespace(b"net:[4026531840]").map(|ns| (ns.kind, ns.inode));
        assert_eq!(ns, Some((Kind::Net, 4_026_531_840)));
        for link in ["socket:[4026531840]", "/net:[1]", "net", "net:[", "pipe:[7]", ""] {
            assert_eq!(namespace(link.as_bytes()), None, "{link}");
        }
    }
}
