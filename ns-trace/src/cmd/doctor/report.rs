//! What the examination found, as `doctor --json` prints it.
//!
//! Whatever could not be looked at is null.

use serde::Serialize;

use crate::probe::coverage::Row;

/// The whole report; fields are only ever added to it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Name and version of this format.
    pub(super) schema: &'static str,
    /// The version of ns-trace.
    pub(super) version: &'static str,
    /// What it comes to.
    pub(super) verdict: Verdict,
    /// The kernel.
    pub(super) kernel: Kernel,
    /// The kernel's description of its types.
    pub(super) btf: Btf,
    /// Every backend, best first.
    pub(super) backends: Vec<Backend>,
    /// This process.
    pub(super) process: Process,
    /// The collector that runs here; null if none is in sight.
    pub(super) collector: Option<Collector>,
    /// Settings that matter.
    pub(super) settings: Vec<Setting>,
    /// File systems that matter.
    pub(super) file_systems: FileSystems,
    /// Probes that outlive their collector.
    pub(super) pins: Pins,
    /// Control groups.
    pub(super) cgroup: Cgroup,
    /// What the file system of namespaces can do.
    pub(super) nsfs: Vec<Feature>,
    /// What each backend sees on this kernel; null if its types are unknown.
    pub(super) coverage: Option<Vec<Row>>,
    /// What a user of ns-trace should know about this place.
    pub(super) warnings: Vec<String>,
}

/// Probes that outlive their collector.
#[derive(Debug, Serialize)]
pub(super) struct Pins {
    /// Where they would be.
    pub(super) directory: String,
    /// Whether they can.
    pub(super) available: bool,
    /// Why not; null if they can.
    pub(super) obstacle: Option<String>,
    /// The sets of probes that are there.
    pub(super) sets: Vec<String>,
}

/// Whether ns-trace runs here.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// A backend can run.
    Ready,
    /// None can, for want of privileges.
    Privileges,
    /// None can, for want of something in the kernel.
    Kernel,
}

#[derive(Debug, Serialize)]
pub(super) struct Verdict {
    pub(super) status: Status,
    /// The backend that `--probe auto` takes; null if none can run.
    pub(super) backend: Option<&'static str>,
    /// The same in a sentence.
    pub(super) sentence: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Kernel {
    /// As `uname -r` prints it.
    pub(super) release: String,
    /// As `uname -m` prints it.
    pub(super) machine: String,
    /// `none`, `integrity` or `confidentiality`.
    pub(super) lockdown: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Btf {
    /// The file.
    pub(super) path: String,
    /// Its size.
    pub(super) bytes: Option<u64>,
    /// Why it is of no use; null if it is.
    pub(super) error: Option<String>,
    /// How many offsets were found in it.
    pub(super) offsets: usize,
    /// The offsets that this kernel does not have, by the names of `--offsets`.
    pub(super) absent: Vec<String>,
    /// Whether what the probes read with them is what /proc says.
    pub(super) self_check: Option<bool>,
}

#[derive(Debug, Serialize)]
pub(super) struct Backend {
    pub(super) name: &'static str,
    /// Whether it can run here; null if that cannot be told without privileges.
    pub(super) available: Option<bool>,
    /// Why it cannot, or why that is unknown.
    pub(super) obstacle: Option<String>,
    /// Whether the obstacle is in the kernel, whoever asks.
    #[serde(skip)]
    pub(super) hopeless: bool,
    /// What it hangs its probes on.
    pub(super) hooks: Vec<Hook>,
}

#[derive(Debug, Serialize)]
pub(super) struct Hook {
    /// `raw_tracepoint`, `tracepoint`, `fentry`, `fexit`, `kprobe` or `kretprobe`.
    pub(super) sort: &'static str,
    /// The function or tracepoint.
    pub(super) name: &'static str,
    /// Whether the kernel has it.
    pub(super) present: Option<bool>,
}

#[derive(Debug, Serialize)]
pub(super) struct Process {
    pub(super) uid: u32,
    pub(super) euid: u32,
    pub(super) capabilities: Vec<Capability>,
    /// How much memory may be locked; null is no limit.
    pub(super) memlock_bytes: Option<u64>,
    pub(super) namespaces: Vec<Namespace>,
}

#[derive(Debug, Serialize)]
pub(super) struct Collector {
    pub(super) pid: u32,
    /// The capabilities that its first thread still has; no other has more.
    pub(super) capabilities: Option<Vec<String>>,
    /// Whether nothing that it runs can have more (`PR_SET_NO_NEW_PRIVS`).
    pub(super) no_new_privileges: Option<bool>,
    /// Whether its system calls are filtered.
    pub(super) seccomp: Option<bool>,
}

#[derive(Debug, Serialize)]
pub(super) struct Capability {
    pub(super) name: &'static str,
    pub(super) held: bool,
    /// Whether nothing works without it.
    pub(super) required: bool,
    pub(super) purpose: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct Namespace {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) inode: Option<u32>,
    /// Whether it is the one that the system booted with.
    pub(super) initial: Option<bool>,
    /// `user.max_*_namespaces`: how many one user may have.
    pub(super) limit: Option<u64>,
}

#[derive(Debug, Serialize)]
pub(super) struct Setting {
    /// As sysctl(8) names it.
    pub(super) name: &'static str,
    pub(super) value: Option<String>,
    /// What the value means for ns-trace.
    pub(super) meaning: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct FileSystems {
    /// Whether a tracefs can be had that is mounted nowhere.
    pub(super) detached_tracefs: Option<bool>,
    /// Where each is mounted; nothing depends on it.
    pub(super) mounts: Vec<Mounted>,
}

#[derive(Debug, Serialize)]
pub(super) struct Mounted {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) places: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Cgroup {
    /// `v2`, `v1`, `hybrid` or `none`.
    pub(super) layout: &'static str,
    /// Where the unified hierarchy is; null if nowhere.
    pub(super) unified: Option<String>,
    /// Where the hierarchies of v1 are.
    pub(super) legacy: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Feature {
    pub(super) name: &'static str,
    /// Since which version of Linux.
    pub(super) since: &'static str,
    pub(super) present: Option<bool>,
}
