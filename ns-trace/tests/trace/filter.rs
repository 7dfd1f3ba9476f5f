//! Which events pass: expressions, types, sorts.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use rustix::process::Signal;

use super::{
    replay::{RECORDING, replay},
    run::{sorts, trace, trial, trial_per_backend},
};
use crate::{
    actor::Actor,
    context::{Context, Room},
    tracer::Ended,
};

/// The trials of this file.
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let mut trials = vec![
        trial(context, "trace::filter::a_bad_expression_is_shown_with_its_place", bad_expressions),
        trial(context, "trace::filter::the_summary_counts_what_could_not_be_judged", unjudged),
    ];
    trials.extend(trial_per_backend(
        context,
        "trace::filter",
        &[
            ("expressions_select", expressions_select),
            ("an_enter_is_of_every_type_that_changes", an_enter_is_of_every_type),
            ("sorts_and_tasks_combine", sorts_and_tasks_combine),
            ("failures_can_be_left_out", failures_can_be_left_out),
        ],
    ));
    trials
}

fn bad_expressions() -> Result<()> {
    for (source, place, message, caret) in [
        ("foo == 1", "line 1, column 1: ", "unknown field `foo`", "foo == 1\n^\n"),
        (
            "process.uidd == 1",
            "line 1, column ",
            "did you mean `process.uid`?",
            "process.uidd == 1\n",
        ),
        ("event == 1", "line 1, column ", "", "event == 1\n"),
        ("process.uid", "line 1, column ", "this is int, bool is needed", "process.uid\n"),
        (
            "seq > 0 &&\n ns.type = 'x'",
            "line 2, column 10: ",
            "`==` compares",
            " ns.type = 'x'\n         ^\n",
        ),
        ("seq >", "line 1, column ", "", "seq >\n"),
        ("(seq > 0", "line 1, column ", "", "(seq > 0\n"),
        ("", "line 1, column 1: ", "the expression is empty", "\n^\n"),
        ("process == 1", "line 1, column ", "", "process == 1\n"),
        ("process.comm.matches('[')", "line 1, column ", "", "process.comm.matches('[')\n"),
        ("shout(event)", "line 1, column ", "unknown function `shout`", "shout(event)\n"),
    ] {
        let run = trace(&["--where", source])?;
        run.ends(2, &["ns-trace: bad --where expression: ", place, message, caret, "^"])?;
        ensure!(run.stdout.is_empty(), "{run:?}");
        // A replay checks it just as early.
        replay(&["--where", source], "garbage")?.ends(2, &[place, message, caret])?;
    }
    Ok(())
}

fn unjudged() -> Result<()> {
    // `ns` is absent in an enter, a fail and an exit.
    let run = replay(&["--tasks", "-o", "json", "--where", "ns.type == 'user'"], RECORDING)?;
    run.ends(0, &["ns-trace: 3 events in ", " s, 2 lost, 3 events left out because the filter"])?;
    ensure!(sorts(&run.events()?) == ["sync", "create", "lost"], "{run:?}");
    let run = replay(&["--where", "has(ns.type)"], RECORDING)?;
    run.ends(0, &["left out because the filter failed"])?;
    let run = replay(&["--where", "event == 'destroy'"], RECORDING)?;
    run.ends(0, &["ns-trace: 3 events in ", " s, 2 lost\n"])
}

/// What a tracer with `args` sees of an actor doing all of `lines`.
fn seen(room: &Room, args: &[&str], lines: &[&str]) -> Result<Ended> {
    for _ in 0..10 {
        let mut actor = Actor::start()?;
        let pid = actor.pid().to_string();
        let args: Vec<String> = args.iter().map(|arg| arg.replace("$PID", &pid)).collect();
        let args = args.iter().map(String::as_str).chain(["-p", &pid]);
        let tracer = room.start(&args.collect::<Vec<_>>())?;
        for line in lines {
            // Some must fail.
            actor.ask(line)?;
        }
        tracer.signal(Signal::TERM)?;
        let ended = tracer.end()?;
        actor.end()?;
        if !sorts(&ended.events).contains(&"lost") {
            return Ok(ended);
        }
        // Somebody else's storm on this machine; what is lost says nothing of filters.
    }
    bail!("there are always events lost")
}

