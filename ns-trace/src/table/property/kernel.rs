//! A kernel in small: it does what it is told, and writes records as the probes do.

use std::collections::{BTreeMap, BTreeSet};

use bytemuck::Zeroable as _;
use ns_trace_common::{
    Header, Kind, Ns, RecordKind, SLOTS, Slot, Task,
    create::Create,
    destroy::Destroy,
    enter::Enter,
    exec::Exec,
    exit::Exit,
    fork::{Clone as Cloned, Fork},
    inspect::Inspect,
    snapshot::Member,
};

use crate::model::Cause;

/// The first inode that is not an initial namespace's.
const FIRST: u32 = 20;

/// What can happen; numbers choose among what there is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    /// A task makes another, with these namespaces of its own.
    Fork(u16, u64),
    Unshare(u16, u64),
    /// The first goes where the second is.
    Setns(u16, u16, Kind),
    Exec(u16),
    Exit(u16),
    /// Somebody keeps one of a task's namespaces open.
    Hold(u16, Kind),
    Release(u16),
    /// A call makes these and undoes it all.
    Undo(u16, u64),
}

/// How the probes see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    /// Births and deaths have records of their own.
    pub(super) hooked: bool,
    /// Every namespace has the kernel's number; else mount and net namespaces alone.
    pub(super) numbered: bool,
}

/// A record that owns what it says.
#[derive(Clone, Debug)]
pub(super) enum Told {
    Create(Box<Create>),
    Destroy(Destroy),
    Enter(Box<Enter>),
    Fork(Box<Fork>),
    Clone(Box<Cloned>),
    Exec(Box<Exec>),
    Exit(Exit),
}

/// A namespace, named by when it was made.
#[derive(Clone, Debug)]
pub(super) struct Space {
    pub(super) kind: Kind,
    pub(super) ns: Ns,
    pub(super) owner: Option<u64>,
    pub(super) parent: Option<u64>,
    pub(super) level: u32,
    /// The task that made it.
    pub(super) maker: u32,
}

#[derive(Clone, Copy, Debug)]
struct Person {
    start_ns: u64,
    slots: [u64; SLOTS],
}

pub(super) struct Kernel {
    pub(super) sight: Sight,
    pub(super) now: u64,
    pub(super) spaces: BTreeMap<u64, Space>,
    people: BTreeMap<u32, Person>,
    open: Vec<u64>,
    numbers: u64,
    /// Whoever was born and whoever died, each by when it was made.
    pub(super) born: BTreeSet<u64>,
    pub(super) died: BTreeSet<u64>,
    told: Vec<Told>,
}

impl Kernel {
    /// kthreadd and one other task in the initial namespaces.
    pub(super) fn new(sight: Sight) -> Self {
        let mut kernel = Self {
            sight,
            now: 1000,
            spaces: BTreeMap::new(),
            people: BTreeMap::new(),
            open: Vec::new(),
            numbers: 0,
            born: BTreeSet::new(),
            died: BTreeSet::new(),
            told: Vec::new(),
        };
        let user = Kind::User as u64;
        for (kind, inode) in Kind::ALL.into_iter().zip(1..) {
            let ns =
                Ns { inode, address: kernel.address(kind), id: kernel.number(kind), reserved: 0 };
            let owner = (kind != Kind::User).then_some(user);
            let space = Space { kind, ns, owner, parent: None, level: 0, maker: 0 };
            kernel.spaces.insert(kind as u64, space);
        }
        let slots = Slot::ALL.map(|slot| slot.kind() as u64);
        for tid in [2, 10] {
            kernel.people.insert(tid, Person { start_ns: u64::from(tid), slots });
        }
        kernel
    }

    /// The numbers of all tasks.
    pub(super) fn tids(&self) -> Vec<u32> {
        self.people.keys().copied().collect()
    }

    /// A task as the probes see it.
    pub(super) fn task(&self, tid: u32) -> Option<Task> {
        let person = self.people.get(&tid)?;
        let slots = person.slots.map(|name| self.spaces[&name].ns);
        Some(Task { pid: tid, tid, start_ns: person.start_ns, slots, ..Task::zeroed() })
    }

    /// A row of a snapshot.
    pub(super) fn member(&mut self, tid: u32) -> Option<Member> {
        let task = self.task(tid)?;
        Some(Member { header: self.header(RecordKind::Member), task })
    }

    /// How many tasks are in a namespace.
    pub(super) fn members(&self, name: u64) -> u32 {
        let is_in = |person: &&Person| person.slots.contains(&name);
        u32::try_from(self.people.values().filter(is_in).count()).unwrap()
    }

