//! Cases 25 and 27: where the tracer is, and what it may see.

use std::{
    fs,
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
    sync::Arc,
    thread,
};

use anyhow::{Context as _, Result, bail, ensure};
use jiff::Timestamp;
use libtest_mimic::Trial;
use ns_trace::sys::host;

use crate::{
    actor::{Actor, syscall},
    compare::expect,
    context::{Context, Room},
    scene::{Scene, Stage, boot_ns, create},
    trace::privilege::{as_nobody, enough},
    tracer::{Tracer, program},
};

const UTS: u64 = 0x0400_0000;
const PID: u64 = 0x2000_0000;
const TIME: u64 = 0x80;

/// The trials of this file.
pub(super) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let mut trials = Vec::new();
    let mut add = |name: &str, test: fn(&Room) -> Result<()>| {
        trials.extend(context.per_backend(&format!("hidden::{name}"), test));
    };
    add("25_tracer_in_a_pid_namespace", in_a_pid_namespace);
    add("25_tracer_in_a_time_namespace", |room| elsewhere(room, TIME));
    add("27_namespaces_that_proc_hides", hidden_by_proc);
    trials
}

/// Starts a tracer in new namespaces, by a thread whose children are born in them; in a time
/// namespace it is a day later.
fn start(room: &Room, flags: u64) -> Result<Tracer> {
    let start = || {
        syscall::unshare(flags)?;
        if flags & TIME != 0 {
            let own = rustix::thread::gettid().as_raw_nonzero();
            fs::write(format!("/proc/{own}/timens_offsets"), "boottime 86400 0")?;
        }
        let mut command = Command::new(program());
        // Up to 6.2 a child cannot share memory across time namespaces, which this rules out.
        command.args(["trace", "-o", "json", "--probe", room.backend()]).uid(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(command.spawn()?)
    };
    let joined = thread::scope(|scope| scope.spawn(start).join());
    let tracer = Tracer::watch(joined.unwrap_or_else(|_panic| bail!("it panicked"))?);
    tracer.wait("the first `sync`", |event| event["event"] == "sync")?;
    Ok(tracer)
}

/// Before it can walk all tasks by itself, the tracer says that it would not see them from here.
fn in_a_pid_namespace(room: &Room) -> Result<()> {
    if host::version().is_some_and(|version| version < (5, 17)) {
        let refusal = start(room, PID).err().context("it traces")?;
        let refusal = format!("{refusal:#}");
        ensure!(refusal.contains("only the tasks of the own pid namespace"), "{refusal}");
        return Ok(());
    }
    elsewhere(room, PID)
}

/// Numbers and times are the machine's, not those of the tracer's place.
fn elsewhere(room: &Room, flags: u64) -> Result<()> {
    let mut older = Actor::start()?;
    let stage = Stage::new(Arc::new(start(room, flags)?));
    let own = fs::read_link(format!("/proc/{}/ns/pid", stage.tracer.pid()))?;
    let time = fs::read_link(format!("/proc/{}/ns/time", stage.tracer.pid()))?;
    let here = (fs::read_link("/proc/self/ns/pid")?, fs::read_link("/proc/self/ns/time")?);
    ensure!((own, time) != here, "the tracer is here");
    let task = older.who()?;
    let before = boot_ns();
    older.act(&format!("unshare {UTS:x}"))?;
    let events = stage.events(task)?;
    let created = Arc::clone(events.first().context("no events")?);
    let expected = create("unshare", UTS, &task.namespace("uts")?, &task.process()?);
    expect(&created, &expected)?;
    let scene = Scene { stage: stage.clone(), actor: older };
    scene.end(std::slice::from_ref(&created))?;
    let destroy = stage.expect_destroy(&created, before)?;
    let after = boot_ns();
    for event in [&created, &destroy] {
        let told = event["boot_ns"].as_u64().context("no time")?;
        ensure!((before..=after).contains(&told), "not in {before}..={after}: {event}");
        let time: Timestamp = event["time"].as_str().context("no time")?.parse()?;
        let away = (Timestamp::now().as_second() - time.as_second()).abs();
        ensure!(away < 60, "{away} s away from now: {event}");
    }
    // Its number is another in there, and it goes by SIGTERM all the same.
    drop(stage);
    Ok(())
}

/// Who may not read /proc/PID/ns of others still knows what there is: it asks the kernel.
fn hidden_by_proc(room: &Room) -> Result<()> {
    let mut actor = Actor::start()?;
    actor.act(&format!("unshare {UTS:x}"))?;
    let task = actor.who()?;
    let (expected, link) = (task.namespace("uts")?, format!("/proc/{}/ns/uts", task.pid));
    let tracer = as_nobody(enough(), |mut command| {
        ensure!(fs::read_link(&link).is_err(), "nobody can read {link}");
        command.args(["-o", "json", "--snapshot", "--probe", room.backend()]);
        Tracer::spawn(&mut command)
    })?;
    let is_it = |event: &serde_json::Value| {
        event["event"] == "exist" && event["ns"]["inode"] == expected["inode"]
    };
    let exist = tracer.wait("the namespace", is_it)?;
    ensure!(exist["ns"]["type"] == "uts" && exist["members"] == 1, "{exist}");
    ensure!(exist["ns"]["owner"] == expected["owner"], "{exist}");
    tracer.finish()?;
    actor.end()
}
