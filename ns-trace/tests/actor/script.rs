//! What an actor does, command by command.

use std::{
    ffi::CString,
    fs,
    io::{self, Read as _, Write as _},
    os::{fd::IntoRawFd as _, unix::process::CommandExt as _},
    process::{Command, ExitCode, Stdio},
    thread,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    mount::{MountPropagationFlags, UnmountFlags, mount_bind, mount_change, unmount},
    process::{
        Pid, PidfdFlags, Resource, Rlimit, Signal, WaitId, WaitIdOptions, getrlimit, kill_process,
        pidfd_open, setrlimit, waitid,
    },
};
use serde_json::{Value, json};

use super::{rare, syscall};

/// What becomes of the task in front after a command.
pub(super) enum Next {
    /// It answers this and goes on.
    Answer(Value),
    /// It has answered already.
    Silent,
    /// It ends.
    End(i32),
}

/// Runs an actor to the end of its input.
pub(crate) fn run() -> ExitCode {
    let status = serve();
    ExitCode::from(u8::try_from(status).unwrap_or(1))
}

/// Does what the lines say until the task in front ends; returns its exit status.
fn serve() -> i32 {
    while let Some(line) = read_line() {
        let next = match perform(&line) {
            Ok(next) => next,
            Err(error) => match error.raw_os_error() {
                Some(number) => Next::Answer(json!({ "error": number })),
                None => Next::Answer(json!({ "error": error.to_string() })),
            },
        };
        match next {
            Next::Answer(value) => answer(&value),
            Next::Silent => {}
            Next::End(status) => return status,
        }
    }
    0
}

/// One line, and not a byte more: the rest belongs to whoever is in front then.
fn read_line() -> Option<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    let mut stdin = io::stdin().lock();
    // The buffer never holds more than one line: the test waits for each answer.
    while stdin.read(&mut byte).ok()? == 1 {
        if byte == *b"\n" {
            return String::from_utf8(line).ok();
        }
        line.extend(byte);
    }
    None
}

pub(super) fn answer(value: &Value) {
    let mut stdout = io::stdout().lock();
    // Without a reader the next line to read is the end.
    drop(writeln!(stdout, "{value}").and_then(|()| stdout.flush()));
}

fn perform(line: &str) -> io::Result<Next> {
    let words: Vec<&str> = line.split(' ').collect();
    let done = || Ok(Next::Answer(json!({})));
    let value = |number: i64| Ok(Next::Answer(json!({ "value": number })));
    match words[..] {
        ["who"] => Ok(Next::Answer(own()?)),
        ["unshare", flags] => {
            syscall::unshare(hexadecimal(flags)?)?;
            done()
        }
        ["setns", fd, flags] => {
            let flags = hexadecimal(flags)?;
            syscall::setns(number(fd)?, i32::try_from(flags).map_err(io::Error::other)?)?;
            done()
        }
        ["clone", flags] => family(syscall::clone(hexadecimal(flags)?)?),
        ["clone3", flags] => family(syscall::clone3(hexadecimal(flags)?, None)?),
        ["clone3", flags, tid] => family(syscall::clone3(hexadecimal(flags)?, Some(number(tid)?))?),
        ["thread"] => {
            let status =
                in_front().join().map_err(|_panic| io::Error::other("the thread panicked"))?;
            Ok(Next::Answer(json!({ "ended": status })))
        }
        // May leave a core, in a directory.
        ["core", directory] => {
            std::env::set_current_dir(directory)?;
            let most = getrlimit(Resource::Core).maximum;
            setrlimit(Resource::Core, Rlimit { current: most, maximum: most })?;
            done()
        }
        ["reap"] => {
            waitid(WaitId::All, WaitIdOptions::EXITED)?;
            done()
        }
        ["open", path] => value(i64::from(fs::File::open(path)?.into_raw_fd())),
        ["pidfd", pid] => {
            let pid = Pid::from_raw(number(pid)?).ok_or(io::ErrorKind::InvalidInput)?;
            value(i64::from(pidfd_open(pid, PidfdFlags::empty())?.into_raw_fd()))
        }
        ["close", fd] => {
            syscall::close(number(fd)?)?;
            done()
        }
        ["write", path, ref text @ ..] => {
            fs::write(path, text.join(" "))?;
            done()
        }
        // Lines are parted by slashes, since a command is one.
        ["lines", path, ref text @ ..] => {
            fs::write(path, text.join(" ").replace(" / ", "\n"))?;
            done()
        }
        ["private"] => {
            let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
            mount_change("/", flags)?;
            done()
        }
        ["bind", from, to] => {
            mount_bind(from, to)?;
            done()
        }
        ["unbind", at] => {
            unmount(at, UnmountFlags::empty())?;
            done()
        }
        ["user", uid] => {
            syscall::set_user(number(uid)?.cast_unsigned())?;
            done()
        }
        ["name", name] => {
            rustix::thread::set_name(&CString::new(name)?)?;
            done()
        }
        // Goes on as another process image, with the words as arguments.
        ["exec", ref args @ ..] => {
            answer(&json!({}));
            // The process has no program any more if its first thread has ended.
            Err(Command::new(fs::read_link("/proc/thread-self/exe")?).args(args).exec())
        }
        // Runs another program to its end.
        ["run", program, ref args @ ..] => {
            let output = Command::new(program).args(args).stdin(Stdio::null()).output()?;
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            Ok(Next::Answer(json!({ "code": output.status.code(), "stderr": stderr })))
        }
        [what @ ("repeat" | "fail" | "pingpong"), times, ref how @ ..] => {
            for _ in 0..times.parse::<u64>().map_err(io::Error::other)? {
                once(what, how)?;
            }
            done()
        }
        ["exit", status] => Ok(Next::End(number(status)?)),
        ["kill", signal] => {
            let signal =
                Signal::from_named_raw(number(signal)?).ok_or(io::ErrorKind::InvalidInput)?;
            kill_process(rustix::process::getpid(), signal)?;
            Ok(Next::Silent)
        }
        _ => rare::perform(&words),
    }
}

