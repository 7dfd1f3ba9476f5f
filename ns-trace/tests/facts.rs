//! What /proc and nsfs say of a task: the truth that events are compared with.

use std::{
    fs::{self, File},
    io::ErrorKind,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::fs::MetadataExt as _,
    },
    path::Path,
};

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

use crate::actor::syscall;

/// The slots, as in /proc.
pub(crate) const SLOTS: [&str; 10] = [
    "mnt",
    "pid",
    "pid_for_children",
    "ipc",
    "uts",
    "net",
    "user",
    "cgroup",
    "time",
    "time_for_children",
];

/// `NS_GET_USERNS` and `NS_GET_PARENT` of `ioctl_nsfs`(2).
const OWNER: u64 = 0xb701;
const PARENT: u64 = 0xb702;

/// A namespace type: its name, its `CLONE_NEW*` flag's value and name, and its initial inode or 0.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) flag: u64,
    pub(crate) flag_name: &'static str,
    /// include/uapi/linux/nsfs.h; mount and net namespaces have no fixed one.
    initial: u64,
}

const fn kind(name: &'static str, flag: u64, flag_name: &'static str, initial: u64) -> Kind {
    Kind { name, flag, flag_name, initial }
}

/// Every type, in the order in which events list their flags.
pub(crate) const KINDS: [Kind; 8] = [
    kind("mnt", 0x0002_0000, "CLONE_NEWNS", 0),
    kind("pid", 0x2000_0000, "CLONE_NEWPID", 0xefff_fffc),
    kind("ipc", 0x0800_0000, "CLONE_NEWIPC", 0xefff_ffff),
    kind("uts", 0x0400_0000, "CLONE_NEWUTS", 0xefff_fffe),
    kind("net", 0x4000_0000, "CLONE_NEWNET", 0),
    kind("user", 0x1000_0000, "CLONE_NEWUSER", 0xefff_fffd),
    kind("cgroup", 0x0200_0000, "CLONE_NEWCGROUP", 0xefff_fffb),
    kind("time", 0x0000_0080, "CLONE_NEWTIME", 0xefff_fffa),
];

/// The type with this name.
pub(crate) fn kind_named(name: &str) -> Result<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name).with_context(|| format!("no type {name}"))
}

/// The type of namespace that a slot holds.
pub(crate) fn kind_of_slot(slot: &str) -> &str {
    slot.strip_suffix("_for_children").unwrap_or(slot)
}

/// Whether nanoseconds of the boot clock are the moment that /proc has in ticks.
pub(crate) fn same_moment(start_ns: &Value, ticks: &Value) -> bool {
    const TICK: u64 = 10_000_000;
    start_ns.as_u64().is_some_and(|start| ticks["ticks"] == start / TICK)
}

/// The `flags` of events for a call with these flags.
pub(crate) fn flag_names(flags: u64) -> Value {
    KINDS.iter().filter(|kind| flags & kind.flag != 0).map(|kind| kind.flag_name).collect()
}

/// A namespace as events point at it, by an open file of it.
pub(crate) fn reference(file: &OwnedFd, kind: &str) -> Result<Value> {
    let inode = File::from(file.try_clone()?).metadata()?.ino();
    let id = syscall::namespace_id(file.as_raw_fd(), kind == "mnt").ok();
    let initial = kind_named(kind)?.initial;
    let initial = if initial == 0 { inode == initial_inode(kind)? } else { inode == initial };
    Ok(json!({ "type": kind, "inode": inode, "id": id, "initial": initial }))
}

/// The inode of the first mount or net namespace: kthreadd is in it.
fn initial_inode(kind: &str) -> Result<u64> {
    let path = format!("/proc/2/ns/{kind}");
    let link = fs::read_link(&path).with_context(|| path.clone())?;
    inode_in(&link).with_context(|| format!("{path} is {}", link.display()))
}

fn inode_in(link: &Path) -> Option<u64> {
    let text = link.to_str()?;
    text.split_once(":[")?.1.strip_suffix(']')?.parse().ok()
}

/// A namespace with owner and parent, as the `ns` of `create` and `destroy` but for `born`.
pub(crate) fn namespace(file: &OwnedFd, kind: &str) -> Result<Value> {
    let mut ns = reference(file, kind)?;
    ns["owner"] = relative(file, OWNER, "user")?;
    ns["parent"] = match kind {
        "pid" | "user" => relative(file, PARENT, kind)?,
        _ => Value::Null,
    };
    ns["level"] = match kind {
        "pid" | "user" => level(file)?.into(),
        _ => Value::Null,
    };
    Ok(ns)
}

