//! Cases 13, 14 and 19: what holds a namespace that nobody is in.

use std::{sync::Arc, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;

use crate::{
    actor::{
        Actor,
        syscall::{self, holder},
    },
    context::{Context, Room},
    facts::{KINDS, Kind, kind_named},
    scene::{Scene, boot_ns},
    trace::destroy::{end_child, expect_held, make},
};

const IPC: u64 = 0x0800_0000;
const UTS: u64 = 0x0400_0000;
const USER: u64 = 0x1000_0000;
const PID: u64 = 0x2000_0000;

/// Has `holder` take hold of the namespace of a child that is in front of `scene`; returns the
/// descriptor to close.
type Hold = fn(scene: &mut Scene, holder: &mut Actor, child: u64) -> Result<u64>;

/// The trials of this file.
pub(super) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let mut trials = Vec::new();
    let mut add = |obstacle: Option<&str>, name: &str, kind: &'static str, hold: Hold| {
        let title = format!("hidden::13_{kind}_held_by_{name}");
        let test = move |room: &Room| held(room, kind, hold, false);
        trials.extend(context.unless(obstacle, &title, test));
    };
    add(None, "a_message_on_its_way", "uts", posted);
    let ring = holder::ring(false).err().map(|error| format!("no io_uring: {error}"));
    add(ring.as_deref(), "a_file_of_io_uring", "uts", registered);
    add(None, "a_pidfd", "pid", |_, holder, child| holder.number(&format!("pidfd {child}")));
    add(None, "a_directory_of_proc", "pid", |_, holder, child| look(holder, child, ""));
    add(None, "its_list_of_mounts", "mnt", |_, holder, child| look(holder, child, "/mountinfo"));
    add(None, "a_file_of_proc_net", "net", |_, holder, child| look(holder, child, "/net/dev"));
    add(None, "a_socket", "net", |scene, holder, child| fetch(scene, holder, child, "socket"));
    add(None, "who_opened_a_file", "user", |scene, holder, child| {
        fetch(scene, holder, child, "open /dev/null")
    });
    let root = ns_trace::sys::cgroup::mount_point();
    let nowhere = root.is_none().then_some("no unified hierarchy of cgroups");
    add(nowhere, "a_control_file", "cgroup", |scene, holder, child| {
        let root = ns_trace::sys::cgroup::mount_point().context("no cgroups")?;
        fetch(scene, holder, child, &format!("open {}/cgroup.procs", root.display()))
    });
    trials.extend(context.per_backend("hidden::13_ipc_held_by_shared_memory", shared_memory));

    for (name, flags) in [("user", USER | UTS), ("pid", PID | UTS), ("of_every_type", all())] {
        let title = format!("hidden::14_zombie_{name}");
        trials.extend(context.per_backend(&title, move |room| zombie(room, flags)));
    }

    let obstacle = syscall::list(UTS).err().map(|error| format!("no listns: {error}"));
    for (kind, hold) in [
        ("net", (|scene, holder, child| fetch(scene, holder, child, "socket")) as Hold),
        ("user", |scene, holder, child| fetch(scene, holder, child, "open /dev/null")),
        ("pid", |_, holder, child| holder.number(&format!("pidfd {child}"))),
    ] {
        let title = format!("hidden::19_{kind}_that_is_not_listed");
        let test = move |room: &Room| held(room, kind, hold, true);
        trials.extend(context.unless(obstacle.as_deref(), &title, test));
    }
    trials
}

