//! What the machine knows beyond the records.

use ns_trace_common::exec::ARGS_LEN;
use rustc_hash::FxHashSet;

use crate::{
    enrich::{Cgroups, running},
    model::Placement,
    table::{Program, Surroundings},
};

/// What the machine knows beyond the records.
#[derive(Debug)]
pub(super) struct World {
    pub(super) cgroups: Cgroups,
    /// While many are found out one after the other, those that were: most are like others.
    pub(super) alike: Option<FxHashSet<Program>>,
}

impl World {
    pub(super) fn new() -> Self {
        Self { cgroups: Cgroups::new(), alike: None }
    }
}

impl Surroundings for World {
    fn placement(&mut self, cgroup: u64, legacy: u64) -> Placement {
        self.cgroups.placement(cgroup, legacy)
    }

    fn program(&mut self, pid: u32) -> Option<Program> {
        let found = running(pid, ARGS_LEN)?;
        let program = Program::new(found.exe.as_deref(), Some(&found.args), found.truncated);
        let Some(alike) = &mut self.alike else { return Some(program) };
        if let Some(same) = alike.get(&program) {
            return Some(same.clone());
        }
        alike.insert(program.clone());
        Some(program)
    }
}