    /// Answers as the probes do: by what is at the address now.
    pub(super) fn answer(&self, question: &Inspect) -> Inspect {
        let at = self
            .spaces
            .values()
            .find(|space| space.kind as u32 == question.kind && space.ns == question.ns);
        let ns = |name: Option<u64>| name.map_or(Ns::NONE, |name| self.spaces[&name].ns);
        match at {
            None => *question,
            Some(space) => Inspect {
                alive: 1,
                level: space.level,
                owner: ns(space.owner),
                parent: ns(space.parent),
                ..*question
            },
        }
    }

    /// Does it; returns what the probes write.
    pub(super) fn step(&mut self, op: Op) -> Vec<Told> {
        match op {
            Op::Fork(who, flags) => self.fork(self.choose(who), flags),
            Op::Unshare(who, flags) => self.unshare(self.choose(who), flags),
            Op::Setns(who, whom, kind) => self.setns(self.choose(who), self.choose(whom), kind),
            Op::Exec(who) => self.exec(self.choose(who)),
            Op::Exit(who) => self.exit(self.choose(who)),
            Op::Hold(who, kind) => {
                let slot = Slot::unshared(kind) as usize;
                self.open.push(self.people[&self.choose(who)].slots[slot]);
            }
            Op::Release(which) if !self.open.is_empty() => {
                self.open.swap_remove(usize::from(which) % self.open.len());
            }
            Op::Release(_) => {}
            Op::Undo(who, flags) => {
                let tid = self.choose(who);
                self.make(tid, flags, Cause::Unshare);
            }
        }
        self.collect();
        std::mem::take(&mut self.told)
    }

    /// Anybody but kthreadd.
    fn choose(&self, number: u16) -> u32 {
        let anybody: Vec<_> = self.people.keys().filter(|tid| **tid != 2).collect();
        *anybody[usize::from(number) % anybody.len()]
    }

    fn header(&mut self, kind: RecordKind) -> Header {
        self.now += 1;
        Header { kind: kind as u16, boot_ns: self.now, ..Header::default() }
    }

    /// The lowest that is free, as slabs have it.
    fn address(&self, kind: Kind) -> u64 {
        let base = (kind as u64 + 1) << 32;
        let is_free =
            |address: &u64| self.spaces.values().all(|space| space.ns.address != *address);
        (base..u64::MAX).find(is_free).unwrap()
    }

    fn inode(&self) -> u32 {
        let is_free = |inode: &u32| self.spaces.values().all(|space| space.ns.inode != *inode);
        (FIRST..u32::MAX).find(is_free).unwrap()
    }

    fn number(&mut self, kind: Kind) -> u64 {
        self.numbers += 1;
        let is_numbered = self.sight.numbered || matches!(kind, Kind::Mnt | Kind::Net);
        if is_numbered { self.numbers } else { 0 }
    }

    /// Makes what `flags` say, in the kernel's order; returns the slots that they go to.
    fn make(&mut self, tid: u32, flags: u64, cause: Cause) -> Vec<(Kind, u64)> {
        let task = self.task(tid).unwrap();
        let mut current = self.people[&tid].slots[Slot::User as usize];
        let mut made = Vec::new();
        let order =
            [Kind::User].into_iter().chain(Kind::ALL.into_iter().filter(|k| *k != Kind::User));
        for kind in order.filter(|kind| flags & kind.flag() != 0) {
            let above = self.people[&tid].slots[match kind {
                Kind::Pid => Slot::Pid,
                _ => Slot::User,
            } as usize];
            let parent = kind.nests().then_some(above);
            let ns = Ns {
                address: self.address(kind),
                id: self.number(kind),
                inode: self.inode(),
                reserved: 0,
            };
            let level = parent.map_or(0, |parent| self.spaces[&parent].level + 1);
            let owner = if kind == Kind::User { above } else { current };
            let header = self.header(RecordKind::Create);
            let space = Space { kind, ns, owner: Some(owner), parent, level, maker: tid };
            let address = |name: u64| self.spaces[&name].ns;
            let create = Create {
                header,
                cause: cause as u32,
                kind: kind as u32,
                flags,
                level,
                ns,
                owner: address(owner),
                parent: parent.map_or(Ns::NONE, address),
                task,
                ..Create::zeroed()
            };
            if self.sight.hooked {
                self.told.push(Told::Create(Box::new(create)));
            }
            self.spaces.insert(self.now, space);
            if kind == Kind::User {
                current = self.now;
            }
            made.push((kind, self.now));
        }
        made
    }

    /// Births are named by the time of their record: without one, by that of the call's.
    fn rename(&mut self, made: &mut [(Kind, u64)]) {
        if self.sight.hooked {
            return self.born.extend(made.iter().map(|(_, name)| *name));
        }
        // All of a call would have the same: the kind tells them apart.
        let at = self.now;
        for (kind, name) in made {
            let new = at * 16 + *kind as u64 + (1 << 40);
            let space = self.spaces.remove(name).unwrap();
            for other in self.spaces.values_mut() {
                for relative in [&mut other.owner, &mut other.parent] {
                    if *relative == Some(*name) {
                        *relative = Some(new);
                    }
                }
            }
            self.spaces.insert(new, space);
            *name = new;
            self.born.insert(new);
        }
    }

