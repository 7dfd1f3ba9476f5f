//! Namespaces that exist are joined.

use std::{
    fs::{self, File},
    io,
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::fs::MetadataExt as _,
    },
    path::PathBuf,
};

use rustix::{
    io::Errno,
    thread::{
        LinkNameSpaceType, ThreadNameSpaceType, move_into_link_name_space,
        move_into_thread_name_spaces, set_thread_groups,
    },
};
use serde::Serialize;

use super::{Action, Scene, Target, Trouble, reason};
use crate::{
    model::{Flags, Kind},
    sys::nsfs,
};

/// The order in which namespaces are joined one by one: each as long as what came before still lets
/// us (mount namespaces change what paths mean, the user namespace what we may).
const ORDER: [Kind; 7] =
    [Kind::Cgroup, Kind::Ipc, Kind::Uts, Kind::Net, Kind::Pid, Kind::Mnt, Kind::Time];

/// Joins namespaces, the user namespace as soon as the others need it, and else last.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Enter {
    /// The process whose namespaces are joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// Which of them.
    #[serde(flatten)]
    pub flags: Flags,
    /// Others, by their files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<NsFile>,
    /// Whether to drop the supplementary groups first: in there it may be denied.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub drop_groups: bool,
}

/// A file of a namespace.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct NsFile {
    /// The type.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The file.
    #[serde(skip)]
    pub path: PathBuf,
    /// What people call it.
    #[serde(rename = "file")]
    pub told: String,
}

impl Enter {
    /// The file of the user namespace to be joined, if one is: our own key, or that of a file.
    fn user(&self) -> Option<String> {
        let is_user = |file: &&NsFile| file.kind == Kind::User;
        match self.files.iter().find(is_user) {
            Some(_) => Some(key(Kind::User)),
            None => self.flags.contains(Kind::User).then(|| key(Kind::User)),
        }
    }

    /// Whether processes started from then on are elsewhere than this one.
    #[must_use]
    pub fn changes_pid(&self) -> bool {
        self.flags.contains(Kind::Pid) || self.files.iter().any(|file| file.kind == Kind::Pid)
    }
}

/// The name under which a step keeps the file of a namespace.
fn key(kind: Kind) -> String {
    format!("namespace {}", kind.name())
}

impl Action for Enter {
    fn describe(&self) -> String {
        let mut parts = Vec::new();
        if let Some(target) = &self.target
            && self.flags.bits() != 0
        {
            let names: Vec<_> = self.flags.kinds().map(Kind::name).collect();
            parts.push(format!("{} of process {}", names.join(", "), target.pid));
        }
        parts.extend(self.files.iter().map(|file| format!("{} {}", file.kind.name(), file.told)));
        format!("enter {}", parts.join("; "))
    }

    fn prepare(&self, scene: &mut Scene) -> Result<(), Trouble> {
        for file in &self.files {
            let opened = File::open(&file.path).map_err(|error| {
                Trouble::of(format!("cannot open {}", file.told), &error)
                    .because(reason::of_open(&error))
            })?;
            let wrong = || format!("{} is no {} namespace", file.told, file.kind.name());
            let kind = nsfs::kind(&opened).map_err(|_no_namespace| Trouble::new(wrong()))?;
            if kind != file.kind {
                return Err(Trouble::new(format!("{}, but a {} one", wrong(), kind.name())));
            }
            scene.keep(key(file.kind), opened.into());
        }
        let Some(target) = &self.target else { return Ok(()) };
        let process = target.open()?;
        if self.flags.contains(Kind::User) {
            let path = format!("/proc/{}/ns/user", target.pid);
            let file = File::open(&path).map_err(|error| {
                Trouble::of(format!("cannot open {path}"), &error).because(reason::of_open(&error))
            })?;
            scene.keep(key(Kind::User), file.into());
            target.expect_alive(&process)?;
        }
        scene.keep(Target::KEY, process);
        Ok(())
    }

    fn carry_out(&self, scene: &mut Scene) -> Result<(), Trouble> {
        if self.drop_groups {
            // If not, then perhaps in there.
            let _dropped = set_thread_groups(&[]);
        }
        let mut left = Left::new(self, scene);
        let user = self.user();
        let user = user.as_deref().and_then(|key| scene.file(key));
        let Some(user) = user else {
            left.join();
            return left.outcome();
        };
        let ways = ways(user);
        for (at, way) in ways.iter().enumerate() {
            left.join();
            if left.is_empty() {
                break;
            }
            let is_last = at + 1 == ways.len();
            match move_into_link_name_space(way.as_fd(), Some(LinkNameSpaceType::User)) {
                Ok(()) if is_last => {
                    left.join();
                    return left.outcome();
                }
                // One in between may be closed to us although the last is not.
                Ok(()) => {}
                Err(_) if !is_last => {}
                Err(errno) => return Err(refused(Kind::User, "", way.as_fd(), errno)),
            }
        }
        move_into_link_name_space(user, Some(LinkNameSpaceType::User))
            .map_err(|errno| refused(Kind::User, "", user, errno))
    }
}

