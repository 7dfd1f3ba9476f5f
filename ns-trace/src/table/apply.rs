//! What each record does to the world.

use std::{cell::OnceCell, collections::hash_map::Entry, rc::Rc, sync::Arc};

use ns_trace_common::{
    Ns, Slot, Task,
    enter::Enter as EnterRecord,
    exec::Exec as ExecRecord,
    exit::Exit as ExitRecord,
    fail::Fail as FailRecord,
    fork::{Clone as CloneRecord, Fork as ForkRecord},
    made_by_clone, made_by_unshare,
    map::Map as MapRecord,
    snapshot::End,
};

use super::{
    Finding, Program, Surroundings, Table,
    member::{Member, Set},
    relation::Entrant,
    tell::{Call, changes, changes_between, found},
};
use crate::{
    model::{
        Cause, Errno, Flags, Kind, MapFile,
        event::{Body, Exec, Exit, Fail, Fork, Map, MapWrite, Status},
    },
    probe::Record,
};

impl Table {
    /// Takes in one record; returns the end mark of a snapshot's run when it comes by. If the snapshot
    /// is complete then, [`end_walk`](Self::end_walk) it.
    pub fn apply(
        &mut self,
        record: &Record<'_>,
        surroundings: &mut impl Surroundings,
        out: &mut Vec<Finding>,
    ) -> Option<End> {
        match record {
            Record::Create(create) => self.created(create, surroundings, out),
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
            Record::Map(map) => self.mapped(map, surroundings, out),
            Record::Member(member) => {
                self.walked(&member.task, member.header.boot_ns, surroundings, out);
            }
            Record::End(end) => return Some(**end),
            Record::Lost(_) => {}
            Record::Repeat(repeat) => self.repeated(repeat, out),
        }
        None
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
        self.catch_up(task.tid, task.start_ns, record.before, boot_ns, out);
        let before = self.member(task).map(|member| Rc::clone(&member.set));
        let made = if cause == Cause::Unshare { made_by_unshare(flags) } else { 0 };
        self.give_up_earlier(task.tid, made, task, out);
        let (op, mut births) = self.finish(task.tid);
        if record.births != 0 {
            // The maker of a user namespace is in it by now; its parent is where it was before.
            let mut maker = *task;
            let user = Slot::User as usize;
            let former = before.as_ref().and_then(|before| before.key.get(user));
            if record.births & Kind::User.flag() != 0
                && let Some(user) = maker.slots.get_mut(user)
            {
                *user = former.copied().unwrap_or(Ns::NONE);
            }
            let at = |kind| task.slot(Slot::unshared(kind));
            let owner = task.slot(Slot::User);
            births.extend(self.derive(record.births, at, &maker, owner, boot_ns, out));
        }
        let member = self.place(task, boot_ns, surroundings, out);
        let process = member.process(surroundings);
        let creator = (!births.is_empty()).then(|| member.creator(surroundings));
        let after = Rc::clone(&member.set);
        let call = Call { boot_ns, cause, flags, op, births: &births };
        if let Some(creator) = creator {
            self.tell_births(&call, &process, &creator, out);
        }
        let changes = changes(before.as_deref(), &after, cause, flags);
        let told = out.len();
        self.tell_entry(&call, task, (before.as_deref(), &after), changes, process, out);
        let told = out.get(told).map(|finding| &finding.body);
        self.hear(task, record.serial, told, Some(&after));
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
        if let Some(creator) = self.tasks.get_mut(&record.creator_tid) {
            creator.has_credentials_of(task);
        }
        let creator = self.tasks.get(&record.creator_tid);
        let near = creator.map(|creator| Rc::clone(&creator.set));
        let set = match near.clone().filter(|near| self.is_of(near, task)) {
            Some(set) => set,
            None => Rc::new(self.resolve(&task.slots, near.as_deref(), boot_ns, out)),
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
        self.give_up_earlier(fork.creator_tid, made_by_clone(fork.flags), child, out);
        let (op, mut births) = self.finish(fork.creator_tid);
        if record.births != 0 {
            let at = |kind| match kind {
                // The child is in its new pid namespace, and its children will be.
                Kind::Pid => child.slot(Slot::Pid),
                _ => child.slot(Slot::unshared(kind)),
            };
            let owner = child.slot(Slot::User);
            births.extend(self.derive(record.births, at, creator, owner, boot_ns, out));
        }
        let cause = Cause::from_wire(fork.cause);
        let call = Call { boot_ns, cause, flags: fork.flags, op, births: &births };
        if !births.is_empty() {
            let maker = self.refresh(creator, boot_ns, surroundings, out);
            let (process, creator) = (maker.process(surroundings), maker.creator(surroundings));
            self.tell_births(&call, &process, &creator, out);
        }
        let near = self.member(creator).map(|member| Rc::clone(&member.set));
        let before = self.resolve(&creator.slots, near.as_deref(), boot_ns, out);
        let after = Rc::new(self.resolve(&child.slots, Some(&before), boot_ns, out));
        let changes = changes(Some(&before), &after, cause, fork.flags);
        self.add_child(fork, Rc::clone(&after), surroundings, out);
        if let Some(process) = self.tasks.get(&child.tid).map(|member| member.process(surroundings))
        {
            self.tell_entry(&call, creator, (Some(&before), &after), changes, process, out);
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
            && let Some(mut member) = self.tasks.remove(&record.old_tid)
        {
            self.heard.remove(&record.old_tid);
            // It takes over the leader's start too.
            member.task.start_ns = task.start_ns;
            if let Some(former) = self.tasks.insert(task.tid, member) {
                self.leave(&former.set, boot_ns);
            }
        }
        let before = self.member(task).map(|member| Rc::clone(&member.set));
        let former = self.member(task).and_then(|member| member.program.get()?.exe.clone());
        let program = program.behind_links(former, || surroundings.program(task.pid));
        let member = self.place(task, boot_ns, surroundings, out);
        member.program = Rc::new(OnceCell::from(program));
        let after = Rc::clone(&member.set);
        let process = member.process(surroundings);
        let mut changes = before
            .as_deref()
            .map(|before| changes_between(before, &after, Flags::default()))
            .unwrap_or_default();
        // Nothing else is the exec's doing: other changes were made by a call that went unseen, and
        // by which is anybody's guess.
        changes.retain(|change| change.slot == Slot::Time);
        // And that takes effect, nothing else: where the task is was not told if it moves often.
        let pending = before.as_deref().and_then(|set| set.slots.get(Slot::TimeForChildren));
        changes.retain(|change| change.to.as_ref() == pending);
        if self.tells_tasks {
            let exec = Exec { changes: changes.clone(), process: Arc::clone(&process) };
            out.push(found(boot_ns, Body::Exec(exec)));
        }
        if !changes.is_empty() {
            let op = self.next_op();
            let call = Call { boot_ns, cause: Cause::Exec, flags: 0, op, births: &[] };
            self.tell_entry(&call, task, (before.as_deref(), &after), changes, process, out);
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
        self.give_up(record.tid, out);
        self.heard.remove(&record.tid);
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
        let (op, births) = self.finish(task.tid);
        let cause = Cause::from_wire(record.cause);
        let maker = self.refresh(task, boot_ns, surroundings, out);
        let (process, creator) = (maker.process(surroundings), maker.creator(surroundings));
        let call = Call { boot_ns, cause, flags: record.flags, op, births: &births };
        self.tell_births(&call, &process, &creator, out);
        self.watch_births(&births);
        let (target, attempted) = self.target(record);
        let before = Some(&task.slots[..]);
        let entrant = Entrant { task, container: process.container.as_ref(), before };
        let relation = self.relation(&entrant, attempted.into_iter().map(Some), &[]);
        let fail = Fail {
            cause,
            flags: Flags::from_bits(record.flags),
            op,
            errno: Errno::from_raw(i32::try_from(record.errno).unwrap_or(i32::MAX)),
            target,
            relation,
            repeat: None,
            process,
        };
        let told = Body::Fail(fail);
        self.hear(task, record.serial, Some(&told), None);
        out.push(found(boot_ns, told));
    }

    fn mapped(
        &mut self,
        record: &MapRecord,
        surroundings: &mut impl Surroundings,
        out: &mut Vec<Finding>,
    ) {
        let boot_ns = record.header.boot_ns;
        let process = self.refresh(&record.task, boot_ns, surroundings, out).process(surroundings);
        let Some(file) = MapFile::ALL.get(record.file as usize).copied() else { return };
        if record.ns.inode == 0 {
            return;
        }
        let id = self.row_of(Kind::User, &record.ns, boot_ns, out);
        let Some(row) = self.rows.get(id) else { return };
        if row.members == 0 {
            self.orphans.push(id);
        }
        let text = record.text.get(..record.len as usize).unwrap_or_default();
        let errno = i32::try_from(record.errno).unwrap_or(i32::MAX);
        let map = Map {
            ns: row.info(),
            map: MapWrite::new(file, text, record.total as usize),
            errno: (errno != 0).then(|| Errno::from_raw(errno)),
            process,
        };
        out.push(found(boot_ns, Body::Map(map)));
    }

    /// The member that `task` is, if it is known and no former bearer of the number.
    pub(super) fn member(&self, task: &Task) -> Option<&Member> {
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
        let near = self.member(task).map(|member| Rc::clone(&member.set));
        let known = near.as_ref().is_some_and(|near| self.is_of(near, task));
        let set =
            (!known).then(|| Rc::new(self.resolve(&task.slots, near.as_deref(), boot_ns, out)));
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

    /// Whether `task` is in the namespaces of `set`: none of them has made room since for another
    /// that looks the same.
    fn is_of(&self, set: &Set, task: &Task) -> bool {
        set.key == task.slots && self.is_alive(set)
    }

    /// Whether none of the namespaces of `set` is gone.
    pub(super) fn is_alive(&self, set: &Set) -> bool {
        set.rows.iter().flatten().all(|row| self.rows.get(*row).is_some())
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

    /// A task's picture that leaves the table as it is: it may be older.
    pub(super) fn visitor(
        &self,
        task: &Task,
        boot_ns: u64,
        surroundings: &mut impl Surroundings,
    ) -> Member {
        let set = Rc::new(self.names(&task.slots));
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
}
