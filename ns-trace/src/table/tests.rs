//! The table against scripted records.

mod focus;
mod listed;

use bytemuck::Zeroable as _;
use ns_trace_common::{
    Header, NAMESPACE_FLAGS, Ns, RecordKind, SLOTS, Slot, Task,
    create::Create,
    destroy::Destroy,
    enter::Enter,
    exit::Exit,
    fork::{Clone as Cloned, Fork},
    inspect::Inspect,
    repeat::{Held, KINDS, Repeat},
    snapshot::Member,
};

use super::{Finding, Identity, Program, Surroundings, Table};
use crate::{
    model::{Cause, Kind, Placement, ProcessRow, event::Body},
    probe::Record,
};

struct Nowhere;

impl Surroundings for Nowhere {
    fn placement(&mut self, _: u64, _: u64) -> Placement {
        Placement::default()
    }

    fn program(&mut self, _: u32) -> Option<Program> {
        None
    }
}

const UTS: usize = Slot::Uts as usize;

/// A namespace without a 64-bit id, as before 6.18: only address and inode tell it apart.
fn ns(inode: u32) -> Ns {
    Ns { address: 0x1000 + u64::from(inode), inode, ..Ns::zeroed() }
}

/// A task in the initial namespaces, whose inodes are 1 to 10 by slot.
fn task(tid: u32) -> Task {
    let mut slots = [Ns::zeroed(); SLOTS];
    for (slot, number) in slots.iter_mut().zip(1..) {
        *slot = ns(number);
    }
    slots[Slot::PidForChildren as usize] = slots[Slot::Pid as usize];
    slots[Slot::TimeForChildren as usize] = slots[Slot::Time as usize];
    Task { pid: tid, tid, start_ns: u64::from(tid), slots, ..Task::zeroed() }
}

fn with_uts(tid: u32, uts: Ns) -> Task {
    let mut task = task(tid);
    task.slots[UTS] = uts;
    task
}

struct Shell;

impl Surroundings for Shell {
    fn placement(&mut self, _: u64, _: u64) -> Placement {
        Placement::default()
    }

    fn program(&mut self, _: u32) -> Option<Program> {
        Some(Program::new(Some(b"/bin/sh"), Some(b"sh\0-c\0true\0"), false))
    }
}

struct World {
    table: Table,
    now: u64,
    /// Births that have records of their own.
    hooked: u64,
}

impl World {
    /// A world in which kthreadd and task 10 exist.
    fn new() -> Self {
        let mut world = Self { table: Table::new(true), now: 1000, hooked: 0 };
        world.table.begin_walk(world.now);
        world.member(&task(2));
        world.member(&task(10));
        assert_eq!(world.end(), [""; 0]);
        world
    }

    fn header(&mut self, kind: RecordKind) -> Header {
        self.now += 1;
        Header { kind: kind as u16, boot_ns: self.now, ..Header::default() }
    }

    fn apply(&mut self, record: &Record<'_>) -> Vec<String> {
        let mut out = Vec::new();
        self.table.apply(record, &mut Nowhere, &mut out);
        told(&out)
    }

    fn member(&mut self, task: &Task) -> Vec<String> {
        let header = self.header(RecordKind::Member);
        self.apply(&Record::Member(&Member { header, task: *task }))
    }

    fn end(&mut self) -> Vec<String> {
        self.now += 1;
        self.table.end_walk(self.now, false);
        Vec::new()
    }

    fn call(&mut self, cause: Cause, flags: u64, task: &Task) -> Vec<String> {
        let header = self.header(RecordKind::Enter);
        self.apply(&Record::Enter(&Enter {
            header,
            cause: cause as u32,
            flags,
            births: self.births(cause, flags),
            task: *task,
            ..Enter::zeroed()
        }))
    }

    fn births(&self, cause: Cause, flags: u64) -> u64 {
        if cause == Cause::Setns { 0 } else { flags & NAMESPACE_FLAGS & !self.hooked }
    }

    fn unshare(&mut self, flags: u64, task: &Task) -> Vec<String> {
        self.call(Cause::Unshare, flags, task)
    }

