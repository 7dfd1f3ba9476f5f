//! Random lives in namespaces.
//!
//! A worker is this program again, called as `soak-worker SEED DEPTH END PLACE HOME`: until END (on
//! the boot clock, in nanoseconds) it does what the random numbers say, then it holds still until
//! its parent ends, which it sees from its standard input.

use std::{
    fs::{self, File},
    io::{self, stdin},
    os::{
        fd::{AsFd as _, AsRawFd as _, OwnedFd},
        unix::process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result};
use rustix::{
    event::{PollFd, PollFlags, poll},
    mount::{MountPropagationFlags, UnmountFlags, mount_bind, mount_change, unmount},
    time::Timespec,
};

use crate::{
    actor::syscall::{self, holder},
    facts::SLOTS,
    scene::boot_ns,
};

/// The word that makes this program a worker.
pub(crate) const VERB: &str = "soak-worker";

/// What can be unshared, each with how often of 64 it is: a net namespace takes the kernel longer
/// to free than all others together, and a user namespace takes most rights away.
const KINDS: [(u64, u8); 8] = [
    (0x0400_0000, 12),
    (0x0800_0000, 8),
    (NEWNS, 6),
    (0x2000_0000, 6),
    (0x0200_0000, 10),
    (0x0000_0080, 8),
    (0x4000_0000, 2),
    (NEWUSER, 3),
];
const NEWNS: u64 = 0x0002_0000;
const NEWUSER: u64 = 0x1000_0000;
/// What a thread can have for itself while it shares memory and directories with others.
const OF_THREADS: u64 = 0x4e00_0000;

/// How deep workers nest.
const DEEPEST: u32 = 4;
/// How many children and threads a worker has at once, how many descriptors it holds, and how many
/// namespaces it has mounted.
const CHILDREN: usize = 3;
const THREADS: usize = 2;
const HELD: usize = 6;
const MOUNTED: usize = 3;
/// Milliseconds that the pause between two steps stays below.
const PAUSE: u64 = 20;

/// What all workers of a run know.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// When life ends, on the boot clock.
    end: u64,
    /// A file to mount on.
    file: String,
    /// The mount namespace in which nothing may be mounted.
    home: String,
}

impl Place {
    /// A place in a folder.
    pub(super) fn new(folder: &crate::trace::run::Folder, end: u64) -> Result<Self> {
        let home = own_mounts().context("where is this?")?;
        Ok(Self { end, file: folder.file("place", "")?, home })
    }
}

/// The own mount namespace.
fn own_mounts() -> io::Result<String> {
    Ok(fs::read_link("/proc/self/ns/mnt")?.display().to_string())
}

/// Starts a worker.
pub(super) fn spawn(place: &Place, seed: u64, depth: u32) -> Result<Child> {
    let mut worker = Command::new("/proc/self/exe");
    worker.args(words(place, seed, depth)).stdin(Stdio::piped());
    worker.spawn().context("cannot start a worker")
}

fn words(place: &Place, seed: u64, depth: u32) -> [String; 6] {
    let Place { end, file, home } = place.clone();
    [VERB.to_owned(), seed.to_string(), depth.to_string(), end.to_string(), file, home]
}

/// Is a worker, if the words say so.
pub(crate) fn worker(args: &[String]) -> Option<ExitCode> {
    let [verb, seed, depth, end, file, home] = args else { return None };
    if verb != VERB {
        return None;
    }
    let (Ok(seed), Ok(depth), Ok(end)) = (seed.parse(), depth.parse(), end.parse()) else {
        return Some(ExitCode::FAILURE);
    };
    let place = Place { end, file: file.clone(), home: home.clone() };
    Life::new(place, seed, depth).go_on();
    Some(ExitCode::SUCCESS)
}

/// Waits for so many milliseconds, or without end, and tells whether the parent has ended: with it
/// goes the other end of the pipe. (A death signal, prctl(2), is forgotten whenever rights change.)
fn is_orphan(pause: Option<u64>) -> bool {
    let input = stdin();
    let mut wanted = [PollFd::from_borrowed_fd(input.as_fd(), PollFlags::empty())];
    let pause = pause.and_then(|pause| Timespec::try_from(Duration::from_millis(pause)).ok());
    poll(&mut wanted, pause.as_ref()).is_ok_and(|ready| ready > 0)
}

/// A worker's state.
struct Life {
    place: Place,
    random: fastrand::Rng,
    depth: u32,
    children: Vec<Child>,
    threads: Vec<JoinHandle<()>>,
    held: Vec<File>,
    /// Sockets with descriptors of namespaces that nobody has received.
    letters: Vec<OwnedFd>,
    mounted: usize,
}

