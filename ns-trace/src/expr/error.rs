//! What can be wrong with an expression, and where.

use std::fmt;

use super::kind::Kind;

/// A place in an expression; both numbers start at 1 and count characters, not bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Position {
    /// The place of the byte at `offset`; the end of the text if it is behind that.
    pub(super) fn of(source: &str, offset: usize) -> Self {
        let before = source.get(..offset).unwrap_or(source);
        let line = before.rsplit('\n').next().unwrap_or_default();
        Self { line: before.matches('\n').count() + 1, column: line.chars().count() + 1 }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 1 {
            write!(f, "line {}, ", self.line)?;
        }
        write!(f, "column {}", self.column)
    }
}

/// Why an expression is no filter.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// It cannot be parsed.
    #[error("{message}")]
    Syntax {
        /// What the parser says.
        message: String,
        /// Where.
        at: Position,
    },
    /// Events have no such field.
    #[error("unknown field `{name}`{}", meant(suggestion.as_deref()))]
    Field {
        /// The field, with the objects around it.
        name: String,
        /// A field that may have been meant.
        suggestion: Option<String>,
        /// Where.
        at: Position,
    },
    /// There is no such function.
    #[error("unknown function `{name}`{}", meant(suggestion.as_deref()))]
    Function {
        /// The function.
        name: String,
        /// A function that may have been meant.
        suggestion: Option<String>,
        /// Where.
        at: Position,
    },
    /// A field is compared with a word that it never has.
    #[error("unknown word `{name}`{hint}")]
    Word {
        /// The word.
        name: String,
        /// The word that may have been meant, or those that there are.
        hint: String,
        /// Where.
        at: Position,
    },
    /// It can hold for no event.
    #[error("this holds for no event: each is of one sort only")]
    Never {
        /// Where.
        at: Position,
    },
    /// A function or operator is used on types that it is not made for.
    #[error("`{name}` does not work on {}", list(types))]
    Operands {
        /// The function or operator.
        name: String,
        /// The types of its operands.
        types: Vec<&'static str>,
        /// Where.
        at: Position,
    },
    /// Something has another type than its place needs.
    #[error("this is {found}, {wanted} is needed")]
    Type {
        /// The type that it has.
        found: &'static str,
        /// The type that is needed.
        wanted: &'static str,
        /// Where.
        at: Position,
    },
    /// An object is used as if it were one value.
    #[error("`{name}` is an object: name one of its fields, or compare it with null")]
    Object {
        /// The object.
        name: String,
        /// Where.
        at: Position,
    },
    /// `null` stands where it has no meaning.
    #[error("null can only be compared with a field, by == or !=")]
    Null {
        /// Where.
        at: Position,
    },
    /// A regular expression is not one.
    #[error("{message}")]
    Pattern {
        /// What is wrong with it.
        message: String,
        /// Where.
        at: Position,
    },
    /// A part of CEL that filters have no use for.
    #[error("{what} cannot be used in filters")]
    Unsupported {
        /// What it is.
        what: &'static str,
        /// Where.
        at: Position,
    },
    /// It is longer or deeper than can be evaluated in bounded memory.
    #[error("the expression is too {what}")]
    Limit {
        /// How it is too much.
        what: &'static str,
        /// Where.
        at: Position,
    },
}

pub(super) fn meant(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |name| format!(", did you mean `{name}`?"))
}

fn list(types: &[&str]) -> String {
    match types {
        [] => "nothing".to_owned(),
        _ => types.join(" and "),
    }
}

impl Error {
    pub(super) fn wanted(found: Kind, wanted: &'static str, at: Position) -> Self {
        Self::Type { found: found.name(), wanted, at }
    }

    /// Where in the expression it went wrong.
    #[must_use]
    pub fn position(&self) -> Position {
        match self {
            Self::Syntax { at, .. }
            | Self::Field { at, .. }
            | Self::Function { at, .. }
            | Self::Word { at, .. }
            | Self::Never { at }
            | Self::Operands { at, .. }
            | Self::Type { at, .. }
            | Self::Object { at, .. }
            | Self::Null { at }
            | Self::Pattern { at, .. }
            | Self::Unsupported { at, .. }
            | Self::Limit { at, .. } => *at,
        }
    }

    /// Two lines: the line of `source` that is wrong, and a caret below the place.
    ///
    /// Control characters are shown as spaces, so that the caret stays below its place.
    #[must_use]
    pub fn snippet(&self, source: &str) -> String {
        let Position { line, column } = self.position();
        let text: String = source
            .split('\n')
            .nth(line - 1)
            .unwrap_or_default()
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        format!("{}\n{:>column$}", text.trim_end(), '^')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let source = "\"é\" == x ||\n b";
        let at = |offset| Position::of(source, offset);
        assert_eq!(at(0), Position { line: 1, column: 1 });
        assert_eq!(at(8), Position { line: 1, column: 8 });
        assert_eq!(at(14), Position { line: 2, column: 2 });
        assert_eq!(at(99), Position { line: 2, column: 3 });
        assert_eq!(at(14).to_string(), "line 2, column 2");
    }

    #[test]
    fn the_caret_is_below_the_place() {
        let source = "true &&\n\tpid == 1";
        let at = Position { line: 2, column: 2 };
        assert_eq!(Error::Null { at }.snippet(source), " pid == 1\n ^");
    }
}
