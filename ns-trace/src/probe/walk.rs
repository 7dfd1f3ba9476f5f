//! One walk over what exists: all tasks, and the kernel's own lists of namespaces.

use ns_trace_common::{Kind, Task, inspect::Inspect};

use super::{
    load::{Error, Loaded, Probes, self_check},
    record::{Record, RecordBuffer},
};

/// Bytes that a task takes in the ring.
const RECORD: u32 = 512;

/// The smallest and the largest ring; what does not fit is told in a further run.
const RINGS: std::ops::RangeInclusive<u32> = (1 << 16)..=(1 << 24);

/// What walks; nothing of it is attached anywhere.
pub struct Walk(Loaded);

impl Walk {
    /// Loads it, with room for about as many tasks.
    ///
    /// # Errors
    ///
    /// If this kernel, or the lack of a privilege, does not let it; see [`Error`].
    pub fn load(tasks: u32) -> Result<Self, Error> {
        let wanted = tasks.saturating_mul(RECORD).clamp(*RINGS.start(), *RINGS.end());
        let mut loaded = Probes::load_walk(wanted.next_power_of_two())?;
        loaded.probes.with_zombies();
        Ok(Self(loaded))
    }

    /// Visits every task, zombies too.
    ///
    /// # Errors
    ///
    /// If the kernel refuses to run the program, or what it read of this process is not what /proc
    /// says.
    pub fn tasks(&mut self, mut visit: impl FnMut(&Task)) -> Result<(), Error> {
        let Loaded { probes, ring } = &mut self.0;
        let own = std::process::id();
        let mut met = Err(Error::SelfCheck("this process was not found".to_owned()));
        let mut records = RecordBuffer::default();
        let mut lost = 0;
        probes.snapshot()?;
        loop {
            while let Some(record) = ring.next() {
                records.clear();
                records.push(&record);
                for record in records.records() {
                    if let Record::Member(member) = record {
                        if member.task.pid == own && member.task.tid == own {
                            met = self_check(&member.task);
                        }
                        visit(&member.task);
                    }
                }
            }
            if probes.lost_members() == lost {
                return met;
            }
            lost = probes.lost_members();
            probes.rest_of_snapshot()?;
        }
    }

    /// The namespaces of a kind that the kernel lists, with owners and parents; those that are just
    /// being freed are left out.
    ///
    /// # Errors
    ///
    /// If the kernel refuses to run the program.
    pub fn namespaces(&mut self, kind: Kind) -> Result<Vec<Inspect>, Error> {
        let mut found = self.0.probes.list(kind)?;
        found.retain(|one| one.alive != 0);
        Ok(found)
    }

    /// Answers questions about namespaces.
    ///
    /// # Errors
    ///
    /// If the kernel refuses to run the program.
    pub fn inspect(&mut self, questions: &mut [Inspect]) -> Result<(), Error> {
        self.0.probes.inspect(questions)
    }
}