/// The user namespaces from below our own to this one: what belongs to one in between can be
/// joined from there only, if we have no rights but by having made it.
fn ways(user: BorrowedFd<'_>) -> Vec<OwnedFd> {
    let own = File::open("/proc/self/ns/user").ok().and_then(|own| nsfs::reference(&own).ok());
    let mut ways: Vec<OwnedFd> = user.try_clone_to_owned().into_iter().collect();
    while let Some(parent) = ways.last().and_then(|last| nsfs::owner(last).ok()) {
        if nsfs::reference(&parent).ok().map(|ns| ns.inode) == own.map(|ns| ns.inode) {
            ways.reverse();
            return ways;
        }
        ways.push(parent);
    }
    // It is not below ours.
    ways.truncate(1);
    ways
}

/// What is still to be joined.
struct Left<'a> {
    process: Option<BorrowedFd<'a>>,
    pid: u32,
    /// Of the process.
    kinds: Vec<Kind>,
    files: Vec<(Kind, &'a str, BorrowedFd<'a>)>,
    /// Why the first of what is left could not be.
    trouble: Option<Trouble>,
}

impl<'a> Left<'a> {
    fn new(step: &'a Enter, scene: &'a Scene) -> Self {
        let file = |kind: &Kind| {
            let file = step.files.iter().find(|file| file.kind == *kind)?;
            Some((*kind, &*file.told, scene.file(&key(*kind))?))
        };
        Self {
            process: scene.file(Target::KEY),
            pid: step.target.as_ref().map_or(0, |target| target.pid),
            kinds: ORDER.into_iter().filter(|kind| step.flags.contains(*kind)).collect(),
            files: ORDER.iter().filter_map(file).collect(),
            trouble: None,
        }
    }

    const fn is_empty(&self) -> bool {
        self.kinds.is_empty() && self.files.is_empty()
    }

    /// Joins all that can be.
    fn join(&mut self) {
        self.trouble = None;
        if let Some(process) = self.process.filter(|_| !self.kinds.is_empty()) {
            // All or none; then one by one.
            if move_all(process, &self.kinds).is_ok() {
                self.kinds.clear();
            }
            let (pid, trouble) = (self.pid, &mut self.trouble);
            self.kinds.retain(|kind| match move_all(process, &[*kind]) {
                Err(errno) if !is_ours(*kind, pid) => {
                    trouble.get_or_insert_with(|| refused_of_process(*kind, pid, errno));
                    true
                }
                _ => false,
            });
        }
        let trouble = &mut self.trouble;
        self.files.retain(|(kind, told, file)| {
            let joined = move_into_link_name_space(*file, Some(link(*kind)));
            let refused = |errno| refused(*kind, told, *file, errno);
            joined.map_err(|errno| trouble.get_or_insert_with(|| refused(errno))).is_err()
        });
    }

    fn outcome(self) -> Result<(), Trouble> {
        self.trouble.map_or(Ok(()), Err)
    }
}

/// Whether a process is where we are: then it does no harm that we may not go there.
fn is_ours(kind: Kind, pid: u32) -> bool {
    let inode = |process: &str| {
        fs::metadata(format!("/proc/{process}/ns/{}", kind.name())).ok().map(|found| found.ino())
    };
    let other = inode(&pid.to_string());
    other.is_some() && other == inode("self")
}

fn move_all(process: BorrowedFd<'_>, kinds: &[Kind]) -> Result<(), Errno> {
    let bits = kinds.iter().fold(0, |bits, kind| bits | kind.flag());
    let bits = u32::try_from(bits).unwrap_or_default();
    move_into_thread_name_spaces(process, ThreadNameSpaceType::from_bits_retain(bits))
}

const fn link(kind: Kind) -> LinkNameSpaceType {
    match kind {
        Kind::Mnt => LinkNameSpaceType::Mount,
        Kind::Pid => LinkNameSpaceType::ProcessID,
        Kind::Ipc => LinkNameSpaceType::InterProcessCommunication,
        Kind::Uts => LinkNameSpaceType::HostNameAndNISDomainName,
        Kind::Net => LinkNameSpaceType::Network,
        Kind::User => LinkNameSpaceType::User,
        Kind::Cgroup => LinkNameSpaceType::ControlGroup,
        Kind::Time => LinkNameSpaceType::Time,
    }
}

fn refused(kind: Kind, told: &str, file: BorrowedFd<'_>, errno: Errno) -> Trouble {
    let told = match nsfs::reference(file) {
        _ if !told.is_empty() => told.to_owned(),
        Ok(ns) => ns.to_string(),
        Err(_) => String::new(),
    };
    Trouble::of(format!("cannot enter the {} namespace {told}", kind.name()), &errno.into())
        .because(reason::of_enter(kind, Some(file), errno))
}

fn refused_of_process(kind: Kind, pid: u32, errno: Errno) -> Trouble {
    let what = format!("cannot enter the {} namespace of process {pid}", kind.name());
    let reason = match File::open(format!("/proc/{pid}/ns/{}", kind.name())) {
        Ok(file) => reason::of_enter(kind, Some(file.as_fd()), errno),
        Err(error) => reason::of_open(&error),
    };
    Trouble::of(what, &io::Error::from(errno)).because(reason)
}
