//! How many in how long, by what they have in common.

use std::{
    collections::{VecDeque, hash_map::Entry},
    sync::Arc,
};

use rustc_hash::FxHashMap;

use super::{By, Count};
use crate::model::{Ancestor, Event};

/// How many keys are counted at a time.
const KEYS: usize = 1024;
/// How many moments of a window are kept apart; more than these are rounded.
const MOMENTS: usize = 64;

/// What events have in common.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Key {
    /// All of them.
    All,
    Number(u32),
    Text(Arc<str>),
}

impl Key {
    /// What an event has of that; without it, it counts with the others that do not have it.
    pub(super) fn new(by: By, event: &Event, lineage: &[Arc<Ancestor>]) -> Self {
        let process = event.body.process();
        let number = match by {
            By::Host => None,
            By::Process | By::Lineage | By::Family => process.map(|process| process.pid),
            By::Parent => {
                lineage.first().map(|parent| parent.pid).or(process.map(|process| process.ppid))
            }
            By::User => process.map(|process| process.uid),
            By::Container => {
                let id = event.container.as_ref().map(|container| Arc::clone(&container.id));
                return id.map_or(Self::All, Self::Text);
            }
        };
        number.map_or(Self::All, Self::Number)
    }
}

/// A count for each key.
#[derive(Debug, Default)]
pub(super) struct Windows {
    counts: FxHashMap<Key, Window>,
    /// The keys, the oldest first.
    order: VecDeque<Key>,
    /// How many counts were given up for others.
    pub(super) dropped: u64,
}

#[derive(Debug, Default)]
struct Window {
    /// When, and how many then.
    moments: VecDeque<(u64, u64)>,
    sum: u64,
    held: u64,
}

impl Windows {
    /// Counts `weight` more and returns how many there are in the time of `count`.
    pub(super) fn add(&mut self, key: Key, now: u64, weight: u64, count: Count) -> u64 {
        let window = self.window(key);
        window.expire(now, count.within_ns);
        let is_full = window.moments.len() >= MOMENTS;
        let near = count.within_ns / MOMENTS as u64;
        match window.moments.back_mut() {
            Some((at, number)) if is_full && now.saturating_sub(*at) < near => *number += weight,
            _ => window.moments.push_back((now, weight)),
        }
        window.sum = window.sum.saturating_add(weight);
        window.sum
    }

    /// Whether one more is within the limit of `count`; if so, how many were held back before it.
    pub(super) fn admit(&mut self, key: Key, now: u64, count: Count) -> Option<u64> {
        let window = self.window(key);
        window.expire(now, count.within_ns);
        if window.sum >= count.number {
            window.held += 1;
            return None;
        }
        window.moments.push_back((now, 1));
        window.sum += 1;
        Some(std::mem::take(&mut window.held))
    }

    /// Counts from nothing again.
    pub(super) fn reset(&mut self, key: &Key) {
        if let Some(window) = self.counts.get_mut(key) {
            *window = Window::default();
        }
    }

    fn window(&mut self, key: Key) -> &mut Window {
        if self.counts.len() >= KEYS
            && !self.counts.contains_key(&key)
            && let Some(oldest) = self.order.pop_front()
        {
            self.counts.remove(&oldest);
            self.dropped += 1;
        }
        match self.counts.entry(key) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                self.order.push_back(entry.key().clone());
                entry.insert(Window::default())
            }
        }
    }
}

impl Window {
    fn expire(&mut self, now: u64, within_ns: u64) {
        while let Some((at, number)) = self.moments.front().copied()
            && at.saturating_add(within_ns) <= now
        {
            self.moments.pop_front();
            self.sum = self.sum.saturating_sub(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN_IN_100: Count = Count { number: 10, within_ns: 100, by: By::Process };

    #[test]
    fn a_window_slides() {
        let mut windows = Windows::default();
        let mut add = |pid, now| windows.add(Key::Number(pid), now, 1, TEN_IN_100);
        assert_eq!([add(1, 0), add(1, 50), add(2, 50), add(1, 99)], [1, 2, 1, 3]);
        assert_eq!([add(1, 100), add(1, 150), add(1, 500)], [3, 3, 1]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut windows = Windows::default();
        for now in 0..100_000 {
            let count = Count { number: u64::MAX, within_ns: 1 << 40, by: By::Host };
            assert_eq!(windows.add(Key::All, now, 1, count), now + 1);
        }
        assert!(windows.counts.values().all(|window| window.moments.len() <= 2 * MOMENTS));
        for pid in 0..5000 {
            windows.add(Key::Number(pid), 0, 1, TEN_IN_100);
        }
        assert_eq!((windows.counts.len(), windows.order.len()), (KEYS, KEYS));
        assert_eq!(windows.dropped, 5000 - 1023);
    }

    #[test]
    fn what_is_held_back_is_told_with_the_next() {
        let mut windows = Windows::default();
        let count = Count { number: 2, within_ns: 100, by: By::Process };
        let mut admit = |now| windows.admit(Key::Number(1), now, count);
        assert_eq!([admit(0), admit(1), admit(2), admit(99)], [Some(0), Some(0), None, None]);
        assert_eq!([admit(100), admit(101), admit(102)], [Some(2), Some(0), None]);
    }
}
