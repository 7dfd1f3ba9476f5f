//! Parent and child: signals, stops, deaths.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process};

use super::{MOST, entered, target};
use crate::{actor::Actor, facts::Task, tracer::PATIENCE};

/// The trials of this file.
pub(super) fn trials(trial: impl Fn(&str, fn() -> Result<()>) -> Trial) -> Vec<Trial> {
    vec![
        trial("signals_reach_the_program", signals),
        trial("a_stop_is_shared", stops),
        trial("kill_child_leaves_no_orphan", kill_child),
        trial("without_it_the_program_goes_on", no_kill_child),
    ]
}

fn send(pid: u64, signal: Signal) -> Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("no process")?;
    Ok(kill_process(pid, signal)?)
}

fn is_there(task: Task) -> bool {
    fs::read_to_string(format!("/proc/{}/stat", task.pid)).is_ok_and(|stat| !stat.contains(") Z "))
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        ensure!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// What ends us ends the program, and what ends the program is what ends us.
fn signals() -> Result<()> {
    use std::os::unix::process::ExitStatusExt as _;
    let (host, task) = target(MOST)?;
    for signal in [Signal::TERM, Signal::HUP, Signal::USR1, Signal::QUIT] {
        let mut actor = entered("enter", &format!("-t {} -p --", task.pid))?;
        let program = actor.who()?;
        ensure!(u64::from(actor.pid()) != program.pid, "no fork");
        send(actor.pid().into(), signal)?;
        let status = actor.ended()?;
        ensure!(status.signal() == Some(signal.as_raw()), "{signal:?}: {status}");
        ensure!(!is_there(program), "the program goes on");
    }
    host.end()
}

fn stops() -> Result<()> {
    let (host, task) = target(MOST)?;
    let mut actor = entered("enter", &format!("-t {} -p --", task.pid))?;
    let (parent, program) = (u64::from(actor.pid()), actor.who()?);
    let is_stopped = |pid: u64| {
        fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") T "))
    };
    send(program.pid, Signal::STOP)?;
    wait_until("the parent does not stop", || is_stopped(parent))?;
    send(parent, Signal::CONT)?;
    wait_until("the program does not go on", || !is_stopped(program.pid))?;
    ensure!(actor.who()? == program);
    actor.end()?;
    host.end()
}

/// A parent in namespaces of the target, with its program, as a process to be killed.
fn family(words: &str) -> Result<(Actor, Actor, Task)> {
    let (host, task) = target(MOST)?;
    let mut actor = entered("enter", &format!("-t {} {words} --", task.pid))?;
    let program = actor.who()?;
    Ok((host, actor, program))
}

fn kill_child() -> Result<()> {
    for words in ["-p --kill-child", "-n --kill-child=TERM", "-a --kill-child"] {
        let (host, actor, program) = family(words)?;
        send(actor.pid().into(), Signal::KILL)?;
        wait_until("the program goes on", || !is_there(program))?;
        drop(actor);
        host.end()?;
    }
    Ok(())
}

fn no_kill_child() -> Result<()> {
    let (host, mut actor, program) = family("-p")?;
    send(actor.pid().into(), Signal::KILL)?;
    // It answers still.
    ensure!(actor.who()? == program, "somebody else");
    actor.end()?;
    wait_until("the program does not end with its input", || !is_there(program))?;
    host.end()
}
