//! Case 17: mount namespaces that no `CLONE_NEWNS` asks for (Linux 7.0 and 7.1).

use std::{fs::File, os::fd::OwnedFd, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use ns_trace::sys::host;
use serde_json::Value;

use crate::{
    compare::{ANY, expect},
    context::{Context, Room},
    facts::{Task, namespace},
    scene::{Scene, boot_ns, changes, create, enter},
};

use super::sees;

/// `OPEN_TREE_NAMESPACE` with `AT_RECURSIVE`, `FSMOUNT_NAMESPACE`, `UNSHARE_EMPTY_MNTNS` and
/// `CLONE_EMPTY_MNTNS`, which takes more than 32 bits.
const TREE: &str = "0x8002";
const MOUNT: &str = "0x2";
const EMPTY: &str = "0x100000";
const EMPTY_CHILD: &str = "0x2000000000";

/// The trials of this file.
pub(super) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let mut trials = Vec::new();
    let mut add = |since: (u32, u32), name: &str, test: fn(&Room) -> Result<()>| {
        let is_older = host::version().is_none_or(|version| version < since);
        let older = is_older.then_some("the kernel is older than the call");
        trials.extend(context.unless(older, &format!("hidden::17_{name}"), test));
    };
    add((7, 0), "by_open_tree_and_entered", |room| entered(room, "tree / 8002", "open_tree", TREE));
    add((7, 0), "by_open_tree_and_closed", |room| closed(room, "tree / 8002", "open_tree", TREE));
    add((7, 1), "by_fsmount_and_entered", |room| entered(room, "fsmount 2", "fsmount", MOUNT));
    add((7, 1), "by_fsmount_and_closed", |room| closed(room, "fsmount 2", "fsmount", MOUNT));
    add((7, 1), "by_unshare_without_a_mount", empty);
    add((7, 1), "by_clone3_without_a_mount", empty_child);
    trials
}

/// Has the actor open a mount namespace, and checks what is told of its birth; returns the
/// descriptor, the moment before, and the `create` if the backend sees one.
fn opened(
    scene: &mut Scene,
    room: &Room,
    line: &str,
    cause: &str,
    flags: &str,
) -> Result<(u64, Option<Arc<Value>>)> {
    let task = scene.actor.who()?;
    let process = task.process()?;
    let fd = scene.actor.number(line)?;
    let file: OwnedFd = File::open(format!("/proc/{}/fd/{fd}", task.pid))?.into();
    let ns = namespace(&file, "mnt")?;
    drop(file);
    let events = scene.stage.events(task)?;
    if !sees(room, "create", cause, "with a namespace flag")? {
        ensure!(events.is_empty(), "{events:?}");
        return Ok((fd, None));
    }
    let [made] = &events[..] else { anyhow::bail!("{events:?}") };
    let mut expected = create(cause, 0, &ns, &process);
    expected["flags_raw"] = flags.into();
    expect(made, &expected)?;
    Ok((fd, Some(Arc::clone(made))))
}

/// It is entered by setns(2), later.
fn entered(room: &Room, line: &str, cause: &str, flags: &str) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let (fd, made) = opened(&mut scene, room, line, cause, flags)?;
    let task = scene.actor.who()?;
    let step = scene.call(&format!("setns {fd} 20000"))?;
    let event = last(&scene, task)?;
    let mut expected = enter("setns", 0x0002_0000, &step.changes(), None, &step.process);
    expected["relation"] = ANY.into();
    expect(&event, &expected)?;
    ensure!(event["changes"][0]["slot"] == "mnt", "{event}");
    if let Some(made) = &made {
        ensure!(event["changes"][0]["to"]["inode"] == made["ns"]["inode"], "{made} and {event}");
    }
    scene.end(made.as_slice())
}

/// Nobody ever enters it.
fn closed(room: &Room, line: &str, cause: &str, flags: &str) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let (fd, made) = opened(&mut scene, room, line, cause, flags)?;
    let held_until = boot_ns();
    if let Some(made) = &made {
        scene.stage.expect_alive(made)?;
    }
    scene.actor.act(&format!("close {fd}"))?;
    if let Some(made) = &made {
        scene.stage.expect_destroy(made, held_until)?;
        scene.stage.expect_once(made)?;
    }
    scene.end(&[])
}

/// `UNSHARE_EMPTY_MNTNS` alone.
fn empty(room: &Room) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let task = scene.actor.who()?;
    let step = scene.call("unshare 100000")?;
    let events = scene.stage.events(task)?;
    let [made, event] = &events[..] else { anyhow::bail!("{events:?}") };
    let mut expected = create("unshare", 0, &task.namespace("mnt")?, &step.process);
    expected["flags_raw"] = EMPTY.into();
    expect(made, &expected)?;
    let mut expected = enter("unshare", 0, &step.changes(), Some("own"), &step.process);
    expected["flags_raw"] = EMPTY.into();
    expect(event, &expected)?;
    ensure!(made["op"] == event["op"], "{made} and {event}");
    scene.end(&[Arc::clone(made)])
}

/// `CLONE_EMPTY_MNTNS` alone: by the time that the child is there, the kernel has added
/// `CLONE_NEWNS`.
fn empty_child(room: &Room) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let parent = scene.actor.who()?;
    let before = parent.process()?;
    let child = scene.actor.task("clone3 2000000000")?;
    let creates = scene.stage.events(parent)?;
    let [made] = &creates[..] else { anyhow::bail!("{creates:?}") };
    let mut expected = create("clone3", 0x0002_0000, &child.namespace("mnt")?, &before);
    expected["flags_raw"] = EMPTY_CHILD.into();
    expect(made, &expected)?;
    let events = scene.stage.events(child)?;
    let [event] = &events[..] else { anyhow::bail!("{events:?}") };
    let process = child.process()?;
    let moved = changes(&before["ns"], &process["ns"]);
    let mut expected = enter("clone3", 0x0002_0000, &moved, Some("own"), &process);
    expected["flags_raw"] = EMPTY_CHILD.into();
    expect(event, &expected)?;
    ensure!(made["op"] == event["op"], "{made} and {event}");
    scene.end(&creates)
}

fn last(scene: &Scene, task: Task) -> Result<Arc<Value>> {
    scene.stage.events(task)?.last().cloned().context("no event")
}
