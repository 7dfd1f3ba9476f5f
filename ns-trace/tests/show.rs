//! `ns-trace show`: what it says of a process and of a namespace is what /proc and nsfs say.

use std::{fs, os::unix::process::CommandExt as _, process::Command};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::{
    actor::Actor,
    facts::{KINDS, SLOTS, namespace},
    tracer::program,
    why::run,
};

/// Somebody without any right.
const NOBODY: u32 = 65534;

/// The trials of this file. They do not depend on the backend.
pub(crate) fn trials() -> Vec<Trial> {
    let plain = |name: &str, test: fn() -> Result<()>| {
        Trial::test(name, move || test().map_err(|error| format!("{error:#}").into()))
    };
    vec![
        plain("show::a_process", a_process),
        plain("show::a_thread_that_is_elsewhere", a_thread_that_is_elsewhere),
        plain("show::a_namespace_of_every_type", a_namespace_of_every_type),
        plain("show::text_says_the_same", text_says_the_same),
        plain("show::works_without_privileges", works_without_privileges),
    ]
}

fn show(selector: &str) -> Result<Value> {
    let output = run(&["show", selector, "-J"])?;
    ensure!(output.status.success(), "{selector}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("the report is no JSON")
}

fn a_process() -> Result<()> {
    let mut actor = Actor::start()?;
    actor.act("unshare 14000000")?;
    actor.act("write /proc/self/uid_map 0 0 1")?;
    actor.act("name subject")?;
    let task = actor.who()?;
    let report = show(&task.pid.to_string())?;
    let process = &report["process"];
    let slots = task.slots()?;
    for slot in SLOTS {
        ensure!(
            process["ns"][slot] == slots[slot],
            "{slot}: {} for {}",
            process["ns"][slot],
            slots[slot]
        );
    }
    let expected = json!([process["pid"], process["comm"], process["uid"], process["threads"]]);
    ensure!(expected == json!([task.pid, "subject", 0, 1]), "{process:#}");
    let users = report["user_namespaces"].as_array().context("no user namespaces")?;
    ensure!(users.len() == 2, "{report:#}");
    let maps = json!({ "users": [{ "inside": 0, "outside": 0, "count": 1 }], "groups": [] });
    ensure!(users[0]["maps"] == maps && users[0]["ns"]["level"] == 1, "{report:#}");
    ensure!(users[1]["ns"]["initial"] == true && users[1]["ns"]["level"] == 0, "{report:#}");
    actor.end()
}

fn a_thread_that_is_elsewhere() -> Result<()> {
    let mut actor = Actor::start()?;
    let thread = actor.task("thread")?;
    actor.act("unshare 4000000")?;
    let report = show(&format!("pid:{}", thread.pid))?;
    let threads = report["threads"].as_array().context("no threads")?;
    ensure!(threads.len() == 1 && threads[0]["tid"] == thread.tid, "{report:#}");
    ensure!(threads[0]["ns"]["uts"] == thread.slots()?["uts"], "{report:#}");
    ensure!(threads[0]["ns"]["uts"] != report["process"]["ns"]["uts"], "{report:#}");
    actor.end()
}

fn a_namespace_of_every_type() -> Result<()> {
    let mut actor = Actor::start()?;
    for kind in &KINDS {
        if kind.name == "time" && !std::path::Path::new("/proc/self/ns/time").exists() {
            continue;
        }
        let child = actor.task(&format!("clone3 {:x}", kind.flag))?;
        let file = fs::File::open(format!("/proc/{}/ns/{}", child.pid, kind.name))?;
        let expected = namespace(&file.into(), kind.name)?;
        let report = show(&format!("pid:{}:{}", child.pid, kind.name))?;
        for field in ["type", "inode", "initial", "owner", "parent", "level"] {
            let (told, right) = (&report["ns"][field], &expected[field]);
            // The numbers of a network namespace are read from the kernel's memory before 6.18.
            ensure!(same(told, right), "{} {field}: {told} for {right}", kind.name);
        }
        ensure!(report["owner_uid"] == 0, "{report:#}");
        ensure!(report["processes"][0]["pid"] == child.pid, "{report:#}");
        ensure!(report["threads"] == 1, "{report:#}");
        actor.act("exit 0")?;
        actor.act("reap")?;
    }
    actor.end()
}

/// The same but for ids, which may not be known by the same ways.
fn same(told: &Value, right: &Value) -> bool {
    match (told.as_object(), right.as_object()) {
        (Some(told), Some(right)) => {
            right.iter().all(|(name, value)| name == "id" || told.get(name) == Some(value))
        }
        _ => told == right,
    }
}

fn text_says_the_same() -> Result<()> {
    let pid = std::process::id().to_string();
    let report = show(&pid)?;
    let text = String::from_utf8(run(&["show", &pid])?.stdout)?;
    for slot in SLOTS {
        if let Some(inode) = report["process"]["ns"][slot]["inode"].as_u64() {
            let line = text.lines().find(|line| line.contains(&format!(" {slot} ")));
            ensure!(line.is_some_and(|line| line.contains(&inode.to_string())), "{slot}: {line:?}");
        }
    }
    ensure!(!text.contains('\u{1b}'), "colours without a terminal");
    Ok(())
}

/// Nobody may execute the program where it was built: a copy lies where everybody may.
fn works_without_privileges() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("ns-trace-test-{}-show", std::process::id()));
    fs::create_dir_all(&folder)?;
    let copy = folder.join("ns-trace");
    fs::copy(program(), &copy)?;
    let ask = |args: &[&str]| {
        Command::new(&copy).args(args).uid(NOBODY).gid(NOBODY).current_dir("/").output()
    };
    let (own, other) = (ask(&["why", "/proc/self/ns/uts"]), ask(&["show", "pid:1:net"]));
    fs::remove_dir_all(&folder)?;
    let (own, other) = (own?, other?);
    let error = String::from_utf8_lossy(&own.stderr).into_owned();
    ensure!(own.status.success(), "{}: {error}", own.status);
    ensure!(error.contains("may not be looked into") && error.lines().count() == 1, "{error}");
    let error = String::from_utf8_lossy(&other.stderr).into_owned();
    ensure!(other.status.code() == Some(3), "{}: {error}", other.status);
    ensure!(error.contains("the namespaces of process 1 may not be read"), "{error}");
    Ok(())
}
