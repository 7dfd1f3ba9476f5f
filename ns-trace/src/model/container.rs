//! Containers and pods, as far as the cgroup of a process tells.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A container.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Container {
    /// The id that the runtime gave it, mostly 64 hexadecimal digits; a name where the runtime uses
    /// names (lxc, systemd-nspawn).
    pub id: Arc<str>,
    /// What runs it. Null if the path of the cgroup does not say, as with the cgroupfs driver of
    /// Kubernetes.
    pub runtime: Option<Runtime>,
}

/// What runs a container.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "they are called as they call themselves")]
pub enum Runtime {
    Docker,
    Containerd,
    #[serde(rename = "cri-o")]
    CriO,
    Podman,
    SystemdNspawn,
    Lxc,
    LibvirtLxc,
}

impl Runtime {
    /// Every runtime.
    pub const ALL: [Self; 7] = [
        Self::Docker,
        Self::Containerd,
        Self::CriO,
        Self::Podman,
        Self::SystemdNspawn,
        Self::Lxc,
        Self::LibvirtLxc,
    ];

    /// The name used in events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
            Self::Podman => "podman",
            Self::SystemdNspawn => "systemd-nspawn",
            Self::Lxc => "lxc",
            Self::LibvirtLxc => "libvirt-lxc",
        }
    }
}

/// A pod of Kubernetes.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pod {
    /// Its `metadata.uid`; of a static pod, which is known to its node only, the hash of its
    /// manifest.
    pub uid: Arc<str>,
}

/// Where a process runs, by its cgroup.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Placement {
    /// Path of its cgroup in the unified hierarchy, if known.
    pub cgroup: Option<Arc<str>>,
    /// Whether that path was not UTF-8.
    pub lossy: bool,
    /// The innermost container, if it is in one.
    pub container: Option<Arc<Container>>,
    /// The pod, if it is in one.
    pub pod: Option<Arc<Pod>>,
}
