//! What is wrong with a configuration, and where.

use std::{fmt, io, ops::Range, path::Path};

/// One thing that is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem(String);

impl Problem {
    /// A file that cannot be read.
    pub(super) fn of_file(path: &Path, error: &io::Error) -> Self {
        Self(format!("cannot read {}: {error}", path.display()))
    }

    /// What no single place shows.
    pub(super) const fn of_whole(what: String) -> Self {
        Self(what)
    }
}

/// All that is wrong.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Whether nothing is.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    pub(super) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, Problem(text)) in self.0.iter().enumerate() {
            f.write_str(if place == 0 { "" } else { "\n" })?;
            f.write_str(text)?;
        }
        Ok(())
    }
}

/// Gives problems their places in a file.
pub(super) struct Finder<'a> {
    path: &'a Path,
    text: &'a str,
    problems: &'a mut Problems,
}

impl<'a> Finder<'a> {
    pub(super) const fn new(path: &'a Path, text: &'a str, problems: &'a mut Problems) -> Self {
        Self { path, text, problems }
    }

    /// Adds what is wrong in a range of bytes.
    pub(super) fn add(&mut self, span: Range<usize>, what: impl fmt::Display) {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let path = self.path.display();
        self.problems.add(Problem(format!("{path}:{line}:{column}: {what}")));
    }
}
