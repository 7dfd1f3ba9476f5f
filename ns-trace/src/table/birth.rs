//! Namespaces that come to be.

use ns_trace_common::{Ns, Slot, Task, create::Create as CreateRecord};
use serde::{Deserialize, Serialize};

use super::{
    Finding, Program, Row, RowId, Surroundings, Table, rows::Rows, state::raw, tell::Call,
};
use crate::model::{Cause, Flags, Kind, Placement};

/// The order in which the kernel makes the namespaces of one call (kernel/nsproxy.c,
/// `create_new_namespaces`; the user namespace before all others, since it owns them).
const ORDER: [Kind; 8] =
    [Kind::User, Kind::Mnt, Kind::Uts, Kind::Ipc, Kind::Pid, Kind::Cgroup, Kind::Net, Kind::Time];

/// A namespace whose maker is still in the call.
#[derive(Debug)]
pub(super) struct Birth {
    pub(super) row: RowId,
    boot_ns: u64,
    cause: Cause,
    flags: u64,
    task: Box<Task>,
    /// Where the maker runs.
    placement: Placement,
}

/// A call under way that has made namespaces.
#[derive(Debug)]
pub(super) struct Making {
    /// The call's number.
    op: u64,
    /// Those that were not told of yet.
    births: Vec<Birth>,
}

/// A call under way, written down.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MakingState {
    op: u64,
    births: Vec<BirthState>,
}

#[derive(Debug, Serialize, Deserialize)]
struct BirthState {
    kind: Kind,
    #[serde(with = "raw")]
    ns: Ns,
    boot_ns: u64,
    cause: Cause,
    flags: u64,
    #[serde(with = "raw")]
    task: Task,
    placement: Placement,
}

impl Making {
    pub(super) fn state(&self, rows: &Rows) -> MakingState {
        let births = self.births.iter().filter_map(|birth| {
            let row = rows.get(birth.row)?;
            Some(BirthState {
                kind: row.kind,
                ns: row.ns,
                boot_ns: birth.boot_ns,
                cause: birth.cause,
                flags: birth.flags,
                task: *birth.task,
                placement: birth.placement.clone(),
            })
        });
        MakingState { op: self.op, births: births.collect() }
    }
}

impl MakingState {
    pub(super) fn making(self, rows: &Rows) -> Making {
        let births = self.births.into_iter().filter_map(|birth| {
            Some(Birth {
                row: rows.find(birth.kind, &birth.ns)?,
                boot_ns: birth.boot_ns,
                cause: birth.cause,
                flags: birth.flags,
                task: Box::new(birth.task),
                placement: birth.placement,
            })
        });
        Making { op: self.op, births: births.collect() }
    }
}

impl Table {
    /// A birth hook ran; the event waits for the call to end, which knows its flags and maker.
    pub(super) fn created(
        &mut self,
        record: &CreateRecord,
        surroundings: &mut impl Surroundings,
        out: &mut Vec<Finding>,
    ) {
        let Some(kind) = Kind::ALL.get(record.kind as usize).copied() else { return };
        let boot_ns = record.header.boot_ns;
        let row = self.bear(kind, &record.ns, boot_ns, out);
        let owner = self.name(Kind::User, &record.owner);
        let parent = self.name(kind, &record.parent);
        if let Some(row) = self.rows.get_mut(row) {
            row.owner = owner;
            row.parent = parent;
            row.level = parent.map(|_| record.level);
        }
        let cause = Cause::from_wire(record.cause);
        // Who undoes the call is told of before it ends, and may not look around then.
        if let Some(maker) = self.member(&record.task) {
            maker.program(surroundings);
        }
        let birth = Birth {
            row,
            boot_ns,
            cause,
            flags: record.flags,
            task: Box::new(record.task),
            placement: surroundings.placement(record.task.cgroup_id, record.task.legacy_cgroup_id),
        };
        if !cause.ends() {
            let maker = self.visitor(&record.task, boot_ns, surroundings);
            let (process, creator) = (maker.process(surroundings), maker.creator(surroundings));
            let op = self.next_op();
            let births = [(birth.row, birth.boot_ns)];
            let call = Call { boot_ns, cause, flags: record.flags, op, births: &births };
            self.tell_births(&call, &process, &creator, out);
            return self.watch_births(&births);
        }
        let tid = record.task.tid;
        // No call makes two of a kind: the end of an earlier one was lost.
        let is_over = self.unfinished.get(&tid).is_some_and(|making| {
            let is_like =
                |birth: &Birth| self.rows.get(birth.row).is_some_and(|row| row.kind == kind);
            making.births.is_empty() || making.births.iter().any(is_like)
        });
        if is_over {
            self.give_up(tid, out);
        }
        if let Some(making) = self.unfinished.get_mut(&tid) {
            making.births.push(birth);
        } else {
            let op = self.next_op();
            self.unfinished.insert(tid, Making { op, births: vec![birth] });
        }
    }

    /// Adds a namespace that was just made; whoever had its inode before is gone.
    fn bear(&mut self, kind: Kind, ns: &Ns, boot_ns: u64, out: &mut Vec<Finding>) -> RowId {
        // The kernel has it in its lists before the call is over that makes it.
        if ns.id != 0
            && let Some(id) = self.rows.find(kind, ns)
            && let Some(row) = self.rows.get_mut(id).filter(|row| row.born.is_none())
        {
            (row.born, row.since, row.listed) = (Some(boot_ns), boot_ns, None);
            return id;
        }
        self.supersede(ns.inode, boot_ns, out);
        let mut row = Row::new(kind, *ns, false);
        (row.born, row.since) = (Some(boot_ns), boot_ns);
        self.rows.add(row)
    }

