//! The control socket: what it answers, to whom, and that nobody is in anybody's way.

use std::{
    env::temp_dir,
    fs::{self, File},
    io::{Read as _, Write as _},
    os::fd::OwnedFd,
    os::unix::{net::UnixStream, process::CommandExt as _},
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;

use super::{Collector, Test, make};
use crate::{
    actor::{Actor, syscall::foreign},
    context::Room,
    facts::reference,
    list::table,
    tracer::{PATIENCE, Tracer},
    why::{every_holder, no_walk},
};

pub(super) const TRIALS: [(&str, Test); 9] = [
    ("serve::control::a_live_list_is_that_of_a_scan_and_more", list),
    ("serve::control::show_why_and_tree_answer_from_it", others),
    ("serve::control::why_sees_what_was_mounted_since_it_was_last_asked", mounts),
    ("serve::control::why_finds_every_holder", holders),
    ("serve::control::what_only_a_file_held_before_it_began_is_known", older),
    ("serve::control::what_came_to_be_unseen_is_known", unseen),
    ("serve::control::a_live_trace_sees_what_happens", trace),
    ("serve::control::nobody_is_in_anybodys_way", rude),
    ("serve::control::members_see_what_is_theirs", members),
];

fn rows(collector: &Collector, args: &[&str]) -> Result<Vec<Value>> {
    table(&collector.ask(args).output()?)
}

/// An actor in namespaces of its own: a user namespace and one that it owns.
fn actor() -> Result<Actor> {
    let mut actor = Actor::start()?;
    actor.act("unshare 14000000")?;
    Ok(actor)
}

fn list(room: &Room) -> Result<()> {
    let collector = Collector::start(room, "")?;
    let mut actor = Actor::start()?;
    // All that there are for a task itself: mnt, cgroup, uts, ipc, user, net.
    actor.act("unshare 5e020000")?;
    let pid = actor.pid().to_string();
    let columns = "NS,TYPE,NPROCS,PID,PPID,UID,USER,NSFS,STATE,COMMAND";
    let of = |source: &str, more: &str| {
        let columns = format!("{columns}{more}");
        let args = ["list", "-J", "-l", "-p", &pid, "-o", &columns, "--source", source];
        // Of the initial ones a scan knows less, where /proc hides a process even from root.
        let mut rows = rows(&collector, &args)?;
        rows.retain(|row| row["nprocs"] == 1);
        anyhow::Ok(rows)
    };
    let (live, scan) = (of("live", "")?, of("scan", "")?);
    ensure!(live == scan && live.len() == 6, "{live:?} is not {scan:?}");
    let more = of("auto", ",CREATOR,BORN,CAUSE")?;
    let made: Vec<_> = more.iter().filter(|row| !row["creator"].is_null()).collect();
    ensure!(made.len() == 6, "{more:?}");
    for row in made {
        let by = row["creator"].as_str().unwrap_or_default();
        ensure!(by.ends_with(&format!("({pid})")), "{row}");
        ensure!(row["cause"] == "unshare" && row["born"].is_string(), "{row}");
    }
    let held = of("live", ",HOLDERS")?;
    let user = held.iter().find(|row| row["type"] == "user").context("no user namespace")?;
    ensure!(user["holders"].as_str().is_some_and(|held| held.contains("owned:5")), "{user}");
    drop(actor);
    let lost = collector.finish()?;
    ensure!(lost.events.iter().all(|event| event["event"] != "lost"), "events are lost");
    Ok(())
}

fn others(room: &Room) -> Result<()> {
    let collector = Collector::start(room, "")?;
    let mut actor = actor()?;
    let uts = format!("pid:{}:uts", actor.pid());
    let file = actor.number("open /proc/self/ns/uts")?;
    actor.act(&format!("post {file}"))?;
    actor.act(&format!("close {file}"))?;
    let asked = |args: &[&str]| -> Result<Value> {
        let output = collector.ask(&[args, &["-J", "--source", "live"]].concat()).output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{args:?}: {said}");
        Ok(serde_json::from_slice(&output.stdout)?)
    };
    let shown = asked(&["show", &uts])?;
    ensure!(shown["creator"]["pid"] == actor.pid() && shown["ns"]["born"].is_u64(), "{shown}");
    let why = asked(&["why", &uts])?;
    ensure!(why["processes"][0]["pid"] == actor.pid(), "{why}");
    // It has given up the right to load what reads that from the kernel's memory.
    let mut holders = why["holders"].as_array().into_iter().flatten();
    let posted = holders.any(|one| one["holder"] == "message" && one["kept"] == "fd");
    ensure!(posted || no_walk().is_some(), "{why}");
    let process = asked(&["show", &actor.pid().to_string()])?;
    ensure!(process["process"]["ns"]["uts"]["inode"] == shown["ns"]["inode"], "{process}");
    let tree = asked(&["tree", "-o", "+CREATOR"])?.to_string();
    ensure!(tree.contains(&format!("({})", actor.pid())), "{tree}");
    drop(actor);
    let path = collector.runtime().join("control.sock");
    collector.finish()?;
    ensure!(!path.exists(), "the socket is left");
    let output = std::process::Command::new(crate::tracer::program())
        .args(["list", "--source", "live"])
        .env("NS_TRACE_SOCKET", &path)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(1) && said.contains("no collector answers"), "{said}");
    Ok(())
}

