//! Many sleeping processes, some of them in namespaces of their own.
//!
//! The crowd is made by this program again, called as `xtask bench-crowd PROGRAM PROCESSES SETS`. All
//! of them wait for the end of one pipe, so that none is left however the bench ends.

use std::{
    io::{BufRead as _, BufReader, Write as _, stdout},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitCode, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use nix::sched::{CloneFlags, unshare};

use super::child;

/// The verb that makes this program the first of a crowd.
pub(crate) const VERB: &str = "bench-crowd";

/// What a set of namespaces consists of.
const KINDS: CloneFlags = CloneFlags::CLONE_NEWUTS
    .union(CloneFlags::CLONE_NEWIPC)
    .union(CloneFlags::CLONE_NEWNS)
    .union(CloneFlags::CLONE_NEWNET);

/// How many namespaces are in a set.
pub(super) const SET: usize = 4;

/// A crowd; gone when dropped.
pub(super) struct Crowd {
    first: Child,
    input: Option<ChildStdin>,
    /// What all of them run.
    pub(super) program: PathBuf,
}

impl Crowd {
    /// Starts `processes`, equally many in each of so many sets of namespaces.
    pub(super) fn gather(children: &str, processes: usize, sets: usize) -> Result<Self> {
        let program = Path::new(children).join(child::SLEEPER);
        let mut first = Command::new(std::env::current_exe()?)
            .arg(VERB)
            .arg(&program)
            .args([processes.to_string(), sets.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = first.stdin.take();
        let output = first.stdout.take().context("no pipe")?;
        let crowd = Self { first, input, program };
        let mut answer = String::new();
        BufReader::new(output).read_line(&mut answer)?;
        ensure!(answer.trim() == "ready", "the crowd did not gather");
        Ok(crowd)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        drop(self.input.take());
        let _status = self.first.wait();
    }
}

/// Runs the verb.
pub(crate) fn main(args: &[String]) -> Result<ExitCode> {
    let [program, processes, sets] = args else {
        anyhow::bail!("a program and two numbers are needed");
    };
    let (processes, sets): (usize, usize) = (processes.parse()?, sets.parse()?);
    let mut children = Vec::with_capacity(processes);
    for set in 0..sets {
        unshare(KINDS)?;
        // The remainder goes to the last ones.
        let share = (processes - children.len()) / (sets - set);
        for _ in 0..share {
            let mut command = Command::new(program);
            // The input is the pipe that they all wait for.
            command.env_clear().stdout(Stdio::null()).stderr(Stdio::null());
            children.push(command.spawn()?);
        }
    }
    println!("ready");
    stdout().flush()?;
    for mut child in children {
        child.wait()?;
    }
    Ok(ExitCode::SUCCESS)
}
