//! What the probes count as lost, against what was told of it.

use std::{
    mem::offset_of,
    sync::atomic::{AtomicU64, Ordering},
};

use ns_trace_common::{
    Due, Header,
    lost::{Ledger, SORTS},
};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::{model::event::ByEvent, sys::mapping::Mapping};

/// What is known of the losses of each CPU. The counts only grow, so hearing of one twice, or of a
/// later one first, does no harm.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Losses {
    cpus: FxHashMap<u16, [u64; SORTS]>,
}

impl Losses {
    /// The events lost on a CPU that were not known of yet, now that it counts `lost` of them.
    pub fn learn(&mut self, cpu: u16, lost: &[u64; SORTS]) -> ByEvent {
        let known = self.cpus.entry(cpu).or_default();
        let mut new = [0; SORTS];
        for ((new, known), lost) in new.iter_mut().zip(known).zip(lost) {
            *new = lost.saturating_sub(*known);
            *known = (*known).max(*lost);
        }
        let of = |sort: u32| new.get(sort as usize).copied().unwrap_or(0);
        ByEvent {
            create: of(Due::CREATE),
            enter: of(Due::ENTER),
            fail: of(Due::FAIL),
            destroy: of(Due::DESTROY),
            map: of(Due::MAP),
            fork: of(Due::FORK),
            exec: of(Due::EXEC),
            exit: of(Due::EXIT),
        }
    }

    /// Like [`learn`](Self::learn), from the counters themselves: for what no record tells of yet.
    pub fn look(&mut self, ledgers: &Mapping<Ledger>) -> Vec<(u16, ByEvent)> {
        let mut losses = Vec::new();
        for (cpu, counts) in (0..).zip(counters(ledgers)) {
            let new = self.learn(cpu, &counts);
            if new.sum() != 0 {
                losses.push((cpu, new));
            }
        }
        losses
    }
}

/// The counters of each CPU.
pub(super) fn counters(ledgers: &Mapping<Ledger>) -> impl Iterator<Item = [u64; SORTS]> {
    words(ledgers).map(|ledger| {
        let mut counts = [0; SORTS];
        let words = ledger.iter().skip(offset_of!(Ledger, lost) / 8);
        counts.iter_mut().zip(words).for_each(|(to, from)| *to = from.load(Ordering::Relaxed));
        counts
    })
}

/// How many records each CPU found no room for.
fn failures(ledgers: &Mapping<Ledger>) -> impl Iterator<Item = (u16, u64)> {
    let failed = |ledger: &[AtomicU64]| {
        ledger
            .get(offset_of!(Ledger, failed) / 8)
            .map_or(0, |failed| failed.load(Ordering::Relaxed))
    };
    (0..).zip(words(ledgers).map(failed))
}

/// How many calls are accounted for less often than they should be, on all CPUs together: a call
/// may be counted on one and told on another. Negative for those under way.
pub(super) fn untold(ledgers: &Mapping<Ledger>) -> i64 {
    let field = |ledger: &[AtomicU64], offset: usize| {
        let found = ledger.get(offset / 8).map_or(0, |count| count.load(Ordering::Relaxed));
        found.cast_signed()
    };
    words(ledgers)
        .map(|ledger| {
            field(ledger, offset_of!(Ledger, witnessed))
                - field(ledger, offset_of!(Ledger, handled))
        })
        .sum()
}

fn words(ledgers: &Mapping<Ledger>) -> impl Iterator<Item = &[AtomicU64]> {
    ledgers.words().chunks_exact(size_of::<Ledger>() / 8)
}

/// Checks that every record which a CPU has numbered came, or was said to be lost.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Gaps {
    cpus: FxHashMap<u16, Numbers>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Numbers {
    /// One more than the highest number that came.
    next: u64,
    /// Numbers below that which did not come: negative while there are more records than numbers, as
    /// programs that interrupt each other may take the same.
    missing: i64,
    /// Records known to be lost.
    failed: u64,
    /// `missing` when the ring was last empty.
    suspect: i64,
}

