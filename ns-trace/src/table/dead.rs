//! Namespaces that are gone, kept for a while.

use std::collections::VecDeque;

use super::{Row, Table};

/// How many are kept at most, however short the while: a storm of births and deaths must not fill
/// the memory.
const MOST: usize = 16_384;

/// The dead, in the order of their deaths.
#[derive(Debug, Default)]
pub(super) struct Dead {
    /// For how long: nanoseconds.
    keep_ns: u64,
    rows: VecDeque<Row>,
}

impl Dead {
    /// Takes one in that died at `boot_ns`.
    pub(super) fn bury(&mut self, row: Row, boot_ns: u64) {
        if self.keep_ns == 0 {
            return;
        }
        self.forget(boot_ns);
        if self.rows.len() == MOST {
            self.rows.pop_front();
        }
        self.rows.push_back(Row { died: Some(boot_ns), ..row });
    }

    /// Lets those go whose while is over at `boot_ns`.
    fn forget(&mut self, boot_ns: u64) {
        let is_over =
            |row: &Row| row.died.is_none_or(|died| died.saturating_add(self.keep_ns) < boot_ns);
        // A death that a look found may be told after one that the kernel told later: the few that
        // stand behind a younger one go with it.
        while self.rows.front().is_some_and(is_over) {
            self.rows.pop_front();
        }
    }
}

impl Table {
    /// Keeps namespaces that end for so many nanoseconds of the boot clock, 16,384 of them at most.
    #[must_use]
    pub fn keeping_dead(mut self, nanoseconds: u64) -> Self {
        self.dead.keep_ns = nanoseconds;
        self
    }

    /// Those that ended not longer ago than asked for, as of `boot_ns`; the oldest death first.
    pub fn dead(&mut self, boot_ns: u64) -> impl Iterator<Item = &Row> {
        self.dead.forget(boot_ns);
        self.dead.rows.iter()
    }
}

#[cfg(test)]
mod tests {
    use ns_trace_common::Ns;

    use super::*;
    use crate::model::Kind;

    fn row(inode: u32) -> Row {
        Row::new(Kind::Uts, Ns { inode, ..Ns::default() }, false)
    }

    fn kept(table: &mut Table, boot_ns: u64) -> Vec<u32> {
        table.dead(boot_ns).map(|row| row.ns.inode).collect()
    }

    #[test]
    fn the_dead_stay_for_a_while() {
        let mut table = Table::new(false).keeping_dead(10);
        for (inode, died) in [(1, 100), (2, 105), (1, 109)] {
            let id = table.insert_for_tests(row(inode));
            table.died(id, died, &mut Vec::new());
            assert!(table.row(id).is_none(), "it does not live");
        }
        assert_eq!(kept(&mut table, 110), [1, 2, 1], "each by itself, whatever the inode");
        assert_eq!(kept(&mut table, 111), [2, 1]);
        assert!(table.dead(111).all(|row| row.died.is_some()));
        assert_eq!(kept(&mut table, 119), [1]);
        assert_eq!(kept(&mut table, 120), [0; 0]);
    }

    #[test]
    fn nobody_is_kept_unless_asked_for() {
        let mut table = Table::new(false);
        let id = table.insert_for_tests(row(1));
        table.died(id, 100, &mut Vec::new());
        assert_eq!(kept(&mut table, 100), [0; 0]);
    }

    #[test]
    fn there_is_room_for_so_many() {
        let mut table = Table::new(false).keeping_dead(u64::MAX);
        let most = u32::try_from(MOST).unwrap();
        for inode in 0..=most {
            let id = table.insert_for_tests(row(inode));
            table.died(id, u64::from(inode), &mut Vec::new());
        }
        let kept = kept(&mut table, u64::from(most));
        assert_eq!((kept.len(), kept.first()), (MOST, Some(&1)), "the oldest made room");
    }
}
