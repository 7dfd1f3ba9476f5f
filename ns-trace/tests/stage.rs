//! A place of a test's own: a thread in mount and network namespaces of its own, with an empty
//! /run, whose children are there as well. What is left there ends with it.

use std::{
    ffi::OsStr,
    fs,
    io::{Error, ErrorKind, Write as _},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use rustix::{
    mount::{MountFlags, MountPropagationFlags, mount, mount_change},
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

use crate::{actor::syscall, facts::KINDS, tracer::program};

/// Where names of other types than net are.
pub(crate) const OTHERS: &str = "/run/ns-trace/names";

/// `CLONE_NEWNS` and `CLONE_NEWNET`.
const FLAGS: u64 = 0x4002_0000;

/// Runs a test in such a place, and checks that it leaves no mount but those of the names' own
/// directories, and no name.
pub(crate) fn apart(test: impl FnOnce() -> Result<()> + Send) -> Result<()> {
    apart_from(cpus()?[0], test)
}

/// The same, in namespaces that are made on this processor.
pub(crate) fn apart_from(cpu: usize, test: impl FnOnce() -> Result<()> + Send) -> Result<()> {
    let on_stage = || {
        on_cpu(cpu, || syscall::unshare(FLAGS))?.context("cannot make namespaces")?;
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        mount("tmpfs", "/run", "tmpfs", MountFlags::empty(), None)?;
        let before = mounts()?;
        test()?;
        let left = mounts()?.into_iter().filter(|mount| !before.contains(mount));
        let left: Vec<_> = left.filter(|mount| !is_of_names(mount)).collect();
        ensure!(left.is_empty(), "mounts are left: {left:?}");
        let names = names();
        ensure!(names.is_empty(), "names are left: {names:?}");
        for kind in KINDS {
            let names = names_in(&format!("{OTHERS}/{}", kind.name));
            ensure!(names.is_empty(), "{} names are left: {names:?}", kind.name);
        }
        Ok(())
    };
    let joined = thread::scope(|scope| scope.spawn(on_stage).join());
    joined.map_err(|_panic| anyhow!("the test panicked"))?
}

/// The processors that this thread may run on.
pub(crate) fn cpus() -> Result<Vec<usize>> {
    let allowed = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect())
}

/// Does something, and starts what that starts, on one processor. Linux 6.18 numbers namespaces on
/// each apart, and goes by that where it must know which of two is the older.
pub(crate) fn on_cpu<T>(cpu: usize, act: impl FnOnce() -> T) -> Result<T> {
    let before = sched_getaffinity(None)?;
    let mut only = CpuSet::new();
    only.set(cpu);
    sched_setaffinity(None, &only)?;
    let outcome = act();
    sched_setaffinity(None, &before)?;
    Ok(outcome)
}

/// Whether a mount is the own one of a directory of names.
fn is_of_names(mount: &str) -> bool {
    let place = mount.split(' ').nth(2).unwrap_or_default();
    place == "/run/netns" || KINDS.iter().any(|kind| place == format!("{OTHERS}/{}", kind.name))
}

/// The mounts of this thread, without their numbers.
fn mounts() -> Result<Vec<String>> {
    let text = fs::read_to_string("/proc/thread-self/mountinfo")?;
    let line = |line: &str| line.split(' ').skip(2).collect::<Vec<_>>().join(" ");
    Ok(text.lines().map(line).collect())
}

/// The names of network namespaces.
pub(crate) fn names() -> Vec<String> {
    names_in("/run/netns")
}

/// The names in a directory of names.
pub(crate) fn names_in(directory: &str) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<_> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// What became of a command.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Told {
    /// 128 + n if signal n ended it, as a shell has it.
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Told {
    /// Checks that it succeeded and complained of nothing.
    pub(crate) fn well(self) -> Result<String> {
        ensure!(self.status == 0 && self.stderr.is_empty(), "{self:?}");
        Ok(self.stdout)
    }

    /// Checks that it failed with a status, said nothing, and complained of this.
    pub(crate) fn failed(self, status: i32, complaint: &str) -> Result<()> {
        ensure!(self.status == status, "{self:?}");
        ensure!(self.stdout.is_empty() && self.stderr.contains(complaint), "{complaint}: {self:?}");
        Ok(())
    }
}

/// Runs `ns-trace` with these words.
pub(crate) fn own(words: &[&str]) -> Result<Told> {
    run(Command::new(program()).args(words), "")
}

/// Runs a command with this standard input.
pub(crate) fn run(command: &mut Command, input: &str) -> Result<Told> {
    use std::os::unix::process::ExitStatusExt as _;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
    // Who does not read it has ended.
    drop(child.stdin.take().context("no input")?.write_all(input.as_bytes()));
    let output = child.wait_with_output()?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let signal = || output.status.signal().map_or(-1, |signal| 128 + signal);
    Ok(Told {
        status: output.status.code().unwrap_or_else(signal),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    })
}

/// Waits until a program that was just copied can be run: a test beside us may have forked while
/// the copy was written, and until that child runs its own program it holds the file (ETXTBSY).
pub(crate) fn wait_until_idle(program: &Path) {
    let ask = || Command::new(program).arg("--help").output();
    let is_busy = |error: &Error| error.kind() == ErrorKind::ExecutableFileBusy;
    while ask().is_err_and(|error| is_busy(&error)) {
        thread::sleep(Duration::from_millis(2));
    }
}

/// Whether a tool to compare with is installed.
pub(crate) fn has(tool: impl AsRef<OsStr>) -> bool {
    Command::new(tool).arg("-V").output().is_ok()
}
