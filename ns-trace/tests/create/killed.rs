//! A create that fails or is killed leaves nothing.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::{
    mount::{MountFlags, UnmountFlags, mount, unmount},
    process::{Pid, Signal, kill_process},
};

use super::place::{Place, is_mounted};
use crate::{
    actor::{Actor, syscall::halted::Halted},
    facts, init,
    stage::run,
};

/// Options whose steps leave something.
fn leaving(place: &Place) -> Result<Vec<String>> {
    let (uts, net) = (place.file("uts")?, place.file("net")?);
    let pid = place.path("program");
    Ok(vec![format!("--uts={uts}"), format!("--net={net}"), format!("--pid-file={pid}")])
}

pub(super) fn what_fails_is_undone() -> Result<()> {
    let mut actor = Actor::start()?;
    actor.act("unshare 20000000")?;
    let task = actor.who()?;
    let (status, complaint) =
        if facts::hides_unborn(task)? { (1, "--fork") } else { (127, "cannot execute /no/such") };
    actor.end()?;
    for (words, status, complaint) in [
        (&["--root=/no/such"][..], 1, "cannot make /no/such the root"),
        (&["-f", "--wd=/no/such"], 1, "cannot change the directory to /no/such"),
        (&["--mount-proc=/no/such"], 1, "there is no directory /no/such"),
        (&["-f", "--mount=/no/such"], 1, "there is no file /no/such"),
        (&["--pid=/proc/version", "--", "/no/such"], status, complaint),
        (&["-T", "--monotonic=-99999999999"], 1, "timens_offsets"),
        (&["--", "/no/such"], 127, "cannot execute /no/such: No such file or directory (ENOENT)"),
        (&["-f", "--", "/no/such"], 127, "ENOENT"),
        (&["--", "/proc/version"], 126, "EACCES"),
        (&["-fp", "--", "/"], 126, "EACCES"),
    ] {
        let place = Place::new()?;
        let mut command = place.create(&[]);
        run(command.args(leaving(&place)?).args(words), "")?.failed(status, complaint)?;
        place.expect_nothing(&[])?;
    }
    no_room()
}

/// A file system that has room for the file, but not for what is to stand in it.
fn no_room() -> Result<()> {
    let place = Place::new()?;
    mount("tmpfs", "/run", "tmpfs", MountFlags::empty(), Some(c"size=4k"))?;
    fs::write("/run/full", [0; 4096])?;
    let told = run(&mut place.create(&["-u", "--pid-file=/run/pid", "true"]), "");
    let left = fs::exists("/run/pid");
    unmount("/run", UnmountFlags::DETACH)?;
    told?.failed(1, "to /run/pid: No space left on device (ENOSPC)")?;
    ensure!(!left?, "an empty file is left");
    place.expect_nothing(&[])
}

/// At the steps that can be held up from outside: the wait for a line, and a set-up that kills.
pub(super) fn killed_at_a_step() -> Result<()> {
    for words in [&["--pause"][..], &["--pause", "-f"], &["--pause", "-pf", "--kill-child"]] {
        let place = Place::new()?;
        let mut command = place.create(words);
        command.args(leaving(&place)?).args(["--", "sleep", "1000"]);
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let pid = waits(&mut child)?;
        ensure!(is_mounted(&place.path("uts"))?, "not named yet");
        ensure!(fs::read_to_string(place.path("program"))?.trim() == pid.to_string());
        let stdin = child.stdin.take();
        // The one that waits, and its parent.
        for pid in [child.id(), pid] {
            // The second may have ended with the first.
            let _killed = kill_process(number(pid)?, Signal::KILL);
        }
        child.wait()?;
        drop(stdin);
        place.expect_nothing(&[])?;
    }
    let place = Place::new()?;
    let mut command = place.create(&["--setup", "kill -9 $PPID"]);
    let told = run(command.args(leaving(&place)?).arg("true"), "")?;
    ensure!(told.status == 137, "{told:?}");
    place.expect_nothing(&[])?;
    let mut command = place.create(&["-f", "--setup", "exit 3"]);
    let told = run(command.args(leaving(&place)?).arg("true"), "")?;
    told.failed(1, "the set-up `exit 3` failed: exit status: 3")?;
    place.expect_nothing(&[])
}

/// The number of the process that says that it waits.
fn waits(child: &mut Child) -> Result<u32> {
    let mut line = String::new();
    BufReader::new(child.stderr.take().context("no pipe")?).read_line(&mut line)?;
    let number = line.split_once("process ").and_then(|(_, rest)| rest.split(' ').next());
    number.and_then(|number| number.parse().ok()).with_context(|| line.clone())
}

fn number(pid: u32) -> Result<Pid> {
    Pid::from_raw(pid.cast_signed()).context("no process")
}

/// Before whichever of its calls the parent is killed, from the first process that it starts on:
/// everything was done, or nothing is left, and the program ends with it.
pub(super) fn killed_at_any_call() -> Result<()> {
    // A machine that is emulated takes ten times as long for each.
    let stride = if init::is_init() { 5 } else { 1 };
    for words in [&["--kill-child", "-p"][..], &["-m"]] {
        let (mut done, mut undone) = (0, 0);
        for at in (0..).step_by(stride) {
            let place = Place::new()?;
            let mut command: Command = place.create(words);
            command.args(leaving(&place)?).args(["--", "true"]).stderr(Stdio::null());
            let has_ended = kill_at(&mut command, at)?;
            place.await_end()?;
            let left = ["uts", "net"].map(|name| is_mounted(&place.path(name)).unwrap_or_default());
            let told = fs::exists(place.path("program"))?;
            match (left, told) {
                ([true, true], true) => {
                    done += 1;
                    for name in ["uts", "net"] {
                        unmount(place.path(name), UnmountFlags::empty())?;
                    }
                }
                ([false, false], false) => undone += 1,
                half => bail!("{words:?}: half made, killed at call {at}: {half:?}"),
            }
            if has_ended {
                break;
            }
        }
        ensure!(done > 0 && undone > 0, "{words:?}: {done} were whole and {undone} undone");
    }
    Ok(())
}

/// Kills a command before the call of this number, counted from the first process that it starts;
/// whether it has ended before that.
fn kill_at(command: &mut Command, at: usize) -> Result<bool> {
    let mut halted = Halted::start(command)?;
    let mut count = None;
    loop {
        let Some(call) = halted.next_call()? else { return Ok(true) };
        count = match count {
            None if [libc::SYS_clone, libc::SYS_clone3].contains(&call) => Some(0),
            None => None,
            Some(count) => Some(count + 1),
        };
        if count == Some(at) {
            return halted.kill().map(|()| false);
        }
    }
}
