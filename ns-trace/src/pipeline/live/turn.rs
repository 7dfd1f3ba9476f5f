//! Who comes first where processors are scarce.

use rustix::{
    process::{getpriority_process, setpriority_process},
    thread::CapabilitySet,
};

use crate::sys::capability;

/// How many nice values the writer of events stands back: on two processors that two busy threads
/// have, it gets a third less of them.
const BACK: i32 = 2;

/// Which turn this thread takes among all that want to run.
///
/// Whom it watches comes first: what is not written yet waits in the backlog, and the ring, which
/// must not wait, has a reader of its own. That holds while the backlog has room; then the thread
/// takes its turn like everybody.
#[derive(Debug)]
pub(super) struct Turn {
    /// The nice value that it was started with; `None` for who could not return to it.
    usual: Option<i32>,
    stands_back: bool,
}

impl Turn {
    pub(super) fn new() -> Self {
        let may_return = capability::holds(CapabilitySet::SYS_NICE);
        // To Linux, "this process" is this thread.
        let usual = getpriority_process(None).ok().filter(|_| may_return);
        Self { usual, stands_back: false }
    }

    /// Stands back, or does not any more.
    pub(super) fn take(&mut self, stands_back: bool) {
        let Some(usual) = self.usual.filter(|_| stands_back != self.stands_back) else { return };
        // What is beyond the last nice value is taken for that.
        let nice = if stands_back { usual + BACK } else { usual };
        if setpriority_process(None, nice).is_ok() {
            self.stands_back = stands_back;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn only_who_may_return_stands_back() {
        let nice = || getpriority_process(None).unwrap();
        let usual = nice();
        let seen = thread::scope(|scope| {
            let other = scope.spawn(|| {
                let mut turn = Turn::new();
                [true, true, false].map(|stands_back| {
                    turn.take(stands_back);
                    nice()
                })
            });
            other.join().unwrap()
        });
        let back = if capability::holds(CapabilitySet::SYS_NICE) { usual + BACK } else { usual };
        assert_eq!(seen, [back, back, usual]);
    }
}
