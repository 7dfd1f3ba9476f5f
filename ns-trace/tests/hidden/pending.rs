//! Cases 8 and 9: namespaces that wait for a child, an exec or for nobody.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::{expect_made, sees};
use crate::{
    actor::syscall::foreign,
    compare::{ANY, expect},
    context::{Context, Room},
    facts::{SLOTS, Task},
    scene::{Scene, changes, enter},
    trace::{
        enter::{pending_by_exec, pending_by_fork},
        fail::failure,
    },
};

const TIME: u64 = 0x80;
const PID: u64 = 0x2000_0000;
const UTS: u64 = 0x0400_0000;

/// The trials of this file.
pub(super) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let mut trials = Vec::new();
    let mut add = |obstacle: Option<&str>, name: &str, test: fn(&Room) -> Result<()>| {
        trials.extend(context.unless(obstacle, &format!("hidden::{name}"), test));
    };
    add(None, "08_pending_time_by_fork", |room| pending_by_fork(room, TIME));
    add(None, "08_pending_time_by_exec", |room| pending_by_exec(room, TIME));
    let unknown = (!foreign::KNOWN).then_some("nobody knows how to vfork on this processor");
    add(unknown, "08_new_time_by_vfork", new_time_by_vfork);
    add(unknown, "08_pending_time_by_vfork", pending_time_by_vfork);
    add(None, "09_pending_pid_by_fork", |room| pending_by_fork(room, PID));
    add(None, "09_pending_pid_by_exec", |room| pending_by_exec(room, PID));
    add(None, "09_pid_without_a_process", never_a_process);
    add(None, "09_pid_after_its_first_process", init_is_gone);
    trials
}

/// A child in its parent's memory, which is another program by now: what it says of itself, and
/// the events of it.
fn vfork(scene: &mut Scene, flags: u64) -> Result<(Task, Vec<Arc<Value>>)> {
    scene.actor.act(&format!("vfork {flags:x}"))?;
    let child = scene.actor.who()?;
    let events = scene.stage.events(child)?;
    Ok((child, events))
}

/// Checks that `events` lead from the slots `before` to `after`, one by one.
fn expect_way(before: &Value, after: &Value, events: &[Arc<Value>]) -> Result<()> {
    let mut slots = before.clone();
    for event in events {
        ensure!(event["event"] == "enter", "{event}");
        for change in event["changes"].as_array().context("no changes")? {
            let slot = change["slot"].as_str().context("no slot")?;
            ensure!(slots[slot]["inode"] == change["from"]["inode"], "{slots}, then {event}");
            slots[slot] = change["to"].clone();
        }
        for slot in SLOTS {
            ensure!(slots[slot]["inode"] == event["process"]["ns"][slot]["inode"], "{event}");
        }
    }
    for slot in SLOTS {
        ensure!(after[slot].is_null() || slots[slot]["inode"] == after[slot]["inode"], "{slot}");
    }
    Ok(())
}

/// clone3 with `CLONE_NEWTIME` and `CLONE_VM`: memory knows which time namespace it is in, so that
/// the child gets there with its exec from 6.3 on; before, at once.
fn new_time_by_vfork(room: &Room) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let parent = scene.actor.who()?;
    let before = parent.process()?;
    let (child, events) = vfork(&mut scene, TIME)?;
    let creates = scene.stage.events(parent)?;
    expect_made(&creates, "clone3", TIME, &before)?;
    let after = child.slots()?;
    ensure!(after["time"]["inode"] == creates[0]["ns"]["inode"], "{after}");
    expect_way(&before["ns"], &after, &events)?;
    let causes: Vec<_> = events.iter().map(|event| event["cause"].clone()).collect();
    let at_once = causes == ["clone3"];
    ensure!(at_once || causes == ["clone3", "exec"], "{causes:?}");
    let first = &events[0]["changes"];
    let moved =
        |slot: &str| first.as_array().is_some_and(|all| all.iter().any(|c| c["slot"] == slot));
    ensure!(moved("time_for_children") && moved("time") == at_once, "{first}");
    scene.end(&creates)
}

/// A child in its parent's memory, with a time namespace pending: refused up to 6.2.
fn pending_time_by_vfork(room: &Room) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let parent = scene.actor.who()?;
    let step = scene.call(&format!("unshare {TIME:x}"))?;
    let told = scene.stage.events(parent)?;
    let creates = told.get(..1).context("no events")?;
    let answer = scene.actor.ask("vfork 0")?;
    if answer["error"] == libc::EINVAL {
        // It asked for no namespace.
        ensure!(scene.stage.events(parent)?.len() == told.len(), "of a plain vfork");
        return scene.end(creates);
    }
    let child = scene.actor.who()?;
    let events = scene.stage.events(child)?;
    let process = child.process()?;
    let [event] = &events[..] else { anyhow::bail!("{events:?}") };
    let moved = changes(&step.process["ns"], &process["ns"]);
    expect(event, &enter("exec", 0, &moved, Some(ANY), &process))?;
    ensure!(event["changes"][0]["slot"] == "time", "{event}");
    scene.end(creates)
}

/// A pid namespace that waits for children which never come.
fn never_a_process(room: &Room) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let task = scene.actor.who()?;
    let step = scene.call(&format!("unshare {PID:x}"))?;
    let events = scene.stage.events(task)?;
    let [create, entered] = &events[..] else { anyhow::bail!("{events:?}") };
    expect_made(std::slice::from_ref(create), "unshare", PID, &step.process)?;
    // What /proc hides up to 6.18 the event says.
    let to = &entered["changes"][0]["to"];
    ensure!(entered["changes"][0]["slot"] == "pid_for_children", "{entered}");
    ensure!(to["inode"] == create["ns"]["inode"], "{entered}");
    let own = &entered["process"]["ns"];
    ensure!(own["pid"]["inode"] == step.before["pid"]["inode"], "it is in there itself: {entered}");
    let create = Arc::clone(create);
    scene.end(&[create])
}

/// With its first process ends a pid namespace's life, but not its being: nobody can be born in it.
fn init_is_gone(room: &Room) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let task = scene.actor.who()?;
    scene.actor.act(&format!("unshare {PID:x}"))?;
    let created = scene.stage.events(task)?;
    let pending = created.get(..1).context("no events")?;
    scene.actor.task("clone 0")?;
    scene.actor.act("exit 0")?;
    scene.actor.act("reap")?;
    scene.stage.expect_alive(&pending[0])?;
    let told = scene.stage.events(task)?.len();
    let process = task.process()?;
    // A plain fork asks for no namespace: that it fails is no event.
    for line in ["clone 0", &format!("clone {UTS:x}")] {
        let errno = scene.actor.fails(line)?;
        ensure!(errno == u64::from(libc::ENOMEM.cast_unsigned()), "`{line}` failed with {errno}");
    }
    let events = scene.stage.events(task)?.split_off(told);
    let (failed, births) = events.split_last().context("no events")?;
    expect(failed, &failure("clone", UTS, "ENOMEM", &json!(null), &process))?;
    let made = if sees(room, "create", "clone,", "undone")? { UTS } else { 0 };
    expect_made(births, "clone", made, &process)?;
    for birth in births {
        scene.stage.expect_destroy(birth, 0)?;
        scene.stage.expect_once(birth)?;
    }
    scene.end(pending)
}
