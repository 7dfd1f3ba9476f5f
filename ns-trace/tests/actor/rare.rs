//! What actors do that programs seldom do.

use std::{
    env,
    ffi::CString,
    io,
    net::UdpSocket,
    os::{
        fd::{IntoRawFd as _, OwnedFd},
        unix::net::UnixDatagram,
    },
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    mount::MountFlags,
    process::{WaitId, WaitIdOptions, waitid},
    time::Timespec,
};
use serde_json::json;

use super::{
    MARK,
    script::{Next, answer, family, hexadecimal, in_front, number, wait},
    syscall::{
        self,
        foreign::{self, clone3_by_int80, int80},
        holder,
    },
};

/// Performs a command, already parted into words.
pub(super) fn perform(words: &[&str]) -> io::Result<Next> {
    let done = || Ok(Next::Answer(json!({})));
    match *words {
        ["int80", "unshare", flags] => {
            int80(foreign::UNSHARE, short(flags)?, 0)?;
            done()
        }
        ["int80", "setns", fd, flags] => {
            int80(foreign::SETNS, number(fd)?.cast_unsigned(), short(flags)?)?;
            done()
        }
        ["int80", "clone", flags] => {
            let signal = libc::SIGCHLD.cast_unsigned();
            family(int80(foreign::CLONE, short(flags)? | signal, 0)?)
        }
        ["int80", "clone3", flags] => family(clone3_by_int80(hexadecimal(flags)?)?),
        ["clone3", flags, "into", cgroup] => {
            family(syscall::clone3_into(hexadecimal(flags)?, number(cgroup)?)?)
        }
        ["malformed", flags] => {
            syscall::clone3_malformed(hexadecimal(flags)?)?;
            done()
        }
        // A child in this memory, which becomes an actor of its own and is in front.
        ["vfork", flags] => {
            let program = env::current_exe()?.into_os_string().into_encoded_bytes();
            let words = [CString::new(program)?];
            let pid =
                foreign::vfork(hexadecimal(flags)?, &words, &[CString::new(format!("{MARK}=1"))?])?;
            answer(&json!({ "value": pid }));
            wait(pid)
        }
        // A new thread is in front, and the first one ends.
        ["thread", "alone"] => {
            drop(in_front());
            syscall::exit_thread()
        }
        // Children without end, each of which ends at once.
        ["breed", flags] => {
            let flags = hexadecimal(flags)?;
            answer(&json!({}));
            loop {
                if syscall::clone3(flags, None)? == 0 {
                    syscall::exit(0);
                }
                waitid(WaitId::All, WaitIdOptions::EXITED)?;
            }
        }
        // By turns with each of the flags.
        ["turns", times, ref flags @ ..] => {
            let flags =
                flags.iter().map(|flags| hexadecimal(flags)).collect::<io::Result<Vec<_>>>()?;
            let times = times.parse().map_err(io::Error::other)?;
            flags.iter().cycle().take(times).try_for_each(|flags| syscall::unshare(*flags))?;
            done()
        }
        // The same, so many milliseconds apart, until there is something else to do.
        ["churn", pause, ref flags @ ..] => {
            let pause = Duration::from_millis(pause.parse().map_err(io::Error::other)?);
            let pause = Timespec::try_from(pause).map_err(io::Error::other)?;
            let flags =
                flags.iter().map(|flags| hexadecimal(flags)).collect::<io::Result<Vec<_>>>()?;
            answer(&json!({}));
            let input = io::stdin();
            for flags in flags.iter().cycle() {
                syscall::unshare(*flags)?;
                let mut wanted = [PollFd::new(&input, PollFlags::IN)];
                if poll(&mut wanted, Some(&pause))? > 0 {
                    break;
                }
            }
            Ok(Next::Silent)
        }
        _ => hold(words),
    }
}

/// Performs a command that has something held.
fn hold(words: &[&str]) -> io::Result<Next> {
    let done = || Ok(Next::Answer(json!({})));
    let descriptor = |fd: OwnedFd| Ok(Next::Answer(json!({ "value": fd.into_raw_fd() })));
    match *words {
        ["ring"] => descriptor(holder::ring(false)?),
        ["ring", "polled"] => descriptor(holder::ring(true)?),
        ["register", ring, fd] => {
            holder::register(number(ring)?, number(fd)?)?;
            done()
        }
        ["post", fd] => descriptor(holder::post(number(fd)?)?),
        ["knock", fd] => descriptor(holder::knock(number(fd)?)?),
        ["pair"] => descriptor(UnixDatagram::pair()?.0.into()),
        ["signals", fd, pid] => {
            holder::signals(number(fd)?, number(pid)?)?;
            done()
        }
        ["fetch", pidfd, fd] => descriptor(holder::fetch(number(pidfd)?, number(fd)?)?),
        ["socket"] => descriptor(UdpSocket::bind(("0.0.0.0", 0))?.into()),
        ["attach"] => Ok(Next::Answer(json!({ "value": holder::attach()? }))),
        ["detach", place] => {
            holder::detach(place.parse().map_err(io::Error::other)?)?;
            done()
        }
        ["tap"] => descriptor(holder::tap()?),
        ["procfs", at] => {
            rustix::mount::mount("proc", at, "proc", MountFlags::empty(), None)?;
            done()
        }
        ["tree", path, flags] => descriptor(holder::open_tree(path, short(flags)?)?),
        ["fsmount", flags] => descriptor(holder::fsmount(short(flags)?)?),
        ["forbid", call] => {
            holder::forbid(number(call)?.cast_unsigned())?;
            done()
        }
        _ => Err(io::Error::other(format!("no such command: {}", words.join(" ")))),
    }
}

/// Flags of 32 bits.
fn short(flags: &str) -> io::Result<u32> {
    u32::from_str_radix(flags, 16).map_err(io::Error::other)
}
