//! Holders that only the kernel's memory tells, and those that the kernel itself must be asked about.

use std::{fs, os::fd::AsRawFd as _, process::Command, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::thread::CapabilitySet;
use serde_json::{Value, json};

use super::{expect_gone, expect_holders, of_task, pids, why};
use crate::{
    actor::{Actor, syscall::holder},
    context::{Context, doctor, skipped},
    facts::kind_named,
    trace::privilege::as_nobody,
};

/// Has `holder` take hold of the namespace of `child`, which is in front of `maker`; returns the
/// descriptor to close.
type Hold = fn(maker: &mut Actor, holder: &mut Actor, child: u64) -> Result<u64>;

/// What a collector does not find.
pub(super) const TAP: &str = "by_a_tap_device";

/// A test, and why it cannot be made here.
pub(super) struct Test {
    pub(super) name: &'static str,
    pub(super) run: fn() -> Result<()>,
    pub(super) obstacle: Option<String>,
}

/// The trials of this file.
pub(super) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let trial = |test: Test| {
        let title = format!("why::held::{}", test.name);
        let trial = context.once(&title, test.run);
        if let Some(obstacle) = &test.obstacle {
            skipped(&title, obstacle);
        }
        let is_ignored = test.obstacle.is_some() || trial.has_ignored_flag();
        trial.with_ignored_flag(is_ignored)
    };
    tests().into_iter().map(trial).collect()
}

/// All of them.
pub(super) fn tests() -> Vec<Test> {
    let walks = no_walk();
    let mut tests = Vec::new();
    let mut add = |obstacle: Option<&str>, name, run| {
        tests.push(Test { name, run, obstacle: obstacle.map(str::to_owned) });
    };
    let walks = walks.as_deref();
    add(walks, "by_a_pidfd", || {
        held("pid", "pidfd", |_, holder, child| holder.number(&format!("pidfd {child}")))
    });
    add(walks, "by_a_directory_of_proc", || {
        held("pid", "proc_file", |_, holder, child| open(holder, child, ""))
    });
    add(walks, "by_a_list_of_mounts", || {
        held("mnt", "proc_file", |_, holder, child| open(holder, child, "/mountinfo"))
    });
    add(walks, "by_a_file_of_proc_net", || {
        held("net", "proc_file", |_, holder, child| open(holder, child, "/net/dev"))
    });
    add(walks, "by_who_opened_a_file", || {
        held("user", "cred", |maker, holder, child| fetch(maker, holder, child, "/dev/null"))
    });
    add(walks, "by_a_file_in_a_table_of_a_thread", by_a_thread);
    let cgroups = ns_trace::sys::cgroup::mount_point();
    let nowhere = cgroups.is_none().then_some("no unified hierarchy of cgroups");
    add(walks.or(nowhere), "by_a_control_file", || {
        held("cgroup", "cgroup_file", |maker, holder, child| {
            let root = ns_trace::sys::cgroup::mount_point().context("no cgroups")?;
            fetch(maker, holder, child, &format!("{}/cgroup.procs", root.display()))
        })
    });
    let no_tap = fs::File::options().read(true).write(true).open("/dev/net/tun").err();
    let no_tap = no_tap.map(|error| format!("no /dev/net/tun: {error}"));
    add(no_tap.as_deref(), TAP, by_a_tap_device);
    add(None, "by_a_procfs", by_a_procfs);
    add(walks, "by_a_message_on_its_way", by_messages);
    add(walks, "by_the_other_end_of_a_socket", || {
        held("pid", "peer", |maker, holder, child| {
            let socket = maker.number("pair")?;
            take(holder, child, socket)
        })
    });
    add(walks, "by_whom_signals_go_to", || {
        held("pid", "signal", |_, holder, child| {
            let file = holder.number("open /dev/null")?;
            holder.act(&format!("signals {file} {child}"))?;
            Ok(file)
        })
    });
    let ring = holder::ring(false).err().map(|error| format!("no io_uring: {error}"));
    add(walks.or(ring.as_deref()), "by_a_file_of_io_uring", || held("uts", "ring", registered));
    let silent = tells().err().map(|error| format!("{error:#}"));
    add(silent.as_deref(), "by_what_a_ring_tells", by_what_a_ring_tells);
    let old = (release() < (6, 1)).then_some("the list of mappings is not walked before Linux 6.1");
    add(walks.or(old), "by_attached_memory", by_attached_memory);
    tests
}

