//! A sink at work: a thread that follows the recent events at its own pace.

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{
    Ending,
    past::Past,
    recent::{Entry, Reader, Watch},
    schema::Translator,
    target::{Failure, Lines, Target},
};
use crate::model::{Event, event::Body};

/// How many events are handed on at a time at most.
const PIECE: usize = 512;
/// How many bytes are handed on at a time at most, unless one event has more: a web server that is left as
/// it comes takes four times as many.
const MOST: usize = 256 << 10;
/// As little a server that takes no more is sent at a time, unless it takes not even that.
const LEAST: usize = 16 << 10;
/// How often an event that is alone is refused until it is given up, if nothing was taken since the last
/// one that was: who refuses everything may do so by mistake.
const DOUBT: u32 = 10;
/// How long it is waited after a failure, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// How long a sink that fails is tried when all is to end.
const GRACE: Duration = Duration::from_secs(3);

/// How long its end is waited for afterwards: a target may take nothing and give no error either.
const LATEST: Duration = Duration::from_secs(5);

/// How often it is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(5);

/// How often, and after which pause, it is looked again for what the history has not yet.
const TRIES: u32 = 20;
const WAIT: Duration = Duration::from_millis(50);

/// What a sink has done so far.
#[derive(Debug, Default)]
pub struct Status {
    /// Events handed on.
    pub written: AtomicU64,
    /// Events that it missed, for it was too slow.
    pub lost: AtomicU64,
    /// Attempts that failed.
    pub errors: AtomicU64,
}

/// What a sink has done so far, as it is at one time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Figures {
    /// Events handed on.
    pub written: u64,
    /// Events that it missed, or that it will.
    pub lost: u64,
    /// Attempts that failed.
    pub errors: u64,
    /// Events that wait for it.
    pub waiting: u64,
}

/// How far a sink is, for others too.
#[derive(Debug, Default)]
struct Course {
    status: Status,
    /// The number of the last event that it is done with.
    done: AtomicU64,
    /// How many of the events that its reader missed it has nevertheless, or has counted itself:
    /// all, as long as it gets them from the history.
    regained: AtomicU64,
}

impl Course {
    fn figures(&self, watch: &Watch) -> Figures {
        let lag = watch.lag();
        let number = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let regained = number(&self.regained);
        // What it will get from the history still waits for it.
        let gone = if regained == u64::MAX { 0 } else { lag.untold };
        Figures {
            written: number(&self.status.written),
            lost: number(&self.status.lost) + lag.missed.saturating_sub(regained),
            errors: number(&self.status.errors),
            waiting: lag.last.saturating_sub(number(&self.done)).saturating_sub(gone),
        }
    }
}

/// Which events a sink wants.
pub type Admits = Box<dyn FnMut(&Event) -> bool + Send>;
/// Where it says what goes wrong.
pub type Trouble = Box<dyn Fn(&str) + Send>;

/// A sink at work.
#[derive(Debug)]
pub struct Worker {
    thread: JoinHandle<u64>,
    course: Arc<Course>,
    watch: Watch,
    ending: Arc<Ending>,
}

impl Worker {
    /// Starts one.
    ///
    /// # Errors
    ///
    /// If there cannot be another thread.
    pub fn start(
        reader: Reader,
        admits: Admits,
        translator: Translator,
        target: Box<dyn Target>,
        past: Option<Past>,
        trouble: Trouble,
    ) -> io::Result<Self> {
        let ending = Arc::<Ending>::default();
        let watch = reader.watch();
        let course = Arc::new(Course {
            status: Status::default(),
            done: past
                .as_ref()
                .map_or(reader.position().saturating_sub(1), |past| past.done)
                .into(),
            regained: past.as_ref().map_or(0, |_| u64::MAX).into(),
        });
        let work = Work {
            reader,
            admits,
            translator,
            target,
            past,
            trouble,
            course: Arc::clone(&course),
            ending: Arc::clone(&ending),
            lines: Lines::default(),
            line: Vec::new(),
            pauses: PAUSES,
            most: MOST,
            doubt: DOUBT,
        };
        let thread = thread::Builder::new().name("sink".to_owned());
        Ok(Self { thread: thread.spawn(move || work.run())?, course, watch, ending })
    }