    fn fork(&mut self, tid: u32, flags: u64) {
        let creator = self.task(tid).unwrap();
        let mut made = self.make(tid, flags, Cause::Clone);
        let header = self.header(RecordKind::Clone);
        self.rename(&mut made);
        let mut slots = self.people[&tid].slots;
        for (kind, name) in &made {
            slots[Slot::unshared(*kind) as usize] = *name;
        }
        slots[Slot::Pid as usize] = slots[Slot::PidForChildren as usize];
        slots[Slot::Time as usize] = slots[Slot::TimeForChildren as usize];
        let child = (3..u32::MAX).find(|tid| !self.people.contains_key(tid)).unwrap();
        self.people.insert(child, Person { start_ns: self.now, slots });
        let task = self.task(child).unwrap();
        let cause = Cause::Clone as u32;
        let mut fork = Fork { header, creator_tid: tid, cause, flags, task };
        if task.slots == creator.slots {
            fork.header.kind = RecordKind::Fork as u16;
            return self.told.push(Told::Fork(Box::new(fork)));
        }
        let births = if self.sight.hooked { 0 } else { flags };
        self.told.push(Told::Clone(Box::new(Cloned { fork, births, creator })));
    }

    fn unshare(&mut self, tid: u32, flags: u64) {
        let mut made = self.make(tid, flags, Cause::Unshare);
        let header = self.header(RecordKind::Enter);
        self.rename(&mut made);
        for (kind, name) in &made {
            self.people.get_mut(&tid).unwrap().slots[Slot::unshared(*kind) as usize] = *name;
        }
        let births = if self.sight.hooked { 0 } else { flags };
        self.entered(tid, header, Cause::Unshare, flags, births);
    }

    fn setns(&mut self, tid: u32, whom: u32, kind: Kind) {
        let there = self.people[&whom].slots[match kind {
            Kind::Pid => Slot::Pid,
            Kind::Time => Slot::Time,
            kind => Slot::unshared(kind),
        } as usize];
        let header = self.header(RecordKind::Enter);
        let person = self.people.get_mut(&tid).unwrap();
        person.slots[Slot::unshared(kind) as usize] = there;
        if kind == Kind::Time {
            person.slots[Slot::Time as usize] = there;
        }
        self.entered(tid, header, Cause::Setns, kind.flag(), 0);
    }

    fn entered(&mut self, tid: u32, header: Header, cause: Cause, flags: u64, births: u64) {
        let task = self.task(tid).unwrap();
        let cause = cause as u32;
        let enter = Enter { header, cause, flags, births, task, ..Enter::zeroed() };
        self.told.push(Told::Enter(Box::new(enter)));
    }

    fn exec(&mut self, tid: u32) {
        let person = self.people.get_mut(&tid).unwrap();
        person.slots[Slot::Time as usize] = person.slots[Slot::TimeForChildren as usize];
        let (header, task) = (self.header(RecordKind::Exec), self.task(tid).unwrap());
        let exec = Exec { header, old_tid: tid, exe_len: 0, args_len: 0, args_total: 0, task };
        self.told.push(Told::Exec(Box::new(exec)));
    }

    fn exit(&mut self, tid: u32) {
        // Somebody must stay, to do things.
        if self.people.len() == 2 {
            return;
        }
        let Some(person) = self.people.remove(&tid) else { return };
        let (header, start_ns) = (self.header(RecordKind::Exit), person.start_ns);
        self.told.push(Told::Exit(Exit { header, pid: tid, tid, start_ns, ..Exit::zeroed() }));
    }

    /// Frees what nothing holds any more.
    fn collect(&mut self) {
        loop {
            let held: BTreeSet<u64> = self
                .people
                .values()
                .flat_map(|person| person.slots)
                .chain(self.open.iter().copied())
                .chain(self.spaces.values().flat_map(|space| [space.owner, space.parent]).flatten())
                .collect();
            let is_free = |name: &&u64| **name >= 1000 && !held.contains(*name);
            let Some(name) = self.spaces.keys().find(is_free).copied() else { return };
            let space = self.spaces.remove(&name).unwrap();
            let header = self.header(RecordKind::Destroy);
            if self.sight.hooked {
                self.born.insert(name);
                let inode = space.ns.inode;
                self.told.push(Told::Destroy(Destroy { header, inode, reserved: 0 }));
            }
            // What a call made and undid is never seen otherwise.
            if self.born.contains(&name) {
                self.died.insert(name);
            }
        }
    }
}
