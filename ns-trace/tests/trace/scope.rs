//! Whose events: a process with its threads, its descendants, or the tree of a command.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, getpriority_process, kill_process};
use serde_json::Value;

use super::run::{self, Folder, parse, sorts, trace, trial, trial_per_backend};
use crate::{
    actor::{self, Actor},
    context::{Context, Room},
    tracer::program,
};

/// The trials of this file.
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let mut trials = vec![trial(context, "trace::scope::a_process_that_is_not_there", nobody)];
    trials.extend(trial_per_backend(
        context,
        "trace::scope",
        &[
            ("a_process_is_all_its_threads", a_process_is_all_its_threads),
            ("follow_is_all_descendants", follow_is_all_descendants),
            ("a_thread_that_ends_takes_nobody_along", a_thread_that_ends),
            ("a_command_is_alone_in_its_stream", a_command_is_alone),
            ("the_status_is_the_commands", the_status_is_the_commands),
            ("a_held_namespace_is_not_waited_for", a_held_namespace),
            ("what_the_command_leaves_running_is_waited_for", what_is_left_running),
            ("a_command_inherits_no_descriptors", a_command_inherits_no_descriptors),
            ("the_writer_stands_back_from_the_command", the_writer_stands_back),
            ("a_signal_is_passed_on_to_the_command", a_signal_is_passed_on),
            ("a_command_ends_even_if_events_are_lost", a_command_whose_events_are_lost),
        ],
    ));
    trials
}

/// `trace -- ACTOR` with its events in a file.
struct Traced {
    folder: Folder,
    actor: Actor,
}

/// What came of it.
struct Outcome {
    code: Option<i32>,
    events: Vec<Value>,
    stderr: String,
}

impl Traced {
    fn start(room: &Room, args: &[&str]) -> Result<Self> {
        let folder = Folder::new()?;
        let mut command = Command::new(program());
        command.args(["trace", "-o", "json", "--probe", room.backend()]).args(args);
        command.arg("--output").arg(folder.path("events"));
        let inner = actor::command()?;
        command.arg("--").arg(inner.get_program());
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.stderr(File::create(folder.path("stderr"))?);
        // The actor is talked to through what the command inherits.
        Ok(Self { folder, actor: Actor::spawn(&mut command)? })
    }

    fn ended(self) -> Result<Outcome> {
        let Self { folder, actor } = self;
        let status = actor.ended();
        let stderr = fs::read_to_string(folder.path("stderr"))?;
        let code = status.with_context(|| stderr.clone())?.code();
        let events = parse(&fs::read_to_string(folder.path("events"))?)?;
        Ok(Outcome { code, events, stderr })
    }
}

/// The numbers of the processes in events.
fn pids(events: &[Value]) -> BTreeSet<u64> {
    events.iter().filter_map(|event| event["process"]["pid"].as_u64()).collect()
}

fn nobody() -> Result<()> {
    let actor = Actor::start()?;
    let pid = actor.pid().to_string();
    actor.end()?;
    let words = [&format!("ns-trace: cannot trace: there is no process {pid}\n"), "hint: "];
    trace(&["-p", &pid])?.ends(1, &words)?;
    trace(&["-p", "1", "-p", &pid, "--follow"])?.ends(1, &words)?;
    // A recording is of processes that are gone.
    run::run(Command::new(program()).args(["trace", "--replay", "-", "-p", &pid]), b"")?
        .ends(0, &["0 events"])
}

fn a_process_is_all_its_threads(room: &Room) -> Result<()> {
    let (mut actor, mut stranger) = (Actor::start()?, Actor::start()?);
    let before = actor.task("thread")?;
    let pid = actor.pid();
    let tracer = room.start(&["-p", &pid.to_string()])?;
    actor.act("unshare 4000000")?;
    let after = actor.task("thread")?;
    actor.act("unshare 4000000")?;
    stranger.act("unshare 4000000")?;
    // A child is a process of its own.
    actor.task("clone 8000000")?;
    actor.act("unshare 4000000")?;
    let ended = tracer.finish()?;
    let sorts = sorts(&ended.events);
    let expected = ["sync", "create", "enter", "create", "enter", "create"];
    // The last `create` is the clone's: its caller is the process, the child is not.
    ensure!(sorts == expected, "{:?}", ended.events);
    for (event, tid) in ended.events.iter().skip(1).zip([before.tid, before.tid, after.tid]) {
        ensure!(event["process"]["pid"] == pid && event["process"]["tid"] == tid, "{event}");
    }
    ensure!(before.tid != before.pid && after.tid != before.tid);
    stranger.end()?;
    actor.end()
}

