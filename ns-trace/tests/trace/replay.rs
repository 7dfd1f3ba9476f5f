//! A recording gives the same stream again.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
    sync::Arc,
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::run::{self, Folder, Run, parse, sorts, trial};
use crate::{
    actor::Actor,
    context::{Context, Room},
    tracer::{PATIENCE, program},
};

/// One event of most sorts.
pub(crate) const RECORDING: &str = include_str!("recording.ndjson");

/// The trials of this file.
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let mut trials = vec![
        trial(context, "trace::replay::events_stay_the_same", events_stay_the_same),
        trial(context, "trace::replay::filters_apply", filters_apply),
        trial(context, "trace::replay::text_has_dates", text_has_dates),
        trial(context, "trace::replay::a_bad_line_is_named", a_bad_line_is_named),
        trial(context, "trace::replay::nothing_is_a_recording_too", nothing_is_a_recording_too),
        trial(context, "trace::replay::what_cannot_be_read", what_cannot_be_read),
        trial(context, "trace::replay::the_recording_is_never_overwritten", never_overwritten),
        trial(context, "trace::replay::a_stream_is_passed_on_at_once", passed_on_at_once),
    ];
    let own = "trace::replay::what_was_traced_replays";
    trials.extend(context.per_backend(own, what_was_traced_replays));
    trials
}

/// `trace --replay -` with `args`, fed with `input`.
pub(crate) fn replay(args: &[&str], input: &str) -> Result<Run> {
    let mut command = Command::new(program());
    run::run(command.args(["trace", "--replay", "-"]).args(args), input.as_bytes())
}

/// Events without what a replay changes.
fn bare(mut events: Vec<Value>) -> Vec<Value> {
    for event in &mut events {
        if let Some(fields) = event.as_object_mut() {
            fields.remove("seq");
            fields.remove("source");
        }
    }
    events
}

fn events_stay_the_same() -> Result<()> {
    let run = replay(&["--tasks", "-o", "json", "--fields", "compact"], RECORDING)?;
    run.ends(0, &["ns-trace: 8 events in ", "2 lost"])?;
    let events = run.events()?;
    for (seq, event) in (1..).zip(&events) {
        ensure!(event["seq"] == seq && event["source"] == "replay", "{event}");
    }
    ensure!(bare(events) == bare(parse(RECORDING)?), "{}", run.stdout);
    // And a replay of the replay is the replay.
    let args = ["--tasks", "-o", "json", "--fields", "compact"];
    let again = replay(&args, &run.stdout)?;
    ensure!(again.stdout == run.stdout, "{}", again.stdout);
    Ok(())
}

fn filters_apply() -> Result<()> {
    for (args, expected) in [
        (&[][..], &["sync", "create", "create", "enter", "fail", "lost", "destroy"][..]),
        (&["--no-fail"], &["sync", "create", "create", "enter", "lost", "destroy"]),
        (&["-t", "user"], &["sync", "create", "enter", "lost"]),
        (&["-t", "net", "-t", "mnt"], &["sync", "create", "enter", "fail", "lost", "destroy"]),
        (&["-e", "create,exit"], &["sync", "create", "create", "exit", "lost"]),
        (&["-p", "21550"], &["sync", "fail", "lost"]),
        // What the process made is its own to the end.
        (&["-p", "21549"], &["sync", "create", "create", "enter", "lost", "destroy"]),
        (&["--count", "2"], &["sync", "create", "create"]),
        (&["-t", "time", "-e", "exec", "--where", "false"], &["sync", "lost"]),
        (&["--where", "ns.type == 'net'"], &["sync", "create", "lost", "destroy"]),
    ] {
        let run = replay(&[&["-o", "json"], args].concat(), RECORDING)?;
        run.ends(0, &[])?;
        ensure!(sorts(&run.events()?) == expected, "{args:?}: {}", run.stdout);
    }
    Ok(())
}

fn text_has_dates() -> Result<()> {
    let run = replay(&[], RECORDING)?;
    run.ends(0, &[])?;
    ensure!(run.stdout.lines().count() == 7, "{run:?}");
    for line in run.stdout.lines() {
        ensure!(line.starts_with("2026-11-2"), "{line}");
    }
    for word in ["user:4026532177", "21549", "unshare(NEWNET|NEWUSER)", "EPERM"] {
        ensure!(run.stdout.contains(word), "no {word}: {run:?}");
    }
    Ok(())
}

fn a_bad_line_is_named() -> Result<()> {
    let lines: Vec<&str> = RECORDING.lines().collect();
    let head = format!("{}\n{}\n", lines[0], lines[1]);
    let cut = lines[2].get(..100).context("too short")?;
    for (bad, why) in [
        ("garbage", "column 1: expected value"),
        ("{}", "missing field"),
        ("[]", "line 3"),
        (cut, "EOF while parsing"),
        (&lines[2].replace("ns-trace/1", "ns-trace/2"), "unknown variant `ns-trace/2`"),
        (&lines[2].replace("\"create\"", "\"born\""), "unknown variant `born`"),
        ("\u{0}", "column 1"),
    ] {
        for end in ["\n", ""] {
            let run = replay(&["-o", "json"], &format!("{head}{bad}{end}"))?;
            run.ends(1, &["ns-trace: cannot replay -: line 3 is no event", why])?;
            ensure!(!run.stderr.contains("at line 1"), "{}", run.stderr);
            ensure!(run.events()?.len() == 2, "what came before is told: {run:?}");
        }
    }
    Ok(())
}

