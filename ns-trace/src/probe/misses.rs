//! Runs of the probes that the kernel left out: a program may not interrupt itself on its CPU, and one
//! on a perf event no other such program.

use std::{io, os::fd::AsFd as _};

use ns_trace_common::{Births, lost::Ledger};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::{
    load::Programs,
    losses,
    plan::{ALL_CALLS, Plan},
};
use crate::{
    model::event::ByEvent,
    sys::{bpf, mapping::Mapping},
};

/// What is known of the runs that were left out, by program.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Misses {
    known: FxHashMap<String, u64>,
    calls: Calls,
}

/// Calls that were witnessed but not told.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Calls {
    /// Those that are known to be lost.
    lost: i64,
    /// Others at the last look: a call under way is missing once.
    suspect: i64,
}

impl Calls {
    /// Those that are missing twice in a row, of `missing` since the start.
    fn learn(&mut self, missing: i64) -> u64 {
        let new = missing - self.lost;
        let before = std::mem::replace(&mut self.suspect, new);
        let sure = new.min(before).max(0);
        self.lost += sure;
        self.suspect -= sure;
        sure.unsigned_abs()
    }
}

impl Misses {
    /// The runs of the plan's programs that were left out since the last call, each as one event of
    /// the sort that the program tells of: what it would have seen is unknown. Before Linux 5.12 no
    /// run is left out; of perf events they are counted from 6.7 on.
    pub(super) fn look(
        &mut self,
        plan: &Plan,
        programs: &Programs,
        ledgers: &Mapping<Ledger>,
    ) -> io::Result<ByEvent> {
        let mut missed = ByEvent::default();
        let mut unseen = 0;
        for hook in &plan.hooks {
            if hook.program == ALL_CALLS {
                continue;
            }
            let Some(program) = programs.get(hook.program) else { continue };
            let runs = bpf::runs(program.as_fd())?.missed;
            if hook.program.ends_with("witness") {
                unseen += runs.cast_signed();
                continue;
            }
            let known = self.known.insert(hook.program.to_owned(), runs).unwrap_or(0);
            *counter(hook.program, &mut missed) += runs.saturating_sub(known);
        }
        missed.enter += self.calls.learn(losses::untold(ledgers) + unseen);
        // Nothing is lost where a look finds the deaths, or calls complete the births.
        if plan.backend.looks_after().is_some() {
            missed.destroy = 0;
        }
        if plan.births == Births::Completed {
            missed.create = 0;
        }
        Ok(missed)
    }
}

/// The sort of events that a program tells of.
fn counter<'a>(program: &str, by_event: &'a mut ByEvent) -> &'a mut u64 {
    let is = |name| program.contains(name);
    if is("newtask") {
        &mut by_event.fork
    } else if is("process_exec") {
        &mut by_event.exec
    } else if is("process_exit") {
        &mut by_event.exit
    } else if is("free_inum") {
        &mut by_event.destroy
    } else if is("map_write") || is("setgroups") {
        &mut by_event.map
    } else if is("clone") {
        // Those that succeed are told by the new task.
        &mut by_event.fail
    } else if is("unshare") || is("setns") {
        &mut by_event.enter
    } else {
        &mut by_event.create
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_under_way_is_not_lost() {
        let mut calls = Calls::default();
        let learnt = [0, 1, 0, -2, 3, 3, 4, 4, 4].map(|missing| calls.learn(missing));
        assert_eq!(learnt, [0, 0, 0, 0, 0, 3, 0, 1, 0]);
    }

    #[test]
    fn each_program_tells_of_one_sort() {
        let sorts = |programs: &[&str]| {
            let mut sum = ByEvent::default();
            for program in programs {
                *counter(program, &mut sum) += 1;
            }
            sum
        };
        assert_eq!(
            sorts(&["task_newtask", "sched_process_exec", "sched_process_exit", "proc_free_inum"]),
            ByEvent { fork: 1, exec: 1, exit: 1, destroy: 1, ..ByEvent::default() }
        );
        assert_eq!(
            sorts(&["sys_exit_unshare", "native_setns", "sys_exit_clone3", "kernel_clone"]),
            ByEvent { enter: 2, fail: 2, ..ByEvent::default() }
        );
        assert_eq!(sorts(&["proc_uid_map_write", "proc_setgroups_write"]).map, 2);
        assert_eq!(sorts(&["copy_mnt_ns", "create_user_ns", "ns_tree_add"]).create, 3);
    }
}
