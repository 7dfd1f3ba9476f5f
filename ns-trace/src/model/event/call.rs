//! What the calls that change namespaces did.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::{Cause, Errno, Flags, NsRef, Process, Slot};

/// A task changed one or more of its namespaces.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Enter {
    /// The call that did it.
    pub cause: Cause,
    /// The flags of the call (for setns its nstype).
    #[serde(flatten)]
    pub flags: Flags,
    /// Number shared by all events of one call.
    pub op: u64,
    /// What changed, never empty.
    pub changes: Vec<Change>,
    /// What the entered namespaces are to the task.
    pub relation: Option<Relation>,
    /// How many such calls this event stands for, of which none was told: the same task, from and to the same
    /// namespaces,
    /// less than a second after one that was. Absent is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<u64>,
    /// The task that changed (for clone the child).
    pub process: Arc<Process>,
}

/// One slot of a task that changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// The slot, named as in `/proc/<pid>/ns`.
    pub slot: Slot,
    /// The namespace before; null if unknown.
    pub from: Option<NsRef>,
    /// The namespace after; null if unknown.
    pub to: Option<NsRef>,
}

/// What a namespace is to a task that enters it or tries to.
///
/// Of several namespaces `host` prevails, then `other`; `own` are all or none.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Relation {
    /// One that the system booted with, entered from inside another.
    Host,
    /// The task's own: made by this call, or one that it is in already. Besides, for a task in a
    /// container: one that the container is in. For others, and if no task is in it: one that the
    /// process or an ancestor made or is in.
    Own,
    /// Any other: another container's, another user's, another program's.
    Other,
}

impl Relation {
    /// Every relation.
    pub const ALL: [Self; 3] = [Self::Host, Self::Own, Self::Other];

    /// The name used in events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Own => "own",
            Self::Other => "other",
        }
    }
}

/// A call failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Fail {
    /// The call.
    pub cause: Cause,
    /// The flags of the call (for setns its nstype).
    #[serde(flatten)]
    pub flags: Flags,
    /// Number shared by all events of one call.
    pub op: u64,
    /// The name of the error, such as `EPERM`.
    pub errno: Errno,
    /// What setns was pointed at; null for the other calls and if it had no namespace.
    pub target: Option<Target>,
    /// What the target is to the task.
    pub relation: Option<Relation>,
    /// How many such calls this event stands for, of which none was told: the same task, call, flags,
    /// target and error,
    /// less than a second after one that was. Absent is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<u64>,
    /// The caller.
    pub process: Arc<Process>,
}

/// What setns(2) was pointed at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Target {
    /// A namespace, by its nsfs file.
    Namespace(NsRef),
    /// A process, by a pidfd.
    Process(ProcessTarget),
}

/// A process that setns(2) was pointed at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessTarget {
    /// Its number in the initial pid namespace.
    pub pid: u32,
    /// Its namespaces of the kinds asked for; empty if unknown.
    pub ns: Vec<NsRef>,
}
