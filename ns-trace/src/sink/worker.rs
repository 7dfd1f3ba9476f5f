//! A sink at work: a thread that follows the recent events at its own pace.

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{
    Ending,
    recent::{Reader, Stop},
    target::{Lines, Target},
};
use crate::model::{Event, event::Body};

/// How many events are handed on at a time at most.
const PIECE: usize = 512;
/// How long it is waited after a failure, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// How long a sink that fails is tried when all is to end.
const GRACE: Duration = Duration::from_secs(3);

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

/// Which events a sink wants.
pub type Admits = Box<dyn FnMut(&Event) -> bool + Send>;
/// Where it says what goes wrong.
pub type Trouble = Box<dyn Fn(&str) + Send>;

/// A sink at work.
#[derive(Debug)]
pub struct Worker {
    thread: JoinHandle<u64>,
    status: Arc<Status>,
    stop: Stop,
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
        target: Box<dyn Target>,
        trouble: Trouble,
    ) -> io::Result<Self> {
        let (status, ending) = (Arc::<Status>::default(), Arc::<Ending>::default());
        let stop = reader.stopper();
        let work = Work {
            reader,
            admits,
            target,
            trouble,
            status: Arc::clone(&status),
            ending: Arc::clone(&ending),
            lines: Lines::default(),
        };
        let thread = thread::Builder::new().name("sink".to_owned());
        Ok(Self { thread: thread.spawn(move || work.run())?, status, stop, ending })
    }

    /// What it has done so far.
    #[must_use]
    pub fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status)
    }

    /// Has it end when it has handed on what there is now.
    pub fn stop(&self) {
        self.ending.end_within(GRACE);
        self.stop.stop();
    }

    /// Waits for its end; returns how many events it could not hand on at last.
    #[must_use]
    pub fn join(self) -> u64 {
        self.thread.join().unwrap_or_default()
    }
}

struct Work {
    reader: Reader,
    admits: Admits,
    target: Box<dyn Target>,
    trouble: Trouble,
    status: Arc<Status>,
    ending: Arc<Ending>,
    lines: Lines,
}

impl Work {
    fn run(mut self) -> u64 {
        loop {
            let batch = self.reader.wait(PIECE, Duration::MAX);
            self.lines.clear();
            if let Some(lost) = &batch.lost
                && let Body::Lost(body) = &lost.event.body
            {
                self.status.lost.fetch_add(body.lost.count, Ordering::Relaxed);
                self.lines.push(lost.json());
            }
            for entry in &batch.entries {
                if (self.admits)(&entry.event) {
                    self.lines.push(entry.json());
                }
            }
            if !self.lines.is_empty() && !self.deliver() {
                // What waits behind these cannot be handed on either.
                let waiting = self.reader.rest();
                return self.lines.len() as u64 + waiting;
            }
            if batch.is_last {
                return 0;
            }
        }
    }

    /// Hands the lines on, in as many attempts as it takes; false if there is no time for more.
    fn deliver(&mut self) -> bool {
        let mut pause = None;
        loop {
            let Err(error) = self.target.deliver(&self.lines) else {
                if pause.is_some() {
                    (self.trouble)("works again");
                }
                self.status.written.fetch_add(self.lines.len() as u64, Ordering::Relaxed);
                return true;
            };
            self.status.errors.fetch_add(1, Ordering::Relaxed);
            let (first, longest) = PAUSES;
            if pause.is_none() {
                (self.trouble)(&format!("{error}; trying again"));
            }
            let next = pause.map_or(first, |pause: Duration| (2 * pause).min(longest));
            if !self.ending.pause(next) {
                return false;
            }
            pause = Some(next);
        }
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").field("status", &self.status).finish_non_exhaustive()
    }
}
