//! What an event says that has no column: JSON, absent for most events.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::{
    Container, Creator, NsInfo, Pod, TaskRef,
    event::{Alert, Lost, MapWrite, Status, Sync},
};

/// The parts, each of one or few sorts of event.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Detail {
    /// The namespace, where the event says other things of it than its row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ns: Option<NsInfo>,
    /// The number of a process that setns was pointed at; its namespaces are stored as changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) target: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) members: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) child: Option<TaskRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) map: Option<MapWrite>,
    /// What a `destroy` says, where it is something else than the row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) end: Option<End>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lost: Option<Lost>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sync: Option<Sync>,
    /// Without namespace and process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) alert: Option<Box<Alert>>,
    /// Of an event that has no process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) container: Option<Arc<Container>>,
    /// Of an event that has no process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pod: Option<Arc<Pod>>,
}

/// What a `destroy` says beside its namespace.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) creator: Option<Arc<Creator>>,
    pub(super) lifetime_ns: Option<u64>,
    pub(super) last_task_boot_ns: Option<u64>,
}

impl Detail {
    /// The text; `None` if there is nothing to say.
    pub(super) fn text(&self) -> Option<String> {
        if *self == Self::default() {
            return None;
        }
        // Numbers and text only: nothing that JSON could not hold.
        serde_json::to_string(self).ok()
    }
}
