//! What is told of calls.

use std::sync::Arc;

use ns_trace_common::{
    Slot,
    fail::{Fail as FailRecord, NAMESPACE_TARGET, PROCESS_TARGET},
    made_by_unshare,
};

use super::{Finding, RowId, Table, member::Set};
use crate::model::{
    Cause, Creator, Flags, Kind, Process,
    event::{Body, Change, Create, Enter, ProcessTarget, Relation, Source, Target},
};

/// A call that is over.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) boot_ns: u64,
    pub(super) cause: Cause,
    pub(super) flags: u64,
    pub(super) op: u64,
    pub(super) births: &'a [(RowId, u64)],
}

impl Table {
    pub(super) fn tell_births(
        &mut self,
        call: &Call<'_>,
        process: &Arc<Process>,
        creator: &Arc<Creator>,
        out: &mut Vec<Finding>,
    ) {
        for (id, boot_ns) in call.births {
            let Some(row) = self.rows.get_mut(*id) else { continue };
            row.creator = Some(Arc::clone(creator));
            let create = Create {
                cause: call.cause,
                flags: Flags::from_bits(call.flags),
                op: call.op,
                ns: row.info(),
                process: Arc::clone(process),
            };
            let body = Body::Create(create);
            out.push(Finding { boot_ns: *boot_ns, source: Source::Probe, body, row: Some(*id) });
        }
    }

    pub(super) fn tell_entry(
        &self,
        call: &Call<'_>,
        changes: Vec<Change>,
        process: Arc<Process>,
        out: &mut Vec<Finding>,
    ) {
        if changes.is_empty() {
            return;
        }
        let is_new = |change: &Change| {
            let entered = change.to.map(|to| to.inode);
            call.births
                .iter()
                .any(|(id, _)| self.rows.get(*id).is_some_and(|row| Some(row.ns.inode) == entered))
        };
        let enter = Enter {
            cause: call.cause,
            flags: Flags::from_bits(call.flags),
            op: call.op,
            relation: relation(&changes, is_new),
            changes,
            process,
        };
        out.push(found(call.boot_ns, Body::Enter(enter)));
    }

    /// What a failed setns was pointed at.
    pub(super) fn target(&self, record: &FailRecord) -> Option<Target> {
        match record.target {
            NAMESPACE_TARGET => {
                let kind = Kind::ALL.get(record.target_kind as usize)?;
                self.name(*kind, &record.target_ns).map(Target::Namespace)
            }
            PROCESS_TARGET => {
                let flags = Flags::from_bits(record.flags);
                let slots = self.tasks.get(&record.target_pid).map(|member| &member.set.slots);
                let of_kind = |kind: Kind| {
                    let slot = Slot::ALL.into_iter().find(|slot| slot.kind() == kind)?;
                    slots?.get(slot).copied()
                };
                let ns = flags.kinds().filter_map(of_kind).collect();
                Some(Target::Process(ProcessTarget { pid: record.target_pid, ns }))
            }
            _ => None,
        }
    }

    pub(super) const fn next_op(&mut self) -> u64 {
        self.ops += 1;
        self.ops
    }
}

pub(super) const fn found(boot_ns: u64, body: Body) -> Finding {
    Finding { boot_ns, source: Source::Probe, body, row: None }
}

/// What changed from one set to another, slot by slot.
///
/// What the call has `made` did change, even if the new namespace cannot be told from the one before:
/// after a loss it may have the same address and inode, and before 6.18 there is nothing else.
pub(super) fn changes_between(before: &Set, after: &Set, made: Flags) -> Vec<Change> {
    let is_made = |slot: Slot| made.kinds().any(|kind| Slot::unshared(kind) == slot);
    let pairs = before.key.iter().zip(&after.key).zip(Slot::ALL);
    let changed = pairs.filter(|((before, after), slot)| before != after || is_made(*slot));
    changed
        .map(|(_, slot)| Change {
            slot,
            from: before.slots.get(slot).copied(),
            to: after.slots.get(slot).copied(),
        })
        .collect()
}

/// What a call changed; if the task's namespaces before are unknown, what its flags say.
pub(super) fn changes(before: Option<&Set>, after: &Set, cause: Cause, flags: u64) -> Vec<Change> {
    if let Some(before) = before {
        let made = if cause == Cause::Unshare { made_by_unshare(flags) } else { 0 };
        return changes_between(before, after, Flags::from_bits(made));
    }
    let slots = Flags::from_bits(flags).kinds().map(Slot::unshared);
    slots.map(|slot| Change { slot, from: None, to: after.slots.get(slot).copied() }).collect()
}

/// What the entered namespaces are to the task: the host's if any is, its own if all are.
fn relation(changes: &[Change], is_new: impl Fn(&Change) -> bool) -> Option<Relation> {
    if changes.iter().any(|change| change.to.is_some_and(|to| to.initial)) {
        Some(Relation::Host)
    } else if changes.iter().all(is_new) {
        Some(Relation::Own)
    } else {
        None
    }
}

/// What the target of a failed setns is to the caller.
pub(super) fn relation_of_target(target: &Target, process: &Process) -> Option<Relation> {
    let namespaces = match target {
        Target::Namespace(ns) => std::slice::from_ref(ns),
        Target::Process(target) => target.ns.as_slice(),
    };
    let is_own = |ns| Slot::ALL.iter().any(|slot| process.ns.get(*slot) == Some(ns));
    if namespaces.is_empty() {
        None
    } else if namespaces.iter().all(is_own) {
        Some(Relation::Own)
    } else if namespaces.iter().any(|ns| ns.initial) {
        Some(Relation::Host)
    } else {
        None
    }
}