    fn fork(&mut self, creator: u32, task: &Task) -> Vec<String> {
        let header = self.header(RecordKind::Fork);
        let fork = Fork { header, creator_tid: creator, task: *task, ..Fork::zeroed() };
        self.apply(&Record::Fork(&fork))
    }

    fn clone(&mut self, flags: u64, creator: &Task, task: &Task) -> Vec<String> {
        let header = self.header(RecordKind::Clone);
        let births = self.births(Cause::Clone, flags);
        let fork = Fork { header, creator_tid: creator.tid, flags, task: *task, ..Fork::zeroed() };
        self.apply(&Record::Clone(&Cloned { fork, births, creator: *creator }))
    }

    fn exit(&mut self, task: &Task) -> Vec<String> {
        let header = self.header(RecordKind::Exit);
        let (tid, start_ns) = (task.tid, task.start_ns);
        let exit = Exit { header, pid: tid, tid, start_ns, ..Exit::zeroed() };
        self.apply(&Record::Exit(&exit))
    }

    fn born(&mut self, kind: Kind, ns: Ns, task: &Task) -> Vec<String> {
        self.born_by(Cause::Unshare, kind, ns, task)
    }

    fn born_by(&mut self, cause: Cause, kind: Kind, ns: Ns, task: &Task) -> Vec<String> {
        let header = self.header(RecordKind::Create);
        let (cause, kind) = (cause as u32, kind as u32);
        let create = Create { header, cause, kind, ns, task: *task, ..Create::zeroed() };
        self.apply(&Record::Create(&create))
    }

    fn freed(&mut self, inode: u32) -> Vec<String> {
        let header = self.header(RecordKind::Destroy);
        self.apply(&Record::Destroy(&Destroy { header, inode, reserved: 0 }))
    }

    /// The inodes of the namespaces that lost their last task.
    fn orphans(&mut self) -> Vec<u32> {
        let ids = self.table.take_orphans();
        ids.iter().filter_map(|id| Some(self.table.row(*id)?.ns.inode)).collect()
    }
}

/// Findings in short.
fn told(findings: &[Finding]) -> Vec<String> {
    findings
        .iter()
        .map(|finding| match &finding.body {
            Body::Create(event) => format!("create {} op {}", event.ns.to_ref(), event.op),
            Body::Destroy(event) => format!("destroy {}", event.ns.to_ref()),
            Body::Enter(event) => {
                let changes = event.changes.iter().map(|change| {
                    let name = |ns: Option<crate::model::NsRef>| {
                        ns.map_or_else(|| "?".to_owned(), |ns| ns.inode.to_string())
                    };
                    format!(" {} {}>{}", change.slot.name(), name(change.from), name(change.to))
                });
                let changes: String = changes.collect();
                let times = event.repeat.map_or_else(String::new, |times| format!(" x{times}"));
                format!("enter {}{changes} op {}{times}", event.process.tid, event.op)
            }
            Body::Fork(event) => format!("fork {}", event.child.tid),
            Body::Exit(event) => format!("exit {}", event.process.tid),
            other => format!("{:?}", other.kind()),
        })
        .collect()
}

#[test]
fn births_of_a_call_share_its_number_and_come_before_the_entry() {
    let mut world = World::new();
    let mut after = with_uts(10, ns(20));
    after.slots[Slot::User as usize] = ns(21);
    let flags = Kind::Uts.flag() | Kind::User.flag();
    assert_eq!(
        world.unshare(flags, &after),
        ["create user:21 op 1", "create uts:20 op 1", "enter 10 uts 5>20 user 7>21 op 1"]
    );
    let rows: Vec<_> = world.table.rows().map(|(_, row)| row.clone()).collect();
    let find = |inode| rows.iter().find(|row| row.ns.inode == inode).unwrap();
    assert_eq!(find(20).owner.unwrap().inode, 21, "owned by the user namespace made with it");
    assert_eq!(find(21).parent.unwrap().inode, 7);
    assert_eq!(find(21).owner.unwrap().inode, 7);
}

