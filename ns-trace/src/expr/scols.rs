//! The filter language of libsmartcols, `scols-filter(5)`, over the columns of the list.
//!
//! `TYPE == "net" && NPROCS > 10 || !PID`. The precedence is the one that the manual promises:
//! `not` binds tightest, then comparisons, then `and`, then `or`.
//!
//! An empty cell is neither equal nor unequal to any number; compared as text, it differs from every
//! text, also from `""`. A bare column name is true where the cell is neither empty nor zero.

mod compare;
mod parse;
mod pattern;
mod token;

use std::cell::RefCell;

use regex::Regex;

use self::{compare::Value, parse::Node};
use super::Position;
use crate::model::{Cell, Column};

/// A condition on the cells of a row.
#[derive(Clone, Debug)]
pub struct ColumnFilter {
    /// `None`: everything matches.
    root: Option<Node>,
    columns: Vec<Column>,
}

/// Why an expression is no filter.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ColumnFilterError {
    /// It cannot be parsed.
    #[error("failed to parse \"{expression}\": {message}, {at}")]
    Syntax {
        /// The whole.
        expression: String,
        /// What is wrong.
        message: String,
        /// Where.
        at: Position,
    },
    /// There is no such column.
    #[error("unknown column: {name}")]
    Column {
        /// The name.
        name: String,
        /// Where.
        at: Position,
    },
    /// It is larger than lsns takes.
    #[error("the expression is longer than {limit} {unit}")]
    Limit {
        /// The most.
        limit: usize,
        /// What is counted.
        unit: &'static str,
    },
}

impl ColumnFilter {
    /// Reads an expression: at most 1024 bytes and 256 terms, patterns of at most 256 bytes. The
    /// empty one matches everything.
    pub fn compile(expression: &str) -> Result<Self, ColumnFilterError> {
        let (root, columns) = parse::parse(expression)?;
        Ok(Self { root, columns })
    }

    /// The columns that it looks at.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Whether the condition holds for a row.
    pub fn matches(&self, mut cell: impl FnMut(Column) -> Cell) -> bool {
        let cells = RefCell::new(&mut cell);
        let get = |column| {
            let mut cell = cells.borrow_mut();
            cell(column)
        };
        self.root.as_ref().is_none_or(|root| truth(root, &get))
    }
}

fn truth(node: &Node, cell: &dyn Fn(Column) -> Cell) -> bool {
    match node {
        Node::And(left, right) => truth(left, cell) && truth(right, cell),
        Node::Or(left, right) => truth(left, cell) || truth(right, cell),
        Node::Not(inner) => !truth(inner, cell),
        Node::Compare(left, operator, right) => {
            compare::compare(&value(left, cell), *operator, &value(right, cell))
        }
        Node::Matches { subject, pattern, wanted } => matches(subject, pattern, cell) == *wanted,
        Node::Literal(_) | Node::Column(_) => value(node, cell).truth(),
    }
}

fn matches(subject: &Node, pattern: &Regex, cell: &dyn Fn(Column) -> Cell) -> bool {
    let subject = value(subject, cell).text().unwrap_or_default();
    pattern.is_match(&subject)
}

fn value(node: &Node, cell: &dyn Fn(Column) -> Cell) -> Value {
    match node {
        Node::Literal(value) => value.clone(),
        Node::Column(column) => Value::Cell { cell: cell(*column), number: column.is_number() },
        _ => Value::Truth(truth(node, cell)),
    }
}

#[cfg(test)]
mod tests;
