//! Capabilities of the running process.

use rustix::thread::{CapabilitySet, capabilities};

use super::process::{initial_namespace, own_namespace};

/// A capability that ns-trace needs for something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Needed {
    /// The name, as in capabilities(7).
    pub name: &'static str,
    /// Its bit.
    pub bit: CapabilitySet,
    /// What it is needed for.
    pub purpose: &'static str,
}

/// What tracing needs, in the order in which it is used.
pub const TRACE: [Needed; 4] = [
    Needed { name: "CAP_BPF", bit: CapabilitySet::BPF, purpose: "load BPF programs and maps" },
    Needed {
        name: "CAP_PERFMON",
        bit: CapabilitySet::PERFMON,
        purpose: "attach to tracepoints and read kernel memory",
    },
    Needed {
        name: "CAP_SYS_ADMIN",
        bit: CapabilitySet::SYS_ADMIN,
        purpose: "make a tracefs of its own, for the numbers of tracepoints",
    },
    Needed {
        name: "CAP_DAC_READ_SEARCH",
        bit: CapabilitySet::DAC_READ_SEARCH,
        purpose: "read that tracefs, and find the paths of cgroups by their ids",
    },
];

/// What makes tracing tell more, though it works without.
pub const MORE: [Needed; 2] = [
    Needed {
        name: "CAP_SYS_PTRACE",
        bit: CapabilitySet::SYS_PTRACE,
        purpose: "tell which programs the processes of others run that are older than the tracer",
    },
    LOCK,
];

/// What lifts the limit of locked memory.
pub const LOCK: Needed = Needed {
    name: "CAP_SYS_RESOURCE",
    bit: CapabilitySet::SYS_RESOURCE,
    purpose: "lock more memory than the limit allows, which BPF counts against before Linux 5.11",
};

/// Whether this process is in a user namespace of its own: what it holds there is nothing to bpf(2)
/// and mount(2), which ask for capabilities in the initial one.
#[must_use]
pub fn count_nowhere() -> bool {
    own_namespace("user").is_ok_and(|inode| initial_namespace("user") != Some(inode))
}

/// Whether this thread has the capability in its effective set.
#[must_use]
pub fn held(needed: &Needed) -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(needed.bit))
}

/// Whether this thread has `bit` in its effective set.
#[must_use]
pub fn holds(bit: CapabilitySet) -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(bit))
}
