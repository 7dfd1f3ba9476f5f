//! New processes that go on where their parent is.

use std::io;

use rustix::process::Pid;

/// On which side of a fork we are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Forked {
    /// In the new process.
    Child,
    /// In the old one; the number is the child's, as our pid namespace has it.
    Parent(Pid),
}

/// Forks, into new namespaces if `flags` has bits of them (clone3(2), Linux 5.3).
///
/// # Errors
///
/// Those of clone3(2).
pub fn fork(flags: u64) -> io::Result<Forked> {
    let pid = if flags == 0 { plain() } else { clone3(flags) };
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    let pid = i32::try_from(pid).map_err(io::Error::other)?;
    Ok(Pid::from_raw(pid).map_or(Forked::Child, Forked::Parent))
}

fn plain() -> libc::c_long {
    // SAFETY: this process has one thread, so the child may do all that the parent may.
    libc::c_long::from(unsafe { libc::fork() })
}

fn clone3(flags: u64) -> libc::c_long {
    // SAFETY: a structure of integers, for which zeros are valid.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = flags;
    args.exit_signal = libc::SIGCHLD.unsigned_abs().into();
    // SAFETY: without CLONE_VM the child has a copy of the memory, stack included, and this process
    // has one thread.
    unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<libc::clone_args>()) }
}