impl Gaps {
    /// A record came.
    pub fn came(&mut self, header: &Header) {
        let cpu = self.cpus.entry(header.cpu).or_default();
        if let Some(skipped) = header.seq.checked_sub(cpu.next) {
            cpu.missing += skipped.cast_signed();
            cpu.next = header.seq + 1;
        } else {
            cpu.missing -= 1;
        }
    }

    /// So many records of a CPU were said to be missing, without a look at what it counts as lost.
    pub fn said(&mut self, cpu: u16, records: u64) {
        self.cpus.entry(cpu).or_default().missing -= records.cast_signed();
    }

    /// The ring is empty: the records that are missing although their CPU does not count them as lost.
    pub(super) fn check(&mut self, ledgers: &Mapping<Ledger>) -> Vec<(u16, u64)> {
        for (cpu, failed) in failures(ledgers) {
            self.lost(cpu, failed);
        }
        self.unexplained()
    }

    /// A CPU has lost so many records since the start.
    fn lost(&mut self, cpu: u16, failed: u64) {
        let cpu = self.cpus.entry(cpu).or_default();
        cpu.missing -= failed.saturating_sub(cpu.failed).cast_signed();
        cpu.failed = cpu.failed.max(failed);
    }

    /// What is missing twice in a row: what an interrupted program is still about to write is missing
    /// once.
    fn unexplained(&mut self) -> Vec<(u16, u64)> {
        let mut unexplained = Vec::new();
        for (number, cpu) in &mut self.cpus {
            let before = std::mem::replace(&mut cpu.suspect, cpu.missing);
            if let Ok(records @ 1..) = u64::try_from(cpu.missing.min(before)) {
                unexplained.push((*number, records));
                cpu.missing -= records.cast_signed();
                cpu.suspect = 0;
            }
        }
        unexplained
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(cpu: u16, seq: u64) -> Header {
        Header { cpu, seq, ..Header::default() }
    }

    fn came(numbers: impl IntoIterator<Item = u64>) -> Gaps {
        let mut gaps = Gaps::default();
        numbers.into_iter().for_each(|seq| gaps.came(&header(3, seq)));
        gaps
    }

    #[test]
    fn what_is_said_to_be_lost_is_no_gap() {
        let mut gaps = came([0, 1, 5]);
        gaps.lost(3, 3);
        assert_eq!((gaps.unexplained(), gaps.unexplained()), (vec![], vec![]));
    }

    #[test]
    fn what_nobody_speaks_of_is_one() {
        let mut gaps = came([0, 1, 5]);
        gaps.lost(3, 1);
        assert_eq!(gaps.unexplained(), []);
        assert_eq!(gaps.unexplained(), [(3, 2)]);
        assert_eq!(gaps.unexplained(), []);
    }

    #[test]
    fn programs_may_interrupt_each_other() {
        // 2 writes before 1; both 3 and 3 are written, and then 4 is nobody's.
        for numbers in [vec![0, 2, 1, 3], vec![0, 1, 2, 3, 3, 5]] {
            let mut gaps = came(numbers);
            assert_eq!((gaps.unexplained(), gaps.unexplained()), (vec![], vec![]));
        }
        let mut gaps = came([0, 2]);
        assert_eq!(gaps.unexplained(), []);
        gaps.came(&header(3, 1));
        assert_eq!(gaps.unexplained(), []);
    }

    #[test]
    fn a_loss_is_learnt_once() {
        let mut losses = Losses::default();
        let counts = |exits| {
            let mut counts = [0; SORTS];
            counts[Due::EXIT as usize] = exits;
            counts
        };
        assert_eq!(losses.learn(1, &counts(5)).exit, 5);
        assert_eq!(losses.learn(1, &counts(5)).sum(), 0);
        assert_eq!(losses.learn(0, &counts(2)).exit, 2);
        assert_eq!(losses.learn(1, &counts(7)).exit, 2);
        assert_eq!(losses.learn(1, &counts(6)).sum(), 0);
    }
}
