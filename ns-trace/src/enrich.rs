//! What /proc and /sys know of the tasks in events.

pub mod container;

use std::{fs, sync::Arc};

use rustc_hash::FxHashMap;

use crate::{
    model::{Container, Placement, Pod, printable},
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

/// The container and the pod that a process is in, as its cgroups in /proc tell: that of the unified
/// hierarchy first, those of version 1 if there is none.
#[must_use]
pub fn of_process(pid: u32) -> (Option<Container>, Option<Pod>) {
    let text = fs::read(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    of_cgroups(&printable(&text).0)
}

/// The container that a process is in.
#[must_use]
pub fn container_of(pid: u32) -> Option<Container> {
    of_process(pid).0
}

/// Container and pod by the text of `/proc/<pid>/cgroup` (`cgroups(7)`).
fn of_cgroups(text: &str) -> (Option<Container>, Option<Pod>) {
    let path = |line: &'_ str| line.splitn(3, ':').nth(2).map(str::to_owned);
    let (unified, legacy): (Vec<_>, _) = text.lines().partition(|line| line.starts_with("0::"));
    let mut pod = None;
    for path in unified.into_iter().chain(legacy).filter_map(path) {
        let (container, around) = container::of_cgroup(&path);
        pod = around.or(pod);
        if container.is_some() {
            return (container, pod);
        }
    }
    (None, pod)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cgroups_of_a_process_tell_its_container() {
        let id = "3f2a".repeat(16);
        let unified = format!("12:memory:/\n0::/system.slice/docker-{id}.scope\n");
        let legacy = format!("12:memory:/docker/{id}\n0::/\n");
        for text in [unified, legacy] {
            let (container, pod) = of_cgroups(&text);
            assert_eq!(container.map(|container| container.id.to_string()), Some(id.clone()));
            assert_eq!(pod, None);
        }
        assert_eq!(of_cgroups("0::/user.slice\n"), (None, None));
        assert_eq!(of_process(u32::MAX), (None, None));
    }
}
