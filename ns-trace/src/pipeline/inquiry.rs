//! Questions to a live source from other threads, answered between two records.

use std::{
    collections::VecDeque,
    fmt, io,
    os::fd::OwnedFd,
    sync::{Mutex, PoisonError},
};

use ns_trace_common::inspect::Inspect;
use rustix::{
    event::{EventfdFlags, eventfd},
    io::write,
};

use super::Picture;
use crate::{
    rule::Rules,
    table::{Identity, Table},
};

/// What another thread wants of a live source. Answers are given in the source's own thread: they
/// must be short.
pub enum Inquiry {
    /// Whether it still goes on.
    Alive(Box<dyn FnOnce() + Send>),
    /// What exists.
    Picture(Box<dyn FnOnce(Picture) + Send>),
    /// The table itself.
    Table(Box<dyn FnOnce(&Table) + Send>),
    /// That it goes on with other rules.
    Rules(Box<Rules>),
    /// That it knows of all namespaces that the kernel has in its own lists.
    Existing {
        /// When these were begun to be read: nanoseconds of the boot clock.
        began: u64,
        /// What is in them.
        all: Vec<Inspect>,
    },
    /// That it knows who all tasks are by now.
    Identities {
        /// When it was begun to be looked: nanoseconds of the boot clock.
        began: u64,
        /// Who they are.
        all: Vec<Identity>,
    },
}

impl fmt::Debug for Inquiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alive(_) => "Alive",
            Self::Picture(_) => "Picture",
            Self::Table(_) => "Table",
            Self::Rules(_) => "Rules",
            Self::Existing { .. } => "Existing",
            Self::Identities { .. } => "Identities",
        })
    }
}

/// The questions that wait. What happened before one was asked is in its answer: the bell passes
/// through the thread that empties the ring, behind the records.
#[derive(Debug)]
pub struct Inquiries {
    bell: OwnedFd,
    waiting: Mutex<VecDeque<Inquiry>>,
}

impl Inquiries {
    /// None yet.
    ///
    /// # Errors
    ///
    /// If there are too many descriptors.
    pub fn new() -> io::Result<Self> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { bell, waiting: Mutex::default() })
    }

    /// Asks. There is no answer if the source has ended.
    pub fn ask(&self, inquiry: Inquiry) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push_back(inquiry);
        // A counter that is full has rung.
        let _rung = write(&self.bell, &1_u64.to_ne_bytes());
    }

    /// The first `count` that were asked, each once: the bell has rung for no more.
    pub(super) fn take(&self, count: u64) -> Vec<Inquiry> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(waiting.len());
        waiting.drain(..count).collect()
    }

    /// The bell, to be listened to.
    pub(super) fn bell(&self) -> io::Result<OwnedFd> {
        Ok(rustix::io::fcntl_dupfd_cloexec(&self.bell, 3)?)
    }
}
