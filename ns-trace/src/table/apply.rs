//! What each record does to the world.

use std::{cell::OnceCell, collections::hash_map::Entry, rc::Rc, sync::Arc};

use ns_trace_common::{
    Ns, Slot, Task,
    create::Create as CreateRecord,
    enter::Enter as EnterRecord,
    exec::Exec as ExecRecord,
    exit::Exit as ExitRecord,
    fail::{Fail as FailRecord, NAMESPACE_TARGET, PROCESS_TARGET},
    fork::{Clone as CloneRecord, Fork as ForkRecord},
    snapshot::End,
};

use super::{
    Births, Finding, Program, Row, RowId, Surroundings, Table,
    member::{Member, Set},
};
use crate::{
    model::{
        Cause, Creator, Errno, Flags, Kind, Process,
        event::{
            Body, Change, Create, Enter, Exec, Exit, Fail, Fork, ProcessTarget, Relation, Source,
            Status, Target,
        },
    },
    probe::Record,
};

/// A namespace whose maker is still in the call.
#[derive(Debug)]
pub(super) struct Birth {
    row: RowId,
    boot_ns: u64,
    cause: Cause,
    flags: u64,
    task: Box<Task>,
}

/// A call that is over.
#[derive(Clone, Copy)]
struct Call<'a> {
    boot_ns: u64,
    cause: Cause,
    flags: u64,
    op: u64,
    births: &'a [(RowId, u64)],
}

impl Table {
    /// Takes in one record; returns the end mark of a snapshot when it comes by.
    pub fn apply(
        &mut self,
        record: &Record<'_>,
        surroundings: &mut impl Surroundings,
        out: &mut Vec<Finding>,
    ) -> Option<End> {
        match record {
            Record::Create(create) => self.created(create, out),
            Record::Enter(enter) => self.entered(enter, surroundings, out),
            Record::Fail(fail) => self.failed(fail, surroundings, out),
            Record::Destroy(destroy) => {
                if let Some(id) = self.rows.by_inode(destroy.inode) {
                    self.died(id, destroy.header.boot_ns, out);
                }
            }
            Record::Fork(fork) => self.forked(fork, surroundings, out),
            Record::Clone(cloned) => self.cloned(cloned, surroundings, out),
            Record::Exec { exec, exe, args } => {
                let truncated = exec.args_total as usize > args.len();
                let program = Program::new(Some(exe), Some(args), truncated);
                self.executed(exec, program, surroundings, out);
            }
            Record::Exit(exit) => self.exited(exit, surroundings, out),
            Record::Member(member) => {
                self.walked(&member.task, member.header.boot_ns, surroundings, out);
            }
            Record::End(end) => {
                self.end_walk(end.header.boot_ns, end.cut != 0);
                return Some(**end);
            }
        }
        None
    }

    /// A birth hook ran; the event waits for the call to end, which knows its flags and maker.
    fn created(&mut self, record: &CreateRecord, out: &mut Vec<Finding>) {
        let Some(kind) = Kind::ALL.get(record.kind as usize).copied() else { return };
        let boot_ns = record.header.boot_ns;
        let row = self.bear(kind, &record.ns, boot_ns, out);
        let owner = self.name(Kind::User, &record.owner);
        let parent = self.name(kind, &record.parent);
        if let Some(row) = self.rows.get_mut(row) {
            row.owner = owner;
            row.parent = parent;
        }
        let cause = Cause::from_wire(record.cause);
        let birth = Birth { row, boot_ns, cause, flags: record.flags, task: Box::new(record.task) };
        if cause == Cause::Kernel {
            // No call will end.
            let maker = self.visitor(&record.task, boot_ns, &mut Nothing, out);
            let (process, creator) = (maker.process(&mut Nothing), maker.creator(&mut Nothing));
            let op = self.next_op();
            let births = [(birth.row, birth.boot_ns)];
            let call = Call { boot_ns, cause, flags: record.flags, op, births: &births };
            return self.tell_births(&call, &process, &creator, out);
        }
        self.unfinished.entry(record.task.tid).or_default().push(birth);
    }

