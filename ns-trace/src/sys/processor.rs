//! On which processor a thread runs.

use rustix::thread::{sched_getaffinity, sched_getcpu, sched_setaffinity};

/// The one that the calling thread runs on now.
#[must_use]
pub fn current() -> usize {
    sched_getcpu()
}

/// Has the calling thread run on any other than this one, if it may run on another.
pub fn avoid(processor: usize) {
    if let Ok(mut others) = sched_getaffinity(None) {
        others.unset(processor);
        // The kernel refuses an empty set.
        let _refused = sched_setaffinity(None, &others);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn what_is_avoided_is_left() {
        let is_elsewhere = || {
            let here = current();
            avoid(here);
            current() != here
        };
        let allowed = sched_getaffinity(None).unwrap().count();
        let left = thread::scope(|scope| scope.spawn(is_elsewhere).join().unwrap());
        assert_eq!(left, allowed > 1);
    }
}
