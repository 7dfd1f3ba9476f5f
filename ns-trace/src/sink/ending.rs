//! An end that is near: pauses between attempts end with it.

use std::{
    sync::{Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Until when to try; the pauses in between end at once when that becomes known.
#[derive(Debug, Default)]
pub struct Ending(Mutex<Option<Instant>>, Condvar);

impl Ending {
    /// Lets whoever tries do so for a while yet.
    pub fn end_within(&self, grace: Duration) {
        let Self(until, changed) = self;
        *until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + grace);
        changed.notify_all();
    }

    /// Waits; false if the time is over.
    pub fn pause(&self, pause: Duration) -> bool {
        let Self(until, changed) = self;
        let until = until.lock().unwrap_or_else(PoisonError::into_inner);
        let was_known = until.is_some();
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let pause = left.map_or(pause, |left| pause.min(left));
        let is_same = |until: &mut Option<Instant>| until.is_some() == was_known;
        let waited = changed.wait_timeout_while(until, pause, is_same);
        let (until, _) = waited.unwrap_or_else(PoisonError::into_inner);
        until.is_none_or(|until| Instant::now() < until)
    }
}