fn expressions_select(room: &Room) -> Result<()> {
    let lines = ["unshare 4000000", "unshare 8000000", "unshare c000000", "name renamed"];
    for (source, expected) in [
        ("process.pid == $PID && event == 'create' && ns.type == 'uts'", &["create", "create"][..]),
        ("process.pid != $PID", &[]),
        ("'CLONE_NEWIPC' in flags && event == 'enter'", &["enter", "enter"]),
        ("changes.exists(c, c.slot == 'uts') && changes.exists(c, c.slot == 'ipc')", &["enter"]),
        ("changes.all(c, c.from.initial)", &["enter", "enter"]),
        ("process.comm == 'renamed'", &[]),
        ("cause == 'unshare' && op >= 0 && relation == 'own'", &["enter", "enter", "enter"]),
    ] {
        let ended = seen(room, &["--where", source], &lines)?;
        let found = sorts(&ended.events);
        // Namespaces that were left again end sooner or later.
        let found: Vec<&str> = found.into_iter().filter(|sort| *sort != "destroy").collect();
        ensure!(found == [&["sync"], expected].concat(), "{source}: {found:?}");
    }
    Ok(())
}

fn an_enter_is_of_every_type(room: &Room) -> Result<()> {
    // Both at once; then of each one alone.
    let lines = ["unshare c000000", "unshare 4000000", "unshare 8000000"];
    for (args, expected) in [
        (&["-t", "uts"][..], "sync create:uts enter:ipc+uts create:uts enter:uts"),
        (&["-t", "ipc"], "sync create:ipc enter:ipc+uts create:ipc enter:ipc"),
        (&["-t", "net"], "sync"),
        (&["-t", "net,ipc", "-e", "enter"], "sync enter:ipc+uts enter:ipc"),
    ] {
        let ended = seen(room, args, &lines)?;
        let mut words = Vec::new();
        for event in &ended.events {
            let sort = event["event"].as_str().context("no event")?;
            match sort {
                "destroy" => {
                    let kind = event["ns"]["type"].as_str().unwrap_or_default();
                    ensure!(expected.contains(&format!("create:{kind}")), "{args:?}: {event}");
                }
                "create" => {
                    let kind = event["ns"]["type"].as_str().unwrap_or_default();
                    words.push(format!("create:{kind}"));
                }
                "enter" => {
                    let changes = event["changes"].as_array().context("no changes")?;
                    let slots: Vec<_> =
                        changes.iter().filter_map(|change| change["slot"].as_str()).collect();
                    words.push(format!("enter:{}", slots.join("+")));
                }
                _ => words.push(sort.to_owned()),
            }
        }
        ensure!(words.join(" ") == expected, "{args:?}: {words:?}");
    }
    Ok(())
}

fn sorts_and_tasks_combine(room: &Room) -> Result<()> {
    let lines = ["unshare 4000000", "thread", "exit 0", "exec renewed", "unshare 4000000"];
    for (args, expected) in [
        (&[][..], "sync create enter create enter"),
        (&["--tasks"], "sync create enter fork exit exec create enter"),
        (&["-e", "exec"], "sync exec"),
        (&["-e", "exec,create"], "sync create exec create"),
        (&["-e", "exec", "--tasks"], "sync exec"),
        (&["-e", "lost"], "sync"),
        // Task events are about every type.
        (&["-t", "net", "--tasks"], "sync fork exit exec"),
        (&["-t", "uts", "-e", "fork,enter"], "sync enter fork enter"),
    ] {
        let ended = seen(room, args, &lines)?;
        let found = sorts(&ended.events);
        let found: Vec<&str> = found.into_iter().filter(|sort| *sort != "destroy").collect();
        ensure!(found.join(" ") == expected, "{args:?}: {found:?}");
    }
    Ok(())
}

fn failures_can_be_left_out(room: &Room) -> Result<()> {
    // CLONE_NEWUTS with a signal's bits: EINVAL.
    let lines = ["unshare 4000001", "unshare 4000000"];
    for (args, expected) in [
        (&[][..], "sync fail create enter"),
        (&["--no-fail"], "sync create enter"),
        (&["--no-fail", "-e", "fail"], "sync"),
        (&["-e", "fail"], "sync fail"),
        (&["-t", "uts", "-e", "fail"], "sync fail"),
        (&["-t", "net", "-e", "fail"], "sync"),
        (&["--where", "errno == 'EINVAL'"], "sync fail"),
    ] {
        let ended = seen(room, args, &lines)?;
        ensure!(sorts(&ended.events).join(" ") == expected, "{args:?}: {:?}", ended.events);
        ensure!(ended.stderr.contains("0 lost"), "{}", ended.stderr);
    }
    // What the summary counts is what was written.
    let tracer = room.start(&["-e", "lost"])?;
    tracer.signal(Signal::INT)?;
    let ended = tracer.end()?;
    ensure!(ended.stderr.starts_with("ns-trace: 1 event in "), "{}", ended.stderr);
    Ok(())
}
