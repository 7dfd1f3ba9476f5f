//! What is written, where, and how a stream ends.

use std::{
    env, fs,
    io::BufReader,
    os::unix::process::ExitStatusExt as _,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{
    replay::{RECORDING, replay},
    run::{self, Folder, parse, sorts, trace, trial, trial_per_backend, until},
};
use crate::{
    actor::{self, Actor},
    context::{Context, Room},
    tracer::{Tracer, program},
};

/// The trials of this file.
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let mut trials = vec![trial(context, "trace::output::colours", colours)];
    trials.extend(trial_per_backend(
        context,
        "trace::output",
        &[
            ("text_is_one_line_an_event", text_is_one_line_an_event),
            ("control_characters_stay_out_of_text", control_characters),
            ("compact_events_are_short", compact_events_are_short),
            ("a_file_gets_everything", a_file_gets_everything),
            ("a_count_ends_it", a_count_ends_it),
            ("a_timeout_ends_it", a_timeout_ends_it),
            ("a_timeout_ends_the_command_too", a_timeout_ends_the_command),
            ("signals_end_it_cleanly", signals_end_it_cleanly),
            ("a_reader_that_goes_away_ends_it", a_reader_that_goes_away),
            ("a_full_disk_is_a_failure", a_full_disk),
        ],
    ));
    trials.extend(context.alone_per_backend(
        "trace::output::a_reader_that_does_not_read_does_not_keep_it",
        a_reader_that_does_not_read,
    ));
    let name = "trace::output::a_storm_does_not_keep_it";
    let in_a_storm = context.alone_per_backend(name, a_storm_does_not_keep_it);
    trials.extend(in_a_storm.into_iter().map(|trial| {
        // Emulated processors are too slow for one that never ends, and do not survive that fentry
        // hooks are taken away: that changes code which another of them runs at the moment.
        let emulated = env::var_os("NS_TRACE_TEST_BACKEND").is_some();
        if emulated { trial.with_ignored_flag(true) } else { trial }
    }));
    trials
}

/// `trace` as text of the backend with `args`, its outputs pipes.
fn start(room: &Room, args: &[&str]) -> Result<Child> {
    let mut command = Command::new(program());
    command.args(["trace", "--probe", room.backend()]).args(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().context("cannot run ns-trace")
}

fn pid_of(pid: u32) -> Result<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw).context("no number")
}

/// Reads one line of a child.
fn line(stdout: &mut impl std::io::BufRead) -> Result<String> {
    let mut line = String::new();
    stdout.read_line(&mut line)?;
    ensure!(line.ends_with('\n'), "{line:?}");
    Ok(line)
}

fn colours() -> Result<()> {
    let program = |args: &[&str], variables: &[(&str, &str)]| {
        let mut command = Command::new(program());
        command.args(["trace", "--replay", "-"]).args(args);
        command.env_remove("NO_COLOR").env("TERM", "xterm").env("LC_ALL", "C");
        command.envs(variables.iter().copied());
        run::run(&mut command, RECORDING.as_bytes())
    };
    let plain = program(&[], &[])?;
    plain.ends(0, &[])?;
    ensure!(plain.stdout.is_ascii() && !plain.stdout.contains('\x1b'), "{plain:?}");
    for args in [&["--color", "never"][..], &["--color", "auto"]] {
        ensure!(program(args, &[])?.stdout == plain.stdout);
    }
    let coloured = program(&["--color", "always"], &[])?;
    ensure!(coloured.stdout.contains("\x1b[32m"), "{coloured:?}");
    // An option is nearer than the environment.
    let asked = program(&["--color", "always"], &[("NO_COLOR", "1")])?;
    ensure!(asked.stdout == coloured.stdout, "{asked:?}");
    let json = program(&["--color", "always", "-o", "json"], &[])?;
    ensure!(!json.stdout.contains('\x1b'), "{json:?}");
    // Without the colours the text is the same.
    let mut bare = String::new();
    let mut rest = coloured.stdout.as_str();
    while let Some((before, after)) = rest.split_once("\x1b[") {
        bare.push_str(before);
        rest = after.split_once('m').context("no end")?.1;
    }
    bare.push_str(rest);
    ensure!(bare == plain.stdout, "{bare}");
    Ok(())
}

fn text_is_one_line_an_event(room: &Room) -> Result<()> {
    let mut actor = Actor::start()?;
    let pid = actor.pid().to_string();
    let mut child = start(room, &["-p", &pid])?;
    let mut stdout = BufReader::new(child.stdout.take().context("no pipe")?);
    let sync = line(&mut stdout)?;
    ensure!(sync.contains("  sync     complete from here on") && sync.contains(room.backend()));
    actor.act("unshare 4000000")?;
    let create = line(&mut stdout)?;
    for word in ["  create  ", &pid, "uts:", "by unshare(NEWUTS)", "owner user:"] {
        ensure!(create.contains(word), "no {word} in {create}");
    }
    let enter = line(&mut stdout)?;
    for word in ["  enter  ", &pid, "uts:", "by unshare(NEWUTS)"] {
        ensure!(enter.contains(word), "no {word} in {enter}");
    }
    ensure!(!format!("{sync}{create}{enter}").contains('\x1b'));
    kill_process(Pid::from_child(&child), Signal::INT)?;
    run::finish(child)?.ends(0, &["ns-trace: 3 events in ", " s, 0 lost\n"])?;
    actor.end()
}

