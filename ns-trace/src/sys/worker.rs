//! Work in a process of its own, which nothing stops half way.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    mem::MaybeUninit,
};

use rustix::{
    io::Errno,
    pipe::{PipeFlags, pipe_with},
    process::{Pid, WaitOptions, setsid, waitpid},
};

/// What a worker says when it fails: a number of the caller's, and the error.
pub type Outcome = Result<(), (u8, Errno)>;

/// Runs `work` in a child in a session of its own with all signals blocked, and waits for it.
///
/// So what must happen as a whole does, even if this process is killed meanwhile. Descriptors are
/// inherited, and with them the locks of flock(2), until the work is done.
///
/// # Errors
///
/// If there can be no child, or it is killed.
pub fn run(work: impl FnOnce() -> Outcome) -> io::Result<Outcome> {
    let (read_end, write_end) = pipe_with(PipeFlags::CLOEXEC)?;
    // SAFETY: this process has one thread (see the invariants of the crate), so the child has a
    // copy of memory in which nothing is locked.
    let pid = unsafe { libc::fork() };
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    let Some(pid) = Pid::from_raw(pid) else {
        drop(read_end);
        let outcome = in_child(work);
        let (step, errno) =
            outcome.err().map_or((0, 0), |(step, errno)| (step, errno.raw_os_error()));
        let mut message = vec![step];
        message.extend(errno.to_ne_bytes());
        // Nobody may be left to be told.
        let _told = File::from(write_end).write_all(&message);
        // SAFETY: it has no preconditions; what the parent would still write is not written twice.
        unsafe { libc::_exit(0) }
    };
    drop(write_end);
    let mut message = [0; 5];
    let read = File::from(read_end).read_exact(&mut message);
    while let Err(Errno::INTR) = waitpid(Some(pid), WaitOptions::empty()) {}
    read.map_err(|_end| io::Error::other("the process that does it was killed"))?;
    let [step, errno @ ..] = message;
    let errno = i32::from_ne_bytes(errno);
    Ok(if errno == 0 { Ok(()) } else { Err((step, Errno::from_raw_os_error(errno))) })
}

fn in_child(work: impl FnOnce() -> Outcome) -> Outcome {
    let mut all = MaybeUninit::uninit();
    // SAFETY: sigfillset initialises the set that it is given.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    // SAFETY: the set is initialised; nobody wants the former mask.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, all.as_ptr(), std::ptr::null_mut()) };
    // A new child leads no group, so this cannot fail.
    let _session = setsid();
    work()
}

#[cfg(test)]
mod tests {
    use super::*;

    // The tests have threads, but no child here needs a lock that one of them may hold.

    #[test]
    fn what_the_child_says_arrives() {
        assert_eq!(run(|| Ok(())).unwrap(), Ok(()));
        assert_eq!(run(|| Err((3, Errno::EXIST))).unwrap(), Err((3, Errno::EXIST)));
    }
}
