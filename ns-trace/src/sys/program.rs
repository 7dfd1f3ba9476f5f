//! From this program to another one, in the same process.

use std::{
    env,
    ffi::{CString, OsStr, OsString},
    io,
    os::unix::ffi::OsStrExt as _,
    ptr,
    sync::atomic::{AtomicBool, Ordering},
};

/// Whether SIGPIPE was ignored when this process began; the library of Rust ignores it later.
static PIPE_IGNORED: AtomicBool = AtomicBool::new(false);

/// Run by the loader before anything of Rust's.
#[used]
#[unsafe(link_section = ".init_array")]
static REMEMBER: extern "C" fn() = remember;

extern "C" fn remember() {
    // SAFETY: a structure of integers and a pointer that may be null.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: without a new action the call only writes the present one.
    let result = unsafe { libc::sigaction(libc::SIGPIPE, ptr::null(), &raw mut action) };
    PIPE_IGNORED.store(result == 0 && action.sa_sigaction == libc::SIG_IGN, Ordering::Relaxed);
}

/// Runs `program`, looked up in PATH, with `args`, its own name included; returns only if it
/// cannot.
///
/// Signals are as they were when this process began.
///
/// # Errors
///
/// ENOENT if there is no such program, otherwise those of execve(2).
pub fn exec(program: &OsStr, args: &[OsString]) -> io::Error {
    let Ok(program) = CString::new(program.as_bytes()) else {
        return io::ErrorKind::InvalidInput.into();
    };
    let Ok(args) =
        args.iter().map(|arg| CString::new(arg.as_bytes())).collect::<Result<Vec<_>, _>>()
    else {
        return io::ErrorKind::InvalidInput.into();
    };
    let mut pointers: Vec<_> = args.iter().map(|arg| arg.as_ptr()).collect();
    pointers.push(ptr::null());
    set_pipe(if PIPE_IGNORED.load(Ordering::Relaxed) { libc::SIG_IGN } else { libc::SIG_DFL });
    // SAFETY: both are ended by what ends them, NUL and null, and outlive the call.
    unsafe { libc::execvp(program.as_ptr(), pointers.as_ptr()) };
    let error = io::Error::last_os_error();
    // From here on it is Rust's again.
    set_pipe(libc::SIG_IGN);
    error
}

fn set_pipe(action: libc::sighandler_t) {
    // SAFETY: neither of the two actions is a handler.
    unsafe { libc::signal(libc::SIGPIPE, action) };
}

/// Replaces the whole environment.
pub fn replace_environment(variables: &[(OsString, OsString)]) {
    for (name, _) in env::vars_os() {
        // SAFETY: this process has one thread.
        unsafe { env::remove_var(name) };
    }
    for (name, value) in variables {
        // SAFETY: this process has one thread.
        unsafe { env::set_var(name, value) };
    }
}

/// Ends a process that is a copy of this one, with nothing of what an end brings about.
pub fn quit(status: i32) -> ! {
    // SAFETY: the call takes a number only, and does not return.
    unsafe { libc::_exit(status) }
}