fn control_characters(room: &Room) -> Result<()> {
    let mut actor = Actor::start()?;
    let pid = actor.pid().to_string();
    for charset in ["C", "C.UTF-8"] {
        for color in ["never", "always"] {
            let mut command = Command::new(program());
            command.args(["trace", "--probe", room.backend(), "--tasks", "-p", &pid]);
            let folder = Folder::new()?;
            let text = folder.path("text");
            command.args(["--color", color, "--output", &text, "--count", "4"]);
            command.env("LC_ALL", charset).stdout(Stdio::null()).stderr(Stdio::piped());
            let child = command.spawn()?;
            until(
                "sync",
                || Ok(fs::read_to_string(&text).is_ok_and(|text| text.contains("sync"))),
            )?;
            actor.act("exec \x1b[2Jargument \u{9b}31m \r \u{202e}")?;
            actor.act("name \x1b]0;evil\x07")?;
            actor.act("unshare 4000000")?;
            actor.act("unshare 4000001").err().context("it did not fail")?;
            let run = run::finish(child);
            let text = fs::read_to_string(&text)?;
            run.with_context(|| text.clone())?.ends(0, &[])?;
            ensure!(text.contains(r"\x1b]0;evil\x07"), "{text:?}");
            ensure!(text.contains(r"\x1b[2Jargument"), "{text:?}");
            // The only escapes are those of the colours.
            let text = text.replace("\x1b[0m", "");
            let plain = text.split("\x1b[").enumerate().all(|(number, piece)| {
                number == 0
                    || (color == "always"
                        && piece
                            .trim_start_matches(|c: char| c.is_ascii_digit() || c == ';')
                            .starts_with('m'))
            });
            ensure!(plain, "{text:?}");
            let wild = |c: char| c != '\n' && c != '\x1b' && c.is_control() || c == '\u{202e}';
            ensure!(!text.contains(wild), "{text:?}");
        }
    }
    actor.end()
}

fn compact_events_are_short(room: &Room) -> Result<()> {
    let mut actor = Actor::start()?;
    let pid = actor.pid().to_string();
    let full = room.start(&["-p", &pid])?;
    let compact = room.start(&["-p", &pid, "--fields", "compact"])?;
    actor.act("unshare 4000000")?;
    let (full, compact) = (full.finish()?, compact.finish()?);
    ensure!(full.events.len() == 3 && compact.events.len() == 3);
    for (full, compact) in full.events.iter().zip(&compact.events).skip(1) {
        let (mut full, mut compact) = (Value::clone(full), Value::clone(compact));
        ensure!(full["process"]["ns"].is_object(), "{full}");
        let fields = compact["process"].take();
        let process = full["process"].take();
        for (name, value) in fields.as_object().context("no process")? {
            ensure!(process[name] == *value, "{name}: {process}");
        }
        ensure!(fields["pid"] == actor.pid() && fields.get("ns").is_none(), "{fields}");
        for own in ["time", "boot_ns", "op"] {
            // Each tracer's own.
            (full[own], compact[own]) = (Value::Null, Value::Null);
        }
        (full["ns"]["born"], compact["ns"]["born"]) = (Value::Null, Value::Null);
        ensure!(full == compact, "{full}\n{compact}");
    }
    actor.end()
}

fn a_file_gets_everything(room: &Room) -> Result<()> {
    let folder = Folder::new()?;
    let file = folder.file("events", "what was there before")?;
    let mut actor = Actor::start()?;
    let pid = actor.pid().to_string();
    let child = start(room, &["-o", "json", "--output", &file, "-p", &pid])?;
    until("sync", || Ok(fs::read_to_string(&file)?.contains("\"sync\"")))?;
    actor.act("repeat 500 4000000")?;
    kill_process(Pid::from_child(&child), Signal::TERM)?;
    let run = run::finish(child)?;
    run.ends(0, &[" s, 0 lost"])?;
    ensure!(run.stdout.is_empty(), "{run:?}");
    let events = parse(&fs::read_to_string(&file)?)?;
    ensure!(sorts(&events).iter().filter(|sort| **sort == "create").count() == 500);
    ensure!(sorts(&events).iter().filter(|sort| **sort == "enter").count() == 500);
    for (seq, event) in (1..).zip(&events) {
        ensure!(event["seq"] == seq, "{event}");
    }
    actor.end()
}

