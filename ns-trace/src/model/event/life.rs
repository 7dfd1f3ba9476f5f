//! Birth, existence and death of namespaces.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::{Cause, Creator, Flags, NsInfo, Process};

/// A namespace came to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Create {
    /// The call that made it.
    pub cause: Cause,
    /// The flags of the call.
    #[serde(flatten)]
    pub flags: Flags,
    /// Number shared by all events of one call.
    pub op: u64,
    /// The new namespace.
    pub ns: NsInfo,
    /// The caller (for clone the parent).
    pub process: Arc<Process>,
}

/// The kernel freed a namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Destroy {
    /// The namespace that was.
    pub ns: NsInfo,
    /// The task that made it; null if it is older than the tracer.
    pub creator: Option<Arc<Creator>>,
    /// How long it lived, in nanoseconds; null if it is older than the tracer.
    pub lifetime_ns: Option<u64>,
    /// When its last task left or ended: nanoseconds of the boot clock; null if it never had one.
    pub last_task_boot_ns: Option<u64>,
}

/// A namespace that a snapshot found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Exist {
    /// The namespace.
    pub ns: NsInfo,
    /// How many tasks have it in one of their slots.
    pub members: u32,
}
