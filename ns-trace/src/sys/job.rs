//! A child in the foreground: signals go through to it, and what becomes of it becomes of us.

use std::{io, mem::MaybeUninit, process, ptr};

use rustix::process::{
    Pid, Resource, Rlimit, WaitOptions, WaitStatus, getpgid, getpgrp, setrlimit, waitpid,
};

/// The signal that every other process takes for the end of a child.
const CHILD: i32 = libc::SIGCHLD;

/// Which signals were blocked.
#[derive(Clone, Copy, Debug)]
pub struct Mask(libc::sigset_t);

/// How a child ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// By itself, with this status.
    Exited(u8),
    /// By this signal.
    Killed(i32),
}

/// Blocks all signals.
#[must_use]
pub fn block() -> Mask {
    let mut all = MaybeUninit::uninit();
    let mut former = MaybeUninit::uninit();
    // SAFETY: sigfillset(3) writes the whole set.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    // SAFETY: the set was just filled; the call writes the former one, and cannot fail.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, all.as_ptr(), former.as_mut_ptr()) };
    // SAFETY: the call wrote it.
    Mask(unsafe { former.assume_init() })
}

/// Blocks those that were blocked before.
pub fn restore(mask: &Mask) {
    // SAFETY: the set is one that the kernel gave.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const mask.0, ptr::null_mut()) };
}

/// Sees to it that the end of a child is told, even if our own parent did not care for its own.
pub fn heed_children() {
    // SAFETY: the default needs no handler.
    unsafe { libc::signal(CHILD, libc::SIG_DFL) };
}

/// Waits for the end of `child`; all signals must be blocked.
///
/// Every signal is passed on, but for those that the terminal has sent to the child as well, since
/// it is in our process group. A child that stops stops us, and goes on when we do.
///
/// # Errors
///
/// If it is no child of ours.
pub fn watch(child: Pid) -> io::Result<End> {
    loop {
        while let Some(status) = waitpid_now(child)? {
            if let Some(end) = end(status) {
                return Ok(end);
            }
            if status.stopped() {
                stop();
                send(child, libc::SIGCONT);
            }
        }
        let Some(signal) = next() else { continue };
        if signal.si_signo != CHILD && !came_to_both(&signal, child) {
            pass_on(&signal, child);
        }
    }
}

fn waitpid_now(child: Pid) -> io::Result<Option<WaitStatus>> {
    let status = waitpid(Some(child), WaitOptions::NOHANG | WaitOptions::UNTRACED)?;
    Ok(status.map(|(_, status)| status))
}

fn end(status: WaitStatus) -> Option<End> {
    let exited = status.exit_status().map(|code| End::Exited(code.to_le_bytes()[0]));
    exited.or_else(|| status.terminating_signal().map(End::Killed))
}

/// The next signal for us; `None` if the wait was interrupted, as by a stop.
fn next() -> Option<libc::siginfo_t> {
    let mut all = MaybeUninit::uninit();
    let mut signal = MaybeUninit::<libc::siginfo_t>::uninit();
    // SAFETY: sigfillset(3) writes the whole set.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    // SAFETY: the set was just filled, and what is told of the signal outlives the call.
    let number = unsafe { libc::sigwaitinfo(all.as_ptr(), signal.as_mut_ptr()) };
    // SAFETY: a call that succeeds has written it.
    (number > 0).then(|| unsafe { signal.assume_init() })
}

/// Whether the child got this signal from the kernel itself: those of a terminal go to all
/// processes of the group in the foreground.
fn came_to_both(signal: &libc::siginfo_t, child: Pid) -> bool {
    signal.si_code == libc::SI_KERNEL && getpgid(Some(child)).is_ok_and(|group| group == getpgrp())
}

fn pass_on(signal: &libc::siginfo_t, child: Pid) {
    if signal.si_code == libc::SI_QUEUE {
        // SAFETY: the kernel fills in the value of a queued signal.
        let value = unsafe { signal.si_value() };
        // SAFETY: the call takes numbers only; the value is the receiver's to understand.
        unsafe { libc::sigqueue(child.as_raw_nonzero().get(), signal.si_signo, value) };
    } else {
        send(child, signal.si_signo);
    }
}

/// Sends a signal to a child, which may have ended.
pub fn send(child: Pid, signal: i32) {
    // SAFETY: the call takes numbers only.
    unsafe { libc::kill(child.as_raw_nonzero().get(), signal) };
}

/// Stops this process until somebody lets it go on.
fn stop() {
    // SAFETY: the call takes a number only.
    unsafe { libc::raise(libc::SIGSTOP) };
}

/// Ends this process as `end` says: whoever waits for us cannot tell us from the child.
#[must_use]
pub fn follow(end: End) -> u8 {
    match end {
        End::Exited(code) => code,
        End::Killed(signal) => {
            // One dump of core is enough.
            let none = Rlimit { current: Some(0), maximum: Some(0) };
            // Only a dump too much comes of it.
            let _ = setrlimit(Resource::Core, none);
            // SAFETY: the default needs no handler.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
            let mut set = MaybeUninit::uninit();
            // SAFETY: sigemptyset(3) writes the whole set.
            unsafe { libc::sigemptyset(set.as_mut_ptr()) };
            // SAFETY: the set was just emptied.
            let none = Mask(unsafe { set.assume_init() });
            // SAFETY: the call takes numbers only; the signal waits until it is let in below.
            unsafe { libc::kill(process::id().cast_signed(), signal) };
            restore(&none);
            // A signal that did not end us, since we are the first process of a pid namespace.
            128_u8.wrapping_add(signal.to_le_bytes()[0])
        }
    }
}
