//! The events that have just been: a bounded ring that any number of readers follow, each at its own
//! pace and without a queue of its own.
//!
//! Nobody waits for a reader. One that falls behind what is kept is told how much it missed.

use std::{
    cell::RefCell,
    collections::VecDeque,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use crate::model::{
    Event, JsonWriter,
    event::{Body, ByEvent, Loss, Lost, SchemaName, Source, Stage},
};

/// What an event takes besides its strings, roughly: it is shared, and so is much in it.
const FIXED: usize = 1024;

/// An event that is kept.
#[derive(Debug)]
pub struct Entry {
    /// The event, numbered.
    pub event: Event,
    /// What came before it, by sort.
    before: ByEvent,
    json: OnceLock<Box<[u8]>>,
}

impl Entry {
    fn new(event: Event, before: ByEvent) -> Self {
        Self { event, before, json: OnceLock::new() }
    }

    /// One that was kept elsewhere.
    #[must_use]
    pub fn former(event: Event) -> Self {
        Self::new(event, ByEvent::default())
    }

    /// The event as one line of JSON, the newline included; made once for all who want it.
    pub fn json(&self) -> &[u8] {
        self.json.get_or_init(|| {
            // One for all: it remembers what it wrote last, and a line of its own would be moved ten
            // times until it is long enough.
            thread_local!(static WRITER: RefCell<(JsonWriter, Vec<u8>)> = RefCell::default());
            WRITER.with_borrow_mut(|(writer, room)| {
                room.clear();
                writer.write(&self.event, room);
                Box::from(room.as_slice())
            })
        })
    }

    fn weight(&self) -> usize {
        let args = self.event.body.process().and_then(|process| process.args.as_ref());
        FIXED + args.map_or(0, |args| args.iter().map(String::len).sum())
    }
}

/// The ring.
#[derive(Debug)]
pub struct Recent {
    state: Mutex<State>,
    filled: Condvar,
    most: usize,
    most_bytes: usize,
}

#[derive(Debug)]
struct State {
    entries: VecDeque<Arc<Entry>>,
    /// The number of the next event.
    next: u64,
    /// All there were, by sort.
    total: ByEvent,
    bytes: usize,
    wakers: Vec<Waker>,
    is_closed: bool,
}

/// From which event on a reader reads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum From {
    /// The next one.
    Now,
    /// The first that is kept.
    Start,
    /// The one after the event with this number.
    After(u64),
}

/// What a reader finds.
#[derive(Debug, Default)]
pub struct Batch {
    /// How many events it missed before these.
    pub lost: Option<Arc<Entry>>,
    /// The events.
    pub entries: Vec<Arc<Entry>>,
    /// Whether there will be no more after these.
    pub is_last: bool,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.lost.is_none()
    }
}

impl Recent {
    /// One that keeps at most so many events and about so many bytes; `first` is the number of the
    /// first event.
    #[must_use]
    pub fn new(most: usize, most_bytes: usize, first: u64) -> Arc<Self> {
        let state = State {
            entries: VecDeque::new(),
            next: first,
            total: ByEvent::default(),
            bytes: 0,
            wakers: Vec::new(),
            is_closed: false,
        };
        let (state, filled) = (Mutex::new(state), Condvar::new());
        Arc::new(Self { state, filled, most: most.max(1), most_bytes })
    }

    /// Numbers an event and keeps it; readers are told by [`wake`](Self::wake).
    pub fn push(&self, mut event: Event) -> Arc<Entry> {
        let mut state = self.lock();
        event.seq = state.next;
        let entry = Arc::new(Entry::new(event, state.total));
        state.next += 1;
        state.total += ByEvent::of(entry.event.body.kind());
        state.bytes += entry.weight();
        state.entries.push_back(Arc::clone(&entry));
        let is_full = |state: &State| {
            state.entries.len() > self.most
                || (state.bytes > self.most_bytes && state.entries.len() > 1)
        };
        while is_full(&state) {
            let oldest = state.entries.pop_front();
            state.bytes -= oldest.map_or(0, |entry| entry.weight());
        }
        entry
    }

    /// Wakes the readers that wait.
    pub fn wake(&self) {
        let wakers = std::mem::take(&mut self.lock().wakers);
        self.filled.notify_all();
        for waker in wakers {
            waker.wake();
        }
    }