    /// Adds a namespace that was just made; whoever had its inode before is gone.
    fn bear(&mut self, kind: Kind, ns: &Ns, boot_ns: u64, out: &mut Vec<Finding>) -> RowId {
        self.supersede(ns.inode, boot_ns, out);
        let mut row = Row::new(kind, *ns, false);
        row.born = Some(boot_ns);
        self.rows.add(row)
    }

    /// The births of a successful call whose flags say what it made; `at` finds the new namespace
    /// of a kind.
    fn derive<'t>(
        &mut self,
        flags: u64,
        at: impl Fn(Kind) -> &'t Ns,
        maker: &Task,
        owner: &Ns,
        boot_ns: u64,
        out: &mut Vec<Finding>,
    ) -> Vec<(RowId, u64)> {
        let owner = self.name(Kind::User, owner);
        let mut births = Vec::new();
        for kind in Flags::from_bits(flags).kinds() {
            let ns = at(kind);
            if ns.inode == 0 {
                continue;
            }
            let id = self.bear(kind, ns, boot_ns, out);
            let parent = match kind {
                // A process can only make a pid namespace below the one that it is in itself.
                Kind::Pid => self.name(kind, maker.slot(Slot::Pid)),
                Kind::User => self.name(kind, maker.slot(Slot::User)),
                _ => None,
            };
            if let Some(row) = self.rows.get_mut(id) {
                row.parent = parent;
                row.owner = if kind == Kind::User { parent } else { owner };
            }
            births.push((id, boot_ns));
        }
        births
    }

    /// The births that a call by `tid` has made, as recorded by the birth hooks.
    fn finish(&mut self, tid: u32) -> Vec<(RowId, u64)> {
        let births = self.unfinished.remove(&tid).unwrap_or_default();
        births.iter().map(|birth| (birth.row, birth.boot_ns)).collect()
    }

    /// Tells of a birth whose call is not over, because it would come too late afterwards.
    pub(super) fn finish_birth(&mut self, id: RowId, out: &mut Vec<Finding>) {
        let Some((tid, at)) = self.unfinished.iter().find_map(|(tid, births)| {
            births.iter().position(|birth| birth.row == id).map(|at| (*tid, at))
        }) else {
            return;
        };
        let Some(births) = self.unfinished.get_mut(&tid) else { return };
        let birth = births.remove(at);
        if births.is_empty() {
            self.unfinished.remove(&tid);
        }
        let maker = self.visitor(&birth.task, birth.boot_ns, &mut Nothing, out);
        let (process, creator) = (maker.process(&mut Nothing), maker.creator(&mut Nothing));
        let births = [(birth.row, birth.boot_ns)];
        // The call's own number is the next one: it ends after this.
        let op = self.ops + 1;
        let Birth { boot_ns, cause, flags, .. } = birth;
        self.tell_births(
            &Call { boot_ns, cause, flags, op, births: &births },
            &process,
            &creator,
            out,
        );
    }

    /// unshare or setns succeeded.
    fn entered(
        &mut self,
        record: &EnterRecord,
        surroundings: &mut impl Surroundings,
        out: &mut Vec<Finding>,
    ) {
        let (task, boot_ns, flags) = (&record.task, record.header.boot_ns, record.flags);
        let cause = Cause::from_wire(record.cause);
        let before = self.member(task).map(|member| Rc::clone(&member.set));
        let births = if self.births == Births::Recorded {
            self.finish(task.tid)
        } else if cause == Cause::Unshare {
            // The maker of a user namespace is in it by now; its parent is where it was before.
            let mut maker = *task;
            if let (Some(before), Some(user)) = (&before, maker.slots.get_mut(Slot::User as usize))
                && let Some(former) = before.key.get(Slot::User as usize)
            {
                *user = *former;
            }
            let at = |kind| task.slot(Slot::unshared(kind));
            self.derive(flags, at, &maker, task.slot(Slot::User), boot_ns, out)
        } else {
            Vec::new()
        };
        let member = self.place(task, boot_ns, surroundings, out);
        let process = member.process(surroundings);
        let creator = (!births.is_empty()).then(|| member.creator(surroundings));
        let after = Rc::clone(&member.set);
        let call = Call { boot_ns, cause, flags, op: self.next_op(), births: &births };
        if let Some(creator) = creator {
            self.tell_births(&call, &process, &creator, out);
        }
        let changes = changes(before.as_deref(), &after, flags);
        self.tell_entry(&call, changes, process, out);
        self.move_over(before.as_deref(), &after, boot_ns);
        self.watch_births(&births);
    }

    /// A new task whose namespaces are its creator's.
    fn forked(
        &mut self,
        record: &ForkRecord,
        surroundings: &mut impl Surroundings,
        out: &mut Vec<Finding>,
    ) {
        let (task, boot_ns) = (&record.task, record.header.boot_ns);
        let creator = self.tasks.get(&record.creator_tid);
        let same = creator.filter(|creator| creator.set.key == task.slots);
        let set = match same.map(|creator| Rc::clone(&creator.set)) {
            Some(set) => set,
            None => Rc::new(self.resolve(&task.slots, boot_ns, out)),
        };
        self.add_child(record, set, surroundings, out);
    }

    /// A new task with namespaces of its own.
    fn cloned(
        &mut self,
        record: &CloneRecord,
        surroundings: &mut impl Surroundings,
        out: &mut Vec<Finding>,
    ) {
        let fork = &record.fork;
        let (child, creator, boot_ns) = (&fork.task, &record.creator, fork.header.boot_ns);
        let births = if self.births == Births::Recorded {
            self.finish(fork.creator_tid)
        } else {
            let at = |kind| match kind {
                // The child is in its new pid namespace, and its children will be.
                Kind::Pid => child.slot(Slot::Pid),
                _ => child.slot(Slot::unshared(kind)),
            };
            self.derive(fork.flags, at, creator, child.slot(Slot::User), boot_ns, out)
        };
        let cause = Cause::from_wire(fork.cause);
        let call = Call { boot_ns, cause, flags: fork.flags, op: self.next_op(), births: &births };
        if !births.is_empty() {
            let maker = self.refresh(creator, boot_ns, surroundings, out);
            let (process, creator) = (maker.process(surroundings), maker.creator(surroundings));
            self.tell_births(&call, &process, &creator, out);
        }
        let before = self.resolve(&creator.slots, boot_ns, out);
        let after = Rc::new(self.resolve(&child.slots, boot_ns, out));
        let changes = changes(Some(&before), &after, fork.flags);
        self.add_child(fork, after, surroundings, out);
        if let Some(process) = self.tasks.get(&child.tid).map(|member| member.process(surroundings))
        {
            self.tell_entry(&call, changes, process, out);
        }
        self.watch_births(&births);
    }

    /// Adds a new task and tells of the fork.
    fn add_child(
        &mut self,
        record: &ForkRecord,
        set: Rc<Set>,
        surroundings: &mut impl Surroundings,
        out: &mut Vec<Finding>,
    ) {
        let (task, boot_ns) = (&record.task, record.header.boot_ns);
        self.join(&set);
        let creator = self.tasks.get(&record.creator_tid);
        let child = match creator {
            Some(creator) => creator.child(task, set, boot_ns, surroundings),
            None => Member::new(task, set, Rc::new(OnceCell::new()), boot_ns, surroundings),
        };
        if self.tells_tasks
            && let Some(creator) = creator
        {
            let fork = Fork { child: child.reference(), process: creator.process(surroundings) };
            out.push(found(boot_ns, Body::Fork(fork)));
        }
        if let Some(former) = self.tasks.insert(task.tid, child) {
            // Its end went by unseen.
            self.leave(&former.set, boot_ns);
        }
    }

    fn executed(
        &mut self,
        record: &ExecRecord,
        program: Program,
        surroundings: &mut impl Surroundings,
        out: &mut Vec<Finding>,
    ) {
        let (task, boot_ns) = (&record.task, record.header.boot_ns);
        // A thread that is not the leader takes the leader's number; the leader has ended before.
        if record.old_tid != task.tid
            && let Some(member) = self.tasks.remove(&record.old_tid)
            && let Some(former) = self.tasks.insert(task.tid, member)
        {
            self.leave(&former.set, boot_ns);
        }
        let before = self.tasks.get(&task.tid).map(|member| Rc::clone(&member.set));
        let member = self.place(task, boot_ns, surroundings, out);
        member.program = Rc::new(OnceCell::from(program));
        let after = Rc::clone(&member.set);
        let process = member.process(surroundings);
        let changes = before.as_deref().map(|before| changes_between(before, &after));
        let changes = changes.unwrap_or_default();
        if self.tells_tasks {
            let exec = Exec { changes: changes.clone(), process: Arc::clone(&process) };
            out.push(found(boot_ns, Body::Exec(exec)));
        }
        if !changes.is_empty() {
            let op = self.next_op();
            let call = Call { boot_ns, cause: Cause::Exec, flags: 0, op, births: &[] };
            self.tell_entry(&call, changes, process, out);
        }
        self.move_over(before.as_deref(), &after, boot_ns);
    }

    fn exited(
        &mut self,
        record: &ExitRecord,
        surroundings: &mut impl Surroundings,
        out: &mut Vec<Finding>,
    ) {
        let boot_ns = record.header.boot_ns;
        if let Some(walk) = &mut self.walk {
            walk.ended(record.tid, record.start_ns);
        }
        // Killed within the call: nothing else will tell of these.
        while let Some(birth) = self.unfinished.get(&record.tid).and_then(|births| births.first()) {
            self.finish_birth(birth.row, out);
        }
        let Some(member) = self.tasks.remove(&record.tid) else { return };
        self.leave(&member.set, boot_ns);
        if self.tells_tasks {
            let status = Status::from_wait(record.status);
            let exit = Exit { status, process: member.process(surroundings) };
            out.push(found(boot_ns, Body::Exit(exit)));
        }
    }

    fn failed(
        &mut self,
        record: &FailRecord,
        surroundings: &mut impl Surroundings,
        out: &mut Vec<Finding>,
    ) {
        let (task, boot_ns) = (&record.task, record.header.boot_ns);
        let births = self.finish(task.tid);
        let op = self.next_op();
        let cause = Cause::from_wire(record.cause);
        let maker = self.refresh(task, boot_ns, surroundings, out);
        let (process, creator) = (maker.process(surroundings), maker.creator(surroundings));
        let call = Call { boot_ns, cause, flags: record.flags, op, births: &births };
        self.tell_births(&call, &process, &creator, out);
        self.watch_births(&births);
        let target = self.target(record);
        let relation = target.as_ref().and_then(|target| relation_of_target(target, &process));
        let fail = Fail {
            cause,
            flags: Flags::from_bits(record.flags),
            op,
            errno: Errno::from_raw(i32::try_from(record.errno).unwrap_or(i32::MAX)),
            target,
            relation,
            process,
        };
        out.push(found(boot_ns, Body::Fail(fail)));
    }

    /// What a failed setns was pointed at.
    fn target(&self, record: &FailRecord) -> Option<Target> {
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

    /// The member that `task` is, if it is known and no former bearer of the number.
    fn member(&self, task: &Task) -> Option<&Member> {
        self.tasks.get(&task.tid).filter(|member| member.task.start_ns == task.start_ns)
    }

    /// Puts a task where a record shows it. Who is in which namespace is left to
    /// [`move_over`](Self::move_over), which comes after the events.
    fn place(
        &mut self,
        task: &Task,
        boot_ns: u64,
        surroundings: &mut impl Surroundings,
        out: &mut Vec<Finding>,
    ) -> &mut Member {
        let known = self.member(task).is_some_and(|member| member.set.key == task.slots);
        let set = (!known).then(|| Rc::new(self.resolve(&task.slots, boot_ns, out)));
        if self.member(task).is_none()
            && let Some(former) = self.tasks.remove(&task.tid)
        {
            self.leave(&former.set, boot_ns);
        }
        match self.tasks.entry(task.tid) {
            Entry::Occupied(known) => {
                let member = known.into_mut();
                member.update(task, boot_ns, surroundings);
                if let Some(set) = set {
                    member.set = set;
                }
                member
            }
            Entry::Vacant(place) => {
                let set = set.unwrap_or_default();
                let program = Rc::new(OnceCell::new());
                place.insert(Member::new(task, set, program, boot_ns, surroundings))
            }
        }
    }

    /// Brings a task up to date that did not change its namespaces.
    fn refresh(
        &mut self,
        task: &Task,
        boot_ns: u64,
        surroundings: &mut impl Surroundings,
        out: &mut Vec<Finding>,
    ) -> &Member {
        let before = self.member(task).map(|member| Rc::clone(&member.set));
        let after = Rc::clone(&self.place(task, boot_ns, surroundings, out).set);
        self.move_over(before.as_deref(), &after, boot_ns);
        self.place(task, boot_ns, surroundings, out)
    }

    /// A task's picture that leaves the table's as it is: it may be older.
    fn visitor(
        &mut self,
        task: &Task,
        boot_ns: u64,
        surroundings: &mut impl Surroundings,
        out: &mut Vec<Finding>,
    ) -> Member {
        let set = Rc::new(self.resolve(&task.slots, boot_ns, out));
        match self.member(task) {
            Some(member) => member.child(task, set, boot_ns, surroundings),
            None => Member::new(task, set, Rc::new(OnceCell::new()), boot_ns, surroundings),
        }
    }

    /// Counts a task out of where it was and into where it is.
    pub(super) fn move_over(&mut self, before: Option<&Set>, after: &Set, boot_ns: u64) {
        if before.is_some_and(|before| std::ptr::eq(before, after)) {
            return;
        }
        // In first: what is in both must not be orphaned in between.
        self.join(after);
        if let Some(before) = before {
            self.leave(before, boot_ns);
        }
    }

    /// What nobody entered ends soon.
    fn watch_births(&mut self, births: &[(RowId, u64)]) {
        for (id, _) in births {
            if self.rows.get(*id).is_some_and(|row| row.members == 0) {
                self.orphans.push(*id);
            }
        }
    }

    fn tell_births(
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

    fn tell_entry(
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

    const fn next_op(&mut self) -> u64 {
        self.ops += 1;
        self.ops
    }
}

const fn found(boot_ns: u64, body: Body) -> Finding {
    Finding { boot_ns, source: Source::Probe, body, row: None }
}

/// What changed from one set to another, slot by slot.
fn changes_between(before: &Set, after: &Set) -> Vec<Change> {
    let pairs = before.key.iter().zip(&after.key).zip(Slot::ALL);
    let changed = pairs.filter(|((before, after), _)| before != after);
    changed
        .map(|(_, slot)| Change {
            slot,
            from: before.slots.get(slot).copied(),
            to: after.slots.get(slot).copied(),
        })
        .collect()
}

/// What a call changed; if the task's namespaces before are unknown, what its flags say.
fn changes(before: Option<&Set>, after: &Set, flags: u64) -> Vec<Change> {
    if let Some(before) = before {
        return changes_between(before, after);
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
fn relation_of_target(target: &Target, process: &Process) -> Option<Relation> {
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

/// Surroundings that know nothing: for pictures of which only the record's own part matters.
struct Nothing;

impl Surroundings for Nothing {
    fn cgroup(&mut self, _: u64) -> Option<(Arc<str>, bool)> {
        None
    }

    fn program(&mut self, _: u32) -> Option<Program> {
        None
    }
}
