//! A process that stops before each of its system calls, so that it can be killed at any of them.

use std::{
    io,
    mem::{size_of, zeroed},
    os::unix::process::CommandExt as _,
    process::{Child, Command},
    ptr::{from_mut, null_mut},
};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, WaitOptions, waitpid};

/// What a stop at a system call looks like with `PTRACE_O_TRACESYSGOOD`.
const CALL: i32 = libc::SIGTRAP | 0x80;

/// It ends when dropped.
pub(crate) struct Halted {
    child: Child,
    pid: Pid,
}

impl Halted {
    /// Starts a command, which stops before its program begins. Who starts it leads it: no other
    /// thread can.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let heed = || {
            // SAFETY: it takes no pointer, and is a bare system call.
            let outcome = unsafe { libc::ptrace(libc::PTRACE_TRACEME) };
            if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
        };
        // SAFETY: the closure makes one system call and touches no memory of others.
        unsafe { command.pre_exec(heed) };
        let child = command.spawn()?;
        let pid = Pid::from_raw(child.id().cast_signed()).context("no process")?;
        let halted = Self { child, pid };
        waitpid(Some(pid), WaitOptions::empty())?;
        halted.ask(libc::PTRACE_SETOPTIONS, libc::PTRACE_O_TRACESYSGOOD)?;
        Ok(halted)
    }

    /// Goes on to the next system call, and tells its number; none if the process has ended.
    pub(crate) fn next_call(&mut self) -> Result<Option<i64>> {
        let mut signal = 0;
        loop {
            self.ask(libc::PTRACE_SYSCALL, signal)?;
            let Some((_, status)) = waitpid(Some(self.pid), WaitOptions::empty())? else {
                return Ok(None);
            };
            match status.stopping_signal() {
                Some(CALL) => {
                    if let Some(number) = self.call()? {
                        return Ok(Some(number));
                    }
                    signal = 0;
                }
                // The program has begun.
                Some(libc::SIGTRAP) => signal = 0,
                Some(other) => signal = other,
                None => return Ok(None),
            }
        }
    }

    /// Kills it where it is.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop).context("it does not end")
    }

    /// The number of the call that is about to begin; none if it is one that has ended.
    fn call(&self) -> Result<Option<i64>> {
        // SAFETY: the kernel's structure is plain numbers.
        let mut info: libc::ptrace_syscall_info = unsafe { zeroed() };
        let size = size_of::<libc::ptrace_syscall_info>();
        let pid = self.pid.as_raw_nonzero().get();
        // SAFETY: the kernel writes at most `size` bytes to `info`, which outlives the call.
        let outcome =
            unsafe { libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, pid, size, from_mut(&mut info)) };
        if outcome < 0 {
            return Err(io::Error::last_os_error()).context("no call to look at");
        }
        if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
            return Ok(None);
        }
        // SAFETY: `op` says which one it is.
        let number = unsafe { info.u.entry.nr };
        Ok(Some(number.cast_signed()))
    }

    fn ask(&self, request: u32, data: i32) -> Result<()> {
        let pid = self.pid.as_raw_nonzero().get();
        let data = usize::try_from(data).unwrap_or_default();
        // SAFETY: none of the requests takes a pointer.
        let outcome = unsafe { libc::ptrace(request, pid, null_mut::<u8>(), data) };
        if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error().into()) }
    }
}

impl Drop for Halted {
    fn drop(&mut self) {
        // It may have ended.
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}
