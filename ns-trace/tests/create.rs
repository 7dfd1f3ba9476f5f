//! `ns-trace create`, alone and beside unshare(1).

mod joined;
mod killed;
mod peer;
pub(crate) mod place;
mod refused;
mod signal;

use std::{process::Command, sync::Arc};

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;

use self::place::Place;
use crate::{
    actor::Actor,
    context::{Context, Room},
    facts::KINDS,
    stage::{apart, has, own},
    tracer::program,
};

/// The trials of this file.
#[expect(clippy::print_stdout, reason = "whoever skips says why")]
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let trial = |name: &str, test: fn() -> Result<()>| {
        context.once(&format!("create::{name}"), move || apart(test))
    };
    let mut trials = vec![
        trial("a_plan_is_shown", a_plan_is_shown),
        trial("usage", usage),
        trial("named_and_told", named_and_told),
        trial("some_joined_others_made", joined::some_joined_others_made),
        trial("on_top_of_a_user_namespace", joined::on_top_of_a_user_namespace),
        trial("joined_in_vain", joined::joined_in_vain),
        trial("what_fails_is_undone", killed::what_fails_is_undone),
        trial("reasons", refused::reasons),
    ];
    let mut shell = vec![
        trial("killed_at_a_step", killed::killed_at_a_step),
        trial("killed_at_any_call", killed::killed_at_any_call),
        trial("signals_are_passed_on", signal::signals_are_passed_on),
        trial("stops_with_the_program", signal::stops_with_the_program),
        trial("ends_with_the_parent", signal::ends_with_the_parent),
        trial("limits", refused::limits),
        trial("mapper_of_ranges", refused::mapper_of_ranges),
        trial("newer_than_the_peer", peer::newer_than_the_peer),
    ];
    let mut peers = vec![
        trial("same_as_unshare", peer::same_as_unshare),
        trial("same_as_unshare_without_privileges", peer::same_without_privileges),
        trial("pairs_same_as_unshare", peer::pairs),
        trial("pairs_same_as_unshare_without_privileges", peer::pairs_without_privileges),
        trial("statuses_same_as_unshare", peer::statuses),
    ];
    let has_shell = has("/bin/sh");
    if !has_shell {
        println!("skipped: create with programs that are scripts: there is no /bin/sh");
    }
    let has_unshare = has_shell && has("unshare");
    if !has_unshare {
        println!("skipped: create beside unshare(1): it is not installed");
    }
    trials.extend(shell.drain(..).map(|trial| trial.with_ignored_flag(!has_shell)));
    trials.extend(peers.drain(..).map(|trial| trial.with_ignored_flag(!has_unshare)));
    for kind in &KINDS {
        let name = format!("create::is_traced_{}", kind.name);
        trials.extend(context.per_backend(&name, move |room| is_traced(room, kind.name)));
    }
    trials
}

fn a_plan_is_shown() -> Result<()> {
    let words = ["create", "-Urpf", "--mount-proc", "--kill-child", "--uts=/run/u", "--dry-run"];
    let told = own(&[&words[..], &["--", "id", "a b"]].concat())?.well()?;
    let lines = [
        " 1  unshare CLONE_NEWNS|CLONE_NEWPID|CLONE_NEWUTS|CLONE_NEWUSER",
        " 2  fork; the child gets signal 9 when its parent ends",
        " 3  outside: mount ns/uts on /run/u",
        " 4  child: write `0 0 1` to uid_map",
        " 5  child: write `deny` to setgroups",
        " 6  child: write `0 0 1` to gid_map",
        " 7  child: make all mounts private",
        " 8  child: mount proc on /proc",
        " 9  child: exec id 'a b'",
    ];
    ensure!(told == lines.join("\n") + "\n", "{told}");
    let json: Value = serde_json::from_str(&own(&[&words[..], &["-J"]].concat())?.well()?)?;
    ensure!(json["schema"] == "ns-trace-plan/1", "{json}");
    let steps = json["steps"].as_array().map_or(0, Vec::len);
    ensure!(steps == lines.len(), "{json}");
    ensure!(json["steps"][2]["by"] == "outside" && json["steps"][3]["by"] == "child", "{json}");
    Ok(())
}

