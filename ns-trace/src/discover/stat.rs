//! `/proc/<pid>/stat` (`proc_pid_stat(5)`).

/// What is wanted of it.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Stat<'a> {
    /// The name; may hold any byte, blanks and brackets too.
    pub(super) comm: &'a [u8],
    /// The parent.
    pub(super) ppid: u32,
    /// How many threads.
    pub(super) count: u32,
}

/// Reads one line: the name ends at the last closing bracket.
pub(super) fn parse(line: &[u8]) -> Option<Stat<'_>> {
    let start = line.iter().position(|byte| *byte == b'(')? + 1;
    let end = line.iter().rposition(|byte| *byte == b')')?;
    let comm = line.get(start..end)?;
    // State, then ppid, which is field 4; num_threads is field 20.
    let mut fields = line.get(end + 2..)?.split(|byte| *byte == b' ').skip(1);
    let ppid = number(fields.next()?)?;
    let count = number(fields.nth(15)?)?;
    Some(Stat { comm, ppid, count })
}

/// Decimal digits and nothing else.
pub(super) fn number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_hold_brackets_and_blanks() {
        let line = b"42 (a) S 7 (b) S 17 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 3 0 100 0 0\n";
        assert_eq!(parse(line), Some(Stat { comm: b"a) S 7 (b", ppid: 17, count: 3 }));
    }

    #[test]
    fn what_is_cut_off_is_nothing() {
        for line in ["", "42", "42 (a", "42 (a)", "42 (a) S", "42 (a) S 7 1 2"] {
            assert_eq!(parse(line.as_bytes()), None, "{line}");
        }
    }
}
