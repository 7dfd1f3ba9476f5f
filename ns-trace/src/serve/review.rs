//! What exists at a point of the stream: by it the history finds back after it has missed events.

use std::{
    mem,
    sync::{
        Arc,
        mpsc::{Receiver, TryRecvError, channel},
    },
};

use super::Shared;
use crate::{
    model::{
        Event, NsInfo, Time,
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

/// What the pipeline answers: the number of its last event, and who is in which namespace then.
type Answer = Option<(u64, Vec<(NsInfo, u32)>)>;

/// Whether the history has missed events.
#[derive(Debug)]
pub(super) enum Hole {
    /// None since it last heard of everything.
    None,
    /// Some.
    Open,
    /// Some, and it is asked what exists afterwards.
    Asked(Receiver<Answer>),
    /// Some, but it is known what existed afterwards.
    Bridged(Review),
}

impl Hole {
    pub(super) const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Asks what exists, and takes the answer when it has come: what it is about was read then, or comes
    /// later.
    pub(super) fn bridge(&mut self, shared: &Shared) {
        *self = match mem::replace(self, Self::None) {
            Self::Open => Self::Asked(ask(shared)),
            Self::Asked(answered) => match answered.try_recv() {
                Ok(Some((after, all))) => Self::Bridged(Review::new(after, all)),
                // The table itself has not everything yet.
                Ok(None) | Err(TryRecvError::Disconnected) => Self::Open,
                Err(TryRecvError::Empty) => Self::Asked(answered),
            },
            other => other,
        }
    }

    /// What is to be appended before the event with a number.
    pub(super) fn before(&mut self, seq: u64) -> Option<&mut Review> {
        match self {
            Self::Bridged(review) => Some(review).filter(|review| review.is_due(seq)),
            Self::None | Self::Open | Self::Asked(_) => None,
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

/// Asks the pipeline, which has no answer as long as it has not the whole picture itself.
fn ask(shared: &Shared) -> Receiver<Answer> {
    let recent = Arc::clone(&shared.recent);
    let (answer, answered) = channel();
    shared.inquiries.ask(Inquiry::Table(Box::new(move |table| {
        let all = table.rows().map(|(_, row)| (row.info(), row.members));
        // Who answers is who numbers the events.
        let found = (!table.is_walking()).then(|| (recent.last(), all.collect()));
        // Another hole may have come meanwhile.
        let _told = answer.send(found);
    })));
    answered
}

impl Review {
    const fn is_due(&self, seq: u64) -> bool {
        !self.is_appended && self.after < seq
    }

    fn new(after: u64, all: Vec<(NsInfo, u32)>) -> Self {
        let boot_ns = clock::boot_ns();
        let time = Time(clock::real_ns());
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
        Self { after, time, all: all.into_iter().map(exist).collect(), is_appended: false }
    }
}
