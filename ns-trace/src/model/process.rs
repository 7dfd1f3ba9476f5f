//! Tasks as events name them.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Container, Pod, Slots};

/// A task and all that is known of it at the moment of an event.
///
/// Numbers are those of the initial namespaces. With `--fields compact` only `pid`, `tid`, `ppid`,
/// `start_ns`, `comm` and `uid` are written; the rest of such a recording is unknown.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Process {
    /// Thread group number in the initial pid namespace.
    pub pid: u32,
    /// Thread number in the initial pid namespace.
    pub tid: u32,
    /// The parent's thread group number.
    pub ppid: u32,
    /// Thread number in the task's own pid namespace. Null if unknown.
    #[serde(default)]
    pub vpid: Option<u32>,
    /// When it was made: nanoseconds of the boot clock. With `tid` it names a task for good.
    pub start_ns: u64,
    /// The task's name, at most 15 bytes.
    pub comm: Arc<str>,
    /// The file it runs, as given to execve(2); for processes older than the tracer, and behind
    /// links to open files (/proc/self/exe, /dev/fd/3), the path of the file. Null if unknown (kernel
    /// threads have none).
    #[serde(default)]
    pub exe: Option<Arc<str>>,
    /// Its arguments, cut at 4 KiB. Null if unknown.
    #[serde(default)]
    pub args: Option<Arc<[String]>>,
    /// Whether `args` was cut; absent if not.
    #[serde(default, skip_serializing_if = "is_false")]
    pub args_truncated: bool,
    /// Real user number.
    pub uid: u32,
    /// Real group number. Null if unknown.
    #[serde(default)]
    pub gid: Option<u32>,
    /// Effective user number. Null if unknown.
    #[serde(default)]
    pub euid: Option<u32>,
    /// Effective capabilities, 16 hexadecimal digits as in `/proc/<pid>/status`. Null if unknown.
    #[serde(default)]
    pub caps: Option<Caps>,
    /// Path of its cgroup in the unified hierarchy. Null if unknown.
    #[serde(default)]
    pub cgroup: Option<Arc<str>>,
    /// Id of its cgroup in the unified hierarchy. Null if unknown.
    #[serde(default)]
    pub cgroup_id: Option<u64>,
    /// Its namespaces.
    #[serde(default)]
    pub ns: Slots,
    /// Whether a string of this process was not UTF-8.
    #[serde(skip)]
    pub lossy: bool,
    /// The container that it is in; events have it beside the process.
    #[serde(skip)]
    pub container: Option<Arc<Container>>,
    /// The pod that it is in; events have it beside the process.
    #[serde(skip)]
    pub pod: Option<Arc<Pod>>,
}

/// A set of capabilities.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Caps(pub u64);

impl Serialize for Caps {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:016x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Caps {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map(Self).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Caps {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Caps".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[0-9a-f]{16}$",
            "description": "A set of capabilities, 16 hexadecimal digits.",
        })
    }
}

/// A task by name only.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskRef {
    /// Thread group number in the initial pid namespace.
    pub pid: u32,
    /// Thread number in the initial pid namespace.
    pub tid: u32,
    /// When it was made: nanoseconds of the boot clock.
    pub start_ns: u64,
}

/// The task that made a namespace.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Creator {
    /// Thread group number in the initial pid namespace.
    pub pid: u32,
    /// Thread number in the initial pid namespace.
    pub tid: u32,
    /// When the task was made: nanoseconds of the boot clock.
    pub start_ns: u64,
    /// The task's name when it made the namespace.
    pub comm: Arc<str>,
    /// The file it ran. Null if unknown.
    pub exe: Option<Arc<str>>,
    /// Its real user number.
    pub uid: u32,
}

impl From<&Process> for Creator {
    fn from(process: &Process) -> Self {
        Self {
            pid: process.pid,
            tid: process.tid,
            start_ns: process.start_ns,
            comm: process.comm.clone(),
            exe: process.exe.clone(),
            uid: process.uid,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}
