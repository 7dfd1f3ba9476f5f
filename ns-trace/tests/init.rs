//! The room tests as the init of a virtual machine (`cargo xtask vm`).
//!
//! Mounts what a Linux system has, but neither tracefs nor bpffs, which ns-trace must not need.
//! Then it runs this program again for the tests, says how they ended and powers off.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result};
use rustix::{
    mount::{MountFlags, mount},
    process::{Pid, WaitOptions, WaitStatus, wait},
    system::{RebootCommand, reboot},
};

use crate::actor::syscall;

/// File systems, outer ones first: type and place.
const MOUNTS: [(&str, &str); 9] = [
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("devpts", "/dev/pts"),
    ("tmpfs", "/dev/shm"),
    ("tmpfs", "/tmp"),
    ("tmpfs", "/run"),
    ("cgroup2", "/sys/fs/cgroup"),
    ("cgroup", "/run/cgroup/pids"),
];

/// Whether this is the first process of a machine that nobody has set up yet. The number alone
/// does not tell: a test may run this program as the first process of a pid namespace.
pub(crate) fn is_init() -> bool {
    std::process::id() == 1 && !Path::new("/proc/self").exists()
}

/// Whether the machine is the tests' own: its first process is this program.
pub(crate) fn is_ours() -> bool {
    let of = |pid: &str| fs::read_link(format!("/proc/{pid}/exe")).ok();
    let first = of("1");
    first.is_some() && first == of("self")
}

/// Does all that init does. Returns only if the machine cannot power off; then the kernel panics
/// because its init ended, which `cargo xtask vm` reports.
#[expect(clippy::print_stdout, reason = "cargo xtask vm listens for these lines")]
pub(crate) fn run() -> ExitCode {
    println!("rooms: up");
    match tests() {
        Ok(status) => println!("rooms: exit {status}"),
        Err(error) => println!("rooms: exit with {error:#}"),
    }
    rustix::fs::sync();
    if let Err(error) = reboot(RebootCommand::PowerOff) {
        println!("rooms: cannot power off: {error}");
    }
    ExitCode::FAILURE
}

/// Runs the tests in a child and says how it ended: its exit status, or the signal.
fn tests() -> Result<String> {
    for (kind, place) in MOUNTS {
        fs::create_dir_all(place).with_context(|| format!("cannot create {place}"))?;
        // Of version 1 the one controller that tells of containers, as on hybrid systems.
        let options = (kind == "cgroup").then_some(c"pids");
        mount(kind, place, kind, MountFlags::empty(), options)
            .with_context(|| format!("cannot mount {kind} on {place}"))?;
    }
    // As everywhere: TOMOYO looks for a program that is executed by its descriptor through it.
    symlink("/proc/self/fd", "/dev/fd").context("cannot create /dev/fd")?;
    let options = fs::read_to_string("/proc/cmdline").context("cannot read /proc/cmdline")?;
    // Every system has it, and a server on 127.0.0.1 needs it.
    syscall::loopback_up().context("cannot bring the loopback device up")?;
    // Another program may have the machine to itself: its words are separated by commas.
    let mut words = option(&options, "rooms.run=").unwrap_or("/init,--color,never").split(',');
    let mut command = Command::new(words.next().unwrap_or_default());
    command
        .args(words)
        .args(option(&options, "rooms.filter="))
        .env("NS_TRACE_BIN", "/bin/ns-trace")
        .env("PATH", "/bin")
        .current_dir("/");
    for (option_name, variable) in [
        ("rooms.backend=", "NS_TRACE_TEST_BACKEND"),
        ("rooms.once=", "NS_TRACE_TEST_ONCE"),
        ("rooms.between=", "NS_TRACE_TEST_BETWEEN"),
        ("rooms.seed=", "NS_TRACE_TEST_SEED"),
    ] {
        if let Some(value) = option(&options, option_name) {
            command.env(variable, value);
        }
    }
    let child = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
    let child = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    Ok(loop {
        // Also orphans end up here, and somebody has to reap them.
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if Some(pid) == child => break describe(status),
            Ok(_) => {}
            Err(error) if io::Error::from(error).kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("cannot wait for the tests"),
        }
    })
}

/// The value of an option on the command line of the kernel.
fn option<'a>(options: &'a str, name: &str) -> Option<&'a str> {
    options.split_whitespace().find_map(|word| word.strip_prefix(name))
}

fn describe(status: WaitStatus) -> String {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code.to_string(),
        (None, Some(signal)) => format!("by signal {signal}"),
        (None, None) => format!("{status:?}"),
    }
}
