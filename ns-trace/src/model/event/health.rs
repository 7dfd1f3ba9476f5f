//! What the stream says of itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::EventKind;

/// Events are missing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Lost {
    /// How many, and where.
    pub lost: Loss,
}

/// A loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Loss {
    /// How many events are missing since the last `lost` event of this stage and CPU.
    pub count: u64,
    /// Where they were lost.
    pub stage: Stage,
    /// The count by sort of event.
    pub by_event: ByEvent,
    /// The CPU on which they happened; null where the stage has none.
    pub cpu: Option<u32>,
}

/// Where events can be lost.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// A probe was not run, since another was running on its CPU. What it would have told is unknown:
    /// each time counts as one event of its sort.
    Kernel,
    /// The ring between kernel and tracer was full.
    Ring,
    /// The tracer's backlog was full: events came faster than they could be written.
    Backlog,
    /// The output could not take them.
    Sink,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Self; 4] = [Self::Kernel, Self::Ring, Self::Backlog, Self::Sink];

    /// The name used in events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Ring => "ring",
            Self::Backlog => "backlog",
            Self::Sink => "sink",
        }
    }
}

/// Missing events by sort; absent are those that miss none.
///
/// A setns call counts as one `enter` although it may have changed nothing. A namespace whose
/// `create` was lost has no `destroy` either, unless a snapshot found it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ByEvent {
    /// Missing `create` events.
    #[serde(skip_serializing_if = "is_zero")]
    pub create: u64,
    /// Missing `enter` events.
    #[serde(skip_serializing_if = "is_zero")]
    pub enter: u64,
    /// Missing `fail` events.
    #[serde(skip_serializing_if = "is_zero")]
    pub fail: u64,
    /// Missing `destroy` events.
    #[serde(skip_serializing_if = "is_zero")]
    pub destroy: u64,
    /// Missing `map` events.
    #[serde(skip_serializing_if = "is_zero")]
    pub map: u64,
    /// Missing `fork` events.
    #[serde(skip_serializing_if = "is_zero")]
    pub fork: u64,
    /// Missing `exec` events.
    #[serde(skip_serializing_if = "is_zero")]
    pub exec: u64,
    /// Missing `exit` events.
    #[serde(skip_serializing_if = "is_zero")]
    pub exit: u64,
}

impl ByEvent {
    /// One event of a sort; nothing if it is of the stream's own health.
    #[must_use]
    pub fn of(kind: EventKind) -> Self {
        let mut one = Self::default();
        match kind {
            EventKind::Create => one.create = 1,
            EventKind::Enter => one.enter = 1,
            EventKind::Fail => one.fail = 1,
            EventKind::Destroy => one.destroy = 1,
            EventKind::Map => one.map = 1,
            EventKind::Fork => one.fork = 1,
            EventKind::Exec => one.exec = 1,
            EventKind::Exit => one.exit = 1,
            _ => {}
        }
        one
    }

    /// What has come since there were but the `earlier` ones.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self {
            create: self.create.saturating_sub(earlier.create),
            enter: self.enter.saturating_sub(earlier.enter),
            fail: self.fail.saturating_sub(earlier.fail),
            destroy: self.destroy.saturating_sub(earlier.destroy),
            map: self.map.saturating_sub(earlier.map),
            fork: self.fork.saturating_sub(earlier.fork),
            exec: self.exec.saturating_sub(earlier.exec),
            exit: self.exit.saturating_sub(earlier.exit),
        }
    }

    /// All of them together.
    #[must_use]
    pub const fn sum(&self) -> u64 {
        let calls = self.create + self.enter + self.fail + self.destroy + self.map;
        calls + self.fork + self.exec + self.exit
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// The stream is complete from here on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sync {
    /// Why it says so.
    pub reason: Reason,
    /// Where it comes from.
    pub host: Host,
}

/// Why a stream says that it is complete.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// Every probe is attached and the snapshot is taken.
    Start,
    /// After a loss the tracer's picture was taken anew.
    Lost,
    /// A collector has gone on where a former one ended: what happened meanwhile was told before.
    Resume,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::Start, Self::Lost, Self::Resume];

    /// The name used in events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Lost => "lost",
            Self::Resume => "resume",
        }
    }
}

/// The machine that events come from.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// The host name.
    pub name: String,
    /// `/proc/sys/kernel/random/boot_id`
    pub boot_id: String,
    /// The kernel release.
    pub kernel: String,
    /// The backend that the probes use.
    pub backend: String,
}

impl std::ops::AddAssign for ByEvent {
    fn add_assign(&mut self, other: Self) {
        self.create = self.create.saturating_add(other.create);
        self.enter = self.enter.saturating_add(other.enter);
        self.fail = self.fail.saturating_add(other.fail);
        self.destroy = self.destroy.saturating_add(other.destroy);
        self.map = self.map.saturating_add(other.map);
        self.fork = self.fork.saturating_add(other.fork);
        self.exec = self.exec.saturating_add(other.exec);
        self.exit = self.exit.saturating_add(other.exit);
    }
}
