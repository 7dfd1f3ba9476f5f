//! Namespaces that no process is in, and what else nsenter cannot do.

use std::{fs, os::fd::OwnedFd};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;

use super::{ALL, MOST, entered, target};
use crate::{
    actor::Actor,
    facts::{self, SLOTS, Task},
    portrait::Portrait,
    stage::{apart, own},
    trace::container::Cgroup,
    tracer::program,
};

/// The trials of this file.
pub(super) fn trials(trial: impl Fn(&str, fn() -> Result<()>) -> Trial) -> Vec<Trial> {
    vec![
        trial("all_of_a_process_by_one_selector", all_of_a_process),
        trial("by_inode_id_and_path", by_inode_id_and_path),
        trial("by_name", || apart(by_name)),
        trial("one_that_only_a_descriptor_holds", held_by_a_descriptor),
        trial("one_that_only_a_child_holds", held_by_a_child),
        trial("one_that_only_a_socket_is_in", by_socket),
        trial("pid_for_children", pid_for_children),
        trial("the_parent_of_a_user_namespace", user_parent),
        trial("a_new_one_on_top", unshare_on_top),
        trial("join_cgroup_keeps_stdin", join_cgroup),
        trial("follow_the_user", follow),
        trial("keep_caps", keep_caps),
        trial("host_exec", host_exec),
        trial("the_environment_is_the_targets", environment),
    ]
}

/// Checks that the program is where it should be, by what /proc and nsfs say.
fn expect_in(words: &str, kind: &str, wanted: &Value) -> Result<()> {
    let mut actor = entered("enter", words)?;
    let found = actor.who()?.namespace(kind);
    actor.end()?;
    let found = found?;
    ensure!(found["inode"] == wanted["inode"], "{words}: {found}, not {wanted}");
    Ok(())
}

fn all_of_a_process() -> Result<()> {
    let (host, task) = target(ALL)?;
    let mut actor = entered("enter", &format!("pid:{} --", task.pid))?;
    let (inside, wanted) = (actor.who()?.slots()?, task.slots()?);
    for slot in SLOTS {
        ensure!(inside[slot]["inode"] == wanted[slot]["inode"], "{slot}: {}", inside[slot]);
    }
    actor.end()?;
    // What is named alone goes first.
    let outside = Task::leader(std::process::id().into()).slots()?;
    let words = format!("pid:{} pid:{}:net --", task.pid, std::process::id());
    let mut actor = entered("enter", &words)?;
    let inside = actor.who()?.slots()?;
    ensure!(inside["net"]["inode"] == outside["net"]["inode"], "{}", inside["net"]);
    ensure!(inside["uts"]["inode"] == wanted["uts"]["inode"], "{}", inside["uts"]);
    actor.end()?;
    host.end()
}

fn by_inode_id_and_path() -> Result<()> {
    let (host, task) = target(ALL)?;
    for kind in ["mnt", "uts", "ipc", "net", "pid", "cgroup", "time", "user"] {
        let ns = task.namespace(kind)?;
        expect_in(&format!("{kind}:{} --", ns["inode"]), kind, &ns)?;
        expect_in(&format!("/proc/{}/ns/{kind} --", task.pid), kind, &ns)?;
        if let Some(id) = ns["id"].as_u64().filter(|_| kind == "uts" || kind == "net") {
            expect_in(&format!("id:{id} --"), kind, &ns)?;
            expect_in(&format!("--{kind}=:{id}"), kind, &ns)?;
        }
    }
    expect_in(&format!("{} --", task.namespace("net")?["inode"]), "net", &task.namespace("net")?)?;
    host.end()
}

fn by_name() -> Result<()> {
    own(&["netns", "add", "blue"])?.well()?;
    let file: OwnedFd = fs::File::open("/run/netns/blue")?.into();
    let ns = facts::reference(&file, "net")?;
    drop(file);
    // No process is in it.
    expect_in("name:blue --", "net", &ns)?;
    expect_in(&format!("net:{} --", ns["inode"]), "net", &ns)?;
    expect_in("/run/netns/blue --", "net", &ns)?;
    own(&["netns", "delete", "blue"])?.well().map(drop)
}

/// A namespace without a process, of which another process has a descriptor.
fn held_by_a_descriptor() -> Result<()> {
    let mut actor = Actor::start()?;
    let task = actor.who()?;
    let back = actor.number("open /proc/self/ns/uts")?;
    actor.act("unshare 4000000")?;
    let ns = task.namespace("uts")?;
    actor.number("open /proc/self/ns/uts")?;
    actor.act(&format!("setns {back} 4000000"))?;
    expect_in(&format!("uts:{} --", ns["inode"]), "uts", &ns)?;
    actor.end()
}

/// A user namespace whose processes have all gone on to one below it.
fn held_by_a_child() -> Result<()> {
    let mut actor = Actor::start()?;
    let task = actor.who()?;
    actor.act("unshare 10000000")?;
    actor.become_root()?;
    let outer = task.namespace("user")?;
    actor.act("unshare 10000000")?;
    actor.become_root()?;
    ensure!(task.namespace("user")?["parent"]["inode"] == outer["inode"]);
    expect_in(&format!("user:{} --", outer["inode"]), "user", &outer)?;
    actor.end()
}

fn by_socket() -> Result<()> {
    let (host, task) = target(0x4000_0000)?;
    let ns = task.namespace("net")?;
    // Descriptor 0 of the target is a pipe.
    own(&["enter", "-t", &task.pid.to_string(), "-N", "0", "true"])?
        .failed(1, "no network namespace")?;
    expect_in(&format!("-t {} -n", task.pid), "net", &ns)?;
    host.end()
}