/// A new thread, in front.
pub(super) fn in_front() -> thread::JoinHandle<i32> {
    thread::spawn(|| {
        answer(&own().unwrap_or_default());
        serve()
    })
}

/// One of many calls.
fn once(what: &str, how: &[&str]) -> io::Result<()> {
    match (what, how) {
        ("repeat", [flags]) => syscall::unshare(hexadecimal(flags)?),
        ("fail", [flags]) => match syscall::unshare(hexadecimal(flags)?) {
            Ok(()) => Err(io::Error::other("that is allowed here")),
            Err(_) => Ok(()),
        },
        // To and fro between two namespaces, ending in the second.
        ("pingpong", [one, other]) => {
            syscall::setns(number(one)?, 0)?;
            syscall::setns(number(other)?, 0)
        }
        _ => Err(io::Error::other(format!("no such command: {what} {how:?}"))),
    }
}

/// After a clone: the child is in front, the parent waits until it ends and leaves it a zombie.
pub(super) fn family(pid: i64) -> io::Result<Next> {
    if pid == 0 {
        answer(&own()?);
        syscall::exit(serve());
    }
    wait(pid)
}

/// Waits for the end of a child, which is left a zombie; or of a sibling (`CLONE_PARENT`).
pub(super) fn wait(pid: i64) -> io::Result<Next> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    let status = match waitid(WaitId::Pid(pid), options) {
        Err(Errno::CHILD) => {
            let sibling = pidfd_open(pid, PidfdFlags::empty())?;
            poll(&mut [PollFd::new(&sibling, PollFlags::IN)], None)?;
            return Ok(Next::Answer(json!({ "ended": null })));
        }
        status => status?,
    };
    let status = status.ok_or(io::ErrorKind::InvalidData)?;
    Ok(Next::Answer(json!({
        "ended": status.exit_status(),
        "signal": status.terminating_signal(),
        "core": status.dumped(),
    })))
}

/// The numbers of the task in front, as /proc has them.
fn own() -> io::Result<Value> {
    // "PID/task/TID"
    let link = match fs::read_link("/proc/thread-self") {
        // In a mount namespace without a mount; then it is in the pid namespace of /proc.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let (pid, tid) = (rustix::process::getpid(), rustix::thread::gettid());
            return Ok(json!({ "pid": pid.as_raw_nonzero(), "tid": tid.as_raw_nonzero() }));
        }
        link => link?,
    };
    let numbers: Vec<u64> = link.iter().filter_map(|part| part.to_str()?.parse().ok()).collect();
    match numbers[..] {
        [pid, tid] => Ok(json!({ "pid": pid, "tid": tid })),
        _ => Err(io::Error::other(format!("/proc/thread-self is {}", link.display()))),
    }
}

pub(super) fn hexadecimal(word: &str) -> io::Result<u64> {
    u64::from_str_radix(word, 16).map_err(io::Error::other)
}

pub(super) fn number(word: &str) -> io::Result<i32> {
    word.parse().map_err(io::Error::other)
}