fn follow_is_all_descendants(room: &Room) -> Result<()> {
    let (mut actor, mut stranger) = (Actor::start()?, Actor::start()?);
    let pid = actor.pid().to_string();
    let old = actor.task("clone 0")?;
    let tracer = room.start(&["-p", &pid, "--follow"])?;
    let alone = room.start(&["-p", &pid])?;
    actor.act("unshare 4000000")?;
    let young = actor.task("clone 0")?;
    actor.act("unshare 4000000")?;
    let youngest = actor.task("clone3 8000000")?;
    actor.act("unshare 4000000")?;
    stranger.act("unshare 4000000")?;
    let ended = tracer.finish()?;
    let seen: Vec<_> = ended.events.iter().filter(|event| event["event"] == "enter").collect();
    let tids: Vec<_> = seen.iter().filter_map(|event| event["process"]["tid"].as_u64()).collect();
    ensure!(tids == [old.tid, young.tid, youngest.tid, youngest.tid], "{:?}", ended.events);
    // Its forks are followed, not told.
    ensure!(!sorts(&ended.events).contains(&"fork"), "{:?}", ended.events);
    ensure!(sorts(&alone.finish()?.events) == ["sync"]);
    stranger.end()?;
    actor.end()
}

fn a_thread_that_ends(room: &Room) -> Result<()> {
    let mut actor = Actor::start()?;
    let pid = actor.pid().to_string();
    actor.task("thread")?;
    let tracer = room.start(&["-p", &pid, "--follow"])?;
    actor.tell("exit 0")?;
    actor.answer()?;
    actor.task("thread")?;
    actor.tell("exit 0")?;
    actor.answer()?;
    actor.act("unshare 4000000")?;
    ensure!(sorts(&tracer.finish()?.events) == ["sync", "create", "enter"]);
    actor.end()
}

fn a_command_is_alone(room: &Room) -> Result<()> {
    let mut stranger = Actor::start()?;
    let mut traced = Traced::start(room, &[])?;
    let first = traced.actor.who()?;
    traced.actor.act("unshare 4000000")?;
    let child = traced.actor.task("clone 8000000")?;
    stranger.act("unshare 4000000")?;
    traced.actor.act("unshare 40000000")?;
    traced.actor.tell("exit 0")?;
    traced.actor.answer()?;
    traced.actor.tell("exit 0")?;
    let Outcome { code, events, stderr } = traced.ended()?;
    ensure!(code == Some(0) && stderr.contains(" events in "), "{code:?}: {stderr}");
    ensure!(pids(&events) == BTreeSet::from([first.pid, child.pid]), "{events:?}");
    // Everything that it made, from birth to death.
    let of = |sort: &str| -> BTreeSet<u64> {
        let those = events.iter().filter(|event| event["event"] == sort);
        those.filter_map(|event| event["ns"]["inode"].as_u64()).collect()
    };
    ensure!(of("create").len() == 3 && of("create") == of("destroy"), "{events:?}");
    ensure!(sorts(&events).first() == Some(&"sync"));
    stranger.end()
}

fn the_status_is_the_commands(room: &Room) -> Result<()> {
    for (ending, code) in
        [("exit 0", 0), ("exit 3", 3), ("exit 255", 255), ("kill 9", 137), ("kill 15", 143)]
    {
        let mut traced = Traced::start(room, &[])?;
        traced.actor.who()?;
        traced.actor.tell(ending)?;
        let outcome = traced.ended()?;
        ensure!(outcome.code == Some(code), "{ending}: {:?}", outcome.code);
        ensure!(outcome.stderr.starts_with("ns-trace: 1 event in "), "{}", outcome.stderr);
    }
    Ok(())
}

