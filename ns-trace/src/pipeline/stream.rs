//! Events on their way out: chosen, numbered, written, counted.

use std::io;

use super::{Scope, Selection};
use crate::{
    expr::Filter,
    model::{
        Event, Time,
        event::{Body, ByEvent, EventKind, SchemaName},
    },
    rule::{Engine, Members, Rules},
    sink::Outlet,
    table::{Finding, RowId, Table},
};

/// What a stream came to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Outcome {
    /// Events written, `sync` and `lost` included.
    pub events: u64,
    /// Events that are missing.
    pub lost: u64,
    /// Events for which the expression could not be evaluated.
    pub unmatched: u64,
    /// Alerts that types and expression admit, written or not.
    pub alerts: u64,
    /// Those among them that were not written, since nobody had asked for alerts.
    pub unasked: u64,
    /// Alerts held back by the limits of their rules.
    pub held: u64,
    /// What rules had to forget.
    pub forgotten: u64,
    /// Why it ended.
    pub end: End,
}

/// Why a stream ended.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum End {
    /// There was no more.
    #[default]
    Source,
    /// As many events as asked for were written.
    Count,
    /// The time asked for was over.
    Timeout,
    /// A signal.
    Signal(i32),
    /// Nobody reads any more.
    Closed,
}

/// The way out.
#[derive(Debug)]
pub struct Stream {
    selection: Selection,
    /// Who looks at every event.
    rules: Option<Engine>,
    /// Whose events are wanted.
    pub scope: Scope,
    sink: Box<dyn Outlet>,
    /// How many events are wanted, `sync` and `lost` not counted.
    left: Option<u64>,
    outcome: Outcome,
    /// What to add to the boot clock to get wall-clock time.
    realtime_offset: i64,
}

impl Stream {
    /// A way out to `sink` for at most `count` events.
    #[must_use]
    pub fn new(
        selection: Selection,
        scope: Scope,
        sink: impl Outlet + 'static,
        count: Option<u64>,
    ) -> Self {
        Self {
            selection,
            rules: None,
            scope,
            sink: Box::new(sink),
            left: count,
            outcome: Outcome {
                events: 0,
                lost: 0,
                unmatched: 0,
                alerts: 0,
                unasked: 0,
                held: 0,
                forgotten: 0,
                end: End::Source,
            },
            realtime_offset: 0,
        }
    }

    /// With rules that look at every event, wanted or not; their alerts are events too.
    #[must_use]
    pub fn with_rules(self, rules: Option<Engine>) -> Self {
        Self { rules, ..self }
    }

    /// Goes on with other rules, if there are any to replace: whether tasks are followed for them
    /// was decided at the start.
    pub fn replace_rules(&mut self, rules: &Rules) {
        if let Some(engine) = &mut self.rules {
            engine.replace(rules);
        }
    }

    /// Tells the rules who and what was there before the first event, or went by unseen since.
    pub fn meet(&mut self, table: &Table) {
        if let Some(rules) = &mut self.rules {
            rules.meet(table.processes(), table.rows().map(|(_, row)| row.origin()));
        }
    }

    /// Whether rules look at the events.
    #[must_use]
    pub const fn has_rules(&self) -> bool {
        self.rules.is_some()
    }

    /// Whether `fork`, `exec` and `exit` must be found at all.
    #[must_use]
    pub fn needs_tasks(&self) -> bool {
        self.selection.wants_tasks() || self.scope.needs_tasks() || self.rules.is_some()
    }

    /// Of missing events those that would have been wanted as far as their sort tells.
    #[must_use]
    pub fn missed(&self, mut lost: ByEvent) -> ByEvent {
        if !self.needs_tasks() {
            (lost.fork, lost.exec, lost.exit) = (0, 0, 0);
        }
        lost
    }

    /// Sets what to add to the boot clock to get nanoseconds since 1970.
    pub const fn set_realtime_offset(&mut self, offset: i64) {
        self.realtime_offset = offset;
    }

    /// Sends a finding of the table.
    ///
    /// # Errors
    ///
    /// Those of writing.
    pub fn find(&mut self, finding: Finding, table: &Table) -> io::Result<()> {
        let Finding { boot_ns, source, body, row } = finding;
        let time = Time(boot_ns.cast_signed().saturating_add(self.realtime_offset));
        let lossy = body.process().is_some_and(|process| process.lossy);
        let schema = SchemaName::V1;
        let process = body.process();
        let container = process.and_then(|process| process.container.clone());
        let pod = process.and_then(|process| process.pod.clone());
        let event = Event { schema, seq: 0, time, boot_ns, source, body, container, pod, lossy };
        self.pass(event, row, &|ns| table.members(ns))
    }

    /// Sends an event, if it is wanted.
    ///
    /// # Errors
    ///
    /// Those of writing.
    pub fn send(&mut self, event: Event) -> io::Result<()> {
        self.pass(event, None, &|_| None)
    }

    fn pass(
        &mut self,
        mut event: Event,
        row: Option<RowId>,
        members: &Members<'_>,
    ) -> io::Result<()> {
        if let Body::Lost(lost) = &event.body {
            self.outcome.lost += lost.lost.count;
        }
        let is_ours = self.scope.admits(&event, row);
        // What another does may be a part of what ours does.
        let rules = self.rules.as_mut();
        let alerts = rules.map(|rules| rules.look_at(&event, members, is_ours)).unwrap_or_default();
        if self.is_full() || !is_ours {
            return Ok(());
        }
        let cause = if self.selection.admits(&event) {
            self.write(&mut event)?;
            Some(event.seq)
        } else {
            None
        };
        for mut alert in alerts {
            alert.cause_seq = cause;
            let mut event = Event { body: Body::Alert(Box::new(alert)), ..event.clone() };
            if !self.selection.chooses(&event) {
                continue;
            }
            // A rule has matched, whether alerts are to be seen or not.
            self.outcome.alerts += 1;
            if !self.selection.admits_sort(EventKind::Alert) {
                self.outcome.unasked += 1;
            } else if !self.is_full() {
                self.write(&mut event)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, event: &mut Event) -> io::Result<()> {
        self.outcome.events += 1;
        event.seq = self.outcome.events;
        if !matches!(event.body, Body::Lost(_) | Body::Sync(_))
            && let Some(left) = &mut self.left
        {
            *left = left.saturating_sub(1);
        }
        self.sink.write(event)
    }

    /// Where it leads.
    pub(super) fn outlet(&mut self) -> &mut dyn Outlet {
        &mut *self.sink
    }

    /// How many events are missing so far.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.outcome.lost
    }

    /// Whether as many events as wanted have been sent.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        matches!(self.left, Some(0))
    }

    /// Hands everything to the system.
    ///
    /// # Errors
    ///
    /// Those of writing.
    pub fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }

    /// Ends the stream. A closed pipe is a reader that has had enough: no error.
    ///
    /// # Errors
    ///
    /// `error` unless it is a closed pipe, and those of writing what is left.
    pub fn finish(mut self, ended: io::Result<End>) -> io::Result<Outcome> {
        let flushed = ended.and_then(|end| self.flush().map(|()| end));
        self.outcome.end = match flushed {
            Ok(end) => end,
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => End::Closed,
            Err(error) => return Err(error),
        };
        if let Some(rules) = &self.rules {
            (self.outcome.held, self.outcome.forgotten) = (rules.held(), rules.dropped());
        }
        self.outcome.unmatched = self.selection.filter.as_ref().map_or(0, Filter::errors);
        Ok(self.outcome)
    }
}
