//! Containers and pods: cgroups that are called as runtimes call them, with actors in them.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use ns_trace::sys::cgroup;
use serde_json::{Value, json};

use crate::{
    context::{Context, Room},
    facts::Task,
    scene::Scene,
    tracer::PATIENCE,
};

const UTS: &str = "unshare 4000000";

/// The trials of this file.
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let has_legacy = cgroup::legacy().is_some();
    let legacy = context.per_backend("trace::container::in_version_1", in_version_1);
    let mut trials =
        context.per_backend("trace::container::in_the_unified_hierarchy", in_the_unified_hierarchy);
    trials.extend(context.per_backend("trace::container::in_a_pod", in_a_pod));
    let relation = "trace::container::relation_between_containers";
    trials.extend(context.per_backend(relation, relation_between_containers));
    trials.extend(legacy.into_iter().map(|trial| {
        let cannot = !has_legacy || trial.has_ignored_flag();
        trial.with_ignored_flag(cannot)
    }));
    trials
}

/// A number that no other trial has.
fn fresh() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A container's id.
pub(crate) fn fresh_id() -> String {
    format!("{:032x}{:032x}", std::process::id(), fresh())
}

/// A pod's uid.
fn fresh_uid() -> String {
    format!("{:08x}-0000-4000-8000-{:012x}", std::process::id(), fresh())
}

/// A cgroup and those above it that were made for it; removed when dropped.
pub(crate) struct Cgroup {
    made: Vec<PathBuf>,
}

impl Cgroup {
    /// Makes one below the root of a hierarchy.
    fn new(root: &Path, path: &str) -> Result<Self> {
        let mut made = Vec::new();
        let mut place = root.to_owned();
        for part in path.split('/') {
            place.push(part);
            match fs::create_dir(&place) {
                Ok(()) => made.push(place.clone()),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).with_context(|| place.display().to_string()),
            }
        }
        Ok(Self { made })
    }

    /// One in the unified hierarchy.
    pub(crate) fn unified(path: &str) -> Result<Self> {
        Self::new(&cgroup::mount_point().context("no unified hierarchy is mounted")?, path)
    }

    /// What tells the task in front to go there.
    pub(crate) fn join(&self) -> Result<String> {
        let place = self.made.last().context("no cgroup was made")?;
        Ok(format!("write {}/cgroup.procs 0", place.display()))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        for place in self.made.iter().rev() {
            // Whoever was in it may still be on the way out.
            while fs::remove_dir(place).is_err() && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(2));
            }
        }
    }
}

/// Has the task in front unshare, and checks what is said of its container and pod.
fn expect_place(scene: &mut Scene, container: &Value, pod: &Value) -> Result<Vec<Arc<Value>>> {
    let task = scene.actor.who()?;
    let before = scene.stage.events(task)?.len();
    scene.actor.act(UTS)?;
    let events = scene.stage.events(task)?.split_off(before);
    ensure!(events.len() == 2, "{events:?}");
    for event in &events {
        ensure!(event["container"] == *container && event["pod"] == *pod, "{event}");
        for (name, expected) in [("container", container), ("pod", pod)] {
            ensure!(event.get(name).is_none() == expected.is_null(), "{event}");
        }
    }
    Ok(events)
}

fn creates(events: Vec<Arc<Value>>) -> impl Iterator<Item = Arc<Value>> {
    events.into_iter().filter(|event| event["event"] == "create")
}

/// In and out again: what counts is where the task is at the moment.
fn in_the_unified_hierarchy(room: &Room) -> Result<()> {
    let id = fresh_id();
    let cgroup = Cgroup::unified(&format!("docker-{id}.scope"))?;
    let mut scene = Scene::new(room)?;
    let mut made = Vec::new();
    made.extend(creates(expect_place(&mut scene, &Value::Null, &Value::Null)?));
    let top = cgroup::mount_point().context("no unified hierarchy")?;
    let back = format!("write {}/cgroup.procs 0", top.display());

    scene.actor.act(&cgroup.join()?)?;
    let container = json!({ "id": id, "runtime": "docker" });
    made.extend(creates(expect_place(&mut scene, &container, &Value::Null)?));
    // A child is where its parent is.
    scene.actor.task("clone 0")?;
    made.extend(creates(expect_place(&mut scene, &container, &Value::Null)?));
    scene.actor.act(&back)?;
    made.extend(creates(expect_place(&mut scene, &Value::Null, &Value::Null)?));
    scene.end(&[])?;
    drop(cgroup);
    ensure!(made.len() == 4, "{made:?}");
    Ok(())
}

