//! Cases 21 and 26: unusual children, and credentials that change.

use std::{fs, path::PathBuf, sync::Arc};

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use serde_json::json;

use super::expect_made;
use crate::{
    actor::syscall::foreign,
    compare::{ANY, expect},
    context::{Context, Room},
    facts::flag_names,
    scene::{Scene, Stage, changes, create, enter},
};

const UTS: u64 = 0x0400_0000;
const IPC: u64 = 0x0800_0000;
const USER: u64 = 0x1000_0000;
const CGROUP: u64 = 0x0200_0000;

/// The trials of this file.
pub(super) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let mut trials = Vec::new();
    let mut add = |obstacle: Option<&str>, name: &str, test: fn(&Room) -> Result<()>| {
        trials.extend(context.unless(obstacle, &format!("hidden::{name}"), test));
    };
    let unknown = (!foreign::KNOWN).then_some("nobody knows how to vfork on this processor");
    add(unknown, "21_vfork", vfork);
    add(None, "21_child_of_the_grandparent", sibling);
    let root = ns_trace::sys::cgroup::mount_point();
    let nowhere = root.is_none().then_some("no unified hierarchy of cgroups");
    add(nowhere, "21_child_in_another_cgroup", into_cgroup);
    add(None, "26_user_by_setns_then_exec", user_then_exec);
    trials
}

/// A child that runs in its parent's memory, and then another program.
fn vfork(room: &Room) -> Result<()> {
    const FLAGS: u64 = UTS | IPC;
    let mut scene = Scene::new(room)?;
    let parent = scene.actor.who()?;
    let before = parent.process()?;
    scene.actor.act(&format!("vfork {FLAGS:x}"))?;
    let child = scene.actor.who()?;
    let creates = scene.stage.events(parent)?;
    expect_made(&creates, "clone3", FLAGS, &before)?;
    let events = scene.stage.events(child)?;
    let [entered] = &events[..] else { anyhow::bail!("{events:?}") };
    ensure!(entered["cause"] == "clone3" && entered["flags"] == flag_names(FLAGS), "{entered}");
    let slots = child.slots()?;
    ensure!(entered["changes"] == changes(&before["ns"], &slots), "{entered}");
    // The event is of before the exec, when it had the arguments of its parent.
    ensure!(entered["process"]["args"] == before["args"], "{entered}");
    ensure!(parent.process()? == before, "the parent moved");
    scene.end(&creates)
}

/// `CLONE_PARENT`: whose child it is, is not who made it.
fn sibling(room: &Room) -> Result<()> {
    const CLONE_PARENT: u64 = 0x8000;
    let mut scene = Scene::new(room)?;
    let first = scene.actor.who()?;
    let maker = scene.actor.task("clone 0")?;
    let before = maker.process()?;
    let child = scene.actor.task(&format!("clone {:x}", UTS | CLONE_PARENT))?;
    let process = child.process()?;
    ensure!(process["ppid"] == first.pid && process["ppid"] != maker.pid, "{process}");
    let events = scene.stage.events(maker)?;
    let [created] = &events[..] else { anyhow::bail!("{events:?}") };
    let mut expected = create("clone", UTS, &child.namespace("uts")?, &before);
    expected["flags_raw"] = ANY.into();
    expect(created, &expected)?;
    let events = scene.stage.events(child)?;
    let [entered] = &events[..] else { anyhow::bail!("{events:?}") };
    let moved = changes(&before["ns"], &process["ns"]);
    let mut expected = enter("clone", UTS, &moved, Some(ANY), &process);
    expected["flags_raw"] = json!("0x8000");
    expect(entered, &expected)?;
    scene.end(std::slice::from_ref(created))
}

/// A directory in the hierarchy of cgroups.
struct Place(PathBuf);

impl Place {
    fn new() -> Result<Self> {
        let root = ns_trace::sys::cgroup::mount_point();
        let root = anyhow::Context::context(root, "no cgroups")?;
        let place = Self(root.join(format!("ns-trace-test-into-{}", std::process::id())));
        fs::create_dir(&place.0)?;
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Who is in it has ended; if not, the directory says so.
        drop(fs::remove_dir(&self.0));
    }
}

/// `CLONE_INTO_CGROUP`: parent and child are in different cgroups from the start.
fn into_cgroup(room: &Room) -> Result<()> {
    let place = Place::new()?;
    let mut scene = Scene::new(room)?;
    let parent = scene.actor.who()?;
    let before = parent.process()?;
    let fd = scene.actor.number(&format!("open {}", place.0.display()))?;
    let child = scene.actor.task(&format!("clone3 {CGROUP:x} into {fd}"))?;
    let process = child.process()?;
    ensure!(process["cgroup"] != before["cgroup"], "{process}");
    let events = scene.stage.events(parent)?;
    let [created] = &events[..] else { anyhow::bail!("{events:?}") };
    expect_made(std::slice::from_ref(created), "clone3", CGROUP, &before)?;
    let events = scene.stage.events(child)?;
    let [entered] = &events[..] else { anyhow::bail!("{events:?}") };
    let moved = changes(&before["ns"], &process["ns"]);
    let mut expected = enter("clone3", CGROUP, &moved, Some(ANY), &process);
    expected["flags_raw"] = json!("0x200000000");
    expect(entered, &expected)?;
    let result = scene.end(std::slice::from_ref(created));
    drop(place);
    result
}

/// Into another's user namespace, then another program and another user: credentials change each
/// time, and the namespace only once.
fn user_then_exec(room: &Room) -> Result<()> {
    let stage = Stage::new(Arc::new(room.start(&["--tasks"])?));
    let mut host = Scene::on(&stage)?;
    let first = host.actor.who()?;
    let owner = host.actor.task(&format!("clone {USER:x}"))?;
    host.actor.become_root()?;
    let mut scene = Scene::on(&stage)?;
    let task = scene.actor.who()?;
    let file = scene.actor.number(&format!("open /proc/{}/ns/user", owner.pid))?;
    let told = scene.stage.events(task)?.len();
    let step = scene.call(&format!("setns {file} {USER:x}"))?;
    scene.actor.act("exec again")?;
    ensure!(scene.actor.who()? == task, "exec changes no number");
    let process = task.process()?;
    // The only user that this namespace knows.
    scene.actor.act("user 0")?;
    let made = scene.call(&format!("unshare {UTS:x}"))?;
    let events = scene.stage.events(task)?.split_off(told);
    let [joined, exec, birth, _entered] = &events[..] else { anyhow::bail!("{events:?}") };
    expect(joined, &enter("setns", USER, &step.changes(), Some(ANY), &step.process))?;
    expect(exec, &json!({ "event": "exec", "changes": [], "process": process }))?;
    expect_made(std::slice::from_ref(birth), "unshare", UTS, &made.process)?;
    ensure!(birth["ns"]["owner"]["inode"] == owner.slots()?["user"]["inode"], "{birth}");
    let birth = Arc::clone(birth);
    scene.end(&[birth])?;
    let is_create = |event: &Arc<serde_json::Value>| event["event"] == "create";
    let creates: Vec<_> = host.stage.events(first)?.into_iter().filter(is_create).collect();
    host.end(&creates)
}