fn a_held_namespace(room: &Room) -> Result<()> {
    let mut traced = Traced::start(room, &[])?;
    traced.actor.act("unshare 4000000")?;
    let pid = traced.actor.who()?.pid;
    let held = File::open(format!("/proc/{pid}/ns/uts"))?;
    traced.actor.tell("exit 4")?;
    let begun = Instant::now();
    let outcome = traced.ended()?;
    let waited = begun.elapsed();
    // It gives up after half a second; the rest is a machine with much else to do.
    ensure!(waited < Duration::from_secs(10), "{waited:?}");
    ensure!(outcome.code == Some(4));
    ensure!(sorts(&outcome.events) == ["sync", "create", "enter"], "{:?}", outcome.events);
    drop(held);
    Ok(())
}

fn what_is_left_running(room: &Room) -> Result<()> {
    let mut traced = Traced::start(room, &[])?;
    let first = traced.actor.who()?;
    let left = traced.actor.task("clone 0")?;
    // The command ends; its child is behind the same pipes.
    let command = i32::try_from(first.pid).ok().and_then(Pid::from_raw).context("no number")?;
    kill_process(command, Signal::KILL)?;
    run::until("the end of the command", || Ok(first.status("State").is_err()))?;
    traced.actor.act("unshare 4000000")?;
    let youngest = traced.actor.task("clone 8000000")?;
    traced.actor.act("unshare 40000000")?;
    traced.actor.tell("exit 0")?;
    traced.actor.answer()?;
    traced.actor.tell("exit 0")?;
    let outcome = traced.ended()?;
    ensure!(outcome.code == Some(137), "{:?}", outcome.code);
    ensure!(pids(&outcome.events) == BTreeSet::from([left.pid, youngest.pid]));
    let destroyed = sorts(&outcome.events).into_iter().filter(|sort| *sort == "destroy").count();
    ensure!(destroyed == 3, "{:?}", outcome.events);
    Ok(())
}

fn a_command_inherits_no_descriptors(room: &Room) -> Result<()> {
    let mut traced = Traced::start(room, &[])?;
    let pid = traced.actor.who()?.pid;
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let link = fs::read_link(entry?.path())?;
        let is_ours = link.to_string_lossy().contains("anon_inode") || link.ends_with("events");
        ensure!(!is_ours, "{}", link.display());
    }
    traced.actor.tell("exit 0")?;
    ensure!(traced.ended()?.code == Some(0));
    Ok(())
}

/// The thread that writes takes its turn after the command.
fn the_writer_stands_back(room: &Room) -> Result<()> {
    let nice = |tid: i32| -> Result<i32> {
        Ok(getpriority_process(Some(Pid::from_raw(tid).context("no number")?))?)
    };
    let usual = getpriority_process(None)?;
    let mut traced = Traced::start(room, &[])?;
    let writer = i32::try_from(traced.actor.pid())?;
    let command = i32::try_from(traced.actor.who()?.pid)?;
    run::until("the writer to stand back", || Ok(nice(writer)? == usual + 2))?;
    ensure!(nice(command)? == usual, "the command inherits {}", nice(command)?);
    traced.actor.tell("exit 0")?;
    ensure!(traced.ended()?.code == Some(0));
    Ok(())
}

fn a_signal_is_passed_on(room: &Room) -> Result<()> {
    let mut traced = Traced::start(room, &[])?;
    traced.actor.act("unshare 4000000")?;
    let pid = i32::try_from(traced.actor.pid()).ok().and_then(Pid::from_raw);
    kill_process(pid.context("no number")?, Signal::TERM)?;
    let outcome = traced.ended()?;
    ensure!(outcome.code == Some(143), "{:?}: {}", outcome.code, outcome.stderr);
    let sorts = sorts(&outcome.events);
    // What it made ends a little later.
    ensure!(matches!(sorts[..], ["sync", "create", "enter", ..]), "{sorts:?}");
    Ok(())
}

fn a_command_whose_events_are_lost(room: &Room) -> Result<()> {
    let mut traced = Traced::start(room, &["--buffer", "4K"])?;
    traced.actor.act("repeat 3000 4000000")?;
    traced.actor.task("clone 0")?;
    traced.actor.tell("exit 0")?;
    traced.actor.answer()?;
    traced.actor.tell("exit 6")?;
    let outcome = traced.ended()?;
    ensure!(outcome.code == Some(6), "{:?}: {}", outcome.code, outcome.stderr);
    ensure!(sorts(&outcome.events).contains(&"lost"), "nothing was lost");
    ensure!(!outcome.stderr.contains(" 0 lost"), "{}", outcome.stderr);
    Ok(())
}
