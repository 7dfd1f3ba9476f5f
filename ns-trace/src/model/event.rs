//! Events: schema `ns-trace/1`, one JSON object per line.

mod alert;
mod call;
mod health;
mod life;
mod map;
mod task;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{
    alert::{Alert, Severity},
    call::{Change, Enter, Fail, ProcessTarget, Relation, Target},
    health::{ByEvent, Host, Loss, Lost, Reason, Stage, Sync},
    life::{Create, Destroy, Exist},
    map::{Map, MapLine, MapWrite},
    task::{Exec, Exit, Fork, Status},
};
use super::{Container, Pod, Process, Time};

/// The name and version of the schema that every event carries.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum SchemaName {
    /// Version 1.
    #[default]
    #[serde(rename = "ns-trace/1")]
    V1,
}

impl SchemaName {
    /// The name used in events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1 => "ns-trace/1",
        }
    }
}

/// Where an event was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The probes saw it happen.
    Probe,
    /// A snapshot showed it.
    Snapshot,
    /// It was read from a recorded stream.
    Replay,
}

impl Source {
    /// Every source.
    pub const ALL: [Self; 3] = [Self::Probe, Self::Snapshot, Self::Replay];

    /// The name used in events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Snapshot => "snapshot",
            Self::Replay => "replay",
        }
    }
}

/// One event of the stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Name and version of this schema.
    pub schema: SchemaName,
    /// Number of the event in its stream, from 1, without gaps.
    pub seq: u64,
    /// When it happened.
    pub time: Time,
    /// When it happened: nanoseconds of the boot clock.
    pub boot_ns: u64,
    /// Where it was found.
    pub source: Source,
    /// What happened.
    #[serde(flatten)]
    pub body: Body,
    /// The innermost container that `process` is in, from the path of its cgroup; absent if it is in
    /// none that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Arc<Container>>,
    /// The pod of Kubernetes that `process` is in, from the path of its cgroup; absent if it is in
    /// none that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<Arc<Pod>>,
    /// Whether a string in the event was not UTF-8 and is shown with `\xNN`; absent if not.
    #[serde(default, skip_serializing_if = "is_false")]
    pub lossy: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// What happened, and the fields that only this sort of event has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Body {
    /// A namespace came to be.
    Create(Create),
    /// A task changed a namespace.
    Enter(Enter),
    /// clone, clone3, unshare or setns failed.
    Fail(Fail),
    /// The kernel freed a namespace.
    Destroy(Destroy),
    /// A number map of a user namespace was written.
    Map(Map),
    /// A snapshot row: a namespace that exists.
    Exist(Exist),
    /// A task was made (with `--tasks`).
    Fork(Fork),
    /// A process runs another program (with `--tasks`).
    Exec(Exec),
    /// A task ended (with `--tasks`).
    Exit(Exit),
    /// Events are missing.
    Lost(Lost),
    /// The stream is complete from here on.
    Sync(Sync),
    /// A rule matched (with `--rules`).
    Alert(Box<Alert>),
}

impl Event {
    /// Whether it is of a user: a process of theirs did it, or they made the namespace whose end it
    /// tells of. What says how good the stream is, is everybody's.
    #[must_use]
    pub fn is_of(&self, uid: u32) -> bool {
        match &self.body {
            Body::Lost(_) | Body::Sync(_) => true,
            Body::Destroy(gone) => gone.creator.as_ref().is_some_and(|by| by.uid == uid),
            body => body.process().is_some_and(|process| process.uid == uid),
        }
    }
}

/// The sorts of event, as `--event` names them.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are the events' own, documented at `Body`")]
pub enum EventKind {
    Create,
    Enter,
    Fail,
    Destroy,
    Map,
    Exist,
    Fork,
    Exec,
    Exit,
    Lost,
    Sync,
    Alert,
}

impl EventKind {
    /// Every sort.
    pub const ALL: [Self; 12] = [
        Self::Create,
        Self::Enter,
        Self::Fail,
        Self::Destroy,
        Self::Map,
        Self::Exist,
        Self::Fork,
        Self::Exec,
        Self::Exit,
        Self::Lost,
        Self::Sync,
        Self::Alert,
    ];

    /// The name used in events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Enter => "enter",
            Self::Fail => "fail",
            Self::Destroy => "destroy",
            Self::Map => "map",
            Self::Exist => "exist",
            Self::Fork => "fork",
            Self::Exec => "exec",
            Self::Exit => "exit",
            Self::Lost => "lost",
            Self::Sync => "sync",
            Self::Alert => "alert",
        }
    }
}

impl Body {
    /// Which sort of event it is.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::Create(_) => EventKind::Create,
            Self::Enter(_) => EventKind::Enter,
            Self::Fail(_) => EventKind::Fail,
            Self::Destroy(_) => EventKind::Destroy,
            Self::Map(_) => EventKind::Map,
            Self::Exist(_) => EventKind::Exist,
            Self::Fork(_) => EventKind::Fork,
            Self::Exec(_) => EventKind::Exec,
            Self::Exit(_) => EventKind::Exit,
            Self::Lost(_) => EventKind::Lost,
            Self::Sync(_) => EventKind::Sync,
            Self::Alert(_) => EventKind::Alert,
        }
    }

    /// The process that the event is about, if it has one.
    #[must_use]
    pub const fn process(&self) -> Option<&Arc<Process>> {
        match self {
            Self::Create(event) => Some(&event.process),
            Self::Enter(event) => Some(&event.process),
            Self::Fail(event) => Some(&event.process),
            Self::Map(event) => Some(&event.process),
            Self::Fork(event) => Some(&event.process),
            Self::Exec(event) => Some(&event.process),
            Self::Exit(event) => Some(&event.process),
            Self::Alert(event) => event.process.as_ref(),
            Self::Destroy(_) | Self::Exist(_) | Self::Lost(_) | Self::Sync(_) => None,
        }
    }
}