fn mounts(room: &Room) -> Result<()> {
    let collector = Collector::start(room, "")?;
    let mut actor = Actor::start()?;
    let name = format!("ns-trace-test-{}-mounted", std::process::id());
    let (first, second) = (temp_dir().join(&name), temp_dir().join(name + "-2"));
    let places = [first.to_str(), second.to_str()].map(Option::unwrap_or_default);
    for place in places {
        fs::write(place, "")?;
    }
    actor.act("unshare 20000")?;
    actor.act("private")?;
    actor.act("unshare 40000000")?;
    let net = format!("pid:{}:net", actor.pid());
    let mut expect = |step: Option<String>, expected: &[&str]| -> Result<()> {
        if let Some(step) = &step {
            actor.act(step)?;
        }
        let output = collector.ask(&["why", &net, "-J", "--source", "live"]).output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{said}");
        let why: Value = serde_json::from_slice(&output.stdout)?;
        let holders = why["holders"].as_array().into_iter().flatten();
        let mounts = holders.filter(|one| one["holder"] == "mount");
        let found: Vec<_> = mounts.filter_map(|one| one["path"].as_str()).collect();
        ensure!(found == expected, "after {step:?} {found:?} are mounts, not {expected:?}");
        Ok(())
    };
    let [one, other] = places;
    let mount = |place: &str| Some(format!("bind /proc/self/ns/net {place}"));
    expect(None, &[])?;
    expect(mount(one), &[one])?;
    expect(mount(other), &[one, other])?;
    expect(Some(format!("unbind {one}")), &[other])?;
    expect(None, &[other])?;
    actor.end()?;
    for place in places {
        fs::remove_file(place)?;
    }
    collector.finish().map(drop)
}

fn holders(room: &Room) -> Result<()> {
    let collector = Collector::start(room, "")?;
    every_holder(collector.runtime().join("control.sock"))?;
    collector.finish().map(drop)
}

