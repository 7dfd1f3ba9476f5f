//! Some namespaces are joined and others made in one call.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::place::Place;
use crate::{
    actor::{self, Actor},
    stage::own,
    tracer::program,
};

/// An actor that `create` with these words runs.
fn created(words: &[&str]) -> Result<Actor> {
    let mut command = Command::new(program());
    command.arg("create").args(words).arg("--").arg(std::env::current_exe()?);
    Actor::spawn(command.env(actor::MARK, "1"))
}

pub(super) fn some_joined_others_made() -> Result<()> {
    own(&["netns", "add", "blue"])?.well()?;
    let blue = std::fs::metadata("/run/netns/blue")?;
    let blue = std::os::unix::fs::MetadataExt::ino(&blue);
    let mut host = Actor::start()?;
    // A pid namespace with a first process, and others.
    let target = host.task("clone3 2c000000")?;
    let there = target.slots()?;
    let ipc = format!("pid:{}:ipc", target.pid);
    let pid = format!("pid:{}", there["pid"]["inode"]);
    let mut actor = created(&["--join", "name:blue", "--join", &ipc, "--join", &pid, "-um"])?;
    let (inside, outside) = (actor.who()?.slots()?, host_slots()?);
    ensure!(inside["net"]["inode"] == blue, "{}", inside["net"]);
    for slot in ["ipc", "pid"] {
        ensure!(inside[slot]["inode"] == there[slot]["inode"], "{slot}: {}", inside[slot]);
    }
    for slot in ["uts", "mnt"] {
        let inode = &inside[slot]["inode"];
        ensure!(*inode != there[slot]["inode"] && *inode != outside[slot]["inode"], "{slot}");
    }
    actor.end()?;
    // All of a process, and a new one of a type that was joined.
    let mut actor = created(&["--join", &target.pid.to_string(), "--uts"])?;
    let inside = actor.who()?.slots()?;
    ensure!(inside["ipc"]["inode"] == there["ipc"]["inode"], "{}", inside["ipc"]);
    ensure!(inside["uts"]["inode"] != there["uts"]["inode"], "{}", inside["uts"]);
    actor.end()?;
    host.end()?;
    own(&["netns", "delete", "blue"])?.well().map(drop)
}

fn host_slots() -> Result<serde_json::Map<String, serde_json::Value>> {
    let slots = crate::facts::Task::leader(std::process::id().into()).slots()?;
    slots.as_object().cloned().context("no slots")
}

/// The new one is below the one that is joined, and its root is that one's root.
pub(super) fn on_top_of_a_user_namespace() -> Result<()> {
    let mut host = Actor::start()?;
    let target = host.task("clone3 14000000")?;
    for file in ["uid_map", "gid_map"] {
        std::fs::write(format!("/proc/{}/{file}", target.pid), "0 0 65536")?;
    }
    let there = target.namespace("user")?;
    let user = format!("user:{}", there["inode"]);
    let mut actor = created(&["--join", &user, "-r", "-u"])?;
    let task = actor.who()?;
    let (ns, uts) = (task.namespace("user")?, task.namespace("uts")?);
    ensure!(ns["parent"]["inode"] == there["inode"], "{ns}");
    ensure!(uts["owner"]["inode"] == ns["inode"], "{uts}");
    actor.end()?;
    own(&["create", "--join", &user, "--map-users", "0:0:5", "true"])?
        .failed(1, "from outside; who joins a user namespace has left it")?;
    host.end()
}

pub(super) fn joined_in_vain() -> Result<()> {
    let place = Place::new()?;
    let file = place.file("uts")?;
    let name = format!("--uts={file}");
    own(&["create", "--join", "nett:5", "true"])?.failed(1, "did you mean `net:5`?")?;
    own(&["create", "--join", "name:none", &name, "true"])?.failed(1, "named namespace `none`")?;
    own(&["create", "--join", &file, &name, "true"])?.failed(1, "is no namespace")?;
    let twice = ["create", "--join", "/proc/self/ns/net", "--join", "/proc/self/ns/net", "true"];
    own(&twice)?.failed(1, "two net namespaces")?;
    place.expect_nothing(&[])?;
    // A pid namespace is made below that of whoever makes it.
    let mut host = Actor::start()?;
    let target = host.task("clone3 20000000")?;
    let pid = format!("pid:{}:pid", target.pid);
    own(&["create", "--join", &pid, "-p", "true"])?.failed(1, "is another than the own one")?;
    host.end()
}