fn in_a_pod(room: &Room) -> Result<()> {
    let (id, uid) = (fresh_id(), fresh_uid());
    let slice = format!("kubepods-burstable-pod{}.slice", uid.replace('-', "_"));
    let cgroup = Cgroup::unified(&format!("{slice}/crio-{id}.scope"))?;
    let mut scene = Scene::new(room)?;
    scene.actor.act(&cgroup.join()?)?;
    let container = json!({ "id": id, "runtime": "cri-o" });
    expect_place(&mut scene, &container, &json!({ "uid": uid }))?;
    scene.end(&[])
}

/// Where the unified hierarchy says nothing.
fn in_version_1(room: &Room) -> Result<()> {
    let legacy = cgroup::legacy().context("no hierarchy of version 1 is mounted")?;
    let (id, uid) = (fresh_id(), fresh_uid());
    let cgroup = Cgroup::new(&legacy.place, &format!("pod{uid}/{id}"))?;
    let mut scene = Scene::new(room)?;
    scene.actor.act(&cgroup.join()?)?;
    let container = json!({ "id": id, "runtime": null });
    expect_place(&mut scene, &container, &json!({ "uid": uid }))?;
    let task = scene.actor.who()?;
    let refused = scene.actor.fails("unshare 4000001")?;
    ensure!(refused == u64::from(libc::EINVAL.unsigned_abs()), "failed with {refused}");
    let events = scene.stage.events(task)?;
    let event = events.last().context("no events")?;
    ensure!(event["event"] == "fail" && event["container"]["id"] == *id, "{event}");
    scene.end(&[])
}

/// Has the task in front try to join the uts namespace of `task`; returns what is said of it.
fn join(scene: &mut Scene, task: Task) -> Result<Arc<Value>> {
    let own = scene.actor.who()?;
    let file = scene.actor.number(&format!("open /proc/{}/ns/uts", task.pid))?;
    // Whether it may or not.
    scene.actor.ask(&format!("setns {file} 4000000"))?;
    scene.actor.act(&format!("close {file}"))?;
    let event = scene.stage.events(own)?.pop();
    let event = event.context("nothing is said of setns")?;
    ensure!(event["cause"] == "setns", "{event}");
    Ok(event)
}

/// Two containers with a uts namespace each, the host, and everybody at everybody else's door.
fn relation_between_containers(room: &Room) -> Result<()> {
    let (one, two) = (fresh_id(), fresh_id());
    let cgroups = [
        Cgroup::unified(&format!("docker-{one}.scope"))?,
        Cgroup::unified(&format!("libpod-{two}.scope"))?,
    ];
    let mut host = Scene::new(room)?;
    let mut inside = Vec::new();
    for cgroup in &cgroups {
        let mut scene = Scene::on(&host.stage)?;
        scene.actor.act(&cgroup.join()?)?;
        scene.actor.act(UTS)?;
        inside.push(scene);
    }
    let [first, second] = &mut inside[..] else { anyhow::bail!("two containers") };
    let (one, two, outside) = (first.actor.who()?, second.actor.who()?, host.actor.who()?);
    let expect = |event: &Value, name: &str, relation: &str| {
        ensure!(event["event"] == name && event["relation"] == relation, "{relation}: {event}");
        Ok(())
    };
    // A second process of the first container, which is told to leave and comes back.
    let mut other = Scene::on(&host.stage)?;
    other.actor.act(&cgroups.first().context("a cgroup")?.join()?)?;
    expect(&*join(&mut other, one)?, "enter", "own")?;
    expect(&*join(&mut other, outside)?, "enter", "host")?;
    expect(&*join(&mut other, two)?, "enter", "other")?;
    expect(&*join(&mut other, one)?, "enter", "own")?;
    // The same from outside: neither is the host's.
    let mut visitor = Scene::on(&host.stage)?;
    expect(&*join(&mut visitor, one)?, "enter", "other")?;
    visitor.end(&[])?;
    // Without a right to it.
    for (place, relation) in [(two, "other"), (outside, "host"), (one, "own")] {
        let mut scene = Scene::on(&host.stage)?;
        scene.actor.act(&cgroups.first().context("a cgroup")?.join()?)?;
        let own = scene.actor.who()?;
        let file = scene.actor.number(&format!("open /proc/{}/ns/uts", place.pid))?;
        scene.actor.act("unshare 4000000")?;
        scene.actor.act("user 65534")?;
        scene.actor.fails(&format!("setns {file} 4000000"))?;
        let event = scene.stage.events(own)?.pop().context("no events")?;
        expect(&event, "fail", relation)?;
        ensure!(event["container"]["runtime"] == "docker", "{event}");
        scene.end(&[])?;
    }
    other.end(&[])?;
    host.end(&[])?;
    inside.into_iter().try_for_each(|scene| scene.end(&[]))
}
