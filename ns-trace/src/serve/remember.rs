//! The thread that writes the history: it follows the recent events as a sink does, so that nobody
//! waits for the disk, and what it could not take is an event that says how much.

use std::{
    collections::VecDeque,
    io, mem,
    sync::{Arc, atomic::Ordering, mpsc::Receiver},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{Level, Say, Shared, review::Hole};
use crate::{
    history::{Error, Limits, Writer},
    model::{
        Event,
        event::{Body, Reason},
    },
    sink::{
        Ending,
        recent::{Batch, Entry, From, Reader, Watch},
        worker::Status,
    },
    sys::clock,
};

/// How many events are taken at a time at most.
const PIECE: usize = 1024;
/// How many wait for their commit at most.
const MOST: usize = 8 * PIECE;
/// How long an event waits for its commit.
const EVERY: Duration = Duration::from_millis(50);
/// How long what is held waits for the mark.
const HELD: Duration = Duration::from_millis(2);
/// How often a commit waits for the disk, so that it survives a power failure.
const SYNC: Duration = Duration::from_secs(1);
/// How often it is looked for what is beyond the limits, if there is nothing else to do.
const RETAIN: Duration = Duration::from_secs(5);
/// How long it is waited after a failure, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How long a store that fails is tried when all is to end.
const GRACE: Duration = Duration::from_secs(3);

/// The thread.
#[derive(Debug)]
pub(super) struct Remember {
    thread: JoinHandle<u64>,
    stop: Watch,
    ending: Arc<Ending>,
}

impl Remember {
    /// Starts it; what there was at a start comes by `founds` when that was said.
    pub(super) fn start(
        shared: &Arc<Shared>,
        writer: Writer,
        founds: Receiver<Vec<Event>>,
    ) -> io::Result<Self> {
        let status = shared.history.as_ref().map(|(_, status)| Arc::clone(status));
        let (status, ending) = (status.unwrap_or_default(), Arc::default());
        let reader = shared.recent.reader(From::Start);
        let stop = reader.watch();
        let work = Work {
            shared: Arc::clone(shared),
            reader,
            writer,
            status,
            ending: Arc::clone(&ending),
            waiting: Vec::new(),
            held: VecDeque::new(),
            mark: 0,
            since: None,
            synced: None,
            is_unsynced: false,
            retained: Instant::now(),
            is_more: false,
            founds,
            found: Vec::new(),
            hole: Hole::None,
        };
        let thread = thread::Builder::new().name("history".to_owned());
        Ok(Self { thread: thread.spawn(move || work.run())?, stop, ending })
    }

    /// Waits until everything is stored, or cannot be.
    pub(super) fn end(self, say: Say) {
        self.ending.end_within(GRACE);
        self.stop.stop();
        let left = self.thread.join().unwrap_or_default();
        if left > 0 {
            say(Level::Error, &format!("the history could not take the last {left} events"));
        }
    }
}

struct Work {
    shared: Arc<Shared>,
    reader: Reader,
    writer: Writer,
    status: Arc<Status>,
    ending: Arc<Ending>,
    /// What is not committed yet.
    waiting: Vec<Arc<Entry>>,
    /// What comes after the mark.
    held: VecDeque<Arc<Entry>>,
    /// The event after which the stream can be taken up, and at which there can be a commit.
    mark: u64,
    /// Since when.
    since: Option<Instant>,
    /// When a commit last waited for the disk.
    synced: Option<Instant>,
    /// Whether there was a commit since that did not.
    is_unsynced: bool,
    retained: Instant,
    /// Whether there is more to forget.
    is_more: bool,
    /// What there was at a start.
    founds: Receiver<Vec<Event>>,
    /// What there was at the start that is not committed yet.
    found: Vec<Event>,
    hole: Hole,
}

impl Work {
    /// Returns how many events could not be stored at last.
    fn run(mut self) -> u64 {
        loop {
            let batch = self.reader.wait(PIECE, self.patience());
            if batch.lost.is_some() {
                self.hole = Hole::Open;
            }
            self.hole.bridge(&self.shared);
            let is_last = batch.is_last;
            let is_idle = batch.entries.is_empty() && batch.lost.is_none() && self.held.is_empty();
            let is_written = if is_idle && !is_last && self.waiting.is_empty() {
                if matches!(self.hole, Hole::Bridged(_)) {
                    self.fill_hole();
                } else if self.is_unsynced {
                    self.wait_for_disk();
                } else {
                    self.retain();
                }
                true
            } else {
                self.take(batch, is_last)
            };
            if !is_written {
                return self.waiting.len() as u64 + self.reader.rest();
            }
            if is_last {
                return 0;
            }
        }
    }

    /// How long to wait for more events.
    fn patience(&self) -> Duration {
        match self.since {
            _ if self.is_whole() && !self.held.is_empty() => HELD,
            Some(since) => EVERY.saturating_sub(since.elapsed()),
            None if !self.hole.is_none() => EVERY,
            None if self.is_unsynced => {
                SYNC.saturating_sub(self.synced.map_or(SYNC, |synced| synced.elapsed()))
            }
            None if self.is_more => Duration::ZERO,
            None => RETAIN,
        }
    }

    /// Stores events; false if there is no time left to try.
    fn take(&mut self, batch: Batch, is_last: bool) -> bool {
        let from = self.waiting.len();
        let lost = batch.lost.as_ref().map(|entry| &entry.event.body);
        if let Some(Body::Lost(lost)) = lost {
            self.status.lost.fetch_add(lost.lost.count, Ordering::Relaxed);
        }
        self.held.extend(batch.lost);
        self.held.extend(batch.entries);
        let mut from = from;
        loop {
            let done = self.admit(from, is_last);
            if let Err(error) = done {
                return self.try_again(&error);
            }
            let mark = self.shared.marks.last();
            if !self.is_whole() || self.mark == mark {
                return true;
            }
            (self.mark, from) = (mark, self.waiting.len());
        }
    }

    /// Stores what is held as far as the mark.
    fn admit(&mut self, from: usize, is_last: bool) -> Result<(), Error> {
        let mark = self.mark;
        let admitted = self.held.iter().take_while(|entry| entry.event.seq <= mark).count();
        self.waiting.extend(self.held.drain(..admitted));
        if self.waiting.is_empty() {
            return Ok(());
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        self.append(from)?;
        let is_due = is_last || self.waiting.len() >= MOST || since.elapsed() >= EVERY;
        if is_due && self.is_whole() { self.commit() } else { Ok(()) }
    }

    /// Whether what waits ends where the stream can be taken up: what is told in pieces is committed
    /// as a whole.
    fn is_whole(&self) -> bool {
        let last = self.waiting.last().map_or(self.writer.last_seq(), |entry| entry.event.seq);
        self.mark == u64::MAX || last >= self.mark
    }

    fn append(&mut self, from: usize) -> Result<(), Error> {
        if from == 0 {
            self.hole.again();
            let is_due = self.synced.is_none_or(|synced| synced.elapsed() >= SYNC);
            self.writer.sync(is_due)?;
            self.is_unsynced = !is_due;
            if is_due {
                self.synced = Some(Instant::now());
            }
        }
        for entry in self.waiting.iter().skip(from) {
            if let Some(review) = self.hole.before(entry.event.seq) {
                self.writer.renew(review.time, &review.all)?;
                review.is_appended = true;
            }
            self.writer.append(&entry.event)?;
            if is_start(&entry.event) {
                if self.found.is_empty() {
                    // It is sent as soon as the pipeline has told of it.
                    self.found = self.founds.recv_timeout(GRACE).unwrap_or_default();
                }
                self.found.iter().try_for_each(|event| self.writer.meet(event))?;
                self.writer.settle()?;
            }
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Error> {
        self.writer.commit()?;
        self.status.written.fetch_add(self.waiting.len() as u64, Ordering::Relaxed);
        self.waiting.clear();
        self.found.clear();
        self.hole.committed();
        self.since = None;
        self.shared.marks.arrive(self.writer.last_seq());
        if self.is_more || self.retained.elapsed() >= RETAIN {
            // To forget is never more urgent than to remember.
            self.retain();
        }
        Ok(())
    }

    /// Tries to store what waits, in as many attempts as it takes; false if there is no time for more.
    fn try_again(&mut self, error: &Error) -> bool {
        self.say(&format!("{error}; trying again, the latest events wait meanwhile"));
        let (mut pause, longest) = PAUSES;
        loop {
            self.status.errors.fetch_add(1, Ordering::Relaxed);
            if !self.ending.pause(pause) {
                return false;
            }
            self.stay_in_place();
            let appended = self.append(0);
            let is_whole = self.is_whole();
            if appended.and_then(|()| if is_whole { self.commit() } else { Ok(()) }).is_ok() {
                self.say("the history is written again");
                return true;
            }
            pause = (2 * pause).min(longest);
        }
    }

    /// Stores what exists after events were missed, where nothing came behind that.
    fn fill_hole(&mut self) {
        let Hole::Bridged(review) = mem::replace(&mut self.hole, Hole::None) else { return };
        let renewed = self.writer.renew(review.time, &review.all);
        if let Err(error) = renewed.and_then(|()| self.writer.commit()) {
            self.status.errors.fetch_add(1, Ordering::Relaxed);
            self.say(&format!("cannot store what exists after events were missed: {error}"));
            self.hole = Hole::Open;
            let (_, longest) = PAUSES;
            // If all is to end, that is seen next.
            let _in_time = self.ending.pause(longest);
        }
    }

    /// Begins a new store where somebody has taken the old one away.
    fn stay_in_place(&mut self) {
        if self.writer.store().is_in_place() {
            return;
        }
        self.status.errors.fetch_add(1, Ordering::Relaxed);
        let path = self.writer.store().path().display().to_string();
        let what = format!("{path} is not the history any more that was written");
        match self.writer.begin_anew() {
            Ok(()) => {
                self.hole = Hole::Open;
                self.say(&format!("{what}: a new one begins there"));
            }
            Err(error) => self.say(&format!("{what}, and there cannot be a new one: {error}")),
        }
    }

    /// Has what was committed last be on the disk, as nothing follows that would see to it.
    fn wait_for_disk(&mut self) {
        if let Err(error) = self.writer.wait_for_disk() {
            self.say(&format!("the disk does not take the latest events yet: {error}"));
        }
        // With the next ones it is tried again.
        (self.is_unsynced, self.synced) = (false, Some(Instant::now()));
    }

    /// Forgets what is beyond the limits.
    fn retain(&mut self) {
        self.stay_in_place();
        let config = self.shared.config();
        let limits = Limits { age: config.history.max_age, bytes: config.history.max_size };
        let retained = self.writer.retain(&limits, clock::real_ns());
        self.retained = Instant::now();
        self.is_more = *retained.as_ref().unwrap_or(&false);
        if let Err(error) = retained {
            self.say(&format!("cannot forget old events: {error}"));
        }
    }

    fn say(&self, what: &str) {
        (self.shared.say)(Level::Warning, what);
    }
}

/// Whether it says that a collector has started, which tells what there was then.
fn is_start(event: &Event) -> bool {
    matches!(&event.body, Body::Sync(sync) if sync.reason == Reason::Start)
}
