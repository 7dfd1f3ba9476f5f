//! The thread that empties the ring.
//!
//! Idle it sleeps in epoll, and the first record wakes it. Busy it sleeps a few milliseconds at a
//! time instead of waiting for wake-ups, each of which would cost the traced task more than the
//! record itself.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use ns_trace_common::{RecordKind, lost::Ledger};
use rustix::{
    event::{PollFd, PollFlags, Timespec, epoll, poll},
    io::{Errno, read},
    process::setpriority_process,
    thread::CapabilitySet,
};

use super::{
    backlog::{Backlog, Message},
    losses::Gaps,
    record::header,
};
use crate::sys::{capability, mapping::Mapping, ring::Ring, signal};

/// How long a busy reader sleeps: at a million records a second the default ring fills in 40 ms.
const NAP: Duration = Duration::from_millis(4);
/// How long after a storm what only that needed is given back.
const REST: Duration = Duration::from_secs(1);
/// So many bytes at once are a storm.
const STORM: usize = PIECE / 2;
/// Records are handed on in pieces of about this many bytes.
const PIECE: usize = 1 << 19;
/// Room for the largest record.
const LARGEST: usize = 1 << 14;

/// The nice value of whoever comes first.
const HIGHEST: i32 = -20;

/// How many signals are left to whoever writes the events: one for the command, one for the end.
const POLITE: u32 = 2;

const RING: u64 = 0;
const SIGNALS: u64 = 1;
const OUTPUT: u64 = 2;
const BELL: u64 = 3;

/// What the reader listens to besides the ring.
#[derive(Debug, Default)]
pub struct Listen {
    /// One byte per signal, its number.
    pub signals: Option<OwnedFd>,
    /// Where events are written: a pipe whose reader goes away is noticed at once.
    pub output: Option<OwnedFd>,
    /// An eventfd: it is readable when somebody asks something.
    pub bell: Option<OwnedFd>,
}

/// Up to where the kernel may have a ring back, as those settle who take what is read.
#[derive(Debug, Default)]
pub struct Settled {
    limit: AtomicU64,
    released: AtomicU64,
}

impl Settled {
    /// What is before `position` is not needed any more.
    pub fn settle(&self, position: u64) {
        self.limit.store(position, Ordering::Release);
    }

    /// What is before this position the kernel has back.
    #[must_use]
    pub fn released(&self) -> u64 {
        self.released.load(Ordering::Acquire)
    }
}

/// A running reader.
pub struct Reader {
    thread: JoinHandle<Ring>,
    stop: OwnedFd,
}

impl Reader {
    /// Starts to carry records from `ring` to `backlog`, and to check them against the `ledgers`.
    ///
    /// `gaps` is what is known of the records before. What was read stays in the ring until it is
    /// before the position in `settled`, if there is one.
    ///
    /// # Errors
    ///
    /// If the descriptors or the thread cannot be made.
    pub fn start(
        ring: Ring,
        ledgers: Arc<Mapping<Ledger>>,
        backlog: Arc<Backlog>,
        listen: Listen,
        gaps: Gaps,
        settled: Option<Arc<Settled>>,
    ) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let readable = epoll::EventFlags::IN;
        epoll::add(&epoll, ring.as_fd(), epoll::EventData::new_u64(RING), readable)?;
        if let Some(signals) = &listen.signals {
            epoll::add(&epoll, signals, epoll::EventData::new_u64(SIGNALS), readable)?;
        }
        if let Some(output) = &listen.output {
            // Only errors and hang-ups, which are reported unasked; and once, for they stay. A
            // regular file cannot be watched and has no reader that could go away.
            let once = epoll::EventFlags::ONESHOT;
            match epoll::add(&epoll, output, epoll::EventData::new_u64(OUTPUT), once) {
                Ok(()) | Err(Errno::PERM) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(bell) = &listen.bell {
            epoll::add(&epoll, bell, epoll::EventData::new_u64(BELL), readable)?;
        }
        let (wake, stop) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        // The end of the pipe that we hold closes when the reader is to stop.
        epoll::add(&epoll, &wake, epoll::EventData::new_u64(u64::MAX), readable)?;
        let thread = thread::Builder::new().name("ring".to_owned()).spawn(move || {
            // Before all others: whom it watches must not keep it from the ring. Without the right
            // it takes its turn like everybody. (To Linux, "this process" is this thread.)
            let _preferred = setpriority_process(None, HIGHEST);
            // It reads what is mapped already. Who may not even give rights up keeps none to speak of.
            let _dropped = capability::keep(CapabilitySet::empty());
            Carrier {
                ring,
                epoll,
                backlog,
                listen,
                ledgers,
                gaps,
                settled,
                signals_seen: 0,
                asked: 0,
                stormed: None,
                _wake: wake,
            }
            .run()
        })?;
        Ok(Self { thread, stop })
    }

    /// Stops the thread once what is in the ring now is handed on, and returns the ring.
    #[must_use]
    pub fn stop(self) -> Option<Ring> {
        drop(self.stop);
        self.thread.join().ok()
    }
}

struct Carrier {
    ring: Ring,
    epoll: OwnedFd,
    backlog: Arc<Backlog>,
    listen: Listen,
    ledgers: Arc<Mapping<Ledger>>,
    gaps: Gaps,
    settled: Option<Arc<Settled>>,
    signals_seen: u32,
    /// How many questions were asked that the ring was not looked through for yet.
    asked: u64,
    /// When the last storm was, if what it needed is not given back yet.
    stormed: Option<Instant>,
    _wake: OwnedFd,
}

impl Carrier {
    fn run(mut self) -> Ring {
        let mut patience = None;
        loop {
            match self.wait(patience) {
                Ok(true) => {}
                Ok(false) => {
                    // Once empty: waiting until nothing comes any more could be for ever.
                    while self.carry() == Carried::Full {}
                    return self.ring;
                }
                Err(error) => {
                    self.backlog.push(Message::Failed(error));
                    return self.ring;
                }
            }
            let carried = self.carry();
            if carried != Carried::Full && self.asked > 0 {
                self.backlog.push(Message::Asked(std::mem::take(&mut self.asked)));
            }
            if self.stormed.is_some_and(|at| at.elapsed() >= REST) && self.backlog.give_back() {
                self.stormed = None;
                self.backlog.push(Message::Rest);
            }
            let is_settled = self.release();
            patience = match carried {
                Carried::Nothing if is_settled => {
                    self.stormed.map(|_| REST.try_into().unwrap_or_default())
                }
                // The kernel wakes nobody for whom there is something left.
                Carried::Nothing | Carried::Some => {
                    self.nap();
                    Some(Timespec::default())
                }
                Carried::Full => Some(Timespec::default()),
            };
        }
    }

