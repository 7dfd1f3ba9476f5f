//! From this program to another one, in the same process.

use std::{
    env,
    ffi::{CString, OsStr, OsString},
    io,
    os::{
        fd::{AsRawFd as _, BorrowedFd},
        unix::ffi::OsStrExt as _,
    },
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

/// Runs the program of an open file with `args`, its own name included; returns only if it cannot.
///
/// Signals are as they were when this process began.
///
/// # Errors
///
/// Those of execveat(2).
pub fn exec_file(program: BorrowedFd<'_>, args: &[OsString]) -> io::Error {
    let variable = |(name, value): (OsString, OsString)| {
        CString::new([name.as_bytes(), b"=", value.as_bytes()].concat())
    };
    let variables: Result<Vec<_>, _> = env::vars_os().map(variable).collect();
    let args: Result<Vec<_>, _> = args.iter().map(|arg| CString::new(arg.as_bytes())).collect();
    let (Ok(variables), Ok(args)) = (variables, args) else {
        return io::ErrorKind::InvalidInput.into();
    };
    let pointers = |words: &[CString]| {
        words.iter().map(|word| word.as_ptr()).chain([ptr::null()]).collect::<Vec<_>>()
    };
    let (arg_pointers, variable_pointers) = (pointers(&args), pointers(&variables));
    set_pipe(if PIPE_IGNORED.load(Ordering::Relaxed) { libc::SIG_IGN } else { libc::SIG_DFL });
    // SAFETY: both lists are ended by null, their words by NUL, and all outlive the call.
    unsafe {
        libc::fexecve(program.as_raw_fd(), arg_pointers.as_ptr(), variable_pointers.as_ptr())
    };
    let error = io::Error::last_os_error();
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
