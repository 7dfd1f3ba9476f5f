//! Moves by setns, and into pending namespaces.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::{
    compare::expect,
    context::{Context, Room},
    facts::{KINDS, Kind},
    scene::{Scene, boot_ns, changes, enter},
};

/// The trials of this file.
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let mut trials = Vec::new();
    for kind in &KINDS {
        let title = |call| format!("trace::enter::{}_by_{call}", kind.name);
        trials.extend(context.per_backend(&title("setns"), move |room| by_nsfs(room, kind, true)));
        let test = move |room: &Room| by_nsfs(room, kind, false);
        trials.extend(context.per_backend(&title("setns_without_type"), test));
    }
    trials.extend(context.per_backend("trace::enter::everything_by_pidfd", by_pidfd));
    trials.extend(context.per_backend("trace::enter::back_to_the_host", back_to_the_host));
    trials
        .extend(context.per_backend("trace::enter::back_to_what_a_parent_made", back_to_a_parent));
    trials.extend(context.per_backend("trace::enter::by_a_thread_alone", by_a_thread));
    trials
}

/// Joins a namespace of another family by its nsfs file.
fn by_nsfs(room: &Room, kind: &Kind, typed: bool) -> Result<()> {
    let mut host = Scene::new(room)?;
    let first = host.actor.who()?;
    let owner = host.actor.task(&format!("clone3 {:x}", kind.flag))?;
    let mut scene = Scene::on(&host.stage)?;
    let task = scene.actor.who()?;
    let file = format!("open /proc/{}/ns/{}", owner.pid, kind.name);
    let file = scene.actor.number(&file)?;
    let flags = if typed { kind.flag } else { 0 };
    let step = scene.call(&format!("setns {file} {flags:x}"))?;
    let events = scene.stage.events(task)?;
    ensure!(events.len() == 1, "{events:?}");
    for event in &events {
        expect(event, &enter("setns", flags, &step.changes(), Some("other"), &step.process))?;
    }
    ensure!(step.changes() != changes(&step.before, &step.before), "nothing changed");
    scene.end(&[])?;
    let creates = host.stage.events(first)?;
    host.end(&creates)
}

/// Joins all namespaces of another process at once.
fn by_pidfd(room: &Room) -> Result<()> {
    let flags = KINDS.iter().fold(0, |flags, kind| flags | kind.flag);
    let mut host = Scene::new(room)?;
    let first = host.actor.who()?;
    let owner = host.actor.task(&format!("clone3 {flags:x}"))?;
    let mut scene = Scene::on(&host.stage)?;
    let task = scene.actor.who()?;
    let pidfd = scene.actor.number(&format!("pidfd {}", owner.pid))?;
    let step = scene.call(&format!("setns {pidfd} {flags:x}"))?;
    let events = scene.stage.events(task)?;
    let [event] = &events[..] else { anyhow::bail!("{events:?}") };
    expect(event, &enter("setns", flags, &step.changes(), Some("other"), &step.process))?;
    ensure!(step.changes().as_array().is_some_and(|all| all.len() >= KINDS.len()), "{event}");
    scene.end(&[])?;
    let creates = host.stage.events(first)?;
    host.end(&creates)
}

/// A namespace that the parent made is the child's own, even if the child was not in it before.
fn back_to_a_parent(room: &Room) -> Result<()> {
    const UTS: u64 = 0x0400_0000;
    let mut scene = Scene::new(room)?;
    let parent = scene.actor.who()?;
    let file = scene.actor.number("open /proc/self/ns/uts")?;
    scene.actor.act(&format!("unshare {UTS:x}"))?;
    let made = scene.actor.number("open /proc/self/ns/uts")?;
    scene.actor.act(&format!("setns {file} 0"))?;
    let child = scene.actor.task("clone 0")?;
    let step = scene.call(&format!("setns {made} {UTS:x}"))?;
    let events = scene.stage.events(child)?;
    let [event] = &events[..] else { anyhow::bail!("{events:?}") };
    expect(event, &enter("setns", UTS, &step.changes(), Some("own"), &step.process))?;
    let is_create = |event: &Arc<Value>| event["event"] == "create";
    let creates: Vec<_> = scene.stage.events(parent)?.into_iter().filter(is_create).collect();
    scene.end(&creates)
}

