//! What the machine knows beyond the records.

use ns_trace_common::exec::ARGS_LEN;

use crate::{
    enrich::{Cgroups, running},
    model::Placement,
    table::{Program, Surroundings},
};

/// What the machine knows beyond the records.
#[derive(Debug)]
pub(super) struct World {
    pub(super) cgroups: Cgroups,
}

impl Surroundings for World {
    fn placement(&mut self, cgroup: u64, legacy: u64) -> Placement {
        self.cgroups.placement(cgroup, legacy)
    }

    fn program(&mut self, pid: u32) -> Option<Program> {
        let found = running(pid, ARGS_LEN)?;
        Some(Program::new(found.exe.as_deref(), Some(&found.args), found.truncated))
    }
}