impl Life {
    fn new(place: Place, seed: u64, depth: u32) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        Self {
            place,
            random,
            depth,
            children: Vec::new(),
            threads: Vec::new(),
            held: Vec::new(),
            letters: Vec::new(),
            mounted: 0,
        }
    }

    fn go_on(&mut self) {
        while boot_ns() < self.place.end {
            if !self.step() || is_orphan(Some(self.random.u64(..PAUSE))) {
                return;
            }
        }
        // The comparison with /proc wants a world that holds still.
        is_orphan(None);
    }

    /// Does one thing; whether it succeeds is the kernel's business. Returns false to end.
    fn step(&mut self) -> bool {
        self.children.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        self.threads.retain(|thread| !thread.is_finished());
        match self.random.u8(..100) {
            0..36 => self.unshare(),
            36..54 => self.bear(),
            54..64 => self.hold(),
            64..71 => self.join(),
            71..75 => self.post(),
            75..79 => self.mount(),
            79..83 => self.let_go(),
            83..87 => self.thread(),
            87..93 => self.kill(),
            93..96 => self.exec(),
            96..98 => Self::wrong(),
            // Ancestors stay longer, so that there is some depth.
            _ => return self.depth < 2,
        }
        true
    }

    fn flags(&mut self) -> u64 {
        let mut flags = 0;
        for (flag, of_64) in KINDS {
            if self.random.u8(..64) < of_64 {
                flags |= flag;
            }
        }
        flags
    }

    fn unshare(&mut self) {
        let flags = self.flags();
        if syscall::unshare(flags).is_err() {
            return;
        }
        if flags & NEWUSER != 0 {
            // Without a user of its own it would lose all rights with the next exec.
            for (file, line) in [("setgroups", "deny"), ("uid_map", "0 0 1"), ("gid_map", "0 0 1")]
            {
                let _written = fs::write(Path::new("/proc/self").join(file), line);
            }
        }
        if flags & NEWNS != 0 {
            // Or every mount of ours would show up outside.
            let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
            let _private = mount_change("/", private);
            self.mounted = 0;
        }
    }

    /// A child of its own seed. Inside a pid namespace whose first process has died it cannot be
    /// made.
    fn bear(&mut self) {
        if self.depth < DEEPEST && self.children.len() < CHILDREN {
            let child = spawn(&self.place, self.random.u64(..), self.depth + 1);
            self.children.extend(child.ok());
        }
    }

    /// The path of a namespace, its own or a child's.
    fn some_namespace(&mut self) -> PathBuf {
        let child = self.random.choice(&self.children).map(Child::id);
        let who = child.map_or_else(|| "self".to_owned(), |pid| pid.to_string());
        let slot = self.random.choice(SLOTS).unwrap_or("uts");
        ["/proc", &who, "ns", slot].iter().collect()
    }

    /// Takes hold of a namespace.
    fn hold(&mut self) {
        let path = self.some_namespace();
        self.held.extend(File::open(path).ok());
        if self.held.len() > HELD {
            self.let_go();
        }
    }

    fn join(&mut self) {
        if let Some(namespace) = self.random.choice(&self.held) {
            // Refused, for example, to whoever is in another user namespace.
            let _joined = syscall::setns(namespace.as_raw_fd(), 0);
        }
    }

    /// Sends what it holds to where nobody receives it.
    fn post(&mut self) {
        if !self.held.is_empty() && self.letters.len() < HELD {
            let namespace = self.held.swap_remove(self.random.usize(..self.held.len()));
            self.letters.extend(holder::post(namespace.as_raw_fd()).ok());
        }
    }

    /// Mounts a namespace, in a mount namespace of its own or of an ancestor's that is none of ours.
    fn mount(&mut self) {
        let is_home = own_mounts().is_ok_and(|own| own == self.place.home);
        if is_home || self.mounted >= MOUNTED {
            return;
        }
        let path = self.some_namespace();
        if mount_bind(path, &self.place.file).is_ok() {
            self.mounted += 1;
        }
    }

    /// Lets go of something that it holds in some way.
    fn let_go(&mut self) {
        match self.random.u8(..3) {
            0 if !self.letters.is_empty() => {
                self.letters.swap_remove(self.random.usize(..self.letters.len()));
            }
            1 if self.mounted > 0 => {
                let _unmounted = unmount(&self.place.file, UnmountFlags::DETACH);
                self.mounted -= 1;
            }
            _ if !self.held.is_empty() => {
                self.held.swap_remove(self.random.usize(..self.held.len()));
            }
            _ => {}
        }
    }

    /// A thread that moves by itself for a while, and then ends, stays, or makes another program of
    /// the whole process.
    fn thread(&mut self) {
        if self.threads.len() >= THREADS {
            return;
        }
        let mut random = self.random.fork();
        let words = words(&self.place, random.u64(..), self.depth);
        let end = self.place.end;
        // None can be made while a pid namespace waits for children.
        let thread = thread::Builder::new().spawn(move || {
            for _ in 0..random.u8(1..10) {
                let one = 1 << random.u8(25..32);
                let _moved = syscall::unshare(one & OF_THREADS);
                thread::sleep(Duration::from_millis(random.u64(..PAUSE)));
            }
            match random.u8(..10) {
                0 if boot_ns() < end => drop(Command::new("/proc/self/exe").args(words).exec()),
                1..4 => thread::sleep(Duration::from_secs(u64::MAX)),
                _ => {}
            }
        });
        self.threads.extend(thread.ok());
    }

    /// Kills a child; that it has ended is found later. To wait for one alone may take for ever: the
    /// first process of a pid namespace ends when all others in it have been waited for, and they
    /// may be our children as well (`pid_namespaces`(7)).
    fn kill(&mut self) {
        if let Some(child) = self.random.choice(&mut self.children) {
            let _killed = child.kill();
        }
    }

    /// Goes on as another run of this program: children and what is held are forgotten, and end.
    fn exec(&mut self) {
        for child in &mut self.children {
            let _killed = child.kill();
        }
        while !self.children.is_empty() {
            self.children.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
            thread::sleep(Duration::from_millis(1));
        }
        let words = words(&self.place, self.random.u64(..), self.depth);
        let _failed = Command::new("/proc/self/exe").args(words).exec();
    }

    /// Fails: a namespace flag and another that contradicts it, or a descriptor that is none.
    fn wrong() {
        /// `CLONE_VFORK`.
        const VFORK: u64 = 0x4000;
        let _refused = syscall::unshare(0x0400_0000 | VFORK);
        if let Ok(file) = File::open("/dev/null") {
            let _refused = syscall::setns(file.as_raw_fd(), 0x4000_0000);
        }
    }
}