#[test]
fn a_call_that_changes_nothing_says_nothing() {
    let mut world = World::new();
    assert_eq!(world.call(Cause::Setns, 0, &task(10)), [""; 0]);
    assert_eq!(world.orphans(), [0; 0]);
}

#[test]
fn a_reused_inode_buries_its_former_bearer_first() {
    let mut world = World::new();
    let flags = Kind::Uts.flag();
    world.unshare(flags, &with_uts(10, ns(20)));
    // The same address and inode again: nothing but the birth tells them apart.
    world.unshare(flags, &with_uts(10, ns(21)));
    assert_eq!(world.orphans(), [20]);
    assert_eq!(
        world.unshare(flags, &with_uts(10, ns(20))),
        ["destroy uts:20", "create uts:20 op 3", "enter 10 uts 21>20 op 3"]
    );
    assert_eq!(world.orphans(), [21]);
}

#[test]
fn the_order_of_leaving_and_reuse_may_be_reversed() {
    let mut world = World::new();
    world.fork(10, &task(11));
    let flags = Kind::Uts.flag();
    world.unshare(flags, &with_uts(10, ns(20)));
    // Task 11 got inode 20 since task 10 had left it, but its record came first.
    assert_eq!(
        world.unshare(flags, &with_uts(11, ns(20))),
        ["destroy uts:20", "create uts:20 op 2", "enter 11 uts 5>20 op 2"]
    );
    assert_eq!(
        world.unshare(flags, &with_uts(10, ns(21))),
        ["create uts:21 op 3", "enter 10 uts 20>21 op 3"]
    );
    let members: Vec<_> = world
        .table
        .rows()
        .filter(|(_, row)| row.ns.inode >= 20)
        .map(|(_, row)| (row.ns.inode, row.members))
        .collect();
    assert_eq!(members.len(), 2);
    assert!(members.iter().all(|(_, members)| *members == 1), "{members:?}");
}

#[test]
fn members_hold_a_namespace_until_the_last_has_gone() {
    let mut world = World::new();
    let inside = with_uts(10, ns(20));
    world.unshare(Kind::Uts.flag(), &inside);
    let child = Task { pid: 11, tid: 11, start_ns: 11, ..inside };
    assert_eq!(world.fork(10, &child), ["fork 11"]);
    assert_eq!(world.exit(&inside), ["exit 10"]);
    assert_eq!(world.orphans(), [0; 0]);
    assert_eq!(world.exit(&child), ["exit 11"]);
    assert_eq!(world.orphans(), [20]);
}

#[test]
fn who_a_task_is_is_taken_over_and_nothing_else() {
    let mut world = World::new();
    let mut now = with_uts(10, ns(77));
    (now.euid, now.ppid) = (1000, 1);
    now.comm[..2].copy_from_slice(b"me");
    world.table.identify(world.now, &[Identity::from(&task(10))]);
    assert_eq!(world.table.world().process(10).unwrap().uid, 0);
    world.now += 1;
    world.table.identify(world.now, &[Identity::from(&now), Identity::from(&task(99))]);
    let shown = world.table.world();
    let process = shown.process(10).unwrap();
    assert_eq!((process.uid, process.ppid, &*process.comm), (1000, 1, "me"));
    let uts = process.slots.get(Slot::Uts).unwrap();
    assert_eq!(uts.inode, task(10).slot(Slot::Uts).inode);
    // Another task that has the number since is not meant.
    now.start_ns += 1;
    now.euid = 7;
    world.table.identify(world.now, &[Identity::from(&now)]);
    now.start_ns -= 1;
    world.table.identify(1000, &[Identity::from(&now)]);
    assert_eq!(world.table.world().process(10).unwrap().uid, 1000);
    assert!(world.table.world().process(99).is_none());
}

#[test]
fn a_child_shows_what_its_maker_has_given_up() {
    let mut world = World::new();
    assert_eq!(world.fork(10, &task(11)), ["fork 11"]);
    let child = Task { uid: 7, gid: 8, euid: 9, caps: 3, ..task(12) };
    world.fork(10, &child);
    let creator = world.table.tasks.get(&10).unwrap().task.clone();
    assert_eq!((creator.uid, creator.gid, creator.euid, creator.caps), (7, 8, 9, 3));
}