    /// Says that there will be no more.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.wake();
    }

    /// A reader.
    #[must_use]
    pub fn reader(self: &Arc<Self>, from: From) -> Reader {
        let state = self.lock();
        let front = state.front();
        let next = match from {
            From::Now => state.next,
            From::Start => front,
            // Of another history, or made up: there is nothing after it yet.
            From::After(seq) if seq >= state.next => front,
            From::After(seq) => seq + 1,
        };
        let known = state.entry(next).map_or(state.total, |entry| entry.before);
        // Of what is not kept any more the sorts are not known.
        let seen = if next < front { ByEvent::default() } else { known };
        drop(state);
        let place = Place {
            next: AtomicU64::new(next),
            missed: AtomicU64::new(0),
            end: AtomicU64::new(u64::MAX),
        };
        Reader { recent: Arc::clone(self), seen, place: Arc::new(place) }
    }

    /// The number of the last event; one less than the first if there was none.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.lock().next - 1
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the ring itself whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The number of the first event that is kept, or of the next one.
    fn front(&self) -> u64 {
        self.next - self.entries.len() as u64
    }

    fn entry(&self, seq: u64) -> Option<&Arc<Entry>> {
        let place = usize::try_from(seq.checked_sub(self.front())?).ok()?;
        self.entries.get(place)
    }
}

/// One who reads.
#[derive(Debug)]
pub struct Reader {
    recent: Arc<Recent>,
    /// What came before the next event, by sort.
    seen: ByEvent,
    place: Arc<Place>,
}

/// Where a reader is, for others too. It changes while the ring is locked, and is looked at then where one
/// number must fit another.
#[derive(Debug)]
struct Place {
    /// The number of the event that it takes next.
    next: AtomicU64,
    /// How many it was told that it missed.
    missed: AtomicU64,
    /// The number of the first event that it does not want any more.
    end: AtomicU64,
}

/// What others see of a reader, and how they end it.
#[derive(Clone, Debug)]
pub struct Watch {
    recent: Arc<Recent>,
    place: Arc<Place>,
}

/// How far a reader is behind.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lag {
    /// The number of the last event.
    pub last: u64,
    /// How many events it has missed, told or not yet.
    pub missed: u64,
    /// How many of those it was not told of yet.
    pub untold: u64,
}

impl Watch {
    /// Lets the reader have what there is now, and no more.
    pub fn stop(&self) {
        let state = self.recent.lock();
        // Who is about to wait has the lock, and looks here before.
        self.place.end.store(state.next, Ordering::Relaxed);
        drop(state);
        self.recent.wake();
    }

    /// How far it is behind.
    #[must_use]
    pub fn lag(&self) -> Lag {
        let state = self.recent.lock();
        let untold = state.front().saturating_sub(self.place.next.load(Ordering::Relaxed));
        let missed = self.place.missed.load(Ordering::Relaxed) + untold;
        Lag { last: state.next - 1, missed, untold }
    }
}