    /// Waits for something to do, no longer than `patience`; returns whether to go on.
    fn wait(&mut self, patience: Option<Timespec>) -> io::Result<bool> {
        let mut events = Vec::with_capacity(4);
        let room = rustix::buffer::spare_capacity(&mut events);
        match epoll::wait(&self.epoll, room, patience.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut go_on = true;
        for event in &events {
            match event.data.u64() {
                RING => {}
                SIGNALS => self.signals(),
                BELL => self.asked += self.bell(),
                OUTPUT => self.backlog.push_first(Message::OutputClosed),
                _ => go_on = false,
            }
        }
        Ok(go_on)
    }

    /// Sleeps, unless somebody asks something.
    fn nap(&self) {
        let Some(bell) = &self.listen.bell else {
            thread::sleep(NAP);
            return;
        };
        // Interrupted or not, there is another look at the ring.
        let nap = Timespec::try_from(NAP).ok();
        let _rung = poll(&mut [PollFd::new(bell, PollFlags::IN)], nap.as_ref());
    }

    /// How often the bell has rung.
    fn bell(&self) -> u64 {
        let mut rung = [0; 8];
        let bell = self.listen.bell.as_ref();
        let is_read = bell.is_some_and(|bell| read(bell, &mut rung).is_ok());
        if is_read { u64::from_ne_bytes(rung) } else { 0 }
    }

    fn signals(&mut self) {
        let Some(fd) = &self.listen.signals else { return };
        let mut numbers = [0; 16];
        let len = read(fd, &mut numbers).unwrap_or(0);
        for number in numbers.iter().take(len) {
            self.signals_seen += 1;
            if self.signals_seen > POLITE {
                // Nobody takes the events, so nobody takes the signals either.
                signal::die(i32::from(*number));
            }
            self.backlog.push_first(Message::Signal(i32::from(*number)));
        }
    }

    /// Lets the kernel have what is settled; whether that is all that was read.
    fn release(&mut self) -> bool {
        let read = self.ring.position();
        let limit = self.settled.as_ref().map_or(read, |it| it.limit.load(Ordering::Acquire));
        self.ring.release(limit);
        if let Some(settled) = &self.settled {
            settled.released.store(self.ring.released(), Ordering::Release);
        }
        limit >= read
    }

    /// Hands on what is in the ring, one piece at most.
    fn carry(&mut self) -> Carried {
        let mut records = self.backlog.buffer(PIECE);
        let mut carried = Carried::Nothing;
        while let Some(record) = self.ring.next() {
            let header = header(record);
            if let Some(header) = header {
                self.gaps.came(header);
            }
            // With a snapshot's end a piece ends: what is known then can be written down.
            let is_end = header.is_some_and(|header| header.kind == RecordKind::End as u16);
            records.push(record);
            carried = Carried::Some;
            if is_end || records.len() >= PIECE - LARGEST {
                carried = Carried::Full;
                break;
            }
        }
        if records.len() >= STORM {
            self.stormed = Some(Instant::now());
        }
        if carried == Carried::Nothing {
            self.backlog.recycle(records);
        } else {
            records.end = self.ring.position();
            self.backlog.push_records(records);
        }
        if carried != Carried::Full {
            for (cpu, records) in self.gaps.check(&self.ledgers) {
                self.backlog.push(Message::Missing { cpu, records });
            }
        }
        carried
    }
}

/// How much was in the ring.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Carried {
    Nothing,
    /// Less than a piece: the ring is empty now.
    Some,
    /// A whole piece, or up to a snapshot's end: there may be more.
    Full,
}