fn back_to_the_host(room: &Room) -> Result<()> {
    const UTS: u64 = 0x0400_0000;
    let mut scene = Scene::new(room)?;
    let task = scene.actor.who()?;
    let file = scene.actor.number("open /proc/self/ns/uts")?;
    scene.call(&format!("unshare {UTS:x}"))?;
    let step = scene.call(&format!("setns {file} {UTS:x}"))?;
    let events = scene.stage.events(task)?;
    let [create, left, back] = &events[..] else { anyhow::bail!("{events:?}") };
    expect(back, &enter("setns", UTS, &step.changes(), Some("host"), &step.process))?;
    ensure!(back["changes"][0]["from"]["inode"] == create["ns"]["inode"], "{back}");
    ensure!(back["op"] != left["op"], "{back}");
    // It is gone since then.
    scene.stage.expect_destroy(create, 0)?;
    scene.end(&[])
}

/// A thread moves, and the rest of its process does not.
fn by_a_thread(room: &Room) -> Result<()> {
    const FLAGS: u64 = 0x4c00_0000;
    let mut scene = Scene::new(room)?;
    let leader = scene.actor.who()?;
    let thread = scene.actor.task("thread")?;
    ensure!(thread.pid == leader.pid && thread.tid != leader.tid, "{thread:?}");
    let step = scene.call(&format!("unshare {FLAGS:x}"))?;
    let events = scene.stage.events(thread)?;
    let (entered, created) = events.split_last().context("no events")?;
    expect(entered, &enter("unshare", FLAGS, &step.changes(), Some("own"), &step.process))?;
    ensure!(created.len() == 3, "{created:?}");
    ensure!(scene.stage.events(leader)?.is_empty(), "the leader did not move");
    // The thread ends, the process goes on: what was the thread's alone is gone.
    let alive = boot_ns();
    scene.actor.act("exit 0")?;
    for create in created {
        scene.stage.expect_destroy(create, alive)?;
    }
    ensure!(scene.actor.who()? == leader, "the leader is gone");
    scene.end(&[])
}

/// The first child goes where its parent could not go itself.
pub(crate) fn pending_by_fork(room: &Room, flag: u64) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let parent = scene.actor.who()?;
    let step = scene.call(&format!("unshare {flag:x}"))?;
    let child = scene.actor.task("clone 0")?;
    let process = child.process()?;
    let mut moved = changes(&step.process["ns"], &process["ns"]);
    // What is pending for children is the child's from the start.
    let is_own = |change: &Value| change["slot"] == "pid" || change["slot"] == "time";
    moved =
        moved.as_array().into_iter().flatten().filter(|change| is_own(change)).cloned().collect();
    let events = scene.stage.events(child)?;
    let [event] = &events[..] else { anyhow::bail!("{events:?}") };
    expect(event, &enter("clone", 0, &moved, Some("own"), &process))?;
    let events = scene.stage.events(parent)?;
    let [create, pending] = &events[..] else { anyhow::bail!("{events:?}") };
    ensure!(event["changes"][0]["to"]["inode"] == create["ns"]["inode"], "{event}");
    ensure!(event["op"] != pending["op"], "{event}");
    scene.end(std::slice::from_ref(create))
}

/// An exec moves a process into its pending time namespace, from 6.3 on, and never into a pid one.
pub(crate) fn pending_by_exec(room: &Room, flag: u64) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let task = scene.actor.who()?;
    let step = scene.call(&format!("unshare {flag:x}"))?;
    scene.actor.act("exec one two")?;
    ensure!(scene.actor.who()? == task, "exec changes no number");
    let process = task.process()?;
    let moved = changes(&step.process["ns"], &process["ns"]);
    let moved: Value =
        moved.as_array().into_iter().flatten().filter(|c| c["slot"] == "time").cloned().collect();
    let events = scene.stage.events(task)?;
    let create = events.first().context("no events")?;
    if moved == json!([]) {
        ensure!(events.len() == 2, "{events:?}");
    } else {
        let [_, _, event] = &events[..] else { anyhow::bail!("{events:?}") };
        expect(event, &enter("exec", 0, &moved, Some("own"), &process))?;
    }
    scene.end(std::slice::from_ref(create))
}