fn pid_for_children() -> Result<()> {
    let mut actor = Actor::start()?;
    let parent = actor.who()?;
    actor.act("unshare 20000000")?;
    let words = format!("-t {} --pid-for-children", parent.pid);
    let ns = if facts::hides_unborn(parent)? {
        // Without a first process there is nothing to enter.
        let told = own(&["enter", "-t", &parent.pid.to_string(), "--pid-for-children", "true"])?;
        ensure!(told.status == 1, "{told:?}");
        actor.task("clone 0")?.namespace("pid")?
    } else {
        // Who enters is the first process.
        parent.namespace("pid_for_children")?
    };
    ensure!(parent.namespace("pid")?["inode"] != ns["inode"]);
    expect_in(&words, "pid", &ns)?;
    actor.end()
}

fn user_parent() -> Result<()> {
    let (host, task) = target(0x5000_0000)?;
    let net = task.namespace("net")?;
    let ns = task.namespace("user")?;
    ensure!(net["owner"]["inode"] == ns["inode"]);
    expect_in(&format!("--net=/proc/{}/ns/net --user-parent", task.pid), "user", &ns)?;
    host.end()
}

/// Some are joined, others made.
fn unshare_on_top() -> Result<()> {
    let (host, task) = target(0x4000_0000)?;
    let mut actor = entered("enter", &format!("-t {} -n --unshare uts,ipc", task.pid))?;
    let (inside, wanted) = (actor.who()?.slots()?, task.slots()?);
    ensure!(inside["net"]["inode"] == wanted["net"]["inode"]);
    ensure!(inside["uts"]["inode"] != wanted["uts"]["inode"]);
    ensure!(inside["ipc"]["inode"] != wanted["ipc"]["inode"]);
    ensure!(inside["mnt"]["inode"] == wanted["mnt"]["inode"]);
    actor.end()?;
    host.end()
}

/// The program has its standard input, no descriptor more, and is where the target is.
fn join_cgroup() -> Result<()> {
    let name = format!("ns-trace-enter-{}", std::process::id());
    let cgroup = Cgroup::unified(&name)?;
    let mut host = Actor::start()?;
    host.act(&cgroup.join()?)?;
    let task = host.who()?;
    let mut actor = entered("enter", &format!("-t {} -c", task.pid))?;
    let mut plain = entered("enter", "")?;
    let (inside, outside) = (Portrait::of(actor.who()?)?, Portrait::of(plain.who()?)?);
    let wanted = Portrait::of(task)?;
    ensure!(inside.cgroup == wanted.cgroup && wanted.cgroup.contains(&name), "{inside:?}");
    inside.expect_same(&outside, &["cgroup"])?;
    plain.end()?;
    actor.end()?;
    host.end()
}

fn follow() -> Result<()> {
    let mut host = Actor::start()?;
    host.act("user 3")?;
    let task = host.who()?;
    let mut actor = entered("enter", &format!("-t {} -u -S follow", task.pid))?;
    let inside = Portrait::of(actor.who()?)?;
    ensure!(inside.status.get("Uid").is_some_and(|uid| uid.starts_with("3\t3\t3")), "{inside:?}");
    actor.end()?;
    host.end()
}

fn keep_caps() -> Result<()> {
    let (host, task) = target(ALL)?;
    let mut actor = entered("enter", &format!("-t {} -U --keep-caps", task.pid))?;
    let inside = Portrait::of(actor.who()?)?;
    let ambient = inside.status.get("CapAmb").context("no CapAmb")?;
    ensure!(inside.status.get("CapPrm") == Some(ambient), "{:?}", inside.status);
    ensure!(!ambient.trim_start_matches('0').is_empty(), "{:?}", inside.status);
    actor.end()?;
    host.end()
}

/// A program of this side runs where its file is not.
fn host_exec() -> Result<()> {
    let (mut host, task) = target(MOST & !0x2000_0000)?;
    // Nothing of /tmp here is to be seen in there, where the program lies.
    let name = format!("ns-trace-test-{}-host", std::process::id());
    let place = std::env::temp_dir().join(&name);
    fs::create_dir_all(place.join("empty"))?;
    let own_program = place.join("program");
    fs::copy(program(), &own_program)?;
    host.act("private")?;
    host.act(&format!("bind {} {}", place.join("empty").display(), place.display()))?;
    let pid = task.pid.to_string();
    let path = own_program.to_str().context("no text")?;
    let plain = own(&["enter", "-t", &pid, "-m", path, "--version"]);
    let taken = own(&["enter", "-t", &pid, "-m", "--host-exec", path, "--version"]);
    let script = own(&["enter", "-t", &pid, "-m", "--host-exec", "/proc/version"]);
    host.end()?;
    fs::remove_dir_all(&place)?;
    plain?.failed(127, "cannot execute")?;
    let version = taken?.well()?;
    ensure!(version.starts_with("ns-trace "), "{version}");
    script?.failed(126, "cannot execute /proc/version of this side").context("no program")
}

fn environment() -> Result<()> {
    let mut command = crate::actor::command()?;
    let mut host =
        Actor::spawn(command.env_clear().env("NS_TRACE_ACTOR", "1").env("MARK", "a=b c"))?;
    let task = host.who()?;
    let mut actor = entered("enter", &format!("-t {} -e", task.pid))?;
    let (inside, wanted) = (Portrait::of(actor.who()?)?, Portrait::of(task)?);
    let sorted = |mut lines: Vec<String>| {
        lines.sort();
        lines
    };
    ensure!(sorted(inside.environment.clone()) == sorted(wanted.environment.clone()), "{inside:?}");
    actor.end()?;
    host.end()
}
