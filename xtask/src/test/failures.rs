//! What test programs say of their failures, kept for the end of the output.

use std::{collections::BTreeMap, mem};

/// The line with which a test program begins to tell what failed.
const HEAD: &str = "failures:";
/// The beginning of its last line.
const LAST: &str = "test result: ";

/// The accounts of failures in an output in which programs speak at the same time, each with its
/// name in front (`6.12 fentry | …`).
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// What is being told, by who tells it.
    open: BTreeMap<String, Vec<String>>,
    told: Vec<String>,
}

impl Failures {
    /// Listens to a line.
    pub(super) fn hear(&mut self, line: &str) {
        let line = line.trim_end();
        let (speaker, text) = line.split_once(" | ").unwrap_or(("", line));
        if let Some(account) = self.open.get_mut(speaker) {
            account.push(line.to_owned());
            if text.starts_with(LAST) {
                self.told.append(&mut self.open.remove(speaker).unwrap_or_default());
            }
        } else if text == HEAD {
            self.open.insert(speaker.to_owned(), Vec::new());
        }
    }

    /// Everything that was told, also by programs that died on it.
    pub(super) fn take(&mut self) -> Vec<String> {
        let mut told = mem::take(&mut self.told);
        told.extend(mem::take(&mut self.open).into_values().flatten());
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(output: &str) -> Vec<String> {
        let mut failures = Failures::default();
        output.lines().for_each(|line| failures.hear(line));
        failures.take()
    }

    #[test]
    fn programs_may_speak_at_once() {
        let output = "6.1 x | test a ... FAILED\n6.1 x | failures:\n6.12 y | test b ... ok\n\
                      6.1 x | ---- a ----\r\n6.1 x | no such row\n\
                      6.1 x | test result: FAILED. 0 passed; 1 failed\n6.1 x | rooms: exit 101";
        let account = [
            "6.1 x | ---- a ----",
            "6.1 x | no such row",
            "6.1 x | test result: FAILED. 0 passed; 1 failed",
        ];
        assert_eq!(told(output), account);
    }

    #[test]
    fn a_program_that_dies_has_spoken() {
        assert_eq!(told("failures:\n---- a ----\nbad"), ["---- a ----", "bad"]);
    }

    #[test]
    fn success_is_silent() {
        assert_eq!(told("test a ... ok\ntest result: ok. 1 passed"), [""; 0]);
    }
}