/// Why the memory of the kernel is not read here; none if it is.
pub(crate) fn no_walk() -> Option<String> {
    if release() < (5, 17) {
        return Some("programs cannot loop before Linux 5.17".to_owned());
    }
    match doctor() {
        Ok(report) if report["verdict"]["backend"].is_string() => None,
        Ok(report) => Some(format!("no programs: {}", report["verdict"])),
        Err(error) => Some(format!("{error:#}")),
    }
}

/// Which kernel it is.
fn release() -> (u32, u32) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn open(holder: &mut Actor, child: u64, file: &str) -> Result<u64> {
    holder.number(&format!("open /proc/{child}{file}"))
}

/// What the child opened, in the hands of somebody elsewhere.
fn fetch(maker: &mut Actor, holder: &mut Actor, child: u64, path: &str) -> Result<u64> {
    let file = maker.number(&format!("open {path}"))?;
    take(holder, child, file)
}

/// A descriptor of the child, in the hands of somebody elsewhere.
fn take(holder: &mut Actor, child: u64, file: u64) -> Result<u64> {
    let pidfd = holder.number(&format!("pidfd {child}"))?;
    let same = holder.number(&format!("fetch {pidfd} {file}"))?;
    holder.act(&format!("close {pidfd}"))?;
    Ok(same)
}

/// In a message that nobody has received yet.
fn posted(_: &mut Actor, holder: &mut Actor, child: u64) -> Result<u64> {
    sent(holder, child, &["post"])
}

/// In a message to a socket that is in a message itself.
fn posted_twice(_: &mut Actor, holder: &mut Actor, child: u64) -> Result<u64> {
    sent(holder, child, &["post", "post"])
}

/// In a message to a socket that has not accepted the sender yet, which is in a message itself.
fn knocked(_: &mut Actor, holder: &mut Actor, child: u64) -> Result<u64> {
    sent(holder, child, &["knock", "post"])
}

/// Sends a file in each of these ways, the first time that of the namespace, then the socket that it
/// waits in; returns the last socket.
fn sent(holder: &mut Actor, child: u64, ways: &[&str]) -> Result<u64> {
    let mut file = open(holder, child, "/ns/uts")?;
    for way in ways {
        let socket = holder.number(&format!("{way} {file}"))?;
        holder.act(&format!("close {file}"))?;
        file = socket;
    }
    Ok(file)
}

/// Among the files of a ring, which no /proc/PID/fd shows.
fn registered(_: &mut Actor, holder: &mut Actor, child: u64) -> Result<u64> {
    let file = open(holder, child, "/ns/uts")?;
    let ring = holder.number("ring")?;
    holder.act(&format!("register {ring} {file}"))?;
    holder.act(&format!("close {file}"))?;
    Ok(ring)
}

/// A namespace whose process has gone, and that one descriptor holds.
fn held(name: &str, word: &str, take: Hold) -> Result<()> {
    let kind = kind_named(name)?;
    let (mut maker, mut holder) = (Actor::start()?, Actor::start()?);
    let child = maker.task(&format!("clone3 {:x}", kind.flag))?;
    let ns = of_task(child.pid, child.tid, name)?;
    let fd = take(&mut maker, &mut holder, child.pid)?;
    maker.act("exit 0")?;
    maker.act("reap")?;
    let held = json!({ "holder": word, "pid": holder.pid(), "tid": holder.pid(), "fd": fd });
    let report = expect_holders(&ns, &[held])?;
    ensure!(pids(&report).is_empty(), "{report:#}");
    ensure!(report["ns"]["owner"]["type"] == "user", "{report:#}");
    let step = report["frees"][0].as_str().context("no step")?;
    ensure!(step.starts_with(&format!("closing descriptor {fd} of ")), "{step}");
    holder.act(&format!("close {fd}"))?;
    expect_gone(&ns)?;
    holder.end()?;
    maker.end()
}

