//! Signals and stops go both ways, and nobody is left alone.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    os::unix::process::ExitStatusExt as _,
    process::{Child, ChildStdout, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::place::{Place, child as child_of};
use crate::tracer::PATIENCE;

/// A script that says when it is ready, and its output.
fn start(place: &Place, words: &[&str], script: &str) -> Result<(Child, BufReader<ChildStdout>)> {
    let mut command = place.create(words);
    command.args(["--", "/bin/sh", "-c", script]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let mut stdout = BufReader::new(child.stdout.take().context("no pipe")?);
    let mut line = String::new();
    stdout.read_line(&mut line)?;
    ensure!(line == "ready\n", "{line:?}");
    Ok((child, stdout))
}

fn send(child: &Child, signal: Signal) -> Result<()> {
    let pid = Pid::from_raw(child.id().cast_signed()).context("no process")?;
    Ok(kill_process(pid, signal)?)
}

/// Every signal that can be caught and that does not stop, to a program that is the first process
/// of its pid namespace, too.
pub(super) fn signals_are_passed_on() -> Result<()> {
    let place = Place::new()?;
    for words in [&["-f"][..], &["-pf"]] {
        for (name, signal) in [
            ("HUP", Signal::HUP),
            ("INT", Signal::INT),
            ("QUIT", Signal::QUIT),
            ("USR1", Signal::USR1),
            ("USR2", Signal::USR2),
            ("ALRM", Signal::ALARM),
            ("TERM", Signal::TERM),
            ("WINCH", Signal::WINCH),
            ("PIPE", Signal::PIPE),
        ] {
            let script = format!(
                "trap 'echo {name}; exit 7' {name}; echo ready; while :; do sleep 0.05; done"
            );
            let (mut child, mut stdout) = start(&place, words, &script)?;
            send(&child, signal)?;
            let mut rest = String::new();
            stdout.read_to_string(&mut rest)?;
            let status = child.wait()?;
            ensure!(rest.trim() == name && status.code() == Some(7), "{name}: {rest}, {status}");
        }
    }
    // Without a handler it ends the program, and so us.
    let (mut child, _) = start(&place, &["-f"], "echo ready; exec sleep 1000")?;
    send(&child, Signal::TERM)?;
    let status = child.wait()?;
    ensure!(status.signal() == Some(15), "{status}");
    place.expect_nothing(&[])
}

pub(super) fn stops_with_the_program() -> Result<()> {
    let place = Place::new()?;
    let script = "echo ready; kill -STOP $$; exit 5";
    let (mut child, _) = start(&place, &["-f"], script)?;
    await_state(child.id(), 'T')?;
    let program = child_of(child.id())?;
    ensure!(state(program)? == 'T', "the program runs");
    send(&child, Signal::CONT)?;
    let status = child.wait()?;
    ensure!(status.code() == Some(5), "{status}");
    place.expect_nothing(&[])
}

/// A parent that is killed takes the program along if that was asked for, even if the program was
/// given other credentials, which make the kernel forget; and not if it was not.
pub(super) fn ends_with_the_parent() -> Result<()> {
    let script = "echo ready; exec sleep 1000";
    for words in [
        &["--kill-child"][..],
        &["--kill-child=TERM"],
        &["-p", "--kill-child"],
        &["--kill-child", "-S", "65534", "-G", "65534"],
    ] {
        let place = Place::new()?;
        let (mut child, _) = start(&place, words, script)?;
        child.kill()?;
        child.wait()?;
        place.await_end().with_context(|| format!("{words:?}"))?;
    }
    let place = Place::new()?;
    let (mut child, _) = start(&place, &["-f"], script)?;
    let program = child_of(child.id())?;
    child.kill()?;
    child.wait()?;
    ensure!(state(program)? != 'Z', "the program ended with its parent");
    let pid = Pid::from_raw(program.cast_signed()).context("no process")?;
    kill_process(pid, Signal::KILL)?;
    place.expect_nothing(&[])
}

fn state(pid: u32) -> Result<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let state = stat.rsplit(')').next().and_then(|rest| rest.trim().chars().next());
    state.context("no state")
}

fn await_state(pid: u32, wanted: char) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while state(pid)? != wanted {
        ensure!(Instant::now() < deadline, "{pid} is {}, not {wanted}", state(pid)?);
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}