fn usage() -> Result<()> {
    for (words, complaint) in [
        (&["--bogus"][..], "--bogus"),
        (&["--propagation", "x"], "[possible values: private, shared, slave, unchanged]"),
        (&["-S", "abc"], "abc"),
        (&["--kill-child=FOO"], "unknown signal `FOO`"),
        (&["--map-users", "0:0"], "INSIDE:OUTSIDE:COUNT"),
        (&["--map-user", "no such user"], "there is no user `no such user`"),
        (&["--owner", "1"], "UID:GID"),
        (&["--boottime", "1"], "--time"),
        (&["--setgroups", "allow", "--map-group", "0"], "exclude each other"),
        (&["--setup", "true", "-p"], "add --fork"),
        (&["--json"], "--dry-run"),
    ] {
        own(&[&["create"], words].concat())?.failed(1, complaint)?;
    }
    let version = own(&["create", "-V"])?.well()?;
    ensure!(version.starts_with("ns-trace create "), "{version}");
    Ok(())
}

/// Names and pid files are there when the program runs, and stay.
fn named_and_told() -> Result<()> {
    let place = Place::new()?;
    let (uts, pid, file) = (place.file("uts")?, place.file("pid")?, place.path("program"));
    let mut command = place.create(&["-f"]);
    command.arg(format!("--uts={uts}")).arg(format!("--pid={pid}")).args(["--pid-file", &file]);
    command.arg(std::env::current_exe()?);
    let mut actor = Actor::spawn(&mut command)?;
    let task = actor.who()?;
    let told = std::fs::read_to_string(&file)?;
    let child = place::child(actor.pid())?;
    ensure!(task.pid == u64::from(child), "{} is not {child}", task.pid);
    ensure!(told.trim() == child.to_string(), "{told}, not {child}");
    for (slot, file) in [("uts", &uts), ("pid", &pid)] {
        place::expect_same_file(&format!("/proc/{child}/ns/{slot}"), file)?;
    }
    actor.end()?;
    for file in [&uts, &pid] {
        ensure!(place::is_mounted(file)?, "{file} has lost its namespace");
        rustix::mount::unmount(file.as_str(), rustix::mount::UnmountFlags::empty())?;
    }
    place.expect_nothing(&["program"])
}

/// What a create makes is what the tracer tells of, inode for inode.
fn is_traced(room: &Room, kind: &'static str) -> Result<()> {
    let tracer = room.tracer()?;
    let at = tracer.len();
    let option = match kind {
        "mnt" => "--mount".to_owned(),
        kind => format!("--{kind}"),
    };
    let mut command = Command::new(program());
    command.args(["create", "--fork", &option]).arg(std::env::current_exe()?);
    command.env(crate::actor::MARK, "1");
    let mut actor = Actor::spawn(&mut command)?;
    let child = place::child(actor.pid())?;
    let slot = format!("/proc/{child}/ns/{kind}");
    let inode = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&slot)?);
    let parent = u64::from(actor.pid());
    let is_it = |event: &Value| {
        event["event"] == "create" && event["ns"]["inode"] == inode && event["ns"]["type"] == kind
    };
    let event = tracer.wait_since(at, &format!("`create` of {kind}:{inode}"), is_it)?;
    ensure!(event["cause"] == "unshare" && event["process"]["pid"] == parent, "{event}");
    actor.who()?;
    actor.end()?;
    let gone = |event: &Value| event["event"] == "destroy" && event["ns"]["inode"] == inode;
    tracer.wait_since(at, &format!("`destroy` of {kind}:{inode}"), gone)?;
    Ok(())
}
