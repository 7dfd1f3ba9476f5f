//! `ns-trace history`: what the collector remembers, whatever happens to it or to its disk.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::Arc,
    thread,
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use ns_trace::{model::Kind, sys::unshare::unshare};
use rustix::{
    mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount},
    process::Signal,
};
use serde_json::Value;

use crate::{
    actor::Actor,
    context::{Context, Room},
    serve::{Collector, Test, eventually, http, make},
    tracer::{PATIENCE, program},
};

/// The trials of this file.
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let mut trials = vec![
        context.once("history::what_cannot_be_answered_is_said", refused),
        context.once("history::a_log_that_cannot_be_read_is_not_passed_over", logged),
    ];
    for (name, test) in TRIALS {
        trials.extend(context.alone_on_the_best(name, test));
    }
    trials
}

const TRIALS: [(&str, Test); 6] = [
    ("history::what_was_traced_comes_back", recorded),
    ("history::who_did_what_when_is_known", asked),
    ("history::what_nobody_saw_is_no_answer", unseen),
    ("history::a_killed_collector_leaves_what_it_stored", killed),
    ("history::one_that_is_taken_away_begins_anew", taken_away),
    ("history::a_full_disk_is_said_and_what_is_missing_too", full),
];

fn events(text: &str) -> Result<Vec<Value>> {
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

fn recorded(room: &Room) -> Result<()> {
    let mut collector = Collector::start(room, "")?;
    for _ in 0..3 {
        make(collector.tracer()?)?;
    }
    let while_it_runs = collector.history(&["--count"])?;
    ensure!(while_it_runs.trim().parse::<u64>().is_ok(), "{while_it_runs}");
    let ended = collector.end(Signal::TERM)?;
    ensure!(ended.status.success(), "{}", ended.stderr);
    let exported = collector.history(&["export"])?;
    let stored = events(&exported)?;
    for (seen, stored) in ended.events.iter().zip(&stored) {
        ensure!(**seen == *stored, "{seen} is stored as {stored}");
    }
    ensure!(ended.events.len() == stored.len(), "{} of {}", stored.len(), ended.events.len());
    let recording = collector.path("export");
    fs::write(&recording, &exported)?;
    let mut replay = Command::new(program());
    replay.args(["trace", "-o", "json", "--replay"]).arg(&recording).stdin(Stdio::null());
    let output = replay.output()?;
    let replayed = events(&String::from_utf8(output.stdout)?)?;
    for (stored, replayed) in stored.iter().zip(&replayed) {
        let mut expected = stored.clone();
        expected["source"] = "replay".into();
        ensure!(expected == *replayed, "{stored} is replayed as {replayed}");
    }
    ensure!(replayed.len() == stored.len(), "{} of {}", replayed.len(), stored.len());
    // What a reader prints as text is one line an event.
    let text = collector.history(&["-e", "create", "-t", "uts"])?;
    ensure!(text.lines().filter(|line| line.contains("create")).count() == 3, "{text}");
    Ok(())
}

fn asked(room: &Room) -> Result<()> {
    let mut collector = Collector::start(room, "")?;
    make(collector.tracer()?)?;
    let mut actor = Actor::start()?;
    actor.act("unshare 4000000")?;
    let pid = actor.pid();
    let of_it = |event: &Value| event["event"] == "create" && event["process"]["pid"] == pid;
    let made = collector.tracer()?.wait("a `create`", of_it)?;
    let inode = made["ns"]["inode"].as_u64().context("no inode")?;
    let target = pid.to_string();
    let entered = Command::new(program())
        .args(["enter", "-t", &target, "-u", "--", "/proc/self/exe", "--version"])
        .output()?;
    let is_entry = |event: &Value| {
        event["event"] == "enter"
            && event["cause"] == "setns"
            && event["changes"][0]["to"]["inode"] == inode
    };
    let entry = collector.tracer()?.wait("an `enter`", is_entry)?;
    drop((actor, entered));
    let is_end = |event: &Value| event["event"] == "destroy" && event["creator"]["pid"] == pid;
    let gone = collector.tracer()?.wait("a `destroy`", is_end)?;
    let ended = collector.end(Signal::TERM)?;
    ensure!(ended.status.success(), "{}", ended.stderr);

    let ask =
        |args: &[&str]| -> Result<Value> { Ok(serde_json::from_str(&collector.history(args)?)?) };
    let name = format!("uts:{inode}");
    let who = ask(&["who", &name, "-J"])?;
    let life = who["namespaces"].as_array().and_then(|lives| lives.last()).context("no life")?;
    ensure!(life["made"] == *made && life["ended"] == gone["time"], "{life}");
    ensure!(life["creator"]["pid"] == pid && life["cause"] == "unshare", "{life}");
    let by: Vec<_> = life["entered"].as_array().into_iter().flatten().collect();
    ensure!(by.iter().any(|event| **event == *entry), "{life} without {entry}");
    let text = collector.history(&["who", &name])?;
    ensure!(text.contains(&format!("({pid})")) && text.contains("setns by"), "{text}");

    let is_there = |table: &Value, field: &str| {
        let mut rows = table[field].as_array().into_iter().flatten();
        rows.any(|row| row["ns"]["inode"] == inode && row["creator"]["pid"] == pid)
    };
    let time = |event: &Value| event["time"].as_str().unwrap_or_default().to_owned();
    let (first, born, died) = (time(&ended.events[0]), time(&made), time(&gone));
    let before = ask(&["list", "--at", &first, "-J"])?;
    let between = ask(&["--at", &time(&entry), "list", "-J"])?;
    let after = ask(&["list", "-J"])?;
    ensure!(!is_there(&before, "namespaces"), "{before}");
    ensure!(is_there(&between, "namespaces"), "{between}");
    ensure!(!is_there(&after, "namespaces"), "{after}");
    let initial = |table: &Value| {
        let rows = table["namespaces"].as_array().into_iter().flatten();
        rows.filter(|row| row["ns"]["initial"] == true).count()
    };
    ensure!(initial(&between) >= 7 && initial(&between) == initial(&after), "{between}");
    ensure!(is_there(&ask(&["diff", &first, &born, "-J"])?, "made"), "it is not new");
    ensure!(is_there(&ask(&["diff", &born, &died, "-J"])?, "gone"), "it is not gone");
    let passed = ask(&["diff", &first, &died, "-J"])?;
    ensure!(!is_there(&passed, "made") && passed["passed"].as_u64() >= Some(2), "{passed}");
    let of_time = ask(&["diff", &first, &died, "-J", "-t", "time"])?;
    ensure!(of_time["passed"] == 0, "a namespace of time came and went: {of_time}");

    let of_pid = events(&collector.history(&["-o", "json", &target])?)?;
    ensure!(of_pid.contains(&*made) && !of_pid.contains(&*entry), "{of_pid:?}");
    let of_ns = events(&collector.history(&["-o", "json", &name, "--since", &born])?)?;
    let sorts: Vec<_> = of_ns.iter().filter_map(|event| event["event"].as_str()).collect();
    ensure!(sorts.starts_with(&["create", "enter"]) && sorts.ends_with(&["destroy"]), "{sorts:?}");
    let filter = format!("event == 'create' && process.pid == {pid}");
    ensure!(
        collector
            .history(&["--count", "--where", &filter, "--user", "0", "--until", &born])?
            .trim()
            != "",
        "no count"
    );
    let own = events(
        &collector.history(&["-o", "json", "--where", &filter, "-e", "create", "--user", "0"])?,
    )?;
    ensure!(own.iter().filter(|event| event["event"] == "create").count() == 1, "{own:?}");
    let all = events(&collector.history(&["-o", "json"])?)?;
    let number = |args: &[&str]| collector.history(&[&["--count"], args].concat());
    let created = all.iter().filter(|event| event["event"] == "create").count();
    for (args, count) in [(&[][..], all.len()), (&["-e", "create"], created), (&["-e", "map"], 0)] {
        ensure!(number(args)?.trim() == count.to_string(), "{args:?}: {count} of {}", all.len());
    }
    Ok(())
}

fn unseen(room: &Room) -> Result<()> {
    let mut collector = Collector::start(room, "")?;
    make(collector.tracer()?)?;
    let file = collector.path("history.db").to_string_lossy().into_owned();
    let listed = |collector: &Collector, at: &str| -> Result<(String, String)> {
        let args = ["history", "list", "--at", at, "-J", "--file", &file];
        let output = collector.ask(&args).output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{said}");
        Ok((String::from_utf8(output.stdout)?, said))
    };
    eventually("something is stored", || Ok(collector.history(&["--count"])?.trim() != "0"))?;
    let (_, while_it_runs) = listed(&collector, "now")?;
    ensure!(while_it_runs.is_empty(), "{while_it_runs}");
    let ended = collector.end(Signal::TERM)?;
    ensure!(ended.status.success(), "{}", ended.stderr);
    let last = ended.events.last().context("no events")?["time"].clone();
    let (table, said) = listed(&collector, "now")?;
    let table: Value = serde_json::from_str(&table)?;
    ensure!(table["last"] == last && said.contains("the history ends at "), "{table}: {said}");
    let time = table["at"].as_str().context("no time")?;
    let (_, said) = listed(&collector, last.as_str().context("no time")?)?;
    ensure!(said.is_empty(), "{said}");
    collector.run()?;
    eventually("the start is stored", || {
        Ok(listed(&collector, time)?.1.contains("when a collector was started, is not known"))
    })?;
    collector.finish().map(drop)
}

fn killed(room: &Room) -> Result<()> {
    let mut collector = Collector::start(room, "")?;
    let mut before: Vec<Value> = Vec::new();
    for _ in 0..3 {
        for _ in 0..2 {
            make(collector.tracer()?)?;
        }
        let ended = collector.end(Signal::KILL)?;
        let stored = events(&collector.history(&["export"])?)?;
        ensure!(stored.starts_with(&before), "what was stored is not there any more");
        let new = stored.get(before.len()..).context("fewer than before")?;
        // The last events before the end may be missing, but not one in between.
        ensure!(new.len() <= ended.events.len(), "{} of {}", new.len(), ended.events.len());
        for (stored, seen) in new.iter().zip(&ended.events) {
            ensure!(*stored == **seen, "{seen} is stored as {stored}");
        }
        let seqs: Vec<_> = stored.iter().filter_map(|event| event["seq"].as_u64()).collect();
        ensure!(seqs.iter().zip(1..).all(|(seq, number)| *seq == number), "{seqs:?}");
        before = stored;
        collector.run()?;
    }
    // What ended while nobody looked is known to have ended.
    make(collector.tracer()?)?;
    let ended = collector.end(Signal::TERM)?;
    ensure!(ended.status.success(), "{}", ended.stderr);
    let list: Value = serde_json::from_str(&collector.history(&["list", "-t", "uts", "-J"])?)?;
    let rows = list["namespaces"].as_array().context("no rows")?;
    let own = std::env::current_exe()?;
    let left = rows.iter().filter(|row| row["creator"]["exe"] == *own.to_string_lossy());
    ensure!(left.count() == 0, "{list}");
    Ok(())
}

/// In a thread of its own, which is in a mount namespace of its own: what is mounted goes with it.
fn full(room: &Room) -> Result<()> {
    thread::scope(|scope| {
        let test = scope.spawn(|| full_disk(room));
        test.join().ok().context("the test has panicked")?
    })
}

fn full_disk(room: &Room) -> Result<()> {
    unshare(&[Kind::Mnt])?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    let name = format!("ns-trace-test-{}-disk", std::process::id());
    let disk = std::env::temp_dir().join(name);
    fs::create_dir(&disk)?;
    mount("tmpfs", &disk, "tmpfs", MountFlags::empty(), Some(c"size=1m"))?;
    let store = disk.join("history.db");
    let config = format!("[recent]\nevents = 16\n[history]\npath = \"{}\"\n", store.display());
    let outcome = fill_and_empty(room, &config, &disk);
    unmount(&disk, UnmountFlags::DETACH)?;
    fs::remove_dir(&disk)?;
    outcome
}

/// A process in a uts namespace of its own, and the inode of that.
fn in_a_namespace() -> Result<(Actor, u64)> {
    let mut actor = Actor::start()?;
    actor.act("unshare 4000000")?;
    let inode = fs::metadata(format!("/proc/{}/ns/uts", actor.pid()))?.ino();
    Ok((actor, inode))
}

/// The uts namespaces that the history in a directory has for alive.
fn alive(directory: &Path) -> Result<Vec<u64>> {
    let file = directory.join("history.db");
    let output = history(&["list", "-t", "uts", "-J", "--file", &file.to_string_lossy()])?;
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let rows = listed["namespaces"].as_array().into_iter().flatten();
    Ok(rows.filter_map(|row| row["ns"]["inode"].as_u64()).collect())
}

/// Whoever takes the file away does not take what comes afterwards.
fn taken_away(room: &Room) -> Result<()> {
    let collector = Collector::start(room, "")?;
    let directory = collector.path("");
    let (_actor, inode) = in_a_namespace()?;
    eventually("it is stored", || Ok(alive(&directory)?.contains(&inode)))?;
    // What lies beside it stays, as it does where only the file itself is moved away.
    fs::remove_file(collector.path("history.db"))?;
    eventually("what exists is known again", || Ok(alive(&directory)?.contains(&inode)))?;
    let after = make(collector.tracer()?)?;
    let name = format!("uts:{after}");
    eventually("it is stored", || {
        let file = collector.path("history.db");
        Ok(history(&["who", &name, "--file", &file.to_string_lossy()])?.status.success())
    })?;
    let ended = collector.finish()?;
    ensure!(ended.stderr.contains("not the history any more"), "{}", ended.stderr);
    Ok(())
}

fn fill_and_empty(room: &Room, config: &str, disk: &Path) -> Result<()> {
    let mut collector = Collector::start(room, config)?;
    let number = |name: &str| -> Result<u64> {
        let (_, metrics, _) = http::ask(&collector, "GET /metrics", "")?;
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        Ok(line.with_context(|| metrics.clone())?.trim().parse()?)
    };
    let until = |what: &str, holds: &dyn Fn() -> Result<bool>| -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !holds()? {
            ensure!(Instant::now() < deadline, "{what}");
        }
        Ok(())
    };
    make(collector.tracer()?)?;
    until("nothing is stored", &|| Ok(number("nstrace_history_events_total ")? > 3))?;
    let (doomed, dead) = in_a_namespace()?;
    until("it is not stored", &|| Ok(alive(disk)?.contains(&dead)))?;
    let ballast = disk.join("ballast");
    // As much as there is room for.
    let written = fs::write(&ballast, vec![0; 1 << 20]);
    ensure!(written.is_err(), "the disk is larger than it was made");
    until("no failure is noticed", &|| {
        make(collector.tracer()?)?;
        Ok(number("nstrace_history_errors_total ")? > 0)
    })?;
    // Of these neither the end nor the birth is ever stored.
    let (_later, born) = in_a_namespace()?;
    drop(doomed);
    for _ in 0..8 {
        make(collector.tracer()?)?;
    }
    fs::remove_file(&ballast)?;
    let before = number("nstrace_history_events_total ")?;
    until("it does not go on", &|| {
        make(collector.tracer()?)?;
        Ok(number("nstrace_history_events_total ")? > before + 16)
    })?;
    eventually("what exists is known again", || {
        let alive = alive(disk)?;
        Ok(alive.contains(&born) && !alive.contains(&dead))
    })?;
    let ended = collector.end(Signal::TERM)?;
    ensure!(ended.status.success(), "{}", ended.stderr);
    for sentence in ["disk is full; trying again", "the history is written again"] {
        ensure!(ended.stderr.contains(sentence), "no `{sentence}` in {}", ended.stderr);
    }
    let file = disk.join("history.db");
    let output = history(&["export", "--file", &file.to_string_lossy()])?;
    let stored = events(&String::from_utf8(output.stdout)?)?;
    let (mut expected, mut missing) = (1, 0);
    for event in &stored {
        let seq = event["seq"].as_u64().context("no number")?;
        if event["event"] == "lost" && event["lost"]["stage"] == "sink" {
            let count = event["lost"]["count"].as_u64().context("no count")?;
            (expected, missing) = (expected + count - 1, missing + count);
        }
        ensure!(seq == expected, "number {seq} where {expected} should be");
        expected += 1;
    }
    ensure!(missing > 0, "nothing is missing");
    ensure!(expected == ended.events.len() as u64 + 1, "the last ones are not there");
    Ok(())
}

