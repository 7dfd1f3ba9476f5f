//! When to look again at namespaces that nobody is in.
//!
//! What holds them — a descriptor, a mount, a child, a zombie — comes and goes unseen, so they are
//! looked at again: soon at first, since most end with their last task or a little later, and at
//! least once a second for as long as they live.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    time::{Duration, Instant},
};

use rustc_hash::FxHashMap;

use crate::table::RowId;

/// The shortest time between two looks.
const SHORTEST: Duration = Duration::from_millis(2);
/// The longest while a namespace may just be on its way out: RCU, work queues and the batches of
/// net namespaces take that long at most.
const PATIENT: Duration = Duration::from_millis(50);
/// How long that may be.
const RECENT: Duration = Duration::from_secs(10);
/// The longest for those that something holds.
const LONGEST: Duration = Duration::from_millis(900);

/// Namespaces to look at.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Since when each has been without tasks, and which entry of the queue is its own.
    since: FxHashMap<RowId, (Instant, u64)>,
    queue: BinaryHeap<Reverse<(Instant, u64, Key)>>,
    entries: u64,
}

/// A row id that can stand in a heap; its order means nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Key(RowId);

impl Ord for Key {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Watch {
    /// A namespace lost its last task: look at it from `first` on.
    pub(super) fn add(&mut self, id: RowId, first: Instant) {
        self.entries += 1;
        self.since.insert(id, (first, self.entries));
        self.queue.push(Reverse((first, self.entries, Key(id))));
    }

    /// When the next look is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.queue.peek().map(|Reverse((due, ..))| *due)
    }

    /// Takes all that are due.
    pub(super) fn due(&mut self, now: Instant) -> Vec<RowId> {
        let mut due = Vec::new();
        while let Some(Reverse((at, entry, Key(id)))) = self.queue.peek().copied() {
            if at > now {
                break;
            }
            self.queue.pop();
            if self.since.get(&id).is_some_and(|(_, own)| *own == entry) {
                due.push(id);
            }
        }
        due
    }

    /// It still lives: look again later.
    pub(super) fn again(&mut self, id: RowId, now: Instant) {
        let Some((since, entry)) = self.since.get(&id) else { return };
        let age = now.saturating_duration_since(*since);
        let pause = if age < RECENT {
            (age / 2).clamp(SHORTEST, PATIENT)
        } else {
            (age / 10).clamp(PATIENT, LONGEST)
        };
        self.queue.push(Reverse((now + pause, *entry, Key(id))));
    }

    /// It is gone, or has tasks again.
    pub(super) fn forget(&mut self, id: RowId) {
        self.since.remove(&id);
    }

    /// Gives up the room that was needed once and is not now.
    pub(super) fn give_back(&mut self) {
        self.since.shrink_to_fit();
        self.queue.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use ns_trace_common::Ns;

    use super::*;
    use crate::{
        model::Kind,
        table::{Row, Table},
    };

    fn a_row() -> RowId {
        let mut table = Table::new(false);
        table.insert_for_tests(Row::new(Kind::Uts, Ns { inode: 1, ..Ns::default() }, false))
    }

    #[test]
    fn looks_grow_rarer_but_never_end() {
        let (mut watch, start, id) = (Watch::default(), Instant::now(), a_row());
        watch.add(id, start);
        let mut now = start;
        let mut longest = Duration::ZERO;
        while now < start + Duration::from_mins(1) {
            assert_eq!(watch.due(now), [id]);
            watch.again(id, now);
            let next = watch.next().unwrap();
            let pause = next - now;
            assert!(pause <= if now - start < RECENT { PATIENT } else { LONGEST });
            longest = longest.max(pause);
            now = next;
        }
        assert_eq!(longest, LONGEST);
        watch.forget(id);
        assert!(watch.due(now + LONGEST).is_empty());
    }

    #[test]
    fn losing_the_last_task_again_starts_over() {
        let (mut watch, start, id) = (Watch::default(), Instant::now(), a_row());
        watch.add(id, start);
        watch.due(start);
        watch.again(id, start + Duration::from_secs(30));
        watch.add(id, start + Duration::from_secs(31));
        assert_eq!(watch.due(start + Duration::from_secs(40)), [id], "once, not twice");
    }
}
