//! The history by the control socket: the same answers as from the file, and to others than root
//! what is theirs.

use std::os::unix::process::CommandExt as _;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;

use super::{Collector, Test, eventually, make};
use crate::{actor::Actor, context::Room};

pub(super) const TRIALS: [(&str, Test); 2] = [
    ("serve::past::the_collector_answers_as_its_file_does", same),
    ("serve::past::members_see_what_was_theirs", members),
];

const NOBODY: u32 = 65534;

fn same(room: &Room) -> Result<()> {
    let collector = Collector::start(room, "")?;
    let inode = make(collector.tracer()?)?;
    let last = collector.tracer()?.wait("a `destroy`", |event| {
        event["event"] == "destroy" && event["ns"]["inode"] == inode
    })?;
    let until = last["time"].as_str().context("no time")?;
    let live = |args: &[&str]| -> Result<(Option<i32>, String, String)> {
        let output = collector.ask(&[&["history", "--source", "live"], args].concat()).output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok((output.status.code(), String::from_utf8(output.stdout)?, said))
    };
    let stored = || Ok(live(&["-e", "destroy", "-o", "json"])?.1.contains(until));
    eventually("the end is stored", stored)?;
    let name = format!("uts:{inode}");
    let questions: [&[&str]; 7] = [
        &["export", "--until", until],
        &["--count", &name],
        &["-o", "json", "-e", "create", "--where", "ns.type == 'uts'", "--until", until],
        &["--at", until, "list", "-J"],
        &["diff", "10m ago", until, "-t", "uts"],
        &["who", &name],
        &["who", &name, "-J"],
    ];
    // There may be more by the time that the second one is asked.
    let but_last = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.starts_with("  \"last\": "));
        lines.map(str::to_owned).collect()
    };
    for args in questions {
        let (status, told, said) = live(args)?;
        ensure!(status == Some(0), "{args:?}: {said}");
        let read = collector.history(args)?;
        let is_same = but_last(&told) == but_last(&read);
        ensure!(is_same && !told.is_empty(), "{args:?}: {told} is not {read}");
    }
    for (args, status, says) in [
        (&["who", "net:4026530000"][..], 1, "knows no namespace `net:4026530000`"),
        (&["4194304"], 1, "knows no process 4194304"),
        (&["--where", "pid = 1"], 2, "bad --where expression"),
        (&["--file", "/x"], 2, "--file"),
    ] {
        let (code, _, said) = live(args)?;
        ensure!(code == Some(status) && said.contains(says), "{args:?}: {code:?}: {said}");
    }
    collector.finish()?;
    Ok(())
}

fn members(room: &Room) -> Result<()> {
    let collector = Collector::start(room, "[control]\ngroup = \"root\"\n")?;
    make(collector.tracer()?)?;
    // What root has made, the one with a process of somebody else in it.
    let mut other = Actor::start()?;
    other.act("unshare 4000000")?;
    let by_other = other.pid();
    let is_it = |event: &Value| event["event"] == "create" && event["process"]["pid"] == by_other;
    let hidden = collector.tracer()?.wait("a `create`", is_it)?["ns"]["inode"].clone();
    let hidden = hidden.as_u64().context("no inode")?;
    let mut actor = Actor::start()?;
    actor.act("unshare 4000000")?;
    actor.act(&format!("user {NOBODY}"))?;
    actor.act("unshare 4000000").err().context("it may make one")?;
    let pid = actor.pid();
    let is_it = |event: &Value| event["event"] == "fail" && event["process"]["pid"] == pid;
    let failed = collector.tracer()?.wait("a `fail`", is_it)?;
    let shown = failed["process"]["ns"]["uts"]["inode"].as_u64().context("no namespace")?;
    let asked = |args: &[&str], group: u32| -> Result<(Option<i32>, String, String)> {
        let mut command = collector.ask(&[&["history"], args].concat());
        // Not this program's own directory: others may not be let into it.
        let output = command.uid(NOBODY).gid(group).current_dir("/").output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok((output.status.code(), said, String::from_utf8(output.stdout)?))
    };
    let told = |args: &[&str]| -> Result<String> {
        let (status, said, told) = asked(args, 0)?;
        ensure!(status == Some(0), "{args:?}: {status:?}: {said}");
        Ok(told)
    };
    let json = |args: &[&str]| -> Result<Value> { Ok(serde_json::from_str(&told(args)?)?) };
    let seq = format!("\"seq\":{},", failed["seq"]);
    eventually("the failure is stored", || Ok(told(&["-o", "json"])?.contains(&seq)))?;
    for line in told(&["-o", "json"])?.lines() {
        let event: Value = serde_json::from_str(line)?;
        let is_own = event["process"]["uid"] == NOBODY || event["creator"]["uid"] == NOBODY;
        ensure!(is_own || event["event"] == "sync" || event["event"] == "lost", "{event}");
    }
    let inodes = |rows: &Value| -> Vec<u64> {
        let rows = rows.as_array().into_iter().flatten();
        rows.filter_map(|row| row["ns"]["inode"].as_u64()).collect()
    };
    let list = json(&["list", "-t", "uts", "-J"])?;
    ensure!(inodes(&list["namespaces"]).contains(&shown), "{list}");
    let difference = json(&["diff", "10m ago", "now", "-J"])?;
    let made = inodes(&difference["made"]);
    ensure!(made.contains(&shown) && !made.contains(&hidden), "{difference}");
    let whole: Value =
        serde_json::from_str(&collector.history(&["diff", "10m ago", "now", "-J"])?)?;
    ensure!(difference["passed"].as_u64() < whole["passed"].as_u64(), "{difference}, {whole}");
    let who = json(&["who", &format!("uts:{shown}"), "-J"])?;
    let life = &who["namespaces"][0];
    ensure!(life["began"].is_string() && life["creator"].is_null(), "{who}");
    ensure!(life["made"].is_null(), "root has made it: {who}");
    let (status, said, _) = asked(&["who", &format!("uts:{hidden}")], 0)?;
    ensure!(status == Some(1) && said.contains("knows no namespace"), "{status:?}: {said}");
    // Who is no member has neither the file nor the collector, and root both.
    let (status, said, _) = asked(&["--source", "live"], NOBODY)?;
    ensure!(status == Some(3) && said.contains("control.group"), "{status:?}: {said}");
    let whole = collector.history(&["who", &format!("uts:{hidden}")])?;
    ensure!(whole.contains("made"), "{whole}");
    drop((actor, other));
    collector.configure(room, "[control]\nmembers = \"nothing\"\n")?;
    collector.tracer()?.signal(Signal::HUP)?;
    eventually("the policy holds for the past", || {
        let (status, said, _) = asked(&["--count", "--source", "live"], 0)?;
        Ok(status == Some(1) && said.contains("policy"))
    })?;
    collector.finish().map(drop)
}
