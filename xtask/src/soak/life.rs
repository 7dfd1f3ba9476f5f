//! Random lives in namespaces.
//!
//! A worker is this program again, called as `xtask soak-worker SEED DEPTH END`: until END (on the
//! boot clock, in nanoseconds) it does what the random numbers say, then it holds still until it
//! dies with its parent. It has one thread, since unshare(2) and setns(2) refuse others.

use std::{
    fs::File,
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Child, Command, ExitCode, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, setns, unshare},
    sys::{prctl::set_pdeathsig, signal::Signal},
};

use crate::clock;

/// The verb that makes this program a worker.
pub(crate) const VERB: &str = "soak-worker";

/// What can be unshared, each with how often of 64 it is: a net namespace takes the kernel longer
/// to free than all others together, and a user namespace takes most rights away.
const KINDS: [(CloneFlags, u8); 8] = [
    (CloneFlags::CLONE_NEWUTS, 12),
    (CloneFlags::CLONE_NEWIPC, 8),
    (CloneFlags::CLONE_NEWNS, 6),
    (CloneFlags::CLONE_NEWPID, 6),
    (CloneFlags::CLONE_NEWCGROUP, 10),
    (NEWTIME, 8),
    (CloneFlags::CLONE_NEWNET, 2),
    (CloneFlags::CLONE_NEWUSER, 3),
];
/// What nix has no name for (linux/sched.h).
const NEWTIME: CloneFlags = CloneFlags::from_bits_retain(0x80);

/// Entries of /proc/PID/ns that are held and joined.
const SLOTS: [&str; 10] = [
    "mnt",
    "pid",
    "pid_for_children",
    "ipc",
    "uts",
    "net",
    "user",
    "cgroup",
    "time",
    "time_for_children",
];

/// How deep workers nest.
const DEEPEST: u32 = 4;
/// How many children a worker has at once, and how many descriptors it holds.
const CHILDREN: usize = 3;
const HELD: usize = 6;
/// The longest pause between two steps.
const PAUSE: Duration = Duration::from_millis(20);

/// A worker's state.
struct Life {
    random: fastrand::Rng,
    depth: u32,
    end: u64,
    children: Vec<Child>,
    held: Vec<File>,
}

/// Starts a worker.
pub(super) fn spawn(seed: u64, depth: u32, end: u64) -> Result<Child> {
    let mut worker = Command::new("/proc/self/exe");
    worker.args(words(seed, depth, end)).stdin(Stdio::null());
    worker.spawn().context("cannot start a worker")
}

fn words(seed: u64, depth: u32, end: u64) -> [String; 4] {
    [VERB.to_owned(), seed.to_string(), depth.to_string(), end.to_string()]
}

/// Is a worker.
pub(crate) fn main(args: &[String]) -> Result<ExitCode> {
    let [seed, depth, end] = args else { bail!("not for people") };
    // Nothing outlives the soak.
    set_pdeathsig(Signal::SIGKILL)?;
    let mut life = Life {
        random: fastrand::Rng::with_seed(seed.parse()?),
        depth: depth.parse()?,
        end: end.parse()?,
        children: Vec::new(),
        held: Vec::new(),
    };
    while clock::boot()? < life.end {
        if !life.step() {
            return Ok(ExitCode::SUCCESS);
        }
        let pause = life.random.u64(..u64::try_from(PAUSE.as_micros())?);
        thread::sleep(Duration::from_micros(pause));
    }
    // The comparison with /proc wants a world that holds still.
    loop {
        thread::sleep(Duration::from_secs(1));
    }
}

impl Life {
    /// Does one thing; whether it succeeds is the kernel's business. Returns false to end.
    fn step(&mut self) -> bool {
        self.children.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        match self.random.u8(..100) {
            0..40 => self.unshare(),
            40..58 => self.bear(),
            58..70 => self.hold(),
            70..78 => self.join(),
            78..84 => self.let_go(),
            84..92 => self.kill(),
            92..96 => self.exec(),
            96..98 => Self::wrong(),
            // Ancestors stay longer, so that there is some depth.
            _ => return self.depth < 2,
        }
        true
    }

    fn unshare(&mut self) {
        let mut flags = CloneFlags::empty();
        for (flag, of_64) in KINDS {
            if self.random.u8(..64) < of_64 {
                flags |= flag;
            }
        }
        if unshare(flags).is_ok() && flags.contains(CloneFlags::CLONE_NEWNS) {
            // Or every mount of ours would show up outside.
            let none = None::<&str>;
            let _private = mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none);
        }
    }

    /// A child of its own seed. Inside a pid namespace whose first process has died it cannot be
    /// made.
    fn bear(&mut self) {
        if self.depth < DEEPEST && self.children.len() < CHILDREN {
            let child = spawn(self.random.u64(..), self.depth + 1, self.end);
            self.children.extend(child.ok());
        }
    }

    /// Takes hold of a namespace, its own or a child's.
    fn hold(&mut self) {
        let child = self.random.choice(&self.children).map(Child::id);
        let who = child.map_or_else(|| "self".to_owned(), |pid| pid.to_string());
        if let Some(slot) = self.random.choice(SLOTS) {
            let path: PathBuf = ["/proc", &who, "ns", slot].iter().collect();
            self.held.extend(File::open(path).ok());
        }
        if self.held.len() > HELD {
            self.let_go();
        }
    }

    fn join(&mut self) {
        if let Some(namespace) = self.random.choice(&self.held) {
            // Refused, for example, to whoever is in another user namespace.
            let _joined = setns(namespace, CloneFlags::empty());
        }
    }

    fn let_go(&mut self) {
        if !self.held.is_empty() {
            self.held.swap_remove(self.random.usize(..self.held.len()));
        }
    }

    fn kill(&mut self) {
        if !self.children.is_empty() {
            let mut child = self.children.swap_remove(self.random.usize(..self.children.len()));
            let _killed = child.kill();
            let _status = child.wait();
        }
    }

    /// Goes on as another run of this program: children and what is held are forgotten, and end.
    fn exec(&mut self) {
        for mut child in self.children.drain(..) {
            let _killed = child.kill();
            let _status = child.wait();
        }
        let words = words(self.random.u64(..), self.depth, self.end);
        let _failed = Command::new("/proc/self/exe").args(words).exec();
    }

    /// Fails: a namespace flag and another that contradicts it, or a descriptor that is none.
    fn wrong() {
        let _refused = unshare(CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_VFORK);
        if let Ok(file) = File::open("/dev/null") {
            let _refused = setns(file, CloneFlags::CLONE_NEWNET);
        }
    }
}