    /// The births of a successful call that have no record of their own; `at` finds the new namespace
    /// of a kind.
    pub(super) fn derive<'t>(
        &mut self,
        kinds: u64,
        at: impl Fn(Kind) -> &'t Ns,
        maker: &Task,
        owner: &Ns,
        boot_ns: u64,
        out: &mut Vec<Finding>,
    ) -> Vec<(RowId, u64)> {
        let owner = self.name(Kind::User, owner);
        let mut births = Vec::new();
        let kinds = Flags::from_bits(kinds);
        for kind in ORDER.into_iter().filter(|kind| kinds.contains(*kind)) {
            let ns = at(kind);
            if ns.inode == 0 {
                continue;
            }
            let id = self.bear(kind, ns, boot_ns, out);
            let above = match kind {
                // A process can only make a pid namespace below the one that it is in itself.
                Kind::Pid => Some(maker.slot(Slot::Pid)),
                Kind::User => Some(maker.slot(Slot::User)),
                _ => None,
            };
            let parent = above.and_then(|ns| self.name(kind, ns));
            let level = above.and_then(|ns| self.level_of(kind, ns));
            if let Some(row) = self.rows.get_mut(id) {
                row.parent = parent;
                row.level = level.map(|level| level + 1);
                row.owner = if kind == Kind::User { parent } else { owner };
            }
            if above.is_some() && level.is_none() {
                // The parent is a stranger: nobody has said yet how deep it lies.
                self.strangers.push(id);
            }
            births.push((id, boot_ns));
        }
        births
    }

    /// The depth of a pid or user namespace, if it is known.
    fn level_of(&self, kind: Kind, ns: &Ns) -> Option<u32> {
        self.rows.get(self.rows.find(kind, ns)?)?.level
    }

    /// The number of a call by `tid` that is over, and the births that were recorded of it.
    pub(super) fn finish(&mut self, tid: u32) -> (u64, Vec<(RowId, u64)>) {
        let Some(making) = self.unfinished.remove(&tid) else {
            return (self.next_op(), Vec::new());
        };
        let births = making.births.iter().map(|birth| (birth.row, birth.boot_ns));
        (making.op, births.collect())
    }

    /// Tells of births by `tid` that are not of the call that has put `task` where it is and made the kinds
    /// `made` (`CLONE_NEW*` bits),
    /// but of an earlier one, whose end was lost: `task` is not in them, or the call makes no such
    /// namespace. The call itself has a number of its own then.
    pub(super) fn give_up_earlier(
        &mut self,
        tid: u32,
        made: u64,
        task: &Task,
        out: &mut Vec<Finding>,
    ) {
        let is_earlier = |birth: &&Birth| {
            self.rows.get(birth.row).is_some_and(|row| {
                // A clone puts its child there as well.
                let ns = task.slot(Slot::unshared(row.kind));
                (ns.address, ns.inode) != (row.ns.address, row.ns.inode)
                    || made & row.kind.flag() == 0
            })
        };
        let Some(making) = self.unfinished.get(&tid) else { return };
        let earlier: Vec<_> = making.births.iter().filter(is_earlier).map(|b| b.row).collect();
        if earlier.is_empty() {
            return;
        }
        for row in earlier {
            self.finish_birth(row, out);
        }
        let op = self.next_op();
        if let Some(making) = self.unfinished.get_mut(&tid) {
            making.op = op;
        }
    }

    /// Tells of the births of a call by `tid` whose end will not be seen.
    pub(super) fn give_up(&mut self, tid: u32, out: &mut Vec<Finding>) {
        while let Some(birth) = self.unfinished.get(&tid).and_then(|making| making.births.first()) {
            self.finish_birth(birth.row, out);
        }
        self.unfinished.remove(&tid);
    }

    /// Tells of all births before `boot_ns` whose call has not ended, as if it never would.
    pub fn give_up_before(&mut self, boot_ns: u64, out: &mut Vec<Finding>) {
        let is_old = |making: &Making| making.births.iter().any(|birth| birth.boot_ns < boot_ns);
        let old = self.unfinished.iter().filter(|(_, making)| is_old(making));
        let tids: Vec<_> = old.map(|(tid, _)| *tid).collect();
        for tid in tids {
            self.give_up(tid, out);
        }
    }

    /// Tells of a birth whose call is not over, because it would come too late afterwards.
    pub(super) fn finish_birth(&mut self, id: RowId, out: &mut Vec<Finding>) {
        let Some((making, at)) = self.unfinished.values_mut().find_map(|making| {
            let at = making.births.iter().position(|birth| birth.row == id)?;
            Some((making, at))
        }) else {
            return;
        };
        // The call goes on, under the same number.
        let (op, birth) = (making.op, making.births.remove(at));
        let mut known = Known { placement: birth.placement };
        let maker = self.visitor(&birth.task, birth.boot_ns, &mut known);
        let (process, creator) = (maker.process(&mut known), maker.creator(&mut known));
        let births = [(birth.row, birth.boot_ns)];
        let Birth { boot_ns, cause, flags, .. } = birth;
        self.tell_births(
            &Call { boot_ns, cause, flags, op, births: &births },
            &process,
            &creator,
            out,
        );
    }

    /// What nobody entered ends soon.
    pub(super) fn watch_births(&mut self, births: &[(RowId, u64)]) {
        for (id, _) in births {
            if self.rows.get(*id).is_some_and(|row| row.members == 0) {
                self.orphans.push(*id);
            }
        }
    }
}

/// Surroundings as they were when a namespace was made.
pub(super) struct Known {
    pub(super) placement: Placement,
}

impl Surroundings for Known {
    fn placement(&mut self, _: u64, _: u64) -> Placement {
        self.placement.clone()
    }

    fn program(&mut self, _: u32) -> Option<Program> {
        None
    }
}
