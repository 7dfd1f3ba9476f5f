//! The end of namespaces: told when the last holder lets go, and never before.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;

use crate::{
    actor::{Actor, syscall},
    context::{Context, Room},
    facts::{KINDS, Kind},
    scene::{Scene, boot_ns},
    tracer::PATIENCE,
};

const UTS: u64 = 0x0400_0000;
const USER: u64 = 0x1000_0000;
const PID: u64 = 0x2000_0000;

/// How long a held namespace is watched in vain: longer than the tracer looks away at first.
const HELD: Duration = Duration::from_millis(300);

/// The trials of this file.
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let mut trials = Vec::new();
    for kind in &KINDS {
        let title = |holder| format!("trace::destroy::{}_held_by_{holder}", kind.name);
        let test = move |room: &Room| held_by_descriptor(room, kind);
        trials.extend(context.per_backend(&title("a_descriptor"), test));
        let test = move |room: &Room| held_by_mount(room, kind);
        trials.extend(context.per_backend(&title("a_mount"), test));
        let title = format!("trace::destroy::{}_soon_after_the_kernel", kind.name);
        trials.extend(context.per_backend(&title, move |room| punctual(room, kind)));
    }
    for (kind, flag) in [("user", USER), ("pid", PID)] {
        let title = format!("trace::destroy::{kind}_held_by_a_child");
        trials.extend(context.per_backend(&title, move |room| held_by_child(room, flag)));
    }
    trials.extend(context.per_backend("trace::destroy::user_held_by_what_it_owns", held_by_owned));
    trials.extend(context.per_backend("trace::destroy::last_task", last_task));
    trials
}

/// Makes a namespace of a type with one process in it; returns its `create`.
pub(crate) fn make(scene: &mut Scene, kind: &Kind) -> Result<(Arc<Value>, u64)> {
    let parent = scene.actor.who()?;
    let child = scene.actor.task(&format!("clone3 {:x}", kind.flag))?;
    let events = scene.stage.events(parent)?;
    let event = events.last().context("no `create`")?;
    ensure!(event["ns"]["type"] == kind.name, "{event}");
    Ok((Arc::clone(event), child.pid))
}

/// Has the child in front end and be reaped.
pub(crate) fn end_child(scene: &mut Scene) -> Result<()> {
    scene.actor.act("exit 0")?;
    scene.actor.act("reap").map(drop)
}

/// Checks that nothing is told of the end of a namespace for a while.
pub(crate) fn expect_held(scene: &Scene, create: &Value) -> Result<()> {
    // The tracer is given the chance to be wrong: it is about not doing something.
    thread::sleep(HELD);
    scene.stage.expect_alive(create)
}

fn held_by_descriptor(room: &Room, kind: &Kind) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let (create, child) = make(&mut scene, kind)?;
    let mut holder = Actor::start()?;
    let file = holder.number(&format!("open /proc/{child}/ns/{}", kind.name))?;
    end_child(&mut scene)?;
    expect_held(&scene, &create)?;
    let released = boot_ns();
    holder.act(&format!("close {file}"))?;
    let destroy = scene.stage.expect_destroy(&create, released)?;
    // Deaths are looked for at least once a second.
    let late = destroy["boot_ns"].as_u64().unwrap_or_default() - released;
    ensure!(late < 2_000_000_000, "told {late} ns late");
    scene.stage.expect_once(&create)?;
    scene.end(&[])
}

fn held_by_mount(room: &Room, kind: &Kind) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let place = Place::new()?;
    let mut holder = Actor::start()?;
    // In a mount namespace of its own, so that nothing is left behind whatever happens; an older
    // one than what it will hold, which the kernel insists on for mount namespaces.
    holder.act("unshare 20000")?;
    holder.act("private")?;
    let (create, child) = make(&mut scene, kind)?;
    let mount = format!("bind /proc/{child}/ns/{} {}", kind.name, place.0.display());
    let mounted = holder.ask(&mount)?;
    end_child(&mut scene)?;
    if kind.name == "mnt" && mounted["error"] == libc::EINVAL {
        // 6.18 compares ids, which each processor takes from a range of its own.
        scene.stage.expect_destroy(&create, 0)?;
        return scene.end(&[]);
    }
    ensure!(mounted.get("error").is_none(), "`{mount}`: {mounted}");
    expect_held(&scene, &create)?;
    let released = boot_ns();
    holder.act(&format!("unbind {}", place.0.display()))?;
    scene.stage.expect_destroy(&create, released)?;
    scene.stage.expect_once(&create)?;
    scene.end(&[])
}

/// A file to mount on.
struct Place(PathBuf);

impl Place {
    fn new() -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ns-trace-test-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, "")?;
        Ok(Self(path))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

