//! What /proc and /sys know of the tasks in events.

pub mod container;

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::{
    model::{Placement, printable},
    sys::{
        cgroup::{self, Hierarchy},
        process,
    },
};

/// How many placements are remembered at most; cgroups come and go, their ids are never reused.
const PLACEMENTS: usize = 4096;

/// What the cgroups of tasks say of them.
#[derive(Debug, Default)]
pub struct Cgroups {
    unified: Option<Hierarchy>,
    /// One of version 1: where it is in use, containers are there.
    legacy: Option<Hierarchy>,
    placements: FxHashMap<(u64, u64), Placement>,
}

impl Cgroups {
    /// Looks where hierarchies are mounted, if at all.
    #[must_use]
    pub fn new() -> Self {
        let unified = cgroup::mount_point().and_then(|place| Hierarchy::open(place).ok());
        let legacy = cgroup::legacy().and_then(|legacy| Hierarchy::open(legacy.place).ok());
        Self { unified, legacy, placements: FxHashMap::default() }
    }

    /// Where a task runs whose cgroups have these ids; an id of 0 is none.
    ///
    /// A container is looked for in the unified hierarchy first, in that of version 1 if there is
    /// none.
    pub fn placement(&mut self, cgroup: u64, legacy: u64) -> Placement {
        if self.placements.len() >= PLACEMENTS {
            self.placements.clear();
        }
        let look = || {
            let path = |hierarchy: Option<&Hierarchy>, id| {
                hierarchy.filter(|_| id != 0)?.path(id).map(|path| printable(&path))
            };
            let (cgroup, lossy) = path(self.unified.as_ref(), cgroup).unzip();
            let (mut container, mut pod) =
                cgroup.as_deref().map(container::shared).unwrap_or_default();
            if container.is_none()
                && let Some((legacy, _)) = path(self.legacy.as_ref(), legacy)
            {
                let (found, around) = container::shared(&legacy);
                container = found;
                pod = around.or(pod);
            }
            let cgroup = cgroup.map(Arc::from);
            Placement { cgroup, lossy: lossy.unwrap_or(false), container, pod }
        };
        self.placements.entry((cgroup, legacy)).or_insert_with(look).clone()
    }
}

/// What a running process runs, from /proc.
#[derive(Clone, Debug)]
pub struct Running {
    /// The path of the file.
    pub exe: Option<Vec<u8>>,
    /// The arguments, each ended by a NUL.
    pub args: Vec<u8>,
    /// Whether there were more than `limit` bytes of them.
    pub truncated: bool,
}

/// Reads what `pid` runs, at most `limit` bytes of its arguments; `None` if it is gone.
#[must_use]
pub fn running(pid: u32, limit: usize) -> Option<Running> {
    let mut args = process::args(pid, limit + 1)?;
    let truncated = args.len() > limit;
    args.truncate(limit);
    Some(Running { exe: process::exe(pid), args, truncated })
}

/// The container that a running process is in, as far as its cgroups tell: the unified one first.
#[must_use]
pub fn container_of(pid: u32) -> Option<crate::model::Container> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    // `hierarchy:controllers:path`; the unified one has the number 0 and stands last.
    let mut paths = text.lines().rev().filter_map(|line| line.splitn(3, ':').nth(2));
    paths.find_map(|path| container::of_cgroup(path).0)
}
