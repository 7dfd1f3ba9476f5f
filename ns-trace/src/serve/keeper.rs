//! The thread that keeps the collector going: it reads the configuration again when it is told to,
//! tells the service manager that the pipeline is alive, as long as it is, and has the table know of
//! what no process is in.

use std::{
    io,
    os::fd::OwnedFd,
    sync::{Arc, mpsc::channel},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::read,
    pipe::{PipeFlags, pipe_with},
};

use super::{Level, Reload, Shared};
use crate::{
    pipeline::Inquiry,
    sys::{clock, notify, signal},
};

/// How often the kernel's lists are looked through for namespaces that came to be unseen: a backend may
/// have blind spots (see [`coverage`](crate::probe::coverage)). With 10,000 namespaces that takes some
/// milliseconds.
const ROUND: Duration = Duration::from_secs(10);
/// How soon that is done again after a `sync`: what is met for the first time is told the second.
const SOON: Duration = Duration::from_secs(1);

/// How often it is looked who all processes are: users, names and parents change without an event. With
/// 20,000 processes that takes some tens of milliseconds.
const WHO: Duration = Duration::from_secs(30);

/// The thread; it ends with this.
#[derive(Debug)]
pub(super) struct Keeper {
    thread: Option<JoinHandle<()>>,
    stop: Option<OwnedFd>,
}

impl Keeper {
    pub(super) fn start(shared: Arc<Shared>, hangups: OwnedFd, reload: Reload) -> io::Result<Self> {
        let (stopped, stop) = pipe_with(PipeFlags::CLOEXEC)?;
        // Twice as often as asked for, as sd_watchdog_enabled(3) advises.
        let every = notify::watchdog().map(|every| every / 2);
        let thread = thread::Builder::new().name("keeper".to_owned()).spawn(move || {
            let mut due = every.map(|every| Instant::now() + every);
            let mut round = Instant::now() + ROUND;
            let mut known = Instant::now();
            while !wait([&hangups, &stopped, &shared.synced], due.unwrap_or(round).min(round)) {
                if signal::has_come(&hangups) {
                    again(&shared, &reload);
                }
                let is_synced = read(&shared.synced, &mut [0; 8]).is_ok();
                if is_synced || round <= Instant::now() {
                    complete(&shared);
                    if known.elapsed() >= WHO && identify(&shared) {
                        known = Instant::now();
                    }
                    round = Instant::now() + if is_synced { SOON } else { ROUND };
                }
                if let (Some(time), Some(every)) = (due, every)
                    && time <= Instant::now()
                {
                    if is_alive(&shared, every) {
                        shared.notifier.tell("WATCHDOG=1");
                    }
                    due = Some(Instant::now() + every);
                }
            }
        })?;
        Ok(Self { thread: Some(thread), stop: Some(stop) })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // One that panicked has said so.
            drop(thread.join());
        }
    }
}

/// Waits for a signal, the order to stop, a `sync` or for what is due; tells whether to stop.
fn wait(fds: [&OwnedFd; 3], due: Instant) -> bool {
    let mut fds = fds.map(|fd| PollFd::new(fd, PollFlags::IN));
    let left = Timespec::try_from(due.saturating_duration_since(Instant::now())).ok();
    // Interrupted by a signal, it is looked for what has come.
    let _count = poll(&mut fds, left.as_ref());
    let [_, stopped, _] = fds;
    !stopped.revents().is_empty()
}

/// Whether the pipeline answers in time.
fn is_alive(shared: &Shared, patience: Duration) -> bool {
    let (answer, answered) = channel();
    shared.inquiries.ask(Inquiry::Alive(Box::new(move || {
        // Nobody may wait any more.
        let _told = answer.send(());
    })));
    answered.recv_timeout(patience).is_ok()
}

/// Has the table know of namespaces that no process is in and no event has told of: they are older than
/// the probes, or came to be unseen.
fn complete(shared: &Shared) {
    let began = clock::boot_ns();
    if let Some(all) = shared.looker().existing() {
        shared.inquiries.ask(Inquiry::Existing { began, all });
    }
}

/// Has the table know who all processes are; false while another looks.
fn identify(shared: &Shared) -> bool {
    let began = clock::boot_ns();
    let all = shared.looker().identities();
    let is_known = all.is_some();
    if let Some(all) = all {
        shared.inquiries.ask(Inquiry::Identities { began, all });
    }
    is_known
}

/// Reads the configuration again.
fn again(shared: &Shared, reload: &Reload) {
    shared.notifier.reloading();
    match reload() {
        Ok((config, rules)) => match shared.replace(config, rules) {
            Ok(()) => (shared.say)(Level::Info, "the configuration was read again"),
            Err(error) => {
                let what = format!("cannot take over the configuration: {error}");
                (shared.say)(Level::Error, &what);
            }
        },
        Err(problems) => {
            let what = format!("the configuration stays as it was:\n{problems}");
            (shared.say)(Level::Error, &what);
        }
    }
    shared.notifier.tell("READY=1");
}
