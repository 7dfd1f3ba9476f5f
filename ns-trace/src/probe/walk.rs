//! One walk over what exists: all tasks, the kernel's own lists of namespaces, and open files.

mod files;
mod load;

use std::thread::available_parallelism;

use ns_trace_common::{
    ABSENT, Due, Kind, Ns, Offsets, Slot, Task,
    inspect::{BATCH, Inspect},
    list, snapshot,
};

use rustc_hash::FxHashSet;

use self::load::Programs;
use super::{
    load::{Error, self_check},
    losses,
    offsets::{KERNEL_BTF, Layout},
    record::{Record, RecordBuffer},
};

/// Bytes that a task takes in the ring.
const RECORD: u32 = 512;

/// The smallest and the largest ring; what does not fit is told in a further run.
const RINGS: std::ops::RangeInclusive<u32> = (1 << 16)..=(1 << 24);
/// The largest if it is read while the walk goes on. What a larger one costs is more than what a walk
/// of as many tasks does: the kernel clears all of it first.
const SHARED_RING: u32 = 1 << 22;

/// The arguments of a walk over all tasks, zombies too.
const EVERYBODY: [u64; 1] = [1];

/// How many of a list of namespaces are read again with those that come after them: as long as one of
/// them is still there, none was passed over since others have gone.
const OVERLAP: usize = 64;
/// How often a list is begun anew because none of them was.
const TRIES: u32 = 4;

/// What walks; nothing of it is attached anywhere.
pub struct Walk {
    programs: Programs,
    offsets: Offsets,
    /// Whether one thread walks and another reads.
    is_shared: bool,
    /// Whether tasks were visited before.
    is_used: bool,
}

impl Walk {
    /// Loads it, with room for about as many tasks.
    ///
    /// # Errors
    ///
    /// If this kernel, or the lack of a privilege, does not let it; see [`Error`].
    pub fn load(tasks: u32) -> Result<Self, Error> {
        let wanted = tasks.saturating_mul(RECORD).clamp(*RINGS.start(), *RINGS.end());
        // A few tasks are not worth a thread.
        let is_shared =
            wanted > SHARED_RING && available_parallelism().is_ok_and(|of| of.get() > 1);
        let ring = if is_shared { SHARED_RING } else { wanted.next_power_of_two() };
        // Whoever may not is told before anything is read.
        load::check_loops()?;
        let offsets = Layout::read(KERNEL_BTF.as_ref(), &[])?.offsets;
        let programs = Programs::load(&offsets, ring)?;
        Ok(Self { programs, offsets, is_shared, is_used: false })
    }

    /// Loads all that it consists of, so that it can go on where nothing may be loaded any more.
    ///
    /// # Errors
    ///
    /// If the kernel refuses to load a program.
    pub fn complete(&mut self) -> Result<(), Error> {
        self.programs.complete()
    }

    /// Visits every task, zombies too.
    ///
    /// # Errors
    ///
    /// If the kernel refuses to run the program, or what it read of this process is not what /proc
    /// says.
    pub fn tasks(&mut self, mut visit: impl FnMut(&Task)) -> Result<(), Error> {
        let own = std::process::id();
        let mut met = Err(Error::SelfCheck("this process was not found".to_owned()));
        if std::mem::replace(&mut self.is_used, true) {
            self.programs.met.elements().fill(0);
        }
        self.visit(self.is_shared, &EVERYBODY, |task| {
            if task.pid == own && task.tid == own {
                met = self_check(task);
            }
            visit(task);
        })?;
        met
    }

    /// Visits every task of those processes of which a thread is in a namespace, or its children will
    /// be, and of process 1. Zombies are in the namespaces of their users and numbers, and no others.
    ///
    /// # Errors
    ///
    /// If the kernel refuses to run the program.
    pub fn tasks_in(&mut self, kind: Kind, ns: &Ns, visit: impl FnMut(&Task)) -> Result<(), Error> {
        let place = |slot: Slot| self.offsets.nsproxy.get(slot as usize).copied().unwrap_or(ABSENT);
        let (slot, children) = (Slot::of(kind), Slot::unshared(kind));
        let mut arguments = [0; snapshot::ARGUMENTS];
        arguments[snapshot::ZOMBIES] = 1;
        arguments[snapshot::NAMESPACE] = ns.address;
        arguments[snapshot::SLOT] = place(slot).into();
        arguments[snapshot::CHILDREN] = place(children).into();
        arguments[snapshot::KIND] = kind as u64;
        self.is_used = true;
        self.programs.met.elements().fill(0);
        self.visit(false, &arguments, visit)
    }

