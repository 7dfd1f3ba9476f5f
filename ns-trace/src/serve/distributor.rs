//! The one place through which every event passes.

use std::sync::{Arc, PoisonError};

use super::{Level, Shared};
use crate::{
    model::{Event, event::Body},
    sink::Outlet,
};

/// Numbers events and hands them to all who want them.
#[derive(Debug)]
pub(super) struct Distributor {
    shared: Arc<Shared>,
    /// Whether events came since the readers were woken.
    is_new: bool,
    is_ready: bool,
    /// How many events there were before this run's first.
    before: u64,
}

impl Distributor {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let before = shared.recent.last();
        Self { shared, is_new: false, is_ready: false, before }
    }

    /// Hands an event on. What observes every event once, in order and with its number, does it here.
    fn publish(&mut self, mut event: Event) {
        // Before anything else: who sees an event sees it like this.
        self.shared.config().redact.apply(&mut event);
        if let Body::Alert(alert) = &mut event.body
            && let Some(cause) = &mut alert.cause_seq
        {
            *cause += self.before;
        }
        let mut statistics = self.shared.statistics.lock().unwrap_or_else(PoisonError::into_inner);
        statistics.count(&event);
        drop(statistics);
        let entry = self.shared.recent.push(event);
        if matches!(entry.event.body, Body::Alert(_)) {
            self.shared.keep_alert(entry);
        }
        self.is_new = true;
    }
}

impl Outlet for Distributor {
    fn write(&mut self, event: &Event) -> std::io::Result<()> {
        self.publish(event.clone());
        if let Body::Sync(sync) = &event.body
            && !std::mem::replace(&mut self.is_ready, true)
        {
            // There is but one first.
            let _first = self.shared.start.set(event.clone());
            let status =
                format!("tracing with {} on Linux {}", sync.host.backend, sync.host.kernel);
            (self.shared.say)(Level::Info, &status);
            self.shared.notifier.tell(&format!("READY=1\nSTATUS={status}"));
        }
        Ok(())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if std::mem::take(&mut self.is_new) {
            self.shared.recent.wake();
        }
        Ok(())
    }
}
