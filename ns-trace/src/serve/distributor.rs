//! The one place through which every event passes.

use std::sync::{Arc, PoisonError, atomic::Ordering, mpsc::Sender};

use rustix::io::write;

use super::{Level, Shared};
use crate::{
    model::{
        Event,
        event::{Body, Reason, Source},
    },
    sink::Outlet,
};

/// Numbers events and hands them to all who want them.
#[derive(Debug)]
pub(super) struct Distributor {
    shared: Arc<Shared>,
    /// Whether events came since the readers were woken.
    is_new: bool,
    is_ready: bool,
    /// Who wants to know what there was at the start.
    history: Option<Sender<Vec<Event>>>,
    /// What there was, as far as it was told; `None` unless it is being told.
    found: Option<Vec<Event>>,
}

impl Distributor {
    pub(super) const fn new(shared: Arc<Shared>, history: Option<Sender<Vec<Event>>>) -> Self {
        Self { shared, is_new: false, is_ready: false, history, found: None }
    }

    /// Hands on what there was at the start, all at once.
    fn hand_over(&mut self) {
        if let (Some(found), Some(history)) = (self.found.take(), &self.history) {
            // It may have ended.
            let _told = history.send(found);
        }
    }

    /// Hands an event on. What observes every event once, in order and with its number, does it here.
    fn publish(&mut self, mut event: Event) {
        // Before anything else: who sees an event sees it like this.
        self.shared.config().redact.apply(&mut event);
        if let Body::Alert(alert) = &mut event.body
            && let Some(cause) = &mut alert.cause_seq
        {
            // It is right behind its cause; where numbers begin, the history says.
            let distance = event.seq.saturating_sub(*cause);
            *cause = (self.shared.recent.last() + 1).saturating_sub(distance);
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
        if let (Some(found), Body::Exist(_), Source::Snapshot) =
            (&mut self.found, &event.body, event.source)
        {
            // No news to anybody, and more than the others might want to keep at a time.
            found.push(event.clone());
            return Ok(());
        }
        self.hand_over();
        self.publish(event.clone());
        if let Body::Sync(sync) = &event.body
            && sync.reason == Reason::Start
            && self.history.is_some()
        {
            self.found = Some(Vec::new());
        }
        if matches!(event.body, Body::Sync(_)) {
            // A counter that is full tells as well.
            let _told = write(&self.shared.synced, &1_u64.to_ne_bytes());
        }
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

    fn can_be_taken_up(&mut self, can: Result<(), &std::io::Error>) {
        let what = match can {
            Ok(()) => "a restart loses nothing again".to_owned(),
            Err(error) => {
                self.shared.marks.give_up();
                self.shared.journal_errors.fetch_add(1, Ordering::Relaxed);
                format!(
                    "cannot keep what a restart needs to lose nothing: {error}; going on without, \
                     and trying again"
                )
            }
        };
        (self.shared.say)(Level::Warning, &what);
    }

    fn arrived(&self) -> u64 {
        self.shared.marks.arrived()
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.hand_over();
        if std::mem::take(&mut self.is_new) {
            self.shared.recent.wake();
        }
        Ok(())
    }
}