#[test]
fn a_clone_tells_of_the_parent_as_maker_and_the_child_as_entrant() {
    let mut world = World::new();
    let mut child = task(11);
    child.slots[Slot::Pid as usize] = ns(30);
    child.slots[Slot::PidForChildren as usize] = ns(30);
    assert_eq!(
        world.clone(Kind::Pid.flag(), &task(10), &child),
        ["create pid:30 op 1", "fork 11", "enter 11 pid 2>30 pid_for_children 2>30 op 1"]
    );
    let (_, row) = world.table.rows().find(|(_, row)| row.ns.inode == 30).unwrap();
    assert_eq!(row.creator.as_ref().unwrap().tid, 10);
    assert_eq!(row.parent.unwrap().inode, 2);
    assert_eq!(row.level, None, "nobody has said how deep its parent lies");
    assert_eq!(row.members, 1, "one task, though two slots");
}

#[test]
fn levels_grow_from_what_the_kernel_says() {
    let mut world = World::new();
    for id in world.table.take_strangers() {
        world.table.relate(id, &Inspect { alive: 1, ..Inspect::zeroed() });
    }
    let mut creator = task(10);
    for level in 1..4 {
        let mut child = Task { tid: 10 + level, ..creator };
        child.slots[Slot::Pid as usize] = ns(20 + level);
        child.slots[Slot::PidForChildren as usize] = ns(20 + level);
        child.slots[Slot::User as usize] = ns(30 + level);
        world.clone(Kind::Pid.flag() | Kind::User.flag(), &creator, &child);
        creator = child;
    }
    let level = |inode| {
        let (_, row) = world.table.rows().find(|(_, row)| row.ns.inode == inode).unwrap();
        row.level
    };
    assert_eq!([2, 21, 22, 23].map(level), [0, 1, 2, 3].map(Some), "pid");
    assert_eq!([7, 31, 32, 33].map(level), [0, 1, 2, 3].map(Some), "user");
    assert_eq!(level(5), None, "uts namespaces do not nest");
}

#[test]
fn recorded_births_wait_for_their_call() {
    let mut world = World { hooked: NAMESPACE_FLAGS, ..World::new() };
    assert_eq!(world.born(Kind::Uts, ns(20), &task(10)), [""; 0]);
    assert_eq!(
        world.unshare(Kind::Uts.flag(), &with_uts(10, ns(20))),
        ["create uts:20 op 1", "enter 10 uts 5>20 op 1"]
    );
    assert_eq!(world.freed(99), [""; 0], "an inode of procfs");
    assert_eq!(world.freed(20), ["destroy uts:20"]);
}

#[test]
fn births_of_a_call_whose_end_was_lost_are_not_lent_to_the_next() {
    let mut world = World::new();
    world.hooked = NAMESPACE_FLAGS;
    world.born(Kind::Uts, ns(20), &task(10));
    let mut after = with_uts(10, ns(20));
    world.born(Kind::Ipc, ns(21), &after);
    after.slots[Slot::Ipc as usize] = ns(21);
    assert_eq!(
        world.unshare(Kind::Ipc.flag(), &after),
        ["create uts:20 op 1", "create ipc:21 op 2", "enter 10 ipc 4>21 uts 5>20 op 2"]
    );
    world.born(Kind::Uts, ns(22), &after);
    assert_eq!(
        world.call(Cause::Setns, Kind::Uts.flag(), &after),
        ["create uts:22 op 3"],
        "setns makes nothing"
    );
}

