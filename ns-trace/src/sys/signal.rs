//! Signals as bytes in a pipe.

use std::{
    io,
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::{
    io::write,
    pipe::{PipeFlags, pipe_with},
};
use signal_hook::{
    consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGTSTP},
    flag, low_level,
};

/// The signal that Ctrl-C sends to all processes in the foreground.
pub const INTERRUPT: i32 = SIGINT;

/// The signal that asks a process to end.
pub const TERMINATE: i32 = SIGTERM;

/// Signals that end a stream in good order.
pub const ENDING: [i32; 3] = [SIGHUP, SIGINT, SIGTERM];

/// The signal that asks a daemon to read its configuration again.
pub const HANGUP: i32 = SIGHUP;

/// Turns each of [`ENDING`] into one byte, its number, readable from the returned pipe.
///
/// # Errors
///
/// If the pipe or a handler cannot be made.
pub fn ending() -> io::Result<OwnedFd> {
    watch(&ENDING)
}

/// Turns each of `signals` into one byte, its number, readable from the returned pipe without
/// waiting.
///
/// # Errors
///
/// If the pipe or a handler cannot be made.
pub fn watch(signals: &[i32]) -> io::Result<OwnedFd> {
    let (read_end, write_end) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    let write_end = Arc::new(write_end);
    for signal in signals.iter().copied() {
        let write_end = Arc::clone(&write_end);
        let number = u8::try_from(signal).unwrap_or(0);
        let handler = move || {
            // A full pipe holds enough signals already.
            let _written = write(&*write_end, &[number]);
        };
        // SAFETY: write(2) is async-signal-safe, and the handler does nothing else.
        unsafe { low_level::register(signal, handler) }?;
    }
    Ok(read_end)
}

/// Lets the next of [`ENDING`] end this process at once.
pub fn restore() {
    for signal in ENDING {
        // SAFETY: the default needs no handler; what `ending` registered is not called any more.
        let _former = unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Ends this process by a signal of [`ENDING`], at once.
pub fn die(signal: i32) {
    restore();
    send(std::process::id(), signal);
}

/// Sends a signal to a child.
pub fn send(pid: u32, signal: i32) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    let signal = rustix::process::Signal::from_named_raw(signal);
    if let (Some(pid), Some(signal)) = (pid, signal) {
        // The child may have ended already.
        let _sent = rustix::process::kill_process(pid, signal);
    }
}

/// What the shell does to a job: stop it, and let it go on.
#[derive(Debug)]
pub struct JobControl {
    stop: Arc<AtomicBool>,
    go: Arc<AtomicBool>,
}

impl JobControl {
    /// Takes note of SIGTSTP, which no longer stops this process by itself, and of SIGCONT.
    ///
    /// # Errors
    ///
    /// If a handler cannot be installed.
    pub fn watch() -> io::Result<Self> {
        let watch = Self { stop: Arc::default(), go: Arc::default() };
        flag::register(SIGTSTP, Arc::clone(&watch.stop))?;
        flag::register(SIGCONT, Arc::clone(&watch.go))?;
        Ok(watch)
    }

    /// Whether this process was asked to stop since the last call.
    #[must_use]
    pub fn is_to_stop(&self) -> bool {
        self.stop.swap(false, Ordering::Relaxed)
    }

    /// Whether it was told to go on since the last call.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        self.go.swap(false, Ordering::Relaxed)
    }

    /// Stops this process until it is told to go on.
    ///
    /// # Errors
    ///
    /// Those of raise(3).
    pub fn stop(&self) -> io::Result<()> {
        low_level::emulate_default_handler(SIGTSTP)
    }
}

/// Whether a signal of [`ending`] has come.
#[must_use]
pub fn has_come(signals: &OwnedFd) -> bool {
    let mut number = [0];
    matches!(rustix::io::read(signals, &mut number), Ok(1))
}
