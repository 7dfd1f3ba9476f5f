//! The command whose tree is traced.

use std::{
    ffi::OsString,
    io,
    path::PathBuf,
    process::{self, ExitStatus},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{Error, Live};
use crate::{probe::backlog::Message, sys::signal};

/// How long the namespaces of a command are waited for when its last process has ended.
const AFTERMATH: Duration = Duration::from_millis(500);

/// A command to run.
#[derive(Clone, Debug)]
pub struct Command {
    /// The program, looked up in PATH.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
}

/// The running command.
pub(super) struct Child {
    pub(super) pid: u32,
    pub(super) status: Option<ExitStatus>,
    waiter: Option<thread::JoinHandle<io::Result<ExitStatus>>>,
    /// When the wait for the tree's last namespaces ends.
    pub(super) deadline: Option<Instant>,
}

impl Child {
    /// Passes on a signal that we got, but for that of Ctrl-C, which the terminal sends to it too.
    pub(super) fn forward(&self, number: i32) {
        if number != signal::INTERRUPT {
            signal::send(self.pid, number);
        }
    }

    /// Collects the status once the waiter has said that there is one.
    pub(super) fn reap(&mut self) -> io::Result<()> {
        if let Some(waiter) = self.waiter.take() {
            let status = waiter.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            self.status = Some(status);
        }
        Ok(())
    }
}

impl Live {
    /// Starts the command, if there is one.
    pub(super) fn start_command(&mut self) -> Result<(), Error> {
        let Some(command) = self.options.command.take() else { return Ok(()) };
        let mut child = process::Command::new(&command.program)
            .args(&command.args)
            .spawn()
            .map_err(|source| {
                let command = command.program.display().to_string();
                Error::Command { command, source }
            })?;
        let backlog = Arc::clone(&self.backlog);
        let pid = child.id();
        let waiter = thread::Builder::new().name("command".to_owned()).spawn(move || {
            let status = child.wait();
            backlog.push(Message::CommandEnded);
            status
        });
        let waiter = Some(waiter.map_err(Error::Watch)?);
        self.child = Some(Child { pid, status: None, waiter, deadline: None });
        Ok(())
    }

    /// Has the command end, as timeout(1) does.
    pub(super) fn stop_command(&self) {
        if let Some(child) = self.child.as_ref().filter(|child| child.status.is_none()) {
            signal::send(child.pid, signal::TERMINATE);
        }
    }

    /// Waits for a command that is still running though the stream has ended: it is in the
    /// foreground, and its status is ours. A signal ends the wait.
    pub(super) fn await_command(&mut self) -> Result<(), Error> {
        while let Some(child) = self.child.as_mut().filter(|child| child.status.is_none()) {
            match self.backlog.pop(None) {
                Some(Message::CommandEnded) => child.reap().map_err(Error::Watch)?,
                Some(Message::Records(records)) => self.backlog.recycle(records),
                Some(Message::Signal(_)) => return Ok(()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether the command and all that it started have ended, and their namespaces too or for
    /// long enough.
    pub(super) fn tree_is_over(&mut self, now: Instant) -> bool {
        let Some(child) = &mut self.child else { return false };
        if child.status.is_none() || !self.stream.scope.has_ended() {
            return false;
        }
        if !self.stream.scope.has_namespaces() {
            return true;
        }
        *child.deadline.get_or_insert(now + AFTERMATH) <= now
    }
}