/// As long as its process lives, a pidfd is one holder among others.
fn by_a_thread() -> Result<()> {
    let (mut maker, mut holder) = (Actor::start()?, Actor::start()?);
    let child = maker.task("clone3 20000000")?;
    let ns = of_task(child.pid, child.tid, "pid")?;
    let thread = holder.task("thread")?;
    holder.act("unshare 400")?;
    let fd = holder.number(&format!("pidfd {}", child.pid))?;
    let held = json!({ "holder": "pidfd", "pid": thread.pid, "tid": thread.tid, "fd": fd });
    let report = expect_holders(&ns, &[held])?;
    ensure!(pids(&report) == [child.pid], "{report:#}");
    maker.act("exit 0")?;
    maker.act("reap")?;
    ensure!(pids(&why(&ns)?).is_empty());
    holder.end()?;
    expect_gone(&ns)?;
    maker.end()
}

/// Its process has left the network namespace since.
fn by_a_tap_device() -> Result<()> {
    let mut actor = Actor::start()?;
    let task = actor.who()?;
    let back = actor.number("open /proc/self/ns/net")?;
    actor.act("unshare 40000000")?;
    let ns = of_task(task.pid, task.tid, "net")?;
    let tap = actor.number("tap")?;
    actor.act(&format!("setns {back} 40000000"))?;
    let held = json!({ "holder": "socket", "pid": task.pid, "fd": tap });
    let report = expect_holders(&ns, &[held])?;
    ensure!(pids(&report).is_empty(), "{report:#}");
    actor.act(&format!("close {tap}"))?;
    expect_gone(&ns)?;
    actor.end()
}

/// A tap device tells only whoever may administer its network (`TUNGETDEVNETNS`), and a collector may
/// not: it says that it does not know.
pub(super) fn a_tap_device_is_missing() -> Result<()> {
    let mut actor = Actor::start()?;
    let task = actor.who()?;
    let ns = of_task(task.pid, task.tid, "net")?;
    let before = why(&ns)?["unreadable"].as_u64();
    actor.act("unshare 40000000")?;
    let ns = of_task(task.pid, task.tid, "net")?;
    actor.number("tap")?;
    let after = why(&ns)?["unreadable"].as_u64();
    ensure!(after > before, "{after:?} processes keep something to themselves, {before:?} before");
    actor.end()
}

/// As long as a process in it tells whose procfs it is.
fn by_a_procfs() -> Result<()> {
    let mut actor = Actor::start()?;
    let place = std::env::temp_dir().join(format!("ns-trace-test-{}-procfs", std::process::id()));
    fs::create_dir(&place)?;
    let path = place.to_str().context("a strange directory for files")?;
    actor.act("unshare 20000")?;
    actor.act("private")?;
    let child = actor.task("clone3 20000000")?;
    let (ns, mnt) = (of_task(child.pid, child.tid, "pid")?, of_task(child.pid, child.tid, "mnt")?);
    actor.act(&format!("procfs {path}"))?;
    let held = json!({ "holder": "proc_mount", "path": path });
    let report = expect_holders(&ns, &[held])?;
    ensure!(pids(&report) == [child.pid], "{report:#}");
    ensure!(mnt == format!("mnt:{}", report["holders"][0]["mnt_ns"]["inode"]), "{report:#}");
    let steps = report["frees"].to_string();
    ensure!(steps.contains(&format!("umount the procfs at {path}")), "{steps}");
    actor.act(&format!("unbind {path}"))?;
    expect_holders(&ns, &[])?;
    actor.act("exit 0")?;
    actor.act("reap")?;
    expect_gone(&ns)?;
    actor.end()?;
    Ok(fs::remove_dir(&place)?)
}