    /// What it has done so far.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.course.figures(&self.watch)
    }

    /// Has it end when it has handed on what there is now.
    pub fn stop(&self) {
        self.ending.end_within(GRACE);
        self.watch.stop();
    }

    /// Until when ends that are asked for now are waited for.
    #[must_use]
    pub fn latest() -> Instant {
        Instant::now() + LATEST
    }

    /// Waits for its end; returns how many events it could not hand on at last, or `None` if it does not
    /// end since its target neither takes nor refuses what it is given.
    #[must_use]
    pub fn join(self, deadline: Instant) -> Option<u64> {
        while !self.thread.is_finished() {
            if Instant::now() >= deadline {
                return None;
            }
            thread::sleep(LOOK);
        }
        Some(self.thread.join().unwrap_or_default())
    }
}

/// What came of catching up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Caught {
    /// Everything is handed on.
    Up,
    /// The history has not all of it.
    Missing,
    /// There was no time left.
    TooLate,
}

struct Work {
    reader: Reader,
    admits: Admits,
    translator: Translator,
    target: Box<dyn Target>,
    past: Option<Past>,
    trouble: Trouble,
    course: Arc<Course>,
    ending: Arc<Ending>,
    lines: Lines,
    /// Room for a line that is translated.
    line: Vec<u8>,
    pauses: (Duration, Duration),
    /// How often an event that is alone may yet be refused before it is given up.
    doubt: u32,
    /// How many bytes the target takes at a time.
    most: usize,
}

impl Work {
    fn run(mut self) -> u64 {
        let before = self.reader.position().saturating_sub(1);
        if let Some(past) = &self.past {
            // From now on nothing is missed, even if nothing can ever be handed on.
            self.note(past.done, true);
        }
        if self.catch_up(before) == Caught::TooLate {
            return self.left();
        }
        loop {
            let batch = self.reader.wait(PIECE, Duration::MAX);
            self.lines.clear();
            let had_past = self.past.is_some();
            if let Some(lost) = &batch.lost
                && self.catch_up(lost.event.seq) == Caught::TooLate
            {
                return self.left();
            }
            if let Some(lost) = &batch.lost
                && let Body::Lost(body) = &lost.event.body
                && self.past.as_ref().is_none_or(|past| past.done < lost.event.seq)
            {
                // What others miss their readers count.
                if had_past {
                    self.course.status.lost.fetch_add(body.lost.count, Ordering::Relaxed);
                }
                self.course.done.fetch_max(lost.event.seq, Ordering::Relaxed);
                self.add(lost);
            }
            let done = self.past.as_ref().map_or(0, |past| past.done);
            for entry in &batch.entries {
                if entry.event.seq > done && (self.admits)(&entry.event) {
                    self.add(entry);
                }
            }
            if !self.lines.is_empty() && !self.deliver() {
                return self.left();
            }
            if let Some(last) = batch.entries.last() {
                self.note(last.event.seq, self.reader.rest() == 0);
            }
            if batch.is_last {
                return 0;
            }
        }
    }

    /// What could not be handed on, and what waits behind it.
    fn left(&self) -> u64 {
        self.lines.len() as u64 + self.reader.rest()
    }

