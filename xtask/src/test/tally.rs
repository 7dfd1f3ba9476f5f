//! Counting tests by the line with which each test program ends.

use std::{fmt, ops::AddAssign};

/// How many tests passed, failed and were skipped.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Tally {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) skipped: u64,
}

impl Tally {
    /// Reads `test result: ok. 5 passed; 0 failed; 1 ignored; …`, whatever stands before it.
    ///
    /// A line `… | not tested: …` is one skipped check.
    pub(super) fn of_line(line: &str) -> Option<Self> {
        if line.contains(" | not tested: ") {
            return Some(Self { skipped: 1, ..Self::default() });
        }
        let (_, result) = line.split_once("test result: ")?;
        let (_, counts) = result.split_once(". ")?;
        let mut tally = Self::default();
        for count in counts.split(';') {
            let mut words = count.split_whitespace();
            let number = words.next().and_then(|number| number.parse().ok());
            match (number, words.next()) {
                (Some(number), Some("passed")) => tally.passed = number,
                (Some(number), Some("failed")) => tally.failed = number,
                (Some(number), Some("ignored")) => tally.skipped = number,
                _ => {}
            }
        }
        Some(tally)
    }

    /// The tally of a whole stage. One that counts no tests is one check, and one that fails
    /// without a failed test (it does not compile, a test program died) has one failure more.
    pub(super) fn with_status(mut self, success: bool) -> Self {
        if !success && self.failed == 0 {
            self.failed = 1;
        } else if self == Self::default() {
            self.passed = 1;
        }
        self
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, failed, skipped } = self;
        write!(formatter, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "test result: FAILED. 5 passed; 2 failed; 1 ignored; 0 measured; \
                        3 filtered out; finished in 0.02s\r\n";

    #[test]
    fn a_result_line_counts_also_behind_a_prefix() {
        let tally = Tally { passed: 5, failed: 2, skipped: 1 };
        assert_eq!(Tally::of_line(LINE), Some(tally));
        assert_eq!(Tally::of_line(&format!("6.1 fentry | {LINE}")), Some(tally));
        assert_eq!(Tally::of_line("test a ... ok"), None);
        let skipped = Tally { skipped: 1, ..Tally::default() };
        assert_eq!(Tally::of_line("5.10 | not tested: no such kernel"), Some(skipped));
        assert_eq!(tally.to_string(), "5 passed, 2 failed, 1 skipped");
    }

    #[test]
    fn a_stage_without_tests_is_one_check() {
        let none = Tally::default();
        assert_eq!(none.with_status(true), Tally { passed: 1, ..none });
        assert_eq!(none.with_status(false), Tally { failed: 1, ..none });
    }

    #[test]
    fn a_crash_is_a_failure_but_a_failed_test_is_not_counted_twice() {
        let passed = Tally { passed: 3, ..Tally::default() };
        assert_eq!(passed.with_status(false), Tally { failed: 1, ..passed });
        let failed = Tally { failed: 2, ..passed };
        assert_eq!(failed.with_status(false), failed);
    }
}
