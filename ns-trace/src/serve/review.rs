//! What exists at a point of the stream: by it the history finds back after it has missed events.

use std::sync::Arc;

use super::Shared;
use crate::{
    model::{
        Event, Time,
        event::{Body, Exist, SchemaName, Source},
    },
    pipeline::Inquiry,
    sys::clock,
};

/// All namespaces that there were behind an event.
#[derive(Debug)]
pub(super) struct Review {
    /// The number of the event.
    after: u64,
    pub(super) time: Time,
    /// An `exist` of each.
    pub(super) all: Vec<Event>,
    /// Whether it is appended to the history, with what waits for its commit.
    pub(super) is_appended: bool,
}

/// Whether the history has missed events.
#[derive(Debug)]
pub(super) enum Hole {
    /// None since it last heard of everything.
    None,
    /// Some.
    Open,
    /// Some, but it is known what existed afterwards.
    Bridged(Review),
}

impl Hole {
    /// Asks what exists; what comes after the hole was not read yet.
    pub(super) fn bridge(shared: &Shared) -> Self {
        Review::ask(shared).map_or(Self::Open, Self::Bridged)
    }

    /// What is to be appended before the event with a number.
    pub(super) fn before(&mut self, seq: u64) -> Option<&mut Review> {
        match self {
            Self::Bridged(review) => Some(review).filter(|review| review.is_due(seq)),
            Self::None | Self::Open => None,
        }
    }

    /// What was appended is to be appended again.
    pub(super) const fn again(&mut self) {
        if let Self::Bridged(review) = self {
            review.is_appended = false;
        }
    }

    /// What was appended is committed.
    pub(super) fn committed(&mut self) {
        if matches!(self, Self::Bridged(review) if review.is_appended) {
            *self = Self::None;
        }
    }
}

impl Review {
    const fn is_due(&self, seq: u64) -> bool {
        !self.is_appended && self.after < seq
    }

    /// Asks the pipeline; `None` as long as it has not the whole picture itself.
    fn ask(shared: &Shared) -> Option<Self> {
        let recent = Arc::clone(&shared.recent);
        let asked = shared.ask(|answer| {
            Inquiry::Table(Box::new(move |table| {
                let all = table.rows().map(|(_, row)| (row.info(), row.members));
                // Who answers is who numbers the events.
                answer((!table.is_walking()).then(|| (recent.last(), all.collect::<Vec<_>>())));
            }))
        });
        let (after, all) = asked.ok()??;
        let boot_ns = clock::boot_ns();
        let time = Time(clock::realtime_offset().saturating_add_unsigned(boot_ns));
        let exist = |(ns, members)| Event {
            schema: SchemaName::V1,
            seq: 0,
            time,
            boot_ns,
            source: Source::Snapshot,
            body: Body::Exist(Exist { ns, members }),
            container: None,
            pod: None,
            lossy: false,
        };
        Some(Self { after, time, all: all.into_iter().map(exist).collect(), is_appended: false })
    }
}
