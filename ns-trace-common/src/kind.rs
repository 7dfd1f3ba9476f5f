/// A type of namespace, spelled as in `/proc/self/ns`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[cfg_attr(
    feature = "user",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema),
    serde(rename_all = "lowercase")
)]
#[repr(u8)]
pub enum Kind {
    /// Mount points, `CLONE_NEWNS`.
    Mnt = 0,
    /// Process numbers, `CLONE_NEWPID`.
    Pid = 1,
    /// System V IPC and POSIX message queues, `CLONE_NEWIPC`.
    Ipc = 2,
    /// Host and domain name, `CLONE_NEWUTS`.
    Uts = 3,
    /// Network devices, stacks, ports, `CLONE_NEWNET`.
    Net = 4,
    /// User and group numbers, capabilities, `CLONE_NEWUSER`.
    User = 5,
    /// The root of the cgroup tree, `CLONE_NEWCGROUP`.
    Cgroup = 6,
    /// Boot-time and monotonic clocks, `CLONE_NEWTIME`.
    Time = 7,
}

/// All `CLONE_NEW*` bits of include/uapi/linux/sched.h.
pub const NAMESPACE_FLAGS: u64 = {
    let mut bits = 0;
    let mut at = 0;
    while at < Kind::ALL.len() {
        bits |= Kind::ALL[at].flag();
        at += 1;
    }
    bits
};

impl Kind {
    /// Every kind, in the order of the discriminants.
    pub const ALL: [Self; 8] = [
        Self::Mnt,
        Self::Pid,
        Self::Ipc,
        Self::Uts,
        Self::Net,
        Self::User,
        Self::Cgroup,
        Self::Time,
    ];

    /// The name in `/proc/self/ns` and in nsfs links.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mnt => "mnt",
            Self::Pid => "pid",
            Self::Ipc => "ipc",
            Self::Uts => "uts",
            Self::Net => "net",
            Self::User => "user",
            Self::Cgroup => "cgroup",
            Self::Time => "time",
        }
    }

    /// Whether each but the initial one lies within another, its parent.
    #[must_use]
    pub const fn nests(self) -> bool {
        matches!(self, Self::Pid | Self::User)
    }

    /// The clone flag that makes one (include/uapi/linux/sched.h).
    #[must_use]
    pub const fn flag(self) -> u64 {
        match self {
            Self::Mnt => 0x0002_0000,
            Self::Pid => 0x2000_0000,
            Self::Ipc => 0x0800_0000,
            Self::Uts => 0x0400_0000,
            Self::Net => 0x4000_0000,
            Self::User => 0x1000_0000,
            Self::Cgroup => 0x0200_0000,
            Self::Time => 0x0000_0080,
        }
    }

    /// The name of [`flag`](Self::flag) in clone(2).
    #[must_use]
    pub const fn flag_name(self) -> &'static str {
        match self {
            Self::Mnt => "CLONE_NEWNS",
            Self::Pid => "CLONE_NEWPID",
            Self::Ipc => "CLONE_NEWIPC",
            Self::Uts => "CLONE_NEWUTS",
            Self::Net => "CLONE_NEWNET",
            Self::User => "CLONE_NEWUSER",
            Self::Cgroup => "CLONE_NEWCGROUP",
            Self::Time => "CLONE_NEWTIME",
        }
    }
}
