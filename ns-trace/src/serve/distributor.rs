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
}

impl Distributor {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared, is_new: false, is_ready: false }
    }

    /// Hands an event on. What observes every event once, in order and with its number, does it here.
    fn publish(&mut self, event: Event) {
        let mut statistics = self.shared.statistics.lock().unwrap_or_else(PoisonError::into_inner);
        statistics.count(&event);
        drop(statistics);
        self.shared.recent.push(event);
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

    fn last(&self) -> u64 {
        self.shared.recent.last()
    }

    fn mark(&mut self, seq: u64) {
        self.shared.marks.mark(seq);
    }

    fn arrived(&self) -> u64 {
        self.shared.marks.arrived()
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if std::mem::take(&mut self.is_new) {
            self.shared.recent.wake();
        }
        Ok(())
    }
}