/// A child namespace keeps its parent.
fn held_by_child(room: &Room, flag: u64) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let first = scene.actor.who()?;
    let outer = scene.actor.task(&format!("clone {:x}", flag | USER))?;
    scene.actor.become_root()?;
    let inner = scene.actor.task(&format!("clone {flag:x}"))?;
    let kind = if flag == PID { "pid" } else { "user" };
    let mut holder = Actor::start()?;
    let file = holder.number(&format!("open /proc/{}/ns/{kind}", inner.pid))?;
    end_child(&mut scene)?;
    end_child(&mut scene)?;
    let mut creates = scene.stage.events(first)?;
    creates
        .extend(scene.stage.events(outer)?.into_iter().filter(|event| event["event"] == "create"));
    for create in &creates {
        // The owner of a pid namespace is held as well.
        expect_held(&scene, create)?;
    }
    let released = boot_ns();
    holder.act(&format!("close {file}"))?;
    for create in &creates {
        scene.stage.expect_destroy(create, released)?;
    }
    creates.iter().try_for_each(|create| scene.stage.expect_once(create))?;
    scene.end(&[])
}

/// A user namespace lives as long as anything that it owns.
fn held_by_owned(room: &Room) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let first = scene.actor.who()?;
    let child = scene.actor.task(&format!("clone {:x}", USER | UTS))?;
    let mut holder = Actor::start()?;
    let file = holder.number(&format!("open /proc/{}/ns/uts", child.pid))?;
    end_child(&mut scene)?;
    let creates = scene.stage.events(first)?;
    ensure!(creates.len() == 2, "{creates:?}");
    for create in &creates {
        expect_held(&scene, create)?;
    }
    let released = boot_ns();
    holder.act(&format!("close {file}"))?;
    for create in &creates {
        scene.stage.expect_destroy(create, released)?;
    }
    scene.end(&[])
}

/// `last_task_boot_ns` is when the last task left, however long the namespace lived on.
fn last_task(room: &Room) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let task = scene.actor.who()?;
    scene.actor.act(&format!("unshare {UTS:x}"))?;
    let mut holder = Actor::start()?;
    let file = holder.number(&format!("open /proc/{}/ns/uts", task.pid))?;
    let before = boot_ns();
    scene.actor.act(&format!("unshare {UTS:x}"))?;
    let after = boot_ns();
    let creates = scene.stage.events(task)?;
    let create = creates.first().context("no `create`")?;
    expect_held(&scene, create)?;
    holder.act(&format!("close {file}"))?;
    let destroy = scene.stage.expect_destroy(create, after)?;
    let last = destroy["last_task_boot_ns"].as_u64().context("nobody was in it")?;
    ensure!((before..=after).contains(&last), "not in {before}..={after}: {destroy}");
    scene.end(&[])
}

/// Not before the kernel has let it go, and within 100 ms where it is looked for, which an nsfs handle shows where there are any.
fn punctual(room: &Room, kind: &Kind) -> Result<()> {
    const LATE: u64 = 100_000_000;
    let mut scene = Scene::new(room)?;
    let (create, _) = make(&mut scene, kind)?;
    let (id, inode) = (create["ns"]["id"].as_u64(), create["ns"]["inode"].as_u64());
    let handle =
        syscall::Handle::new(id.unwrap_or_default(), kind.flag, inode.unwrap_or_default())?;
    let has_handles = syscall::is_alive(&handle)?.is_some_and(|alive| alive);
    end_child(&mut scene)?;
    if !has_handles {
        // Before 6.18.
        scene.stage.expect_destroy(&create, 0)?;
        return scene.end(&[]);
    }
    let deadline = Instant::now() + PATIENCE;
    let mut alive = boot_ns();
    let gone = loop {
        let now = boot_ns();
        if syscall::is_alive(&handle)? != Some(true) {
            break now;
        }
        alive = now;
        ensure!(Instant::now() < deadline, "the kernel keeps {create}");
        thread::sleep(Duration::from_millis(1));
    };
    let destroy = scene.stage.expect_destroy(&create, 0)?;
    let told = destroy["boot_ns"].as_u64().context("no time")?;
    // A look takes its time before it asks, and an emulated machine may stop it in between.
    let looks = room.backend() == "tracepoint";
    let keeps_time = std::env::var_os("NS_TRACE_TEST_BACKEND").is_none();
    if !looks || keeps_time {
        // A handle that opens has held it, for as long as it was open.
        ensure!(told + LATE > alive, "{} ns early: {destroy}", alive - told);
    }
    // Hooks tell when the kernel frees it, which may be long after the last handle opened: a net
    // namespace waits for its turn.
    if looks && keeps_time {
        ensure!(told < gone + LATE, "{} ns late: {destroy}", told - gone);
    }
    scene.end(&[])
}