fn nothing_is_a_recording_too() -> Result<()> {
    let folder = Folder::new()?;
    for content in ["", "\n", " \n\r\n"] {
        let file = folder.file("empty", content)?;
        let run = run::trace(&["--replay", &file])?;
        run.ends(0, &["ns-trace: 0 events in ", " s, 0 lost"])?;
        ensure!(run.stdout.is_empty(), "{run:?}");
    }
    // Without a line end the last line is a line all the same.
    let run = replay(&[], RECORDING.trim_end())?;
    run.ends(0, &["7 events"])
}

fn what_cannot_be_read() -> Result<()> {
    let folder = Folder::new()?;
    let missing = folder.path("missing");
    run::trace(&["--replay", &missing])?.ends(1, &["cannot replay", &missing, "No such file"])?;
    let here = folder.path(".");
    run::trace(&["--replay", &here])?.ends(1, &["cannot replay", "Is a directory"])?;
    let run = replay(&["--output", "/dev/full"], RECORDING)?;
    run.ends(1, &["ns-trace: cannot write events: No space left on device"])
}

fn never_overwritten() -> Result<()> {
    let folder = Folder::new()?;
    let file = folder.file("recording", RECORDING)?;
    let link = folder.path("link");
    fs::hard_link(&file, &link)?;
    for output in [&file, &link] {
        run::trace(&["--replay", &file, "--output", output])?
            .ends(2, &["cannot write", "it is the recording"])?;
        ensure!(fs::read_to_string(&file)? == RECORDING, "the recording has changed");
    }
    let other = folder.path("other");
    run::trace(&["--replay", &file, "--output", &other, "-o", "json"])?.ends(0, &["7 events"])?;
    ensure!(parse(&fs::read_to_string(other)?)?.len() == 7);
    Ok(())
}

/// As a filter behind a running trace: events must not wait for more events, and it must end.
fn passed_on_at_once() -> Result<()> {
    for end in ["signal", "reader", "timeout"] {
        let mut command = Command::new(program());
        command.args(["trace", "--replay", "-", "-o", "json"]);
        if end == "timeout" {
            command.args(["--timeout", "1s"]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let mut stdin = child.stdin.take().context("no pipe")?;
        let mut stdout = BufReader::new(child.stdout.take().context("no pipe")?);
        let first = RECORDING.lines().next().context("no line")?;
        stdin.write_all(format!("{first}\n").as_bytes())?;
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        ensure!(sorts(&parse(&line)?) == ["sync"], "{line}");
        let begun = Instant::now();
        match end {
            "signal" => kill_process(Pid::from_child(&child), Signal::TERM)?,
            "reader" => drop(stdout),
            _ => {}
        }
        let run = run::finish(child)?;
        run.ends(0, &["ns-trace: 1 event in"])?;
        ensure!(begun.elapsed() < PATIENCE / 2);
        drop(stdin);
    }
    Ok(())
}

fn what_was_traced_replays(room: &Room) -> Result<()> {
    let mut actor = Actor::start()?;
    let pid = actor.pid().to_string();
    for fields in ["full", "compact"] {
        let tracer = room.start(&["-p", &pid, "--tasks", "--fields", fields])?;
        actor.act("unshare 4000000")?;
        actor.fails("unshare 4000001")?;
        actor.task("clone 8000000")?;
        actor.act("name child")?;
        actor.tell("exit 7")?;
        actor.answer()?;
        let is_fork = |event: &Value| event["event"] == "fork";
        tracer.wait("the fork", is_fork)?;
        let ended = tracer.finish()?;
        let recorded: Vec<Value> = ended.events.iter().map(|event| (**event).clone()).collect();
        let lines: Vec<String> = recorded.iter().map(|event| format!("{event}\n")).collect();
        let args = ["--tasks", "-o", "json", "--fields", fields];
        let run = replay(&args, &lines.concat())?;
        run.ends(0, &[&format!("ns-trace: {} events", recorded.len())])?;
        ensure!(recorded.len() >= 5, "{lines:?}");
        ensure!(bare(run.events()?) == bare(recorded), "{}\n{lines:?}", run.stdout);
        if fields == "compact" {
            // What was not recorded is unknown, not 0.
            let run = replay(&["--tasks", "-o", "json"], &lines.concat())?;
            for event in run.events()?.iter().filter(|event| !event["process"].is_null()) {
                for field in ["vpid", "gid", "euid", "caps", "cgroup_id"] {
                    ensure!(event["process"].get(field) == Some(&Value::Null), "{event}");
                }
            }
        }
    }
    actor.end()
}
