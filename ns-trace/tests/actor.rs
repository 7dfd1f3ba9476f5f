//! The process that tests watch: this very program, run again, doing what it is told line by line.
//!
//! Each command is one line on its standard input and is answered by one line of JSON. `clone`,
//! `clone3` and `thread` put a new task in front: it answers, and takes the next commands, until it
//! ends; the one behind it waits. So a whole family is led by one pair of pipes, and whatever is
//! not told to end stays as it is.

mod rare;
mod script;
pub(crate) mod syscall;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

pub(crate) use self::script::run;
use crate::{facts::Task, tracer::PATIENCE};

/// Set in the environment of an actor.
pub(crate) const MARK: &str = "NS_TRACE_ACTOR";

/// Whether this process is an actor.
pub(crate) fn is_actor() -> bool {
    std::env::var_os(MARK).is_some()
}

/// A command that runs this program as an actor.
pub(crate) fn command() -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("where is this program?")?);
    command.env(MARK, "1");
    Ok(command)
}

/// An actor; killed when dropped.
pub(crate) struct Actor {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Actor {
    /// Starts one.
    pub(crate) fn start() -> Result<Self> {
        Self::spawn(&mut command()?)
    }

    /// Starts `command`, which must be an actor.
    pub(crate) fn spawn(command: &mut Command) -> Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().context("no pipe")?;
        let stdin = child.stdin.take();
        Ok(Self { child, stdin, stdout: BufReader::new(stdout) })
    }

    /// The number of the first process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tells it what to do; does not wait for the answer.
    pub(crate) fn tell(&mut self, line: &str) -> Result<()> {
        let stdin = self.stdin.as_mut().context("the actor's input is closed")?;
        stdin.write_all(format!("{line}\n").as_bytes()).with_context(|| format!("telling {line}"))
    }

    /// Waits for the next answer.
    pub(crate) fn answer(&mut self) -> Result<Value> {
        let mut line = String::new();
        let length = self.stdout.read_line(&mut line)?;
        ensure!(length != 0, "the actor ended without an answer");
        serde_json::from_str(&line).with_context(|| format!("no answer: {line}"))
    }

    /// Tells it what to do and returns the answer, whatever it is.
    pub(crate) fn ask(&mut self, line: &str) -> Result<Value> {
        self.tell(line)?;
        self.answer().with_context(|| format!("asking `{line}`"))
    }

    /// Tells it what to do, which must succeed.
    pub(crate) fn act(&mut self, line: &str) -> Result<Value> {
        let answer = self.ask(line)?;
        if let Some(error) = answer.get("error") {
            bail!("`{line}`: {error}");
        }
        Ok(answer)
    }

    /// Tells it what to do, which must fail; returns the error number.
    pub(crate) fn fails(&mut self, line: &str) -> Result<u64> {
        let answer = self.ask(line)?;
        answer["error"].as_u64().with_context(|| format!("`{line}` did not fail: {answer}"))
    }

    /// A number in an answer, such as a descriptor.
    pub(crate) fn number(&mut self, line: &str) -> Result<u64> {
        let answer = self.act(line)?;
        answer["value"].as_u64().with_context(|| format!("`{line}`: {answer}"))
    }

    /// The task in front.
    pub(crate) fn who(&mut self) -> Result<Task> {
        self.task("who")
    }

    /// Tells it to put a new task in front, which is returned.
    pub(crate) fn task(&mut self, line: &str) -> Result<Task> {
        let answer = self.act(line)?;
        let number = |key: &str| answer[key].as_u64().with_context(|| format!("{line}: {answer}"));
        Ok(Task { pid: number("pid")?, tid: number("tid")? })
    }

    /// Has the task in front map root into its new user namespace, without which it may not make
    /// another.
    pub(crate) fn become_root(&mut self) -> Result<()> {
        self.act("write /proc/self/uid_map 0 0 1")?;
        self.act("write /proc/self/setgroups deny")?;
        self.act("write /proc/self/gid_map 0 0 1").map(drop)
    }

    /// Waits for the end of the first process, without making it end.
    pub(crate) fn ended(mut self) -> Result<ExitStatus> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                self.child.kill()?;
                bail!("the actor does not end");
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Ends it: its input ends, and with it every task that is still in front.
    pub(crate) fn end(mut self) -> Result<()> {
        drop(self.stdin.take());
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // Its family ends at the end of its input, the first one last.
        drop(self.child.wait());
    }
}