#[test]
fn what_was_held_back_is_told_once_and_moves_the_task() {
    let mut world = World::new();
    let (home, away) = (task(10), with_uts(10, ns(20)));
    let go = |world: &mut World, task: &Task, serial, before| {
        let header = world.header(RecordKind::Enter);
        let cause = Cause::Setns as u32;
        let enter = Enter { header, cause, serial, before, task: *task, ..Enter::zeroed() };
        world.apply(&Record::Enter(&enter))
    };
    assert_eq!(go(&mut world, &away, 1, 0), ["enter 10 uts 5>20 op 1"]);
    assert_eq!(go(&mut world, &home, 2, 1), ["enter 10 uts 20>5 op 2"]);
    let repeat = |world: &mut World, counts: [(u64, u64); 2]| {
        let header = world.header(RecordKind::Repeat);
        let mut held = [Held::zeroed(); KINDS];
        for (held, (serial, calls)) in held.iter_mut().zip(counts) {
            *held = Held { serial, held: calls, last_ns: 100 - serial, ..*held };
        }
        let (tid, start_ns) = (10, 10);
        let repeat = Repeat { header, tid, start_ns, last: 1, held, ..Repeat::zeroed() };
        world.apply(&Record::Repeat(&repeat))
    };
    let both = ["enter 10 uts 20>5 op 3 x4", "enter 10 uts 5>20 op 4 x5"];
    assert_eq!(repeat(&mut world, [(1, 5), (2, 4)]), both);
    assert_eq!(repeat(&mut world, [(1, 5), (2, 4)]), [""; 0], "told already");
    assert_eq!(repeat(&mut world, [(1, 6), (2, 4)]), ["enter 10 uts 5>20 op 5 x1"]);
    // It is away, although the last move that was told led home.
    let mut after = away;
    after.slots[Slot::Ipc as usize] = ns(21);
    let made = ["create ipc:21 op 6", "enter 10 ipc 4>21 op 6"];
    assert_eq!(world.unshare(Kind::Ipc.flag(), &after), made);
    assert_eq!(repeat(&mut world, [(3, 7), (0, 9)]), [""; 0]);
    assert_eq!(world.table.take_unheard().enter, 7, "the first of these was lost");
}

#[test]
fn a_move_starts_from_where_the_one_before_has_led() {
    let mut world = World::new();
    let mut go = |task: &Task, serial, before| {
        let header = world.header(RecordKind::Enter);
        let cause = Cause::Setns as u32;
        let enter = Enter { header, cause, serial, before, task: *task, ..Enter::zeroed() };
        world.apply(&Record::Enter(&enter))
    };
    assert_eq!(go(&with_uts(10, ns(20)), 1, 0), ["enter 10 uts 5>20 op 1"]);
    assert_eq!(go(&task(10), 2, 1), ["enter 10 uts 20>5 op 2"]);
    // Another move like the first was held back.
    assert_eq!(go(&with_uts(10, ns(22)), 3, 1), ["enter 10 uts 20>22 op 3"]);
}

#[test]
fn a_recorded_birth_is_told_before_its_death() {
    let mut world = World { hooked: NAMESPACE_FLAGS, ..World::new() };
    world.born(Kind::Uts, ns(20), &task(10));
    assert_eq!(world.freed(20), ["create uts:20 op 1", "destroy uts:20"]);
}

#[test]
fn a_birth_that_its_hook_missed_follows_from_the_call() {
    let mut world = World { hooked: Kind::Uts.flag(), ..World::new() };
    world.born(Kind::Uts, ns(20), &task(10));
    let mut after = with_uts(10, ns(20));
    after.slots[Slot::Net as usize] = ns(21);
    assert_eq!(
        world.unshare(Kind::Uts.flag() | Kind::Net.flag(), &after),
        ["create uts:20 op 1", "create net:21 op 1", "enter 10 uts 5>20 net 6>21 op 1"]
    );
}

#[test]
fn no_call_ends_that_opens_a_mount_namespace() {
    let mut world = World { hooked: NAMESPACE_FLAGS, ..World::new() };
    assert_eq!(
        world.born_by(Cause::OpenTree, Kind::Mnt, ns(20), &task(10)),
        ["create mnt:20 op 1"]
    );
    assert_eq!(world.freed(20), ["destroy mnt:20"]);
}