/// A user namespace that nothing keeps but a namespace that it owns, and that one nothing but a file.
fn older(room: &Room) -> Result<()> {
    let actor = actor()?;
    let place = format!("/proc/{}/ns", actor.pid());
    let open = |slot| anyhow::Ok(OwnedFd::from(File::open(format!("{place}/{slot}"))?));
    let file = open("uts")?;
    let user = reference(&open("user")?, "user")?["inode"].clone();
    let uts = reference(&file, "uts")?;
    drop(actor);
    let collector = Collector::start(room, "")?;
    let tracer = collector.tracer()?;
    let inode = &uts["inode"];
    let is_listed = is_listed(&uts);
    if is_listed {
        let is_it = |event: &Value| event["event"] == "exist" && event["ns"]["inode"] == *inode;
        let told = tracer.wait_since(0, "an `exist`", is_it)?;
        ensure!(told["members"] == 0 && told["ns"]["owner"]["inode"] == user, "{told}");
        let rows = rows(&collector, &["list", "-J", "-P", "-o", "NS", "--source", "live"])?;
        ensure!(rows.iter().any(|row| row["ns"] == *inode), "{inode} is not in {rows:?}");
    }
    let found = why(&collector, &format!("user:{user}"))?;
    let held = &found["holders"];
    ensure!(held.as_array().is_some_and(|held| held.len() == 1), "{found}");
    ensure!(held[0]["holder"] == "owned" && held[0]["ns"]["inode"] == *inode, "{found}");
    let found = why(&collector, &format!("uts:{inode}"))?;
    let held = &found["holders"];
    ensure!(held[0]["holder"] == "fd" && held[0]["pid"] == std::process::id(), "{found}");
    drop(file);
    if is_listed {
        let is_it = |event: &Value| event["event"] == "destroy" && event["ns"]["inode"] == user;
        tracer.wait_since(0, "a `destroy`", is_it)?;
    }
    collector.finish()?;
    Ok(())
}

/// A namespace that no process is in, made and left by calls that a backend may not see.
fn unseen(room: &Room) -> Result<()> {
    let collector = Collector::start(room, "")?;
    let mut actor = Actor::start()?;
    let abi = if foreign::KNOWN { "int80 " } else { "" };
    let old = actor.number("open /proc/self/ns/uts")?;
    actor.act(&format!("{abi}unshare 4000000"))?;
    let file = actor.number("open /proc/self/ns/uts")?;
    let place = format!("/proc/{}/fd/{file}", actor.pid());
    let uts = reference(&OwnedFd::from(File::open(place)?), "uts")?;
    actor.act(&format!("{abi}setns {old} 4000000"))?;
    let inode = &uts["inode"];
    if is_listed(&uts) {
        let is_it = |event: &Value| {
            ["create", "exist"].iter().any(|told| event["event"] == *told)
                && event["ns"]["inode"] == *inode
        };
        collector.tracer()?.wait_since(0, "a `create` or `exist`", is_it)?;
    }
    let found = why(&collector, &format!("uts:{inode}"))?;
    let held = &found["holders"][0];
    ensure!(held["holder"] == "fd" && held["pid"] == actor.pid(), "{found}");
    drop(actor);
    collector.finish()?;
    Ok(())
}

/// Whether the kernel lists the namespaces; before 6.18 it has no numbers for them either.
fn is_listed(ns: &Value) -> bool {
    ns["id"].is_u64() && no_walk().is_none()
}

/// What the collector says of a namespace.
fn why(collector: &Collector, ns: &str) -> Result<Value> {
    let output = collector.ask(&["why", "-J", "--source", "live", ns]).output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).with_context(|| said)
}

fn trace(room: &Room) -> Result<()> {
    let mut collector = Collector::start(room, "")?;
    let filter = "event == 'create' || event == 'destroy'";
    let args = ["trace", "-o", "json", "--source", "live", "--where", filter];
    let tracer = Tracer::spawn(&mut collector.ask(&args))?;
    tracer.wait("the `sync` of the collector", |event| event["event"] == "sync")?;
    make(&tracer)?;
    // A collector that is killed ends the streams from it, and the next one is not hindered.
    collector.end(Signal::KILL)?;
    let ended = tracer.end()?;
    ensure!(ended.status.success(), "{}", ended.stderr);
    let only =
        |event: &Value| ["sync", "create", "destroy"].map(Value::from).contains(&event["event"]);
    ensure!(ended.events.iter().all(|event| only(event)), "{:?}", ended.events);
    ensure!(ended.events.iter().all(|event| event["source"] == "probe"), "{:?}", ended.events);
    collector.run()?;
    ensure!(rows(&collector, &["list", "-J", "-l", "--source", "live"])?.len() >= 8, "no rows");
    let ended = collector.end(Signal::TERM)?;
    ensure!(ended.status.success(), "{}", ended.stderr);
    Ok(())
}

