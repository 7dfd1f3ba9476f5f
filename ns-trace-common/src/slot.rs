use crate::Kind;

/// How many slots a task has.
pub const SLOTS: usize = 10;

/// A place in a task that holds a namespace: one entry of `/proc/<pid>/ns`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[cfg_attr(
    feature = "user",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema),
    serde(rename_all = "snake_case")
)]
#[repr(u8)]
pub enum Slot {
    /// `nsproxy->mnt_ns`.
    Mnt = 0,
    /// The namespace of the task's own number, `thread_pid->numbers[level].ns`.
    Pid = 1,
    /// `nsproxy->pid_ns_for_children`.
    PidForChildren = 2,
    /// `nsproxy->ipc_ns`.
    Ipc = 3,
    /// `nsproxy->uts_ns`.
    Uts = 4,
    /// `nsproxy->net_ns`.
    Net = 5,
    /// `real_cred->user_ns`.
    User = 6,
    /// `nsproxy->cgroup_ns`.
    Cgroup = 7,
    /// `nsproxy->time_ns`.
    Time = 8,
    /// `nsproxy->time_ns_for_children`.
    TimeForChildren = 9,
}

impl Slot {
    /// Every slot, in the order of the discriminants.
    pub const ALL: [Self; SLOTS] = [
        Self::Mnt,
        Self::Pid,
        Self::PidForChildren,
        Self::Ipc,
        Self::Uts,
        Self::Net,
        Self::User,
        Self::Cgroup,
        Self::Time,
        Self::TimeForChildren,
    ];

    /// The name of the entry in `/proc/<pid>/ns`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PidForChildren => "pid_for_children",
            Self::TimeForChildren => "time_for_children",
            _ => self.kind().name(),
        }
    }

    /// The type of namespace that the slot holds.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::Mnt => Kind::Mnt,
            Self::Pid | Self::PidForChildren => Kind::Pid,
            Self::Ipc => Kind::Ipc,
            Self::Uts => Kind::Uts,
            Self::Net => Kind::Net,
            Self::User => Kind::User,
            Self::Cgroup => Kind::Cgroup,
            Self::Time | Self::TimeForChildren => Kind::Time,
        }
    }

    /// The slot that holds the namespace of that kind which a task itself is in.
    #[must_use]
    pub const fn of(kind: Kind) -> Self {
        match kind {
            Kind::Pid => Self::Pid,
            Kind::Time => Self::Time,
            _ => Self::unshared(kind),
        }
    }

    /// The slot that unshare(2) with `kind`'s flag fills: for pid and time the one for children
    /// (kernel/nsproxy.c, `create_new_namespaces`).
    #[must_use]
    pub const fn unshared(kind: Kind) -> Self {
        match kind {
            Kind::Mnt => Self::Mnt,
            Kind::Pid => Self::PidForChildren,
            Kind::Ipc => Self::Ipc,
            Kind::Uts => Self::Uts,
            Kind::Net => Self::Net,
            Kind::User => Self::User,
            Kind::Cgroup => Self::Cgroup,
            Kind::Time => Self::TimeForChildren,
        }
    }
}