fn a_count_ends_it(room: &Room) -> Result<()> {
    let mut actor = Actor::start()?;
    let pid = actor.pid().to_string();
    let tracer = room.start(&["-p", &pid, "-e", "create", "--count", "3"])?;
    actor.act("repeat 10 4000000")?;
    let ended = tracer.end()?;
    ensure!(ended.status.success());
    ensure!(sorts(&ended.events) == ["sync", "create", "create", "create"], "{:?}", ended.events);
    ensure!(ended.stderr.starts_with("ns-trace: 4 events in "), "{}", ended.stderr);
    let run = replay(&["--count", "1", "-e", "destroy", "-o", "json"], RECORDING)?;
    ensure!(sorts(&run.events()?) == ["sync", "lost", "destroy"], "{run:?}");
    actor.end()
}

fn a_timeout_ends_it(room: &Room) -> Result<()> {
    for timeout in ["1.5", "1s 500ms"] {
        let child = start(room, &["-e", "lost", "--timeout", timeout])?;
        let run = run::finish(child)?;
        run.ends(0, &["ns-trace: 1 event in ", " s, 0 lost"])?;
        ensure!(run.stdout.contains("sync"), "{run:?}");
    }
    Ok(())
}

fn a_timeout_ends_the_command(room: &Room) -> Result<()> {
    let mut command = Command::new(program());
    command.args(["trace", "--probe", room.backend(), "--timeout", "1.5", "--output", "/dev/null"]);
    // An actor whose input does not end.
    command.arg("--").arg(actor::command()?.get_program());
    command.envs(actor::command()?.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut actor = Actor::spawn(&mut command)?;
    let task = actor.who()?;
    until("the end of the command", || Ok(task.status("State").is_err()))?;
    let status = actor.ended()?;
    ensure!(status.code() == Some(124), "{status}");
    Ok(())
}

fn signals_end_it_cleanly(room: &Room) -> Result<()> {
    let mut actor = Actor::start()?;
    let pid = actor.pid().to_string();
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let mut command = Command::new(program());
        command.args(["trace", "--probe", room.backend(), "-o", "json", "-p", &pid]);
        let tracer = Tracer::spawn(&mut command)?;
        tracer.wait("sync", |event| event["event"] == "sync")?;
        actor.act("repeat 200 4000000")?;
        tracer.signal(signal)?;
        let ended = tracer.end()?;
        ensure!(ended.status.success(), "{signal:?}: {}", ended.status);
        ensure!(ended.stderr.starts_with("ns-trace: "), "{}", ended.stderr);
        ensure!(ended.stderr.lines().count() == 1, "{}", ended.stderr);
        // All that happened before the signal.
        let creates = sorts(&ended.events).into_iter().filter(|sort| *sort == "create").count();
        ensure!(creates == 200, "{signal:?}: {creates} of 200");
    }
    actor.end()
}

fn a_storm_does_not_keep_it(room: &Room) -> Result<()> {
    let tracer = room.start(&["--buffer", "1M"])?;
    let mut actor = Actor::start()?;
    // Enough for minutes.
    actor.tell("repeat 1000000000 4000000")?;
    tracer.wait("the storm", |event| event["seq"].as_u64() > Some(1000))?;
    tracer.signal(Signal::TERM)?;
    let ended = tracer.end();
    kill_process(pid_of(actor.pid())?, Signal::KILL)?;
    ensure!(ended?.status.success());
    actor.ended()?;
    Ok(())
}

fn a_reader_that_does_not_read(room: &Room) -> Result<()> {
    let mut child = start(room, &[])?;
    let mut stdout = BufReader::new(child.stdout.take().context("no pipe")?);
    ensure!(line(&mut stdout)?.contains("sync"));
    let mut actor = Actor::start()?;
    // Far more than a pipe holds: it is stuck in the middle of a line.
    actor.act("repeat 10000 4000000")?;
    until("the end", || {
        kill_process(Pid::from_child(&child), Signal::TERM)?;
        Ok(child.try_wait()?.is_some())
    })?;
    let status = child.wait()?;
    ensure!(status.signal() == Some(libc::SIGTERM) || status.success(), "{status}");
    actor.end()
}

fn a_reader_that_goes_away(room: &Room) -> Result<()> {
    // Nothing happens that could make it write.
    let mut child = start(room, &["-e", "lost"])?;
    let mut stdout = BufReader::new(child.stdout.take().context("no pipe")?);
    ensure!(line(&mut stdout)?.contains("sync"));
    drop(stdout);
    run::finish(child)?.ends(0, &["ns-trace: 1 event in "])?;
    // Nor is there anybody to begin with.
    let mut child = start(room, &[])?;
    drop(child.stdout.take());
    run::finish(child)?.ends(0, &["ns-trace: "])
}

fn a_full_disk(room: &Room) -> Result<()> {
    let words = ["ns-trace: cannot write events: No space left on device"];
    trace(&["--probe", room.backend(), "--output", "/dev/full"])?.ends(1, &words)?;
    let mut command = Command::new(program());
    command.args(["trace", "--probe", room.backend(), "-o", "json"]);
    command.stdout(fs::OpenOptions::new().write(true).open("/dev/full")?);
    let child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    run::finish(child)?.ends(1, &words)
}
