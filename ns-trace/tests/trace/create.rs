//! Every type of namespace by every call that makes one.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;

use crate::{
    compare::{expect, same},
    context::{Context, Room},
    facts::{KINDS, Kind},
    scene::{Scene, changes, create, enter},
};

/// `CLONE_NEWTIME`, which clone(2) cannot express.
const TIME: u64 = 0x80;

/// The trials of this file.
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let mut trials = Vec::new();
    let all = KINDS.iter().fold(0, |flags, kind| flags | kind.flag);
    let sets = KINDS.iter().map(|kind| (kind.name, kind.flag)).chain([("everything", all)]);
    for (name, flags) in sets {
        let title = |call| format!("trace::create::{name}_by_{call}");
        trials.extend(context.per_backend(&title("unshare"), move |room| by_unshare(room, flags)));
        trials.extend(
            context.per_backend(&title("clone3"), move |room| by_clone(room, "clone3", flags)),
        );
        if flags != TIME {
            let flags = flags & !TIME;
            trials.extend(
                context.per_backend(&title("clone"), move |room| by_clone(room, "clone", flags)),
            );
        }
    }
    trials.extend(context.per_backend("trace::create::op_differs_between_calls", op_differs));
    trials
}

/// The types that flags ask for.
fn kinds(flags: u64) -> impl Iterator<Item = &'static Kind> {
    KINDS.iter().filter(move |kind| flags & kind.flag != 0)
}

/// Where a type is after unshare(2).
fn slot_after_unshare(kind: &Kind) -> &'static str {
    match kind.name {
        "pid" => "pid_for_children",
        "time" => "time_for_children",
        name => name,
    }
}

/// Parts the `create` events of one call from the `enter` that follows them, and checks that all
/// have the same number.
fn part(events: &[Arc<Value>]) -> Result<(&[Arc<Value>], &Arc<Value>)> {
    let (entered, created) = events.split_last().context("no events")?;
    for event in created {
        ensure!(event["event"] == "create", "{event}");
        ensure!(event["op"] == entered["op"], "{event} and {entered}");
        ensure!(event["ns"]["born"] == event["boot_ns"], "{event}");
    }
    Ok((created, entered))
}

/// Finds the `create` of a type.
fn of_kind<'a>(created: &'a [Arc<Value>], kind: &Kind) -> Result<&'a Arc<Value>> {
    let mut found = created.iter().filter(|event| event["ns"]["type"] == kind.name);
    let event = found.next().with_context(|| format!("no `create` of {}", kind.name))?;
    ensure!(found.next().is_none(), "{} twice", kind.name);
    Ok(event)
}

fn by_unshare(room: &Room, flags: u64) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let task = scene.actor.who()?;
    let step = scene.call(&format!("unshare {flags:x}"))?;
    let events = scene.stage.events(task)?;
    let (created, entered) = part(&events)?;
    ensure!(created.len() == kinds(flags).count(), "{created:?}");
    expect(entered, &enter("unshare", flags, &step.changes(), Some("own"), &step.process))?;
    // Only now has the pid namespace something to show: in its first process.
    let child = (flags & 0x2000_0000 != 0).then(|| scene.actor.task("clone 0")).transpose()?;
    for kind in kinds(flags) {
        let event = of_kind(created, kind)?;
        let ns = match child {
            Some(child) if kind.name == "pid" => child.namespace("pid")?,
            _ => task.namespace(slot_after_unshare(kind))?,
        };
        expect(event, &create("unshare", flags, &ns, &step.process))?;
        let is_it = |change: &&Value| change["slot"] == slot_after_unshare(kind);
        let change = entered["changes"].as_array().and_then(|all| all.iter().find(is_it));
        let to = change.map(|change| &change["to"]["inode"]);
        ensure!(to == Some(&event["ns"]["inode"]), "{event} and {entered}");
    }
    scene.end(created)
}

fn by_clone(room: &Room, call: &str, flags: u64) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let parent = scene.actor.who()?;
    let before = parent.process()?;
    let child = scene.actor.task(&format!("{call} {flags:x}"))?;
    let created = scene.stage.events(parent)?;
    let entered = scene.stage.events(child)?;
    let all: Vec<_> = created.iter().chain(&entered).cloned().collect();
    let (created, entered) = part(&all)?;
    ensure!(created.len() == kinds(flags).count(), "{created:?}");
    let process = child.process()?;
    let moved = changes(&before["ns"], &process["ns"]);
    expect(entered, &enter(call, flags, &moved, Some("own"), &process))?;
    for kind in kinds(flags) {
        let ns = child.namespace(kind.name)?;
        expect(of_kind(created, kind)?, &create(call, flags, &ns, &before))?;
    }
    same(&parent.process()?, &before)?;
    scene.end(created)
}

fn op_differs(room: &Room) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let task = scene.actor.who()?;
    scene.call("unshare 4000000")?;
    scene.call("unshare 4000000")?;
    let events = scene.stage.events(task)?;
    ensure!(events.len() == 4, "{events:?}");
    let (first, second) = events.split_at(2);
    let ((first, _), (second, _)) = (part(first)?, part(second)?);
    let op = |created: &[Arc<Value>]| created.first().map(|event| event["op"].clone());
    ensure!(op(first) != op(second), "{events:?}");
    for create in first {
        // Left for the second.
        scene.stage.expect_destroy(create, 0)?;
        scene.stage.expect_once(create)?;
    }
    scene.end(second)
}