#[test]
fn a_snapshot_does_not_overrule_what_came_later() {
    let mut world = World::new();
    world.fork(10, &task(11));
    world.table.begin_walk(world.now + 1);
    world.unshare(Kind::Uts.flag(), &with_uts(10, ns(20)));
    world.exit(&task(11));
    // The walk had read both before.
    world.member(&task(2));
    world.member(&task(10));
    world.member(&task(11));
    world.end();
    let (_, initial) = world.table.rows().find(|(_, row)| row.ns.inode == 5).unwrap();
    assert_eq!(initial.members, 1, "kthreadd alone");
    let (_, own) = world.table.rows().find(|(_, row)| row.ns.inode == 20).unwrap();
    assert_eq!(own.members, 1);
}

#[test]
fn a_snapshot_finds_what_was_lost() {
    let mut world = World::new();
    world.unshare(Kind::Uts.flag(), &with_uts(10, ns(20)));
    world.now += 10;
    world.table.begin_walk(world.now);
    // Unseen: task 10 ended, task 12 came and made itself a namespace.
    world.member(&task(2));
    world.member(&with_uts(12, ns(21)));
    world.end();
    assert_eq!(world.orphans(), [20]);
    assert!(world.table.take_moved().is_empty(), "who was met is where it was");
    let strangers = world.table.take_strangers();
    assert_eq!(world.table.row(*strangers.last().unwrap()).unwrap().ns.inode, 21);
}

#[test]
fn a_snapshot_shows_who_moved_unseen() {
    let mut world = World::new();
    world.unshare(Kind::Uts.flag(), &with_uts(10, ns(20)));
    world.now += 10;
    world.table.begin_walk(world.now);
    world.member(&task(2));
    world.member(&task(10));
    world.end();
    let moved = world.table.take_moved();
    let inodes: Vec<_> = moved.iter().map(|id| world.table.row(*id).unwrap().ns.inode).collect();
    assert_eq!(inodes, [5], "back in the initial namespace");
}

#[test]
fn initial_namespaces_are_those_of_kthreadd() {
    let world = World::new();
    assert!(world.table.rows().all(|(_, row)| row.initial));
}

#[test]
fn a_picture_shows_who_is_where_and_of_the_crowd_what_is_wanted() {
    let mut world = World::new();
    world.table.begin_walk(world.now);
    world.member(&task(2));
    world.member(&task(10));
    // One in a namespace of its own with a thread that is elsewhere, and one more in the initial ones.
    world.member(&with_uts(20, ns(77)));
    world.member(&Task { pid: 20, ..task(21) });
    world.member(&task(30));
    world.end();
    let whole = world.table.world();
    let row = |inode: u32| whole.namespaces.iter().find(|row| row.info.inode == inode);
    let uts = task(2).slots[UTS].inode;
    let who = |inode| row(inode).map(|row| (row.processes.to_vec(), row.nprocs, row.threads));
    assert_eq!(who(77), Some((vec![20], 1, 1)));
    assert_eq!(who(uts), Some((vec![2, 10, 30], 3, 4)));
    assert!(whole.namespaces.is_sorted_by_key(|row| (row.info.inode, row.info.kind)));
    let pids = |processes: &[ProcessRow]| processes.iter().map(|row| row.pid).collect::<Vec<_>>();
    assert_eq!(pids(&whole.processes), [2, 10, 20, 30]);
    let split = whole.process(20).unwrap();
    assert_eq!((split.count, split.threads[0].tid, split.args.clone()), (2, 21, None));
    let roll = world.table.roll();
    let counted = |row: &crate::model::NsRow| {
        (row.info.clone(), row.threads, row.nprocs, row.processes.first().copied())
    };
    let rolled =
        roll.rows().map(|(row, tally)| (row.info(), tally.threads, tally.nprocs, tally.first));
    assert_eq!(
        rolled.collect::<Vec<_>>(),
        whole.namespaces.iter().map(counted).collect::<Vec<_>>()
    );
    for process in &whole.processes {
        assert_eq!(roll.process(process.pid).as_ref(), Some(process));
    }

    world.table.learn(20, &mut Shell);
    let args = world.table.roll().process(20).and_then(|row| row.args).unwrap();
    assert_eq!(args.join(" "), "sh -c true");
}