/// How many namespaces of its type lie above one: these tests run in the initial ones.
fn level(file: &OwnedFd) -> Result<u32> {
    match syscall::relative(file, PARENT) {
        Ok(parent) => Ok(level(&parent)? + 1),
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

fn relative(file: &OwnedFd, request: u64, kind: &str) -> Result<Value> {
    match syscall::relative(file, request) {
        Ok(file) => reference(&file, kind),
        // There is none, or it is above the caller's.
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => Ok(Value::Null),
        Err(error) => Err(error.into()),
    }
}

/// Whether the kernel hides the pid namespace that a task has made for its children as long as it
/// has no first process, as up to 6.18. Later ones let it be opened before that process was created.
pub(crate) fn hides_unborn(task: Task) -> Result<bool> {
    Ok(task.open("pid_for_children")?.is_none())
}

/// A task by its numbers in /proc.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Task {
    pub(crate) pid: u64,
    pub(crate) tid: u64,
}

impl Task {
    /// The first thread of a process.
    pub(crate) const fn leader(pid: u64) -> Self {
        Self { pid, tid: pid }
    }

    fn path(self, file: &str) -> String {
        format!("/proc/{}/task/{}/{file}", self.pid, self.tid)
    }

    fn read(self, file: &str) -> Result<Vec<u8>> {
        let path = self.path(file);
        fs::read(&path).with_context(|| format!("cannot read {path}"))
    }

    /// Opens a namespace of the task; `None` for children that can have none yet.
    fn open(self, slot: &str) -> Result<Option<OwnedFd>> {
        let path = self.path(&format!("ns/{slot}"));
        match File::open(&path) {
            Ok(file) => Ok(Some(file.into())),
            // See `hides_unborn`.
            Err(error) if error.kind() == ErrorKind::NotFound && slot == "pid_for_children" => {
                Ok(None)
            }
            Err(error) => Err(error).with_context(|| format!("cannot open {path}")),
        }
    }

    /// Its ten namespaces, as `process.ns` of events.
    pub(crate) fn slots(self) -> Result<Value> {
        let mut slots = Map::new();
        for slot in SLOTS {
            let ns = match self.open(slot)? {
                Some(file) => reference(&file, kind_of_slot(slot))?,
                None => Value::Null,
            };
            slots.insert(slot.to_owned(), ns);
        }
        Ok(slots.into())
    }

    /// The namespace in a slot with its relatives, see [`namespace`].
    pub(crate) fn namespace(self, slot: &str) -> Result<Value> {
        let file = self.open(slot)?.with_context(|| format!("no {slot} yet"))?;
        namespace(&file, kind_of_slot(slot))
    }

    /// A line of its status.
    pub(crate) fn status(self, key: &str) -> Result<String> {
        let status = String::from_utf8_lossy(&self.read("status")?).into_owned();
        let found = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        Ok(found.with_context(|| format!("no {key} in the status"))?.trim().to_owned())
    }

    fn number(self, key: &str, at: usize) -> Result<u64> {
        let line = self.status(key)?;
        let word = line.split_whitespace().nth(at).with_context(|| format!("{key}: {line}"))?;
        Ok(word.parse()?)
    }

    /// When it was made, in hundredths of a second of the boot clock.
    fn start_ticks(self) -> Result<u64> {
        let stat = String::from_utf8_lossy(&self.read("stat")?).into_owned();
        let (_, rest) = stat.rsplit_once(')').context("no name")?;
        // Field 22; the third follows the name.
        Ok(rest.split_whitespace().nth(19).context("too short")?.parse()?)
    }

    /// The task as `process` of events, with `start_ns` in ticks, see [`same_moment`].
    pub(crate) fn process(self) -> Result<Value> {
        let args = self.read("cmdline")?;
        let args = args.strip_suffix(b"\0").unwrap_or(&args);
        let args: Vec<_> = args.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
        let comm = String::from_utf8_lossy(&self.read("comm")?).trim_end_matches('\n').to_owned();
        let (cgroup, cgroup_id) = self.cgroup()?;
        let numbers = self.status("NSpid")?;
        let vpid: u64 = numbers.split_whitespace().next_back().context("no NSpid")?.parse()?;
        Ok(json!({
            "pid": self.pid,
            "tid": self.tid,
            "ppid": self.number("PPid", 0)?,
            "vpid": vpid,
            "start_ns": { "ticks": self.start_ticks()? },
            "comm": comm,
            "exe": fs::read_link(self.path("exe"))?,
            "args": args,
            "uid": self.number("Uid", 0)?,
            "gid": self.number("Gid", 0)?,
            "euid": self.number("Uid", 1)?,
            "caps": self.status("CapEff")?,
            "cgroup": cgroup,
            "cgroup_id": cgroup_id,
            "ns": self.slots()?,
        }))
    }

    /// Path and id of its cgroup in the unified hierarchy.
    fn cgroup(self) -> Result<(Option<String>, Option<u64>)> {
        let text = String::from_utf8_lossy(&self.read("cgroup")?).into_owned();
        let path = text.lines().find_map(|line| line.strip_prefix("0::"));
        let (Some(path), Some(root)) = (path, ns_trace::sys::cgroup::mount_point()) else {
            return Ok((None, None));
        };
        // The id of a cgroup is the inode number of its directory.
        let id = fs::metadata(format!("{}{path}", root.display()))?.ino();
        Ok((Some(path.to_owned()), Some(id)))
    }
}