fn history(args: &[&str]) -> Result<Output> {
    Ok(Command::new(program()).arg("history").args(args).stdin(Stdio::null()).output()?)
}

/// As a killed collector leaves it, where who reads may not write.
fn logged() -> Result<()> {
    let name = format!("ns-trace-test-{}-log", std::process::id());
    let directory = std::env::temp_dir().join(name);
    let [origin, path] = ["origin", "history.db"].map(|name| directory.join(name));
    let store = ns_trace::history::Store::open(&origin)?;
    for (from, to) in [(&origin, &path), (&log(&origin), &log(&path))] {
        fs::copy(from, to)?;
        fs::set_permissions(to, fs::Permissions::from_mode(0o644))?;
    }
    drop(store);
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755))?;
    let said = |uid: u32| -> Result<String> {
        let mut command = Command::new(program());
        command.args(["history", "list", "--file"]).arg(&path).uid(uid).gid(uid).current_dir("/");
        let output = command.stdin(Stdio::null()).output()?;
        ensure!(output.status.code() == Some(1), "{}", output.status);
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let refused = said(65534)?;
    let sentence = format!("newer events in its log, {}", log(&path).display());
    ensure!(refused.contains(&sentence) && refused.contains("copy both"), "{refused}");
    // Who may write reads the log, too, and moves it to the file.
    let whole = said(0)?;
    ensure!(whole.contains("is empty"), "{whole}");
    drop(ns_trace::history::Store::open(&path)?);
    let whole = said(65534)?;
    ensure!(whole.contains("is empty"), "{whole}");
    Ok(fs::remove_dir_all(&directory)?)
}

