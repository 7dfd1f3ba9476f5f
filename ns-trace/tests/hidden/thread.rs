//! Cases 10 and 11: threads with namespaces of their own.

use std::{fs, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::expect_made;
use crate::{
    actor::syscall::holder,
    compare::{ANY, expect},
    context::{Context, Room},
    facts::Task,
    scene::{Scene, Stage, boot_ns, enter},
    trace::destroy::expect_held,
};

const UTS: u64 = 0x0400_0000;
const NET: u64 = 0x4000_0000;

/// The trials of this file.
pub(super) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let mut trials = context.per_backend("hidden::10_threads_beyond_the_first", beyond_the_first);
    let obstacle = holder::ring(false).err().map(|error| format!("no io_uring: {error}"));
    let title = "hidden::11_thread_of_io_uring";
    trials.extend(context.unless(obstacle.as_deref(), title, thread_of_a_ring));
    trials
}

/// A thread unshares, the first thread ends and is a zombie without namespaces, the other one goes
/// on and at last takes its place by an exec. What the thread is in lives all that time.
fn beyond_the_first(room: &Room) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let leader = scene.actor.who()?;
    let thread = scene.actor.task("thread alone")?;
    ensure!(thread.pid == leader.pid && thread.tid != leader.tid, "{thread:?}");
    let step = scene.call(&format!("unshare {:x}", UTS | NET))?;
    let events = scene.stage.events(thread)?;
    let Some((entered, births)) = events.split_last() else { anyhow::bail!("no events") };
    expect_made(births, "unshare", UTS | NET, &step.process)?;
    expect(entered, &enter("unshare", UTS | NET, &step.changes(), Some(ANY), &step.process))?;
    ensure!(leader.slots().is_err(), "the first thread still has namespaces");
    for birth in births {
        scene.stage.expect_alive(birth)?;
    }
    // It becomes the first thread, with a number that has ended before.
    scene.actor.act("exec three")?;
    ensure!(scene.actor.who()? == leader, "it has not become the leader");
    ensure!(leader.slots()? == step.process["ns"], "it changed its namespaces");
    ensure!(scene.stage.events(leader)?.is_empty(), "{:?}", scene.stage.events(leader)?);
    for birth in births {
        scene.stage.expect_alive(birth)?;
    }
    let again = scene.call(&format!("unshare {UTS:x}"))?;
    let events = scene.stage.events(leader)?;
    let [create, entered] = &events[..] else { anyhow::bail!("{events:?}") };
    expect(entered, &enter("unshare", UTS, &again.changes(), Some(ANY), &again.process))?;
    ensure!(entered["changes"][0]["from"] == step.process["ns"]["uts"], "{entered}");
    ensure!(entered["process"]["args"][1] == json!("three"), "{entered}");
    let (left, mut kept): (Vec<_>, Vec<_>) =
        births.iter().cloned().partition(|birth| birth["ns"]["type"] == "uts");
    for birth in &left {
        scene.stage.expect_destroy(birth, 0)?;
    }
    kept.push(Arc::clone(create));
    scene.end(&kept)
}

/// The kernel's thread for a ring stays where it was made, while the process moves on. Up to 5.11 it
/// is no thread of the process, and in no namespace of it.
fn thread_of_a_ring(room: &Room) -> Result<()> {
    let stage = Stage::new(Arc::new(room.start(&["--tasks"])?));
    let mut scene = Scene::on(&stage)?;
    let task = scene.actor.who()?;
    scene.actor.act(&format!("unshare {UTS:x}"))?;
    let ring = scene.actor.number("ring polled")?;
    let tids = fs::read_dir(format!("/proc/{}/task", task.pid))?.flatten();
    let tids: Vec<u64> = tids.filter_map(|tid| tid.file_name().to_str()?.parse().ok()).collect();
    let thread = tids.into_iter().find(|tid| *tid != task.tid);
    scene.actor.act(&format!("unshare {UTS:x}"))?;
    let events = scene.stage.events(task)?;
    let creates: Vec<_> =
        events.iter().filter(|event| event["event"] == "create").cloned().collect();
    let [old, new] = &creates[..] else { anyhow::bail!("{creates:?}") };
    let released = match thread {
        Some(tid) => {
            let thread = Task { pid: task.pid, tid };
            let born =
                |event: &&Arc<Value>| event["event"] == "fork" && event["child"]["tid"] == tid;
            ensure!(events.iter().filter(born).count() == 1, "{events:?}");
            ensure!(scene.stage.events(thread)?.is_empty(), "it moved, or ended");
            ensure!(thread.slots()?["uts"]["inode"] == old["ns"]["inode"], "it is elsewhere");
            expect_held(&scene, old)?;
            boot_ns()
        }
        None => 0,
    };
    scene.actor.act(&format!("close {ring}"))?;
    let destroy = scene.stage.expect_destroy(old, released)?;
    if let Some(tid) = thread {
        let events = scene.stage.events(Task { pid: task.pid, tid })?;
        let end = events.last().context("it never ended")?;
        ensure!(end["event"] == "exit" && end["seq"].as_u64() < destroy["seq"].as_u64(), "{end}");
    }
    let new = Arc::clone(new);
    scene.end(&[new])
}
