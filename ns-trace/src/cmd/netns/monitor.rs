//! Names as they come and go.

use std::{
    convert::Infallible,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Write as _},
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    process::ExitCode,
    time::{Duration, Instant},
};

use jiff::{Timestamp, tz::TimeZone};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags},
    io::Errno,
};
use serde::Serialize;

use super::{Outcome, Problem, plain, shown, words};
use crate::{cli::NetnsOptions, model::Kind, name::Names};

/// How long a file may be without a namespace on it until it is told of as it is.
const PATIENCE: Duration = Duration::from_secs(1);

/// Files that were made, and on which nothing is mounted yet.
type Pending = Vec<(OsString, Instant)>;

/// Prints until it is ended, or nobody reads any more.
pub(super) fn run(options: &NetnsOptions) -> Outcome {
    match follow(options) {
        Err(Stop::Unread) => Ok(ExitCode::SUCCESS),
        Err(Stop::Problem(problem)) => Err(problem),
    }
}

/// Why it ends.
enum Stop {
    Unread,
    Problem(Problem),
}

impl Stop {
    fn new(what: &str, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Unread,
            _ => Self::Problem(Problem::new(format!("{what}: {}", words(error)))),
        }
    }
}

fn follow(options: &NetnsOptions) -> Result<Infallible, Stop> {
    let names = Names::of(Kind::Net);
    drop(names.prepare().map_err(|error| Stop::Problem(error.into()))?);
    let watch = watch(&names).map_err(|error| Stop::new("inotify", &error))?;
    // Its poll says when something is mounted (proc_pid_mountinfo(5)).
    let mounts =
        File::open("/proc/self/mountinfo").map_err(|error| Stop::new("mountinfo", &error))?;
    let mut pending = Pending::new();
    let mut room = [MaybeUninit::uninit(); 8192];
    loop {
        let wait = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        let wait = (!pending.is_empty()).then_some(&wait);
        let mut fds = [PollFd::new(&watch, PollFlags::IN), PollFd::new(&mounts, PollFlags::PRI)];
        // While nothing is pending, mounts are no news.
        let fds =
            if pending.is_empty() { fds.get_mut(..1).unwrap_or_default() } else { &mut fds[..] };
        match poll(fds, wait) {
            Err(Errno::INTR) => continue,
            result => result.map_err(|errno| Stop::new("poll", &errno.into()))?,
        };
        let has_news = fds.first().is_some_and(|fd| fd.revents().contains(PollFlags::IN));
        if has_news {
            let mut reader = Reader::new(&watch, &mut room);
            loop {
                let event = reader.next().map_err(|errno| Stop::new("inotify", &errno.into()))?;
                if let Some(name) = event.file_name() {
                    let name = OsStr::from_bytes(name.to_bytes());
                    let is_new = event.events().contains(ReadFlags::CREATE);
                    told(&names, name, is_new, &mut pending, options)?;
                }
                if reader.is_buffer_empty() {
                    break;
                }
            }
        }
        let due = pending
            .extract_if(.., |(name, since)| names.is_alive(name) || since.elapsed() > PATIENCE);
        for (name, _) in due.collect::<Vec<_>>() {
            say("add", &name, options)?;
        }
    }
}

fn watch(names: &Names) -> io::Result<OwnedFd> {
    let watch = inotify::init(CreateFlags::CLOEXEC)?;
    inotify::add_watch(&watch, names.directory(), WatchFlags::CREATE | WatchFlags::DELETE)?;
    Ok(watch)
}

/// A name is told of once its namespace is there, or the next thing happens to it.
fn told(
    names: &Names,
    name: &OsStr,
    is_new: bool,
    pending: &mut Pending,
    options: &NetnsOptions,
) -> Result<(), Stop> {
    if is_new && !names.is_alive(name) {
        pending.push((name.to_owned(), Instant::now()));
        return Ok(());
    }
    if is_new {
        return say("add", name, options);
    }
    if let Some(at) = pending.iter().position(|(other, _)| other == name) {
        pending.remove(at);
        say("add", name, options)?;
    }
    say("delete", name, options)
}

/// A line as JSON has it.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    event: &'a str,
    name: String,
}

fn say(event: &str, name: &OsStr, options: &NetnsOptions) -> Result<(), Stop> {
    let now = Timestamp::now();
    let line = if options.json {
        let line = Line { time: now.to_string(), event, name: plain(name) };
        serde_json::to_string(&line).map_err(|error| Stop::new("JSON", &error.into()))?
    } else if options.timestamp {
        let time = now.to_zoned(TimeZone::system());
        format!("[{}] {event} {}", time.strftime("%Y-%m-%dT%H:%M:%S%.6f"), shown(name))
    } else {
        format!("{event} {}", shown(name))
    };
    let mut stdout = io::stdout().lock();
    let written = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    written.map_err(|error| Stop::new("cannot write", &error))
}