/// A namespace whose process has gone, and that something else holds: not told dead before that
/// lets go, and then soon. If it is to be `unlisted`, the kernel must not list it meanwhile.
fn held(room: &Room, kind: &str, hold: Hold, unlisted: bool) -> Result<()> {
    let kind: &'static Kind = kind_named(kind)?;
    let mut scene = Scene::new(room)?;
    let (create, child) = make(&mut scene, kind)?;
    let mut holder = Actor::start()?;
    let descriptor = hold(&mut scene, &mut holder, child)?;
    end_child(&mut scene)?;
    expect_held(&scene, &create)?;
    if unlisted {
        let id = create["ns"]["id"].as_u64().context("no id")?;
        ensure!(!syscall::list(kind.flag)?.contains(&id), "it is listed: {create}");
    }
    let released = boot_ns();
    holder.act(&format!("close {descriptor}"))?;
    let destroy = scene.stage.expect_destroy(&create, released)?;
    let late = destroy["boot_ns"].as_u64().unwrap_or_default() - released;
    ensure!(late < 2_000_000_000, "told {late} ns late");
    scene.stage.expect_once(&create)?;
    scene.end(&[])
}

fn look(holder: &mut Actor, child: u64, file: &str) -> Result<u64> {
    holder.number(&format!("open /proc/{child}{file}"))
}

/// In a message that nobody has received yet.
fn posted(_: &mut Scene, holder: &mut Actor, child: u64) -> Result<u64> {
    let file = look(holder, child, "/ns/uts")?;
    let receiver = holder.number(&format!("post {file}"))?;
    holder.act(&format!("close {file}"))?;
    Ok(receiver)
}

/// Among the files of a ring, which no /proc/PID/fd shows.
fn registered(_: &mut Scene, holder: &mut Actor, child: u64) -> Result<u64> {
    let file = look(holder, child, "/ns/uts")?;
    let ring = holder.number("ring")?;
    holder.act(&format!("register {ring} {file}"))?;
    holder.act(&format!("close {file}"))?;
    Ok(ring)
}

/// What the child opened, in the hands of somebody elsewhere.
fn fetch(scene: &mut Scene, holder: &mut Actor, child: u64, open: &str) -> Result<u64> {
    let file = scene.actor.number(open)?;
    let pidfd = holder.number(&format!("pidfd {child}"))?;
    let same = holder.number(&format!("fetch {pidfd} {file}"))?;
    holder.act(&format!("close {pidfd}"))?;
    Ok(same)
}

/// Shared memory that is attached to who has left.
fn shared_memory(room: &Room) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let task = scene.actor.who()?;
    let back = scene.actor.number("open /proc/self/ns/ipc")?;
    scene.actor.act(&format!("unshare {IPC:x}"))?;
    let memory = scene.actor.number("attach")?;
    scene.actor.act(&format!("setns {back} {IPC:x}"))?;
    let events = scene.stage.events(task)?;
    let create = events.first().context("no events")?;
    expect_held(&scene, create)?;
    let released = boot_ns();
    scene.actor.act(&format!("detach {memory}"))?;
    scene.stage.expect_destroy(create, released)?;
    scene.stage.expect_once(create)?;
    scene.end(&[])
}

fn all() -> u64 {
    KINDS.iter().fold(0, |flags, kind| flags | kind.flag)
}

/// A zombie keeps its pid and user namespaces, and with them who owns what is left.
fn zombie(room: &Room, flags: u64) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let parent = scene.actor.who()?;
    scene.actor.task(&format!("clone3 {flags:x}"))?;
    let creates = scene.stage.events(parent)?;
    scene.actor.act("exit 0")?;
    let stays = |create: &Arc<serde_json::Value>| {
        create["ns"]["type"] == "pid" || create["ns"]["type"] == "user"
    };
    let (kept, gone): (Vec<_>, Vec<_>) = creates.into_iter().partition(stays);
    ensure!(!kept.is_empty() && !gone.is_empty(), "{kept:?} and {gone:?}");
    for create in &gone {
        scene.stage.expect_destroy(create, 0)?;
    }
    thread::sleep(Duration::from_millis(300));
    for create in &kept {
        scene.stage.expect_alive(create)?;
    }
    let released = boot_ns();
    scene.actor.act("reap")?;
    for create in &kept {
        scene.stage.expect_destroy(create, released)?;
    }
    kept.iter().chain(&gone).try_for_each(|create| scene.stage.expect_once(create))?;
    scene.end(&[])
}
