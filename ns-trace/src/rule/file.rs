//! Rule files as text, and what is wrong in them where.

use std::{fmt, sync::Arc};

/// A file of rules.
#[derive(Debug, Eq, PartialEq)]
pub struct File {
    /// Its path, or what stands for it.
    pub name: String,
    /// What is in it.
    pub text: String,
}

impl File {
    /// A file by that name.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { name: name.into(), text: text.into() })
    }

    /// What is wrong at a place.
    pub(super) fn problem(&self, at: Place, message: impl Into<String>) -> Problem {
        let line = self.text.lines().nth(at.line.saturating_sub(1)).unwrap_or_default();
        let show = |c: char| if c.is_control() { ' ' } else { c };
        Problem {
            file: self.name.clone(),
            line: at.line,
            column: at.column,
            // It may quote the file, which may have what a terminal obeys.
            message: message.into().chars().map(show).collect(),
            excerpt: line.chars().map(show).collect(),
        }
    }
}

/// A place in a file; line and column start at 1 and count characters, the index starts at 0.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
    /// How many characters are before it in the file.
    pub(super) index: usize,
}

impl Place {
    /// The place behind `character`.
    pub(super) const fn after(self, character: char) -> Self {
        let Self { line, column, index } = self;
        match character {
            '\n' => Self { line: line + 1, column: 1, index: index + 1 },
            _ => Self { line, column: column + 1, index: index + 1 },
        }
    }
}

/// Something wrong in a file of rules.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The character of the line, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// The line itself, control characters as spaces.
    pub excerpt: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// A caret far to the right is below nothing that anybody sees.
        const WIDEST: usize = 160;
        let Self { file, line, column, message, excerpt } = self;
        write!(f, "{file}:{line}:{column}: {message}")?;
        if excerpt.trim().is_empty() || *column > WIDEST {
            return Ok(());
        }
        let shown: String = excerpt.chars().take(WIDEST).collect();
        write!(f, "\n    {}\n    {:>column$}", shown.trim_end(), '^')
    }
}
