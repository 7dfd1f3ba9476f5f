//! Tasks and namespaces as events have them.

use serde_json::{Map, Value, json};

/// The slots, with the flag that makes a namespace for each.
pub(super) const SLOTS: [(&str, &str, &str); 10] = [
    ("mnt", "mnt", "CLONE_NEWNS"),
    ("pid", "pid", "CLONE_NEWPID"),
    ("pid_for_children", "pid", "CLONE_NEWPID"),
    ("ipc", "ipc", "CLONE_NEWIPC"),
    ("uts", "uts", "CLONE_NEWUTS"),
    ("net", "net", "CLONE_NEWNET"),
    ("user", "user", "CLONE_NEWUSER"),
    ("cgroup", "cgroup", "CLONE_NEWCGROUP"),
    ("time", "time", "CLONE_NEWTIME"),
    ("time_for_children", "time", "CLONE_NEWTIME"),
];

/// All capabilities that there are.
pub(super) const ALL: &str = "000001ffffffffff";
/// Those that a container has if nobody asks for more.
pub(super) const DOCKER: &str = "00000000a80425fb";
pub(super) const NONE: &str = "0000000000000000";

/// A task.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) pid: u32,
    pub(super) tid: u32,
    pub(super) ppid: u32,
    pub(super) vpid: u32,
    pub(super) start_ns: u64,
    pub(super) comm: String,
    pub(super) exe: String,
    pub(super) args: Vec<String>,
    pub(super) uid: u32,
    pub(super) euid: u32,
    pub(super) caps: String,
    pub(super) container: Option<(String, &'static str)>,
    pub(super) ns: Map<String, Value>,
}

impl Task {
    /// A daemon of root's on the host that was there before.
    pub(super) fn daemon(pid: u32, exe: &str) -> Self {
        let comm = exe.rsplit('/').next().unwrap_or_default();
        Self {
            pid,
            tid: pid,
            ppid: 1,
            vpid: pid,
            start_ns: u64::from(pid) * 1_000_000,
            comm: comm.chars().take(15).collect(),
            exe: exe.to_owned(),
            args: vec![exe.to_owned()],
            uid: 0,
            euid: 0,
            caps: ALL.to_owned(),
            container: None,
            ns: SLOTS.map(|(slot, kind, _)| (slot.to_owned(), initial(kind))).into_iter().collect(),
        }
    }

    /// The same with the rights of a user.
    pub(super) fn of_user(mut self, uid: u32) -> Self {
        (self.uid, self.euid) = (uid, uid);
        if uid != 0 {
            NONE.clone_into(&mut self.caps);
        }
        self
    }

    pub(super) fn named(mut self, comm: &str) -> Self {
        comm.clone_into(&mut self.comm);
        self
    }

    /// Another thread of it.
    pub(super) fn thread(&self, tid: u32) -> Self {
        Self { tid, ..self.clone() }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "pid": self.pid, "tid": self.tid, "ppid": self.ppid, "vpid": self.vpid,
            "start_ns": self.start_ns, "comm": self.comm, "exe": self.exe, "args": self.args,
            "uid": self.uid, "gid": self.uid, "euid": self.euid, "caps": self.caps,
            "cgroup": self.cgroup(), "cgroup_id": 1, "ns": self.ns,
        })
    }

    fn cgroup(&self) -> String {
        match &self.container {
            Some((id, runtime)) => format!("/system.slice/{runtime}-{id}.scope"),
            None => "/system.slice/x.service".to_owned(),
        }
    }
}

/// The namespace of a kind that the system booted with.
pub(super) fn initial(kind: &str) -> Value {
    let at = SLOTS.iter().position(|(_, other, _)| *other == kind).unwrap_or_default();
    json!({"type": kind, "inode": 4_026_531_830 + at, "id": at + 1, "initial": true})
}
