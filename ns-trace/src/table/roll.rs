//! How many are in each namespace, and who is first: all that a list shows of the processes.

use std::{iter, rc::Rc};

use rustc_hash::FxHashMap;

use super::{
    Row, Table,
    member::{Member, Set},
    world::process,
};
use crate::model::ProcessRow;

/// How many are in a namespace.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Threads.
    pub threads: u32,
    /// Processes whose first thread is in it.
    pub nprocs: u32,
    /// The lowest of their numbers.
    pub first: Option<u32>,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.threads += other.threads;
        self.nprocs += other.nprocs;
        self.first = self.first.into_iter().chain(other.first).min();
    }
}

/// The living namespaces by inode and kind, and those who are in them.
#[derive(Debug)]
pub struct Roll<'t> {
    table: &'t Table,
    rows: Vec<(&'t Row, Tally)>,
    /// Threads that are not the first of their process, by process.
    threads: Vec<&'t Member>,
}

impl Table {
    /// Counts who is where: set by set, for there are far fewer sets than tasks.
    #[must_use]
    pub fn roll(&self) -> Roll<'_> {
        let mut sets: FxHashMap<*const Set, (&Set, Tally)> = FxHashMap::default();
        let mut threads = Vec::new();
        for (tid, member) in &self.tasks {
            let Member { pid, set, .. } = member;
            let (_, tally) = sets.entry(Rc::as_ptr(set)).or_insert((set, Tally::default()));
            let is_first = pid == tid;
            let first = is_first.then_some(*pid);
            tally.add(&Tally { threads: 1, nprocs: is_first.into(), first });
            if !is_first {
                threads.push(member);
            }
        }
        threads.sort_unstable_by_key(|member| (member.pid, member.task.tid));
        let order = self.rows.in_order();
        let mut tallies = vec![Tally::default(); order.rows.len()];
        for (set, tally) in sets.values() {
            for at in set.own().filter_map(|id| order.place(id)) {
                if let Some(sum) = tallies.get_mut(at) {
                    sum.add(tally);
                }
            }
        }
        Roll { table: self, rows: order.rows.into_iter().zip(tallies).collect(), threads }
    }
}

impl Roll<'_> {
    /// The namespaces.
    pub fn rows(&self) -> impl Iterator<Item = (&Row, &Tally)> + Clone {
        self.rows.iter().map(|(row, tally)| (*row, tally))
    }

    /// A process that is first somewhere.
    #[must_use]
    pub fn process(&self, pid: u32) -> Option<ProcessRow> {
        let start = self.threads.partition_point(|member| member.pid < pid);
        let threads = self.threads.get(start..).unwrap_or_default();
        let threads = threads.iter().copied().take_while(|member| member.pid == pid);
        self.table.tasks.get(&pid).map(|first| process(iter::once(first).chain(threads)))
    }
}
