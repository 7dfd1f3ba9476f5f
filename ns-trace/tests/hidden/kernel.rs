//! Cases 15, 16, 18 and 20: what the kernel does by itself, and what it says itself.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt as _,
    sync::Arc,
};

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;

use crate::{
    actor::syscall::{self, Handle},
    context::{Context, Room},
    facts::{KINDS, SLOTS},
    init,
    scene::{Scene, Stage},
    tracer::program,
};

const UTS: u64 = 0x0400_0000;

/// The trials of this file.
pub(super) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let mut trials = Vec::new();
    let shared = (!init::is_ours())
        .then_some("the core pattern is the whole machine's, which is not the tests' own");
    trials.extend(context.alone_unless(shared, "hidden::15_program_for_a_core", core_program));
    let none = kdevtmpfs().is_none().then_some("kdevtmpfs is out of sight");
    let title = "hidden::16_mount_namespace_of_kdevtmpfs";
    trials.extend(context.unless(none, title, of_a_kernel_thread));
    trials.extend(context.per_backend("hidden::18_trees_without_a_namespace", anonymous));
    let none = Handle::new(0, UTS, 0).and_then(|handle| syscall::is_alive(&handle));
    let none = matches!(none, Ok(None)).then_some("namespaces have no handles before 6.18");
    trials.extend(context.unless(none, "hidden::20_open_by_the_id_of_an_event", by_id));
    trials
}

/// What the kernel starts to take a core runs where the kernel is, not where the core is from.
fn core_program(room: &Room) -> Result<()> {
    const PATTERN: &str = "/proc/sys/kernel/core_pattern";
    let stage = Stage::new(Arc::new(room.start(&["--tasks"])?));
    let mut scene = Scene::on(&stage)?;
    scene.actor.act(&format!("unshare {:x}", 0x4e00_0000))?;
    let child = scene.actor.task("clone 0")?;
    let before = fs::read_to_string(PATTERN)?;
    let program = program().into_string().ok().context("its name is no text")?;
    fs::write(PATTERN, format!("|{program} --version"))?;
    let told = scene.actor.tell("kill 6").and_then(|()| scene.actor.answer());
    fs::write(PATTERN, before.trim_end())?;
    ensure!(told?["core"] == true, "no core");
    let is_it = |event: &serde_json::Value| {
        event["event"] == "exec" && event["process"]["exe"] == program.as_str()
    };
    let exec = stage.tracer.wait("the exec of the program", is_it)?;
    for slot in SLOTS {
        ensure!(exec["process"]["ns"][slot]["initial"] == true, "{slot}: {exec}");
    }
    // It came from a thread of the kernel's, in which nobody moved.
    let pid = &exec["process"]["pid"];
    let events = stage.events_so_far();
    let is_of = |event: &&Arc<serde_json::Value>| {
        event["event"] == "enter" && event["process"]["pid"] == *pid
    };
    ensure!(!events.iter().any(|event| is_of(&event)), "it moved");
    let fork = events.iter().find(|event| event["child"]["pid"] == *pid).context("no fork")?;
    ensure!(fork["process"]["pid"] != child.pid, "{fork}");
    let creates: Vec<_> =
        events.iter().filter(|event| event["event"] == "create").cloned().collect();
    scene.end(&creates)
}

/// The thread that makes devices, which has a mount namespace to itself.
fn kdevtmpfs() -> Option<u64> {
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.find(|pid| {
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "kdevtmpfs\n")
    })
}

/// Nobody but a thread of the kernel is in it, since before there were processes.
fn of_a_kernel_thread(room: &Room) -> Result<()> {
    let pid = kdevtmpfs().context("it has gone")?;
    let inode = fs::metadata(format!("/proc/{pid}/ns/mnt"))?.ino();
    let ended = room.start(&["--snapshot"])?.finish()?;
    let is_it = |event: &&Arc<serde_json::Value>| {
        event["event"] == "exist" && event["ns"]["inode"] == inode
    };
    let found: Vec<_> = ended.events.iter().filter(is_it).collect();
    let [event] = found[..] else { bail!("{found:?}") };
    ensure!(event["ns"]["type"] == "mnt" && event["ns"]["initial"] == false, "{event}");
    ensure!(event["members"] == 1 && event["ns"]["born"].is_null(), "{event}");
    Ok(())
}

/// `OPEN_TREE_CLONE` and fsmount(2) make something that looks like a mount namespace inside the
/// kernel, and that nobody can be in.
fn anonymous(room: &Room) -> Result<()> {
    // OPEN_TREE_CLOEXEC, OPEN_TREE_CLONE and AT_RECURSIVE; FSMOUNT_CLOEXEC.
    const LINES: [&str; 3] = ["tree / 80001", "tree / 88001", "fsmount 1"];
    let mut scene = Scene::new(room)?;
    let task = scene.actor.who()?;
    for line in LINES {
        let fd = scene.actor.number(line)?;
        scene.actor.act(&format!("close {fd}"))?;
    }
    let events = scene.stage.events(task)?;
    ensure!(events.is_empty(), "{events:?}");
    let told = scene.stage.events_so_far();
    let of_nobody = |event: &&Arc<serde_json::Value>| {
        event["event"] == "destroy" && event["ns"]["type"] == "mnt" && event["creator"].is_null()
    };
    let nobodys = told.iter().find(of_nobody);
    ensure!(nobodys.is_none(), "{nobodys:?}");
    scene.end(&[])
}

/// What an event says of a namespace opens just that namespace, whoever keeps nothing but the event.
fn by_id(room: &Room) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let parent = scene.actor.who()?;
    let flags = KINDS.iter().fold(0, |flags, kind| flags | kind.flag);
    scene.actor.task(&format!("clone3 {flags:x}"))?;
    let creates = scene.stage.events(parent)?;
    ensure!(creates.len() == KINDS.len(), "{creates:?}");
    for create in &creates {
        let ns = &create["ns"];
        let kind = KINDS.iter().find(|kind| ns["type"] == kind.name).context("no type")?;
        let (id, inode) = (ns["id"].as_u64().context("no id")?, ns["inode"].as_u64());
        let inode = inode.context("no inode")?;
        let file = syscall::open_handle(&Handle::new(id, kind.flag, inode)?)?;
        ensure!(File::from(file).metadata()?.ino() == inode, "{create}");
        let other = syscall::is_alive(&Handle::new(id + (1 << 40), kind.flag, inode)?)?;
        ensure!(other == Some(false), "any id opens {create}");
    }
    scene.end(&creates)
}
