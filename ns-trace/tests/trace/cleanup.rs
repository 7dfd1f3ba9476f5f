//! Nothing of a tracer outlives it, and two do not disturb each other.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use anyhow::{Context as _, Result, ensure};
use aya::{maps::loaded_maps, programs::loaded_programs};
use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::Value;

use super::run::{self, sorts, trial_per_backend, until};
use crate::{
    actor::Actor,
    context::{Context, Room, calls},
    tracer::{Tracer, program},
};

/// The trials of this file.
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    trial_per_backend(
        context,
        "trace::cleanup",
        &[
            ("nothing_is_left_after_kill", nothing_is_left_after_kill),
            ("nothing_is_left_after_a_good_end", nothing_is_left_after_a_good_end),
            ("nothing_is_left_after_a_failed_start", nothing_is_left_after_a_failed_start),
            ("two_tracers_see_the_same", two_tracers_see_the_same),
            ("descriptors_do_not_grow_in_number", descriptors_do_not_grow),
        ],
    )
}

/// BPF objects by their sort and id.
type Objects = BTreeSet<(&'static str, u32)>;

/// Those that exist.
fn loaded() -> Objects {
    let mut objects = Objects::new();
    for info in loaded_programs() {
        // It may be gone by the time that it is asked about.
        objects.extend(info.ok().map(|info| ("prog_id", info.id())));
    }
    for info in loaded_maps() {
        objects.extend(info.ok().map(|info| ("map_id", info.id())));
    }
    for info in aya::programs::loaded_links() {
        objects.extend(info.ok().map(|info| ("link_id", info.id())));
    }
    objects
}

/// Those that a process has descriptors of, and the maps of the programs among them.
fn held_by(pid: impl AsRef<Path>) -> Objects {
    let mut objects = Objects::new();
    let infos = fs::read_dir(Path::new("/proc").join(pid).join("fdinfo"));
    for entry in infos.into_iter().flatten().flatten() {
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        for (name, value) in text.lines().filter_map(|line| line.split_once(':')) {
            let sort = ["prog_id", "map_id", "link_id"].into_iter().find(|sort| *sort == name);
            objects.extend(sort.zip(value.trim().parse().ok()));
        }
    }
    for info in loaded_programs().flatten() {
        if objects.contains(&("prog_id", info.id())) {
            let maps = info.map_ids().ok().flatten().unwrap_or_default();
            objects.extend(maps.into_iter().map(|id| ("map_id", id)));
        }
    }
    objects
}

/// Those that nobody has a descriptor of.
fn orphans() -> Result<Objects> {
    let mut orphans = loaded();
    for process in fs::read_dir("/proc")?.flatten() {
        let name = process.file_name();
        if name.to_string_lossy().parse::<u32>().is_ok() {
            for object in held_by(name) {
                orphans.remove(&object);
            }
        }
    }
    // Somebody's who has ended since.
    let still = loaded();
    orphans.retain(|object| still.contains(object));
    Ok(orphans)
}

/// What a tracer could leave in the file system.
#[derive(Debug, Eq, PartialEq)]
struct Traces {
    mounts: String,
    pinned: BTreeSet<String>,
}

impl Traces {
    fn now() -> Result<Self> {
        let mut pinned = BTreeSet::new();
        for entry in fs::read_dir("/sys/fs/bpf").into_iter().flatten().flatten() {
            pinned.insert(entry.path().display().to_string());
        }
        Ok(Self { mounts: fs::read_to_string("/proc/self/mountinfo")?, pinned })
    }
}

/// The children of a process.
fn children(pid: u32) -> Result<Vec<String>> {
    let mut children = Vec::new();
    for process in fs::read_dir("/proc")?.flatten() {
        let status = fs::read_to_string(process.path().join("status")).unwrap_or_default();
        if status.lines().any(|line| line == format!("PPid:\t{pid}")) {
            children.push(status);
        }
    }
    Ok(children)
}

/// A tracer at work, and what it has in the kernel.
fn at_work(room: &Room) -> Result<(Tracer, Objects)> {
    let tracer = room.start(&["--tasks"])?;
    let mut actor = Actor::start()?;
    let pid = actor.pid();
    actor.act("unshare 4000000")?;
    tracer
        .wait("the enter", |event| event["event"] == "enter" && event["process"]["pid"] == pid)?;
    actor.end()?;
    let held = held_by(tracer.pid().to_string());
    for (sort, least) in [("prog_id", 7), ("map_id", 3), ("link_id", 3)] {
        let count = held.iter().filter(|(other, _)| *other == sort).count();
        ensure!(count >= least, "{count} of {sort}: {held:?}");
    }
    ensure!(children(tracer.pid())?.is_empty());
    Ok((tracer, held))
}

/// Waits until nothing of `held` is there any more and the file system is as before.
fn all_is_gone(held: &Objects, before: &Traces) -> Result<()> {
    until("the end of every program, map and link", || Ok(loaded().is_disjoint(held)))?;
    until("the file system as it was", || Ok(Traces::now()? == *before))
}

fn nothing_is_left_after_kill(room: &Room) -> Result<()> {
    let before = Traces::now()?;
    let (tracer, held) = at_work(room)?;
    ensure!(held.is_subset(&loaded()), "{held:?}");
    let pid = tracer.pid();
    tracer.signal(Signal::KILL)?;
    // Its last line may be cut: what matters is what it leaves.
    drop(tracer);
    ensure!(!Path::new(&format!("/proc/{pid}")).exists());
    all_is_gone(&held, &before)
}

fn nothing_is_left_after_a_good_end(room: &Room) -> Result<()> {
    let before = Traces::now()?;
    let (tracer, held) = at_work(room)?;
    let during = Traces::now()?;
    ensure!(!during.mounts.contains("tracefs") || before.mounts.contains("tracefs"), "{during:?}");
    ensure!(during.pinned == before.pinned, "{during:?}");
    tracer.signal(Signal::TERM)?;
    ensure!(tracer.end()?.status.success());
    all_is_gone(&held, &before)
}

fn nothing_is_left_after_a_failed_start(room: &Room) -> Result<()> {
    let before = Traces::now()?;
    let known = orphans()?;
    // Both fail when everything is attached.
    let gone = Actor::start()?;
    let pid = gone.pid().to_string();
    gone.end()?;
    for args in [["--pid", &pid], ["--output", "/dev/full"]] {
        let mut command = Command::new(program());
        command.args(["trace", "--probe", room.backend()]).args(args).stdin(Stdio::null());
        run::run(&mut command, b"")?.ends(1, &["ns-trace: cannot "])?;
        until("the end of what nobody holds", || Ok(orphans()?.is_subset(&known)))?;
    }
    until("the file system as it was", || Ok(Traces::now()? == before))
}

fn two_tracers_see_the_same(room: &Room) -> Result<()> {
    let mut actor = Actor::start()?;
    let pid = actor.pid().to_string();
    let args = ["-p", &pid, "--follow", "--tasks"];
    let (one, other) = (room.start(&args)?, room.start(&args)?);
    actor.act("repeat 100 c000000")?;
    actor.task("clone 48000000")?;
    actor.act("unshare 4000000")?;
    actor.fails("unshare 4000001")?;
    actor.tell("exit 0")?;
    actor.answer()?;
    let is_last = |event: &Value| event["event"] == "exit";
    one.wait("the exit", is_last)?;
    other.wait("the exit", is_last)?;
    let (one, other) = (one.finish()?, other.finish()?);
    let (seen, other_seen) = (told_of_calls(&one.events), told_of_calls(&other.events));
    // Without losses they are the same, in the same order. What the kernel held back of one was
    // counted, whosever it was.
    let has_lost = lost(&one.events) + lost(&other.events) > 0;
    let missed = |from: &[Value], of: &[Value]| from.iter().filter(|e| !of.contains(e)).count();
    let is_told = missed(&seen, &other_seen) as u64 <= lost(&other.events)
        && missed(&other_seen, &seen) as u64 <= lost(&one.events);
    ensure!(seen == other_seen || has_lost && is_told, "{:?}\n{:?}", one.events, other.events);
    let creates = sorts(&one.events).into_iter().filter(|sort| *sort == "create").count();
    ensure!(creates == 203, "{creates}");
    actor.end()
}

/// What tracers tell of calls, without what differs from one to the next. Deaths on their way out
/// are seen sooner or later, and after a loss there are the differences that a look found.
fn told_of_calls(events: &[Arc<Value>]) -> Vec<Value> {
    const NO_CALLS: [&str; 3] = ["destroy", "sync", "lost"];
    let is_call = |event: &&Arc<Value>| {
        event["source"] == "probe" && !NO_CALLS.iter().any(|name| event["event"] == *name)
    };
    let bare = |event: &Arc<Value>| {
        let mut event = Value::clone(event);
        for own in ["seq", "time", "boot_ns", "op"] {
            event[own].take();
        }
        if event["ns"].is_object() {
            event["ns"]["born"].take();
        }
        event
    };
    events.iter().filter(is_call).map(bare).collect()
}

/// How many events are told as lost.
fn lost(events: &[Arc<Value>]) -> u64 {
    events.iter().filter_map(|event| event["lost"]["count"].as_u64()).sum()
}

fn descriptors_do_not_grow(room: &Room) -> Result<()> {
    let mut actor = Actor::start()?;
    let pid = actor.pid().to_string();
    let tracer = room.start(&["-p", &pid])?;
    let folder = format!("/proc/{}/fd", tracer.pid());
    let count = || Ok::<_, anyhow::Error>(fs::read_dir(&folder).context("no fds")?.count());
    actor.act("unshare 4000000")?;
    tracer.wait("the enter", |event| event["event"] == "enter")?;
    let before = count()?;
    let times = calls(1000, 100);
    actor.act(&format!("repeat {times} 4c000000"))?;
    tracer.wait("the last enter", |event| event["seq"].as_u64() > Some(4 * times))?;
    until("as few descriptors as before", || Ok(count()? <= before))?;
    tracer.finish()?;
    actor.end()
}
