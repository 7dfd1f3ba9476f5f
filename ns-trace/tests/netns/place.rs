//! What a program in a named namespace finds.

use std::{fs, process::Command};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_remount, unmount};

use super::{actor_in, netns};
use crate::{
    actor::{self, Actor},
    portrait::Portrait,
    stage::{own, run},
    tracer::program,
};

/// The trials of this file.
pub(super) fn trials(trial: impl Fn(&str, fn() -> Result<()>) -> Trial) -> Vec<Trial> {
    vec![
        trial("exec_keeps_what_is_mounted_on_sys", keeps_mounts),
        trial("exec_keeps_sys_read_only", keeps_sys_read_only),
        trial("exec_shows_files_of_etc", shows_files),
        trial("exec_returns_the_status", returns_the_status),
        trial("exec_leaks_nothing", leaks_nothing),
    ]
}

/// An actor in a namespace by ip(8).
fn by_ip(name: &str) -> Result<Actor> {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", name]).arg(std::env::current_exe()?);
    Actor::spawn(command.env("NS_TRACE_ACTOR", "1"))
}

pub(super) fn same_place_as_ip() -> Result<()> {
    netns("add blue")?.well()?;
    let mut theirs = by_ip("blue")?;
    let mut ours = Actor::spawn(&mut actor_in("blue")?)?;
    let (theirs_then, ours_then) = (Portrait::of(theirs.who()?)?, Portrait::of(ours.who()?)?);
    // What ip(8) loses of /sys is there, and nothing else differs.
    let below_sys = |mount: &String| mount.contains(" /sys/");
    let mut without = ours_then.clone();
    without.mounts.retain(|mount| !below_sys(mount));
    without.expect_same(&theirs_then, &["mnt"])?;
    let kept = ours_then.mounts.iter().filter(|mount| below_sys(mount)).count();
    let outside = Portrait::of_this_thread()?;
    ensure!(
        kept == outside.mounts.iter().filter(|mount| below_sys(mount)).count(),
        "{ours_then:?}"
    );
    ours.end()?;
    theirs.end()?;
    netns("delete blue")?.well().map(drop)
}

fn keeps_mounts() -> Result<()> {
    netns("add blue")?.well()?;
    // One more, for machines that have none.
    mount("none", "/sys/kernel", "tmpfs", MountFlags::empty(), None)?;
    fs::write("/sys/kernel/mark", "here")?;
    let mut actor = Actor::spawn(&mut actor_in("blue")?)?;
    let root = format!("/proc/{}/root/sys", actor.who()?.pid);
    let mark = fs::read_to_string(format!("{root}/kernel/mark"));
    let devices: Vec<_> = fs::read_dir(format!("{root}/class/net"))?.flatten().collect();
    unmount("/sys/kernel", UnmountFlags::DETACH)?;
    ensure!(mark? == "here");
    ensure!(devices.len() == 1, "only lo is in there: {devices:?}");
    actor.end()?;
    netns("delete blue")?.well().map(drop)
}

fn keeps_sys_read_only() -> Result<()> {
    netns("add blue")?.well()?;
    mount_remount("/sys", MountFlags::BIND | MountFlags::RDONLY, c"")?;
    let mut actor = Actor::spawn(&mut actor_in("blue")?)?;
    let portrait = Portrait::of(actor.who()?);
    mount_remount("/sys", MountFlags::BIND, c"")?;
    let portrait = portrait?;
    let sys = portrait.mounts.iter().find(|mount| mount.contains(" /sys "));
    ensure!(sys.is_some_and(|mount| mount.contains(" /sys ro")), "{sys:?}");
    actor.end()?;
    netns("delete blue")?.well().map(drop)
}

fn shows_files() -> Result<()> {
    netns("add blue")?.well()?;
    // Nothing of this machine is touched.
    mount("none", "/etc", "tmpfs", MountFlags::empty(), None)?;
    fs::create_dir_all("/etc/netns/blue")?;
    fs::write("/etc/hosts", "outside")?;
    fs::write("/etc/netns/blue/hosts", "inside")?;
    fs::write("/etc/netns/blue/unknown", "")?;
    let mut command = actor_in("blue")?;
    command.stderr(std::process::Stdio::piped());
    let mut actor = Actor::spawn(&mut command)?;
    let inside = fs::read_to_string(format!("/proc/{}/root/etc/hosts", actor.who()?.pid))?;
    let outside = fs::read_to_string("/etc/hosts")?;
    ensure!((inside.as_str(), outside.as_str()) == ("inside", "outside"), "{inside}, {outside}");
    actor.end()?;
    let told = own(&["netns", "exec", "blue", program().to_str().context("no text")?, "netns"])?;
    ensure!(told.status == 0 && told.stderr.contains("Bind /etc/netns/blue/unknown"), "{told:?}");
    unmount("/etc", UnmountFlags::DETACH)?;
    netns("delete blue")?.well().map(drop)
}

fn returns_the_status() -> Result<()> {
    netns("add blue")?.well()?;
    let program = program();
    let program = program.to_str().context("no text")?;
    ensure!(own(&["netns", "exec", "blue", program, "netns", "identify"])?.well()? == "blue\n");
    ensure!(
        own(&["netns", "exec", "blue", "--", program, "netns", "identify"])?.well()? == "blue\n"
    );
    own(&["netns", "exec", "blue", program, "netns", "set", "blue", "x"])?
        .failed(255, "NETNSID")?;
    own(&["netns", "exec", "blue", "/no/such"])?.failed(127, "exec of \"/no/such\" failed")?;
    own(&["netns", "exec", "blue", "no-such-program"])?.failed(127, "No such file")?;
    own(&["netns", "exec", "blue", "/proc/version"])?.failed(126, "Permission denied")?;
    own(&["netns", "exec", "blue", "/"])?.failed(126, "Permission denied")?;
    netns("delete blue")?.well().map(drop)
}

/// The program has the descriptors, the environment and the directory that it would have outside.
fn leaks_nothing() -> Result<()> {
    netns("add blue")?.well()?;
    let mut outside = actor::command()?;
    let mut outside = Actor::spawn(outside.current_dir("/proc"))?;
    let mut inside = Actor::spawn(actor_in("blue")?.current_dir("/proc"))?;
    let (outside_then, inside_then) = (Portrait::of(outside.who()?)?, Portrait::of(inside.who()?)?);
    inside_then.expect_same(&outside_then, &["mnt", "net", "mounts"])?;
    outside.end()?;
    inside.end()?;
    run(Command::new(program()).args(["netns", "delete", "blue"]), "")?.well().map(drop)
}