/// A file of nsfs of every type; and to sockets that no descriptor leads to themselves.
fn by_messages() -> Result<()> {
    const KINDS: [&str; 7] = ["mnt", "pid", "ipc", "uts", "net", "user", "cgroup"];
    let (mut maker, mut holder) = (Actor::start()?, Actor::start()?);
    let mut flags = 0;
    for name in KINDS {
        flags |= kind_named(name)?.flag;
    }
    let child = maker.task(&format!("clone3 {flags:x}"))?;
    let mut sockets = Vec::new();
    for name in KINDS {
        let ns = of_task(child.pid, child.tid, name)?;
        let file = open(&mut holder, child.pid, &format!("/ns/{name}"))?;
        sockets.push((ns, holder.number(&format!("post {file}"))?));
        holder.act(&format!("close {file}"))?;
    }
    maker.act("exit 0")?;
    maker.act("reap")?;
    for (ns, socket) in &sockets {
        let report = why(ns)?;
        let mut holders = report["holders"].as_array().into_iter().flatten();
        let held = holders.find(|one| one["holder"] == "message").context("no message")?;
        ensure!(held["kept"] == "fd" && held["fd"] == *socket, "{report:#}");
        ensure!(held["pid"] == holder.pid(), "{report:#}");
    }
    for (_, socket) in &sockets {
        holder.act(&format!("close {socket}"))?;
    }
    for (ns, _) in &sockets {
        expect_gone(ns)?;
    }
    holder.end()?;
    maker.end()?;
    for way in [posted, posted_twice, knocked] {
        held("uts", "message", way)?;
    }
    Ok(())
}

/// Memory of System V that is attached to who has left.
fn by_attached_memory() -> Result<()> {
    let mut actor = Actor::start()?;
    let task = actor.who()?;
    let back = actor.number("open /proc/self/ns/ipc")?;
    actor.act("unshare 8000000")?;
    let ns = of_task(task.pid, task.tid, "ipc")?;
    let memory = actor.number("attach")?;
    expect_holders(&ns, &[])?;
    actor.act(&format!("setns {back} 8000000"))?;
    // The first segment of its namespace.
    let held = json!({ "holder": "memory", "pid": task.pid, "segment": 0 });
    let report = expect_holders(&ns, &[held])?;
    ensure!(pids(&report).is_empty(), "{report:#}");
    let step = report["frees"][0].as_str().context("no step")?;
    ensure!(step.starts_with("detaching segment 0 from "), "{step}");
    actor.act(&format!("detach {memory}"))?;
    expect_gone(&ns)?;
    actor.end()
}

/// Whether rings tell the paths of their files: some kernels just tell that they are there.
fn tells() -> Result<()> {
    let ring = holder::ring(false).context("no io_uring")?;
    let file = fs::File::open("/proc/self/ns/uts")?;
    holder::register(ring.as_raw_fd(), file.as_raw_fd())?;
    let about = fs::read_to_string(format!("/proc/self/fdinfo/{}", ring.as_raw_fd()))?;
    ensure!(about.contains(" 0: uts:["), "rings do not tell the paths of their files here");
    Ok(())
}

/// To those who must not read the memory of the kernel.
fn by_what_a_ring_tells() -> Result<()> {
    let (mut maker, mut holder) = (Actor::start()?, Actor::start()?);
    let child = maker.task("clone3 4000000")?;
    let ns = of_task(child.pid, child.tid, "uts")?;
    let ring = registered(&mut maker, &mut holder, child.pid)?;
    maker.act("exit 0")?;
    maker.act("reap")?;
    let enough = CapabilitySet::SYS_PTRACE | CapabilitySet::DAC_READ_SEARCH;
    let output = as_nobody(enough, |command| {
        Ok(Command::new(command.get_program()).args(["why", &ns, "-J"]).output()?)
    })?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let held = &report["holders"][0];
    ensure!(held["holder"] == "ring" && held["kept"] == "fd", "{report:#}");
    ensure!(held["pid"] == holder.pid() && held["fd"] == ring, "{report:#}");
    holder.act(&format!("close {ring}"))?;
    expect_gone(&ns)?;
    holder.end()?;
    maker.end()
}
