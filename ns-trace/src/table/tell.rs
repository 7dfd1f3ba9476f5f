//! What is told of calls.

use std::sync::Arc;

use ns_trace_common::{
    Slot, Task,
    fail::{Fail as FailRecord, NAMESPACE_TARGET, PROCESS_TARGET},
    made_by_unshare,
};

use super::{
    Finding, RowId, Table,
    member::Set,
    relation::{Entered, Entrant, entered},
};
use crate::model::{
    Cause, Creator, Flags, Kind, Process,
    event::{Body, Change, Create, Enter, ProcessTarget, Source, Target},
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
            row.cause = Some(call.cause);
            row.told = true;
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

    /// Tells what a task changed, if anything; `task` is whose call it was.
    pub(super) fn tell_entry(
        &self,
        call: &Call<'_>,
        task: &Task,
        (before, after): (Option<&Set>, &Set),
        changes: Vec<Change>,
        process: Arc<Process>,
        out: &mut Vec<Finding>,
    ) {
        if changes.is_empty() {
            return;
        }
        let before = before.map(|set| &set.key[..]);
        let entrant = Entrant { task, container: process.container.as_ref(), before };
        let enter = Enter {
            cause: call.cause,
            flags: Flags::from_bits(call.flags),
            op: call.op,
            relation: self.relation(&entrant, entered(&changes, after), call.births),
            changes,
            repeat: None,
            process,
        };
        out.push(found(call.boot_ns, Body::Enter(enter)));
    }

    /// What a failed setns was pointed at, and the namespaces there.
    pub(super) fn target(&self, record: &FailRecord) -> (Option<Target>, Vec<Entered>) {
        match record.target {
            NAMESPACE_TARGET => {
                let kind = Kind::ALL.get(record.target_kind as usize).copied();
                let named = kind.and_then(|kind| self.name(kind, &record.target_ns));
                let Some(named) = named else { return (None, Vec::new()) };
                let (ns, row) = (record.target_ns, self.rows.find(named.kind, &record.target_ns));
                let entered = Entered { ns, row, initial: named.initial };
                (Some(Target::Namespace(named)), vec![entered])
            }
            PROCESS_TARGET => {
                let set = self.tasks.get(&record.target_pid).map(|member| &member.set);
                let of_kind = |kind: Kind| {
                    let slot = Slot::ALL.into_iter().find(|slot| slot.kind() == kind)?;
                    let (named, set) = (*set?.slots.get(slot)?, set?);
                    let (ns, row) = (*set.key.get(slot as usize)?, *set.rows.get(slot as usize)?);
                    Some((named, Entered { ns, row, initial: named.initial }))
                };
                let (ns, entered) =
                    Flags::from_bits(record.flags).kinds().filter_map(of_kind).unzip();
                (Some(Target::Process(ProcessTarget { pid: record.target_pid, ns })), entered)
            }
            _ => (None, Vec::new()),
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