    /// Hands on what the history has behind the cursor, up to the event with a number.
    fn catch_up(&mut self, to: u64) -> Caught {
        let mut tries = TRIES;
        loop {
            let Some(past) = self.past.as_mut().filter(|past| past.done < to) else {
                return Caught::Up;
            };
            let done = past.done;
            let mut events = past.next().unwrap_or_else(|why| {
                (self.trouble)(&format!("cannot read the history: {why}"));
                Vec::new()
            });
            events.retain(|event| event.seq <= to);
            let Some(last) = events.last().map(|event| event.seq) else {
                // The latest of them may be on their way there.
                if tries == 0 {
                    return Caught::Missing;
                }
                tries -= 1;
                if !self.ending.pause(WAIT) {
                    return Caught::TooLate;
                }
                continue;
            };
            tries = TRIES;
            let skipped = events.first().map_or(0, |event| event.seq.saturating_sub(done + 1));
            if skipped > 0 {
                self.course.status.lost.fetch_add(skipped, Ordering::Relaxed);
                (self.trouble)(&format!("{skipped} events are not in the history any more"));
            }
            self.lines.clear();
            for event in &events {
                if (self.admits)(event) {
                    self.line.clear();
                    self.translator.write(event, &mut self.line);
                    self.lines.push(event.seq, &self.line);
                }
            }
            if !self.lines.is_empty() && !self.deliver() {
                return Caught::TooLate;
            }
            self.lines.clear();
            self.note(last, last >= to);
        }
    }

    fn note(&mut self, done: u64, is_all: bool) {
        self.course.done.fetch_max(done, Ordering::Relaxed);
        let noted = self.past.as_mut().map_or(Ok(()), |past| past.note(done, is_all));
        if let Err(error) = noted {
            (self.trouble)(&format!("cannot write the cursor: {error}"));
            // Without it nothing is promised any more: what is missed from now on is lost.
            self.course.regained.store(self.reader.missed(), Ordering::Relaxed);
            self.past = None;
        }
    }

    fn add(&mut self, entry: &Entry) {
        if self.translator.is_native() {
            self.lines.push(entry.event.seq, entry.json());
        } else {
            self.line.clear();
            self.translator.write(&entry.event, &mut self.line);
            self.lines.push(entry.event.seq, &self.line);
        }
    }

    /// Hands the lines on, in as many pieces and attempts as it takes; false if there is no time for
    /// more.
    fn deliver(&mut self) -> bool {
        let (mut most, mut pause) = (self.most, None);
        while let Some(piece) = self.lines.first(most) {
            let (count, bytes, last) = (piece.len(), piece.bytes().len(), piece.last);
            let Err(why) = self.target.deliver(piece) else {
                if pause.take().is_some() {
                    (self.trouble)("works again");
                    most = self.most;
                }
                self.course.status.written.fetch_add(count as u64, Ordering::Relaxed);
                self.doubt = 0;
                self.pass(count, last);
                continue;
            };
            self.course.status.errors.fetch_add(1, Ordering::Relaxed);
            if count > 1 && !matches!(why, Failure::Io(_)) {
                most = bytes / 2;
                if matches!(why, Failure::TooLarge(_)) {
                    // What follows would be, too.
                    self.most = most.max(LEAST);
                }
            } else if self.is_hopeless(&why) {
                (self.trouble)(&format!("{why}; event {last} is lost"));
                self.course.status.lost.fetch_add(1, Ordering::Relaxed);
                self.doubt = DOUBT;
                self.pass(1, last);
                // Without it the others may be taken together.
                (most, pause) = (self.most, None);
            } else if !self.wait(&mut pause, &why) {
                return false;
            }
        }
        true
    }

    /// Whether an event that was refused alone always will be.
    const fn is_hopeless(&mut self, why: &Failure) -> bool {
        match why {
            Failure::Io(_) => false,
            // Both may be said by mistake, of everything.
            Failure::TooLarge(_) | Failure::Refused(_) => {
                let is_sure = self.doubt == 0;
                self.doubt = self.doubt.saturating_sub(1);
                is_sure
            }
        }
    }

    /// Goes on behind the first lines: they are handed on up to an event, or given up.
    fn pass(&mut self, count: usize, last: u64) {
        self.lines.skip(count);
        self.note(last, false);
    }

    /// Waits before another attempt, longer each time; false if there is no time for one.
    fn wait(&self, pause: &mut Option<Duration>, why: &Failure) -> bool {
        let (first, longest) = self.pauses;
        if pause.is_none() {
            (self.trouble)(&format!("{why}; trying again"));
        }
        let next = pause.map_or(first, |pause| (2 * pause).min(longest));
        *pause = Some(next);
        self.ending.pause(next)
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").field("course", &self.course).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
