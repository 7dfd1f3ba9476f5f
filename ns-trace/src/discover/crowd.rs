//! Work that is spread over all processors.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

/// How many items a worker takes at a time: enough that they do not wait for each other, few enough
/// that all end together.
const BATCH: usize = 32;

/// Does `step` for each of `items`, each worker upon a state of its own, which `begin` makes;
/// returns the states. Few items are not worth a thread.
pub(super) fn share<I: Sync, S: Send>(
    items: &[I],
    begin: impl Fn() -> S + Sync,
    step: impl Fn(&mut S, &I) + Sync,
) -> Vec<S> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let workers = workers.min(items.len() / BATCH).max(1);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut state = begin();
        loop {
            let start = next.fetch_add(BATCH, Ordering::Relaxed);
            let Some(rest) = items.get(start..).filter(|rest| !rest.is_empty()) else {
                return state;
            };
            for item in rest.iter().take(BATCH) {
                step(&mut state, item);
            }
        }
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..workers).map(|_| scope.spawn(work)).collect();
        let mut states = vec![work()];
        for other in others {
            states.push(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        states
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_worked_on_once() {
        for len in [0, 1, BATCH, 10 * BATCH + 7] {
            let items: Vec<_> = (0..len).collect();
            let states = share(&items, Vec::new, |state, item| state.push(*item));
            let mut done = states.concat();
            done.sort_unstable();
            assert_eq!(done, items);
        }
    }
}