fn rude(room: &Room) -> Result<()> {
    let collector = Collector::start(room, "")?;
    let path = collector.runtime().join("control.sock");
    let connect = || -> Result<UnixStream> {
        let stream = UnixStream::connect(&path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    };
    // Who says nothing, who says half, and who wants everything and reads none of it.
    let silent = connect()?;
    let mut half = connect()?;
    half.write_all(br#"{"v":3,"ask""#)?;
    let mut deaf = connect()?;
    deaf.write_all(b"{\"v\":3,\"ask\":{\"trace\":{}}}\n")?;
    let answer = |request: &[u8]| -> Result<Value> {
        let mut stream = connect()?;
        // It may say no before it has read all of it.
        drop(stream.write_all(request));
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        serde_json::from_slice(&answer)
            .with_context(|| String::from_utf8_lossy(&answer).into_owned())
    };
    for (request, why) in [
        (&b"hello\n"[..], "no request"),
        (b"\xff\xfe\n", "no request"),
        (b"{\"v\":9,\"ask\":{\"trace\":{}}}\n", "version 9"),
        (b"{\"v\":3,\"ask\":{\"trace\":{\"where\":\"pid = 1\"}}}\n", "column"),
        (b"{\"v\":3,\"ask\":{\"trace\":{\"tasks\":true}}}\n", "probe.tasks"),
        (b"{\"v\":3,\"ask\":{\"about\":{\"path\":\"/proc/self/ns/net\"}}}\n", "files and names"),
        (b"{\"v\":3,\"ask\":{\"about\":{\"pid\":{\"pid\":1,\"x\":2}}}}\n", "no request"),
    ] {
        let told = answer(request)?;
        let error = told["error"].as_str().unwrap_or_default();
        ensure!(error.contains(why), "{told} does not say `{why}`");
    }
    let long = vec![b'x'; 64 << 10];
    let told = answer(&long)?;
    ensure!(told["error"].as_str().is_some_and(|error| error.contains("65536")), "{told}");
    // A vanished one.
    connect()?.write_all(b"{\"v\":3,\"ask\":{\"trace\":{}}}\n")?;
    make(collector.tracer()?)?;
    ensure!(rows(&collector, &["list", "-J", "-l", "--source", "live"])?.len() >= 8, "no rows");
    drop((silent, half, deaf));
    collector.finish().map(drop)
}

fn members(room: &Room) -> Result<()> {
    const NOBODY: u32 = 65534;
    let collector = Collector::start(room, "[control]\ngroup = \"root\"\n")?;
    let actor = actor()?;
    let asked = |args: &[&str], group: u32| -> Result<(Option<i32>, String, Value)> {
        // Not this program's own directory: others may not be let into it.
        let mut command = collector.ask(args);
        let output = command.uid(NOBODY).gid(group).current_dir("/").output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let table = serde_json::from_slice(&output.stdout).unwrap_or_default();
        Ok((output.status.code(), said, table))
    };
    let args = ["list", "-J", "-l", "--source", "live"];
    let (status, said, _) = asked(&args, NOBODY)?;
    ensure!(status == Some(3) && said.contains("control.group"), "{status:?}: {said}");
    let (status, said, seen) = asked(&args, 0)?;
    ensure!(status == Some(0), "{status:?}: {said}");
    let text = seen.to_string();
    ensure!(!text.contains(&format!("\"pid\":{}", actor.pid())), "{text}");
    ensure!(text.contains("\"ns\":"), "nothing of its own: {text}");
    drop(actor);
    collector.configure(room, "[control]\nmembers = \"nothing\"\n")?;
    collector.tracer()?.signal(Signal::HUP)?;
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let (status, said, _) = asked(&args, 0)?;
        if status == Some(1) && said.contains("policy") {
            break;
        }
        ensure!(std::time::Instant::now() < deadline, "{status:?}: {said}");
    }
    collector.finish().map(drop)
}