/// The log of a history.
fn log(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

fn refused() -> Result<()> {
    let name = format!("ns-trace-test-{}-history.db", std::process::id());
    let path = std::env::temp_dir().join(name);
    let file = path.to_string_lossy().into_owned();
    let told = |args: &[&str], status: i32, says: &str| -> Result<()> {
        let output = history(&[args, &["--file", &file]].concat())?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(status), "{args:?}: {}: {said}", output.status);
        ensure!(said.contains(says), "{args:?}: no `{says}` in {said}");
        Ok(())
    };
    told(&[], 1, "there is no history at ")?;
    told(&["--since", "2026-13-01"], 2, "no time at column 1: expected RFC 3339")?;
    told(&["--since", "2026-12-01 1O:00"], 2, "no time at column 13:")?;
    told(&["pid:7", "--pid", "1"], 2, "a process is named twice")?;
    told(&["container:ab", "--container", "ab"], 2, "a container is named twice")?;
    told(&["--pid", "1", "list"], 2, "stands behind `export`")?;
    told(&["export", "pid:7", "--pid", "1"], 2, "a process is named twice")?;
    told(&["--pid", "1", "--at", "now"], 2, "--at tells of namespaces")?;
    told(&["list", "--at", "2200-05-05"], 2, "--at is in the future")?;
    told(&["--at", "2200-05-05"], 2, "--at is in the future")?;
    told(&["--since", "1h ago", "--until", "2h ago"], 2, "--until is before --since")?;
    told(&["export", "--since", "now", "--until", "1d ago"], 2, "--until is before --since")?;
    told(&["who", "blue"], 2, "names no namespace")?;
    told(&["diff", "now", "2h ago"], 1, "there is no history at ")?;
    fs::write(
        &path,
        "a file that somebody else has written, and longer than any header is; \
        what it says does not matter to anybody at all",
    )?;
    told(&["list"], 1, "is no history of ns-trace")?;
    let mut command = Command::new(program());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    command.args(["history", "--file", &file]).uid(65534).gid(65534).current_dir("/");
    let output = command.stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(3) && said.contains("only its owner"), "{said}");
    ns_trace::history::Store::open(&path).err().context("it is taken for a history")?;
    fs::remove_file(&path)?;
    drop(ns_trace::history::Store::open(&path)?);
    told(&["list"], 1, "is empty")?;
    told(&["who", "net:4026532281"], 1, "knows no namespace `net:4026532281`")?;
    told(&["1"], 1, "knows no process 1")?;
    told(&["diff", "now", "2h ago"], 2, "before the first")?;
    told(&["--user", "no-such-user"], 2, "no-such-user")?;
    told(&["--where", "pid = 1"], 2, "bad --where expression")?;
    fs::remove_file(&path)?;
    for more in ["-wal", "-shm"] {
        // Who may only read cannot take them away.
        drop(fs::remove_file(format!("{file}{more}")));
    }
    Ok(())
}