impl Reader {
    /// What others see of it.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch { recent: Arc::clone(&self.recent), place: Arc::clone(&self.place) }
    }

    /// The number of the event that it takes next.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.place.next.load(Ordering::Relaxed)
    }

    /// How many events it was told that it missed.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.place.missed.load(Ordering::Relaxed)
    }

    /// How many events it has not taken yet.
    #[must_use]
    pub fn rest(&self) -> u64 {
        self.recent.lock().next - self.position()
    }

    /// Takes at most `most` events, without waiting.
    pub fn take(&mut self, most: usize) -> Batch {
        let recent = Arc::clone(&self.recent);
        let state = recent.lock();
        self.from(&state, most)
    }

    /// Takes at most `most` events; waits for one no longer than `patience`.
    pub fn wait(&mut self, most: usize, patience: Duration) -> Batch {
        let deadline = Instant::now().checked_add(patience);
        let recent = Arc::clone(&self.recent);
        let mut state = recent.lock();
        loop {
            let batch = self.from(&state, most);
            let left = deadline.map(|end| end.saturating_duration_since(Instant::now()));
            let left = left.unwrap_or(patience);
            if !batch.is_empty() || batch.is_last || left.is_zero() {
                return batch;
            }
            let waited = recent.filled.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// As [`take`](Self::take), for a task that is woken when there is something.
    pub fn poll(&mut self, most: usize, context: &Context<'_>) -> Poll<Batch> {
        let recent = Arc::clone(&self.recent);
        let mut state = recent.lock();
        let batch = self.from(&state, most);
        if batch.is_empty() && !batch.is_last {
            let waker = context.waker();
            if !state.wakers.iter().any(|other| other.will_wake(waker)) {
                state.wakers.push(waker.clone());
            }
            return Poll::Pending;
        }
        Poll::Ready(batch)
    }

    fn from(&mut self, state: &State, most: usize) -> Batch {
        let place = &self.place;
        let mut next = self.position();
        let end = place.end.load(Ordering::Relaxed);
        let mut batch = Batch::default();
        let front = state.front();
        if next < front
            && let Some(at) = state.entries.front()
        {
            let by_event = at.before.since(self.seen);
            batch.lost = Some(Arc::new(missing(at, front - next, by_event)));
            place.missed.fetch_add(front - next, Ordering::Relaxed);
            next = front;
        }
        let start = usize::try_from(next.saturating_sub(front)).unwrap_or(usize::MAX);
        batch.entries.extend(state.entries.iter().skip(start).take(most).cloned());
        next += batch.entries.len() as u64;
        place.next.store(next, Ordering::Relaxed);
        self.seen = state.entry(next).map_or(state.total, |entry| entry.before);
        // What it missed is told with the first event behind it, if there is one.
        let reached = if state.entries.is_empty() { state.next } else { next };
        batch.is_last = reached >= end || (state.is_closed && reached == state.next);
        batch
    }
}

/// An event that says how many are missing right before `at`. It has the number of the last of them.
fn missing(at: &Entry, count: u64, by_event: ByEvent) -> Entry {
    let lost = Loss { count, stage: Stage::Sink, by_event, cpu: None };
    let Event { time, boot_ns, .. } = at.event;
    let event = Event {
        schema: SchemaName::V1,
        seq: at.event.seq.saturating_sub(1),
        time,
        boot_ns,
        source: Source::Probe,
        body: Body::Lost(Lost { lost }),
        container: None,
        pod: None,
        lossy: false,
    };
    Entry::new(event, at.before)
}

#[cfg(test)]
pub(super) mod tests {
    use std::thread;

    use super::*;
    use crate::model::{
        Process, Time,
        event::{EventKind, Exit, Status},
    };

    pub(in crate::sink) fn event() -> Event {
        let exit = Exit { status: Status::Code { code: 0 }, process: Arc::new(Process::default()) };
        Event {
            schema: SchemaName::V1,
            seq: 0,
            time: Time(0),
            boot_ns: 0,
            source: Source::Probe,
            body: Body::Exit(exit),
            container: None,
            pod: None,
            lossy: false,
        }
    }

    fn numbers(batch: &Batch) -> Vec<u64> {
        batch.entries.iter().map(|entry| entry.event.seq).collect()
    }

    #[test]
    fn every_reader_gets_all_at_its_own_pace() {
        let recent = Recent::new(10, usize::MAX, 1);
        let (mut quick, mut late) = (recent.reader(From::Now), recent.reader(From::Now));
        recent.push(event());
        assert_eq!(numbers(&quick.take(5)), [1]);
        recent.push(event());
        assert_eq!(numbers(&quick.take(5)), [2]);
        assert_eq!(numbers(&late.take(1)), [1]);
        assert_eq!(numbers(&late.take(5)), [2]);
        assert_eq!(numbers(&recent.reader(From::Start).take(9)), [1, 2]);
        assert_eq!(numbers(&recent.reader(From::After(1)).take(9)), [2]);
        assert!(recent.reader(From::After(2)).take(9).entries.is_empty());
        recent.close();
        assert!(quick.take(5).is_last && late.wait(5, Duration::MAX).is_last);
    }

    #[test]
    fn who_falls_behind_is_told_how_much_is_missing() {
        let recent = Recent::new(3, usize::MAX, 1);
        let mut reader = recent.reader(From::Now);
        let watch = reader.watch();
        for _ in 0..10 {
            recent.push(event());
        }
        // It can be seen before the reader is told.
        assert_eq!(watch.lag(), Lag { last: 10, missed: 7, untold: 7 });
        let batch = reader.take(2);
        assert_eq!(watch.lag(), Lag { last: 10, missed: 7, untold: 0 });
        let lost = batch.lost.as_ref().unwrap();
        let Body::Lost(Lost { lost: what }) = &lost.event.body else { panic!("{lost:?}") };
        assert_eq!((what.count, what.by_event.exit, what.stage), (7, 7, Stage::Sink));
        assert_eq!(lost.event.seq, 7);
        assert_eq!(numbers(&batch), [8, 9]);
        let batch = reader.take(2);
        assert!(batch.lost.is_none());
        assert_eq!(numbers(&batch), [10]);
        assert_eq!(lost.event.body.kind(), EventKind::Lost);
    }

    #[test]
    fn what_is_kept_is_bounded_in_bytes() {
        let recent = Recent::new(usize::MAX, 3 * FIXED, 1);
        for _ in 0..100 {
            recent.push(event());
        }
        let kept = recent.reader(From::Start).take(100).entries.len();
        assert!((1..=3).contains(&kept), "{kept}");
    }

    #[test]
    fn who_waits_is_woken() {
        let recent = Recent::new(3, usize::MAX, 7);
        assert_eq!(recent.last(), 6);
        let mut reader = recent.reader(From::Now);
        let waiting = thread::spawn(move || numbers(&reader.wait(9, Duration::MAX)));
        recent.push(event());
        recent.wake();
        assert_eq!(waiting.join().unwrap(), [7]);
    }

    #[test]
    fn numbers_of_another_run_start_over() {
        let recent = Recent::new(3, usize::MAX, 1);
        recent.push(event());
        assert_eq!(numbers(&recent.reader(From::After(99)).take(9)), [1]);
    }
}
