//! Open files that keep a namespace: those of nsfs, sockets, tap devices, rings.

use std::{
    fs,
    io::{self, ErrorKind},
    mem::MaybeUninit,
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
};

use rustc_hash::{FxHashMap, FxHashSet};
use rustix::{
    fs::{Mode, openat, readlinkat_raw},
    io::Errno,
};

use super::{
    crowd,
    tasks::{DIRECTORY, inode, numbers},
};
use crate::{
    model::{Hold, Holder, Kind, NsRef, ProcessRow, Want, Way},
    sys::{file, nsfs},
};

/// What the kernel's memory tells of open files.
#[derive(Debug, Default)]
pub struct Seen {
    /// What only memory tells.
    pub holders: Vec<(NsRef, Holder)>,
    /// Whose other files are to be looked at as well: the rest have none that matter.
    pub in_sight: FxHashSet<u32>,
}

/// What the files of all processes hold.
#[derive(Default)]
pub(super) struct Held {
    /// What holds what.
    pub(super) holders: Vec<(NsRef, Holder)>,
    /// Processes whose files must not be seen, or not all of them.
    pub(super) unreadable: u32,
}

/// Looks through the file tables of these processes, and of their threads that have their own.
pub(super) fn scan(processes: &[&ProcessRow], want: &Want) -> Held {
    let Ok(proc) = openat(rustix::fs::CWD, "/proc", DIRECTORY, Mode::empty()) else {
        return Held::default();
    };
    let begin = || Worker {
        proc: &proc,
        want,
        held: Held::default(),
        is_denied: false,
        sockets: FxHashMap::default(),
    };
    // Copies of sockets come and go in our own table while the others are read.
    let is_own = |process: &&ProcessRow| process.pid == std::process::id();
    let mut own = begin();
    processes.iter().copied().filter(is_own).for_each(|process| own.process(process));
    let step = |worker: &mut Worker<'_>, process: &&ProcessRow| {
        if !is_own(process) {
            worker.process(process);
        }
    };
    let mut held = Held::default();
    for worker in crowd::share(processes, begin, step).into_iter().chain([own]) {
        held.holders.extend(worker.held.holders);
        held.unreadable += worker.held.unreadable;
    }
    held
}

struct Worker<'a> {
    proc: &'a OwnedFd,
    want: &'a Want,
    held: Held,
    /// Whether something of the process being visited must not be seen.
    is_denied: bool,
    /// The namespaces of the sockets met so far, by the inode of the socket: many processes share
    /// them with their parents. `None` is out of reach.
    sockets: FxHashMap<u32, Option<NsRef>>,
}

impl Worker<'_> {
    fn process(&mut self, process: &ProcessRow) {
        self.is_denied = false;
        self.tables(process);
        self.held.unreadable += u32::from(self.is_denied);
    }

    /// Whatever else cannot be read is gone.
    fn tables(&mut self, process: &ProcessRow) {
        let pid = process.pid;
        if let Err(Errno::ACCESS | Errno::PERM) = self.table(pid, pid) {
            self.is_denied = true;
            return;
        }
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
                // It ended meanwhile.
                self.table(pid, tid).unwrap_or_default();
            }
        }
    }

    /// Reads the table of one thread.
    fn table(&mut self, pid: u32, tid: u32) -> Result<(), Errno> {
        let path = if pid == tid { format!("{pid}/fd") } else { format!("{pid}/task/{tid}/fd") };
        let directory = openat(self.proc, &path, DIRECTORY, Mode::empty())?;
        let mut handle = None;
        let mut room = [const { MaybeUninit::uninit() }; 40];
        for fd in numbers(&directory).unwrap_or_default() {
            let mut name = itoa::Buffer::new();
            let Ok((link, _)) = readlinkat_raw(&directory, name.format(fd), &mut room) else {
                continue;
            };
            if let Some(ns) = namespace(link) {
                self.held.holders.push((ns, Holder::Fd { pid, tid, fd }));
                continue;
            }
            // Older kernels say of registered files no more than that they are there.
            if link == b"anon_inode:[io_uring]" {
                let path = path.strip_suffix("/fd").unwrap_or_default();
                self.ring(&format!("{path}/fdinfo/{fd}"), pid, tid, fd);
                continue;
            }
            let asked = self.want.kinds.contains(Kind::Net)
                && (link.starts_with(b"socket:[") || link == b"/dev/net/tun");
            if asked && let Some(ns) = self.socket(link, pid, tid, fd, &mut handle) {
                self.held.holders.push((ns, Holder::Socket { pid, tid, fd }));
            }
        }
        Ok(())
    }

    /// Files of nsfs that a ring holds. What is busy says nothing of its files.
    fn ring(&mut self, path: &str, pid: u32, tid: u32, fd: u32) {
        let Ok(about) = fs::read(Path::new("/proc").join(path)) else { return };
        let holder = Holder::File { way: Way::Ring, hold: Hold::Nsfs, pid, tid, fd };
        self.held.holders.extend(registered(&about).map(|ns| (ns, holder.clone())));
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
            let ns = file::duplicate(handle, fd).and_then(|copy| match number {
                Some(_) => nsfs::of_socket(&copy),
                None => nsfs::of_tun(&copy),
            });
            // Where memory is read, sockets are not asked; of a tap device nothing else tells.
            let denied = |error: &io::Error| error.kind() == ErrorKind::PermissionDenied;
            self.is_denied |= number.is_none() && ns.as_ref().is_err_and(denied);
            nsfs::reference(ns.ok()?.as_fd()).ok()
        });
        if let Some(number) = number {
            self.sockets.insert(number, ns);
        }
        ns
    }
}

/// The namespaces among the files that a ring's `fdinfo` tells: `UserFiles:`, and for each a line
/// with its place and path (`io_uring/fdinfo.c`).
fn registered(about: &[u8]) -> impl Iterator<Item = NsRef> {
    let lines = about.split(|byte| *byte == b'\n');
    let lines = lines.skip_while(|line| !line.starts_with(b"UserFiles:")).skip(1);
    let files = lines.map_while(|line| {
        let line = line.trim_ascii_start();
        let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
        line.get(digits..)?.strip_prefix(b": ").filter(|_| digits > 0)
    });
    files.filter_map(namespace)
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

    #[test]
    fn a_ring_tells_its_files() {
        let about = "SqThread:\t-1\nUserFiles:\t3\n    0: uts:[4026532111]\n    2: /dev/null\n\
                     \x20   3: net:[4026532112]\nUserBufs:\t1\n    4: user:[4026532113]\n";
        let found: Vec<_> = registered(about.as_bytes()).map(|ns| ns.to_string()).collect();
        assert_eq!(found, ["uts:4026532111", "net:4026532112"]);
        for before in ["UserFiles:\t1\n    0: /\n", "UserFiles:\t0\n", "", "pos:\t0\n"] {
            assert_eq!(registered(before.as_bytes()).count(), 0, "{before}");
        }
    }
}
