//! Calls made over and over are counted, not told: they hide nobody else's, and none is forgotten.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;

use crate::{
    actor::Actor,
    context::{Context, Room, calls},
    scene::{Scene, settle},
};

/// The trials of this file.
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let mut trials = Vec::new();
    trials.extend(context.alone_per_backend("trace::flood::hides_no_creates", hides_nothing));
    trials.extend(context.per_backend("trace::flood::of_many_kinds", many_kinds));
    trials.extend(context.per_backend("trace::flood::knows_where_a_task_is", place));
    trials.extend(context.per_backend("trace::flood::new_namespaces_are_told", new_each_time));
    trials
}

/// How many calls an event stands for.
fn stands_for(event: &Arc<Value>) -> u64 {
    event["repeat"].as_u64().unwrap_or(1)
}

/// Two processes fail, one goes to and fro between two namespaces, all as fast as they can; none of the
/// namespaces that a fourth makes meanwhile is missed, and all calls of the others are accounted for.
fn hides_nothing(room: &Room) -> Result<()> {
    let tracer = room.start(&["-e", "create,enter,fail", "--fields", "compact"])?;
    let (creates, fails, turns) = (calls(10_000, 2000), calls(400_000, 3000), calls(100_000, 1500));
    let mut failing = [Actor::start()?, Actor::start()?];
    for actor in &mut failing {
        actor.act("user 65534")?;
    }
    let mut turning = Actor::start()?;
    let one = turning.number("open /proc/self/ns/uts")?;
    turning.act("unshare 4000000")?;
    let other = turning.number("open /proc/self/ns/uts")?;
    let mut maker = Actor::start()?;
    let pid = |actor: &Actor| u64::from(actor.pid());
    let failing_pids = failing.each_ref().map(pid);
    let (turning_pid, maker_pid) = (pid(&turning), pid(&maker));

    for actor in &mut failing {
        actor.tell(&format!("fail {fails} 4000000"))?;
    }
    turning.tell(&format!("pingpong {turns} {one} {other}"))?;
    maker.tell(&format!("repeat {creates} 4000000"))?;
    let [first, second] = failing;
    for mut actor in [first, second, turning, maker] {
        let answer = actor.answer()?;
        ensure!(answer.get("error").is_none(), "{answer}");
        actor.end()?;
    }
    let ended = tracer.finish()?;

    let of = |pid: u64, name: &str, cause: &str| {
        let is_it = |event: &&Arc<Value>| {
            event["process"]["pid"] == pid && event["event"] == name && event["cause"] == cause
        };
        ended.events.iter().filter(is_it).cloned().collect::<Vec<_>>()
    };
    let lost = ended.events.iter().find(|event| event["event"] == "lost");
    ensure!(lost.is_none(), "{lost:?}");
    for name in ["create", "enter"] {
        let count = of(maker_pid, name, "unshare").len();
        ensure!(count as u64 == creates, "{count} times `{name}` of {creates}");
    }
    for pid in failing_pids {
        let events = of(pid, "fail", "unshare");
        let sum: u64 = events.iter().map(stands_for).sum();
        ensure!(sum == fails, "{sum} failures of {fails}: {events:?}");
        ensure!(events.iter().all(|event| event["errno"] == "EPERM"), "{events:?}");
        let first = events.first().context("nothing")?;
        ensure!(first.get("repeat").is_none(), "{first}");
        ensure!(events.len() as u64 <= fails / 100, "{} events", events.len());
    }
    let events = of(turning_pid, "enter", "setns");
    let sum: u64 = events.iter().map(stands_for).sum();
    ensure!(sum == 2 * turns, "{sum} moves of {}: {events:?}", 2 * turns);
    ensure!(events.len() as u64 <= turns / 100, "{} events", events.len());
    Ok(())
}

/// More kinds of calls than are known of a thread, in turn: one makes room for another, and no call
/// is forgotten with it.
fn many_kinds(room: &Room) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let task = scene.actor.who()?;
    for times in 1..=3 {
        // Flags that unshare does not know.
        for flags in 1..=12 {
            scene.actor.act(&format!("fail {times} {flags:x}"))?;
        }
    }
    scene.actor.end()?;
    settle(&scene.stage.tracer)?;
    for flags in 1..=12 {
        let is_it = |event: &&Arc<Value>| {
            event["event"] == "fail"
                && event["process"]["tid"] == task.tid
                && event["flags_raw"] == format!("{flags:#x}")
        };
        let events = scene.stage.events_so_far();
        let sum: u64 = events.iter().filter(is_it).map(stands_for).sum();
        ensure!(sum == 6, "{sum} times {flags:#x}");
    }
    Ok(())
}

/// After moves that were not told, what changes next changes from where the task is.
fn place(room: &Room) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let task = scene.actor.who()?;
    let one = scene.actor.number("open /proc/self/ns/uts")?;
    scene.actor.act("unshare 4000000")?;
    let other = scene.actor.number("open /proc/self/ns/uts")?;
    for (from, to) in [(one, other), (other, one)] {
        scene.actor.act(&format!("pingpong 50 {from} {to}"))?;
        let before = scene.stage.events(task)?;
        scene.actor.act("unshare 8000000")?;
        let events = scene.stage.events(task)?;
        let enter = events.get(before.len()..).unwrap_or_default().iter().find(|event| {
            event["event"] == "enter" && event["flags"] == serde_json::json!(["CLONE_NEWIPC"])
        });
        let enter = enter.context("no enter")?;
        let changes = enter["changes"].as_array().context("no changes")?;
        ensure!(changes.len() == 1 && changes[0]["slot"] == "ipc", "{enter}");
    }
    scene.actor.end()
}

/// A move out of a namespace that was just made is the first of its kind, every time.
fn new_each_time(room: &Room) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let task = scene.actor.who()?;
    let home = scene.actor.number("open /proc/self/ns/uts")?;
    for _ in 0..20 {
        scene.actor.act("unshare 4000000")?;
        scene.actor.act(&format!("setns {home} 0"))?;
    }
    let events = scene.stage.events(task)?;
    let of = |cause: &str| {
        let is_it = |event: &&Arc<Value>| event["event"] == "enter" && event["cause"] == cause;
        events.iter().filter(is_it).cloned().collect::<Vec<_>>()
    };
    let (out, back) = (of("unshare"), of("setns"));
    ensure!(out.len() == 20 && back.len() == 20, "{} out, {} back", out.len(), back.len());
    for (out, back) in out.iter().zip(&back) {
        ensure!(out["changes"][0]["to"] == back["changes"][0]["from"], "{out} then {back}");
        ensure!(back.get("repeat").is_none(), "{back}");
    }
    scene.actor.end()
}
