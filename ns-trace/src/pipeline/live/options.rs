//! How a live stream is asked for, and why it breaks off.

use std::{io, os::fd::OwnedFd, sync::Arc, time::Duration};

use super::{Command, Keep};
use crate::{
    pipeline::{Inquiries, Viewer},
    probe::{self, Options, Probes},
};

/// Why a live stream broke off.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The probes.
    #[error(transparent)]
    Probe(#[from] probe::Error),
    /// The output.
    #[error("cannot write: {0}")]
    Write(#[source] io::Error),
    /// What another process needs to go on.
    #[error("cannot keep what another collector needs to go on: {0}")]
    Keep(#[source] io::Error),
    /// The ring, signals or a thread.
    #[error("cannot watch the ring: {0}")]
    Watch(#[source] io::Error),
    /// What was to be done after attaching.
    #[error("cannot begin: {0}")]
    Begin(#[source] Obstacle),
    /// A process to trace does not exist.
    #[error("there is no process {0}")]
    NoProcess(u32),
    /// The command could not be started.
    #[error("cannot run `{command}`: {source}")]
    Command {
        /// Its name.
        command: String,
        /// Why.
        source: io::Error,
    },
}

/// Why what comes after attaching cannot be done.
pub type Obstacle = Box<dyn std::error::Error + Send + Sync>;

type Begin = dyn FnOnce(&Probes) -> Result<(), Obstacle> + Send;

/// What is to be done as soon as the probes are attached, in the thread that attached them.
pub struct Attached(pub Box<Begin>);

impl std::fmt::Debug for Attached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attached").finish_non_exhaustive()
    }
}

/// How to trace.
#[derive(Debug)]
pub struct LiveOptions {
    /// How to load the probes.
    pub probes: Options,
    /// The most bytes of records that wait to be written.
    pub backlog_bytes: usize,
    /// Whether what exists at the start is told.
    pub snapshot: bool,
    /// How long to trace; `None` is without end.
    pub timeout: Option<Duration>,
    /// A command to run; the stream ends with its tree.
    pub command: Option<Command>,
    /// Where events are written, to notice that nobody reads them any more.
    pub output: Option<OwnedFd>,
    /// Who is shown the table from time to time.
    pub viewer: Option<Viewer>,
    /// What is to be done as soon as the probes are attached.
    pub attached: Option<Attached>,
    /// Who may ask while it goes on. What is asked goes on until it is told to end: SIGHUP does not
    /// end it then.
    pub inquiries: Option<Arc<Inquiries>>,
    /// Whether another process is to go on afterwards, and how; the probes are to be pinned then.
    pub keep: Option<Keep>,
}
