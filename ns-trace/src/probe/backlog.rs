//! The queue between the reader and the rest: bounded, and exact about what did not fit.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::record::{RecordBuffer, due};
use crate::model::event::ByEvent;

/// What the reader has to say.
#[derive(Debug)]
pub enum Message {
    /// Records from the ring.
    Records(RecordBuffer),
    /// Records that found no room here.
    Lost(ByEvent),
    /// Records of a CPU did not come, although none was said to be lost.
    Missing {
        /// The CPU.
        cpu: u16,
        /// How many.
        records: u64,
    },
    /// A signal arrived.
    Signal(i32),
    /// Nobody reads the output any more.
    OutputClosed,
    /// So many questions were asked; all that was in the ring then is before this.
    Asked(u64),
    /// The traced command has ended.
    CommandEnded,
    /// Much came, and then little for a while.
    Rest,
    /// The reader cannot go on.
    Failed(std::io::Error),
}

/// The queue.
#[derive(Debug)]
pub struct Backlog {
    state: Mutex<State>,
    filled: Condvar,
    limit: usize,
}

#[derive(Debug, Default)]
struct State {
    messages: VecDeque<Message>,
    bytes: usize,
    lost: ByEvent,
    /// Emptied buffers: reusing them spares the page faults of new ones.
    spare: Vec<RecordBuffer>,
}

/// How many emptied buffers are kept.
const SPARE: usize = 8;

impl Backlog {
    /// A queue for at most `limit` bytes of records.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { state: Mutex::default(), filled: Condvar::new(), limit }
    }

    /// Adds records, or counts them if there is no room.
    pub fn push_records(&self, records: RecordBuffer) {
        let mut state = self.lock();
        if state.bytes + records.len() > self.limit {
            for record in records.records() {
                state.lost += due(&record);
            }
            drop(state);
            return self.recycle(records);
        }
        // What was lost belongs before what comes after it.
        if state.lost != ByEvent::default() {
            let lost = std::mem::take(&mut state.lost);
            state.messages.push_back(Message::Lost(lost));
        }
        state.bytes += records.len();
        state.messages.push_back(Message::Records(records));
        self.filled.notify_one();
    }

    /// Adds a message of any other sort; these always fit.
    pub fn push(&self, message: Message) {
        self.lock().messages.push_back(message);
        self.filled.notify_one();
    }

    /// Adds a message that must not wait until all before it is written.
    pub fn push_first(&self, message: Message) {
        self.lock().messages.push_front(message);
        self.filled.notify_one();
    }

    /// Takes the next message; waits for one until `deadline`, for ever without one.
    pub fn pop(&self, deadline: Option<Instant>) -> Option<Message> {
        let mut state = self.lock();
        loop {
            if let Some(message) = state.messages.pop_front() {
                if let Message::Records(records) = &message {
                    state.bytes -= records.len();
                }
                return Some(message);
            }
            if state.lost != ByEvent::default() {
                return Some(Message::Lost(std::mem::take(&mut state.lost)));
            }
            state = match deadline {
                None => self.filled.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.checked_duration_since(Instant::now())?;
                    let waited = self.filled.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Whether less than half of the room is left.
    #[must_use]
    pub fn is_half_full(&self) -> bool {
        self.lock().bytes > self.limit / 2
    }

    /// An empty buffer, a used one if there is one.
    #[must_use]
    pub fn buffer(&self, bytes: usize) -> RecordBuffer {
        let spare = self.lock().spare.pop();
        spare.unwrap_or_else(|| RecordBuffer::with_capacity(bytes))
    }

    /// Gives a buffer back.
    pub fn recycle(&self, mut records: RecordBuffer) {
        records.clear();
        let mut state = self.lock();
        if state.spare.len() < SPARE {
            state.spare.push(records);
        }
    }

    /// Frees the emptied buffers, unless others are still to be emptied; returns whether it did.
    pub fn give_back(&self) -> bool {
        let mut state = self.lock();
        let is_empty = state.messages.is_empty();
        if is_empty {
            state.spare = Vec::new();
        }
        is_empty
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the queue itself whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable as _;
    use ns_trace_common::{Header, RecordKind, exit::Exit};

    use super::*;

    fn exits(count: usize) -> RecordBuffer {
        let len = u32::try_from(size_of::<Exit>()).unwrap();
        let header = Header { kind: RecordKind::Exit as u16, len, ..Header::default() };
        let mut records = RecordBuffer::default();
        for _ in 0..count {
            records.push(bytemuck::bytes_of(&Exit { header, ..Exit::zeroed() }));
        }
        records
    }

    #[test]
    fn what_does_not_fit_is_counted_and_said_in_its_place() {
        let backlog = Backlog::new(exits(3).len());
        backlog.push_records(exits(3));
        backlog.push_records(exits(2));
        assert!(matches!(backlog.pop(None), Some(Message::Records(_))));
        backlog.push_records(exits(1));
        match backlog.pop(None) {
            Some(Message::Lost(lost)) => assert_eq!((lost.exit, lost.sum()), (2, 2)),
            other => panic!("{other:?}"),
        }
        assert!(matches!(backlog.pop(None), Some(Message::Records(_))));
        assert!(backlog.pop(Some(Instant::now())).is_none());
    }

    #[test]
    fn emptied_buffers_are_given_back_when_all_are_empty() {
        let backlog = Backlog::new(exits(2).len());
        backlog.push_records(exits(1));
        backlog.recycle(exits(2));
        assert!(!backlog.give_back());
        assert_eq!(backlog.lock().spare.len(), 1);
        assert!(backlog.pop(None).is_some());
        assert!(backlog.give_back());
        assert!(backlog.lock().spare.is_empty());
    }

    #[test]
    fn a_loss_is_said_even_if_nothing_follows() {
        let backlog = Backlog::new(0);
        backlog.push_records(exits(2));
        assert!(matches!(backlog.pop(None), Some(Message::Lost(_))));
    }
}
