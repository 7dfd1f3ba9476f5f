//! Capabilities of the running process.

use std::io;

use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};

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
pub const MORE: [Needed; 3] = [
    Needed {
        name: "CAP_SYS_PTRACE",
        bit: CapabilitySet::SYS_PTRACE,
        purpose: "tell which programs the processes of others run that are older than the tracer",
    },
    FIRST,
    LOCK,
];

/// What lets the thread that empties the ring run before all others.
pub const FIRST: Needed = Needed {
    name: "CAP_SYS_NICE",
    bit: CapabilitySet::SYS_NICE,
    purpose: "empty the ring before anything else runs, so that busy processors lose no event",
};

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

/// What the collector needs for as long as it serves.
pub const SERVE: [Needed; 4] = [
    Needed {
        name: "CAP_BPF",
        bit: CapabilitySet::BPF,
        purpose: "read maps and run loaded programs",
    },
    Needed {
        name: "CAP_SYS_ADMIN",
        bit: CapabilitySet::SYS_ADMIN,
        purpose: "list namespaces and the mounts in them",
    },
    Needed {
        name: "CAP_DAC_READ_SEARCH",
        bit: CapabilitySet::DAC_READ_SEARCH,
        purpose: "find cgroups and namespaces by their ids",
    },
    Needed {
        name: "CAP_SYS_PTRACE",
        bit: CapabilitySet::SYS_PTRACE,
        purpose: "see the namespaces and files of processes of others",
    },
];

/// Every capability that has a name, with its name as in capabilities(7).
#[must_use]
pub fn named() -> Vec<(String, CapabilitySet)> {
    let named = CapabilitySet::all().iter_names();
    named.map(|(name, bit)| (format!("CAP_{name}"), bit)).collect()
}

/// Lets this thread, and those that it starts from now on, keep of what it has no more than `kept`;
/// nothing that is run gives it more.
///
/// # Errors
///
/// Those of capset(2) and prctl(2).
pub fn keep(kept: CapabilitySet) -> io::Result<()> {
    set_no_new_privs(true)?;
    let has = capabilities(None)?;
    if has.effective.contains(CapabilitySet::SETPCAP) {
        for (_, bit) in named().into_iter().filter(|(_, bit)| !kept.contains(*bit)) {
            // One that this kernel does not know is not there either.
            let _gone = remove_capability_from_bounding_set(bit);
        }
    }
    // Kernels without this set have nothing in it.
    let _cleared = clear_ambient_capability_set();
    let kept = has.permitted & kept;
    let inheritable = CapabilitySet::empty();
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable };
    Ok(set_capabilities(None, sets)?)
}