    /// Visits the tasks with these numbers, zombies too.
    ///
    /// # Errors
    ///
    /// If the kernel refuses to run the program.
    pub fn tasks_of(&mut self, tids: &[u32], visit: impl FnMut(&Task)) -> Result<(), Error> {
        if tids.is_empty() {
            return Ok(());
        }
        self.is_used = true;
        // As if all others had been met.
        let met = self.programs.met.elements();
        met.fill(u64::MAX);
        for tid in tids {
            if let Some(bits) = met.get_mut((tid / u64::BITS) as usize) {
                *bits &= !(1 << (tid % u64::BITS));
            }
        }
        self.visit(false, &EVERYBODY, visit)
    }

    /// Runs the walk, again as long as there was no room for all. Where few are met, it is not worth
    /// while that what `is_shared` is read meanwhile.
    fn visit(
        &mut self,
        is_shared: bool,
        arguments: &[u64],
        mut visit: impl FnMut(&Task),
    ) -> Result<(), Error> {
        let mut records = RecordBuffer::default();
        // A walk that failed may have left some.
        while self.programs.ring.next().is_some() {}
        let mut lost = self.lost_members();
        loop {
            self.programs.snapshot(is_shared, arguments, |ring| {
                while let Some(record) = ring.next() {
                    records.clear();
                    records.push(&record);
                    for record in records.records() {
                        if let Record::Member(member) = record {
                            visit(&member.task);
                        }
                    }
                }
            })?;
            let before = std::mem::replace(&mut lost, self.lost_members());
            if before == lost {
                return Ok(());
            }
        }
    }

    /// How many tasks found no room in the ring so far.
    fn lost_members(&self) -> u64 {
        losses::counters(&self.programs.ledgers)
            .map(|counts| counts.get(Due::MEMBER as usize).copied().unwrap_or(0))
            .sum()
    }

    /// The namespaces of a kind that the kernel has in its own lists, with their relatives; nothing
    /// where the kernel has none for that kind. Those that are just being freed are left out; the
    /// same one may appear twice if others come or go meanwhile.
    ///
    /// # Errors
    ///
    /// If the kernel refuses to run the program.
    pub fn namespaces(&mut self, kind: Kind) -> Result<Vec<Inspect>, Error> {
        let offsets = &self.offsets;
        let Some(places) = offsets.namespaces.get(kind as usize).filter(|at| at.list != ABSENT)
        else {
            return Ok(Vec::new());
        };
        let within = |offset| if offset == ABSENT { ABSENT } else { places.common + offset };
        let slot = offsets.nsproxy.get(Slot::of(kind) as usize).copied().unwrap_or(ABSENT);
        let mut arguments = [0; list::ARGUMENTS];
        arguments[list::KIND] = kind as u64;
        arguments[list::LIST] = places.list.into();
        arguments[list::INODE] = within(offsets.inum).into();
        arguments[list::ID] = places.id.into();
        arguments[list::NS_TYPE] = within(offsets.ns_type).into();
        arguments[list::FLAG] = kind.flag();
        arguments[list::SLOT] = slot.into();
        let (mut all, mut tries, mut skip) = (Vec::<Inspect>::new(), TRIES, 0);
        loop {
            let questions = &mut self.programs.questions;
            questions.elements().fill(Inspect::default());
            arguments[list::SKIP] = skip as u64;
            self.programs.list(&arguments)?;
            let answers = self.programs.questions.elements();
            let found = answers.iter().take_while(|found| found.ns.inode != 0).count();
            self.programs.inspect(found)?;
            let answers = self.programs.questions.elements().iter().take(found);
            let tail = all.iter().rev().take(OVERLAP).map(|one| one.ns.address);
            let tail: FxHashSet<u64> = tail.collect();
            let new: Vec<_> =
                answers.filter(|one| !tail.contains(&one.ns.address)).copied().collect();
            // So many have gone that others may have been passed over.
            if !tail.is_empty() && new.len() == found && tries > 0 {
                (tries, skip) = (tries - 1, 0);
                all.clear();
                continue;
            }
            all.extend(new);
            skip = (skip + found).saturating_sub(OVERLAP);
            if found < BATCH as usize {
                all.retain(|one| one.alive != 0);
                return Ok(all);
            }
        }
    }

    /// Whether the kernel has namespaces of every kind in lists of its own (6.18).
    #[must_use]
    pub fn has_all_lists(&self) -> bool {
        self.offsets.namespaces.iter().all(|at| at.list != ABSENT)
    }

    /// Answers questions about namespaces, in place and in batches.
    ///
    /// # Errors
    ///
    /// If the kernel refuses to run the program.
    pub fn inspect(&mut self, questions: &mut [Inspect]) -> Result<(), Error> {
        for batch in questions.chunks_mut(BATCH as usize) {
            let shared = self.programs.questions.elements();
            shared.iter_mut().zip(&*batch).for_each(|(shared, question)| *shared = *question);
            self.programs.inspect(batch.len())?;
            let answers = self.programs.questions.elements();
            batch.iter_mut().zip(answers).for_each(|(question, answer)| *question = *answer);
        }
        Ok(())
    }
}
