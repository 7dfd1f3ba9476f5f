//! What /proc and /sys know of the tasks in events.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::{
    model::printable,
    sys::{cgroup::Hierarchy, process},
};

/// How many paths are remembered at most; cgroups come and go, their ids are never reused.
const PATHS: usize = 4096;

/// Paths of cgroups.
#[derive(Debug, Default)]
pub struct Cgroups {
    hierarchy: Option<Hierarchy>,
    paths: FxHashMap<u64, Option<(Arc<str>, bool)>>,
}

impl Cgroups {
    /// Looks where the unified hierarchy is mounted, if at all.
    #[must_use]
    pub fn new() -> Self {
        Self { hierarchy: Hierarchy::open().ok().flatten(), paths: FxHashMap::default() }
    }

    /// The path of a cgroup, and whether it had to be escaped; `None` if it is unknown.
    pub fn path(&mut self, id: u64) -> Option<(Arc<str>, bool)> {
        let hierarchy = self.hierarchy.as_ref()?;
        if self.paths.len() >= PATHS {
            self.paths.clear();
        }
        let path = self.paths.entry(id).or_insert_with(|| {
            let (text, lossy) = printable(&hierarchy.path(id)?);
            Some((text.into(), lossy))
        });
        path.clone()
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
