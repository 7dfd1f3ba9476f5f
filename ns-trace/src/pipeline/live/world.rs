//! What the machine knows beyond the records.

use std::sync::Arc;

use ns_trace_common::exec::ARGS_LEN;

use crate::{
    enrich::{Cgroups, running},
    table::{Program, Surroundings},
};

/// What the machine knows beyond the records.
#[derive(Debug)]
pub(super) struct World {
    pub(super) cgroups: Cgroups,
}

impl Surroundings for World {
    fn cgroup(&mut self, id: u64) -> Option<(Arc<str>, bool)> {
        self.cgroups.path(id)
    }

    fn program(&mut self, pid: u32) -> Option<Program> {
        let found = running(pid, ARGS_LEN)?;
        Some(Program::new(found.exe.as_deref(), Some(&found.args), found.truncated))
    }
}
