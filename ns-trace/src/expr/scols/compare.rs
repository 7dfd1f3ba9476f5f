//! How values of different types compare.

use std::cmp::Ordering;

use super::token::Operator;
use crate::model::Cell;

/// A value in an expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    Number(u64),
    Float(f64),
    Truth(bool),
    /// A cell, and whether its column has numbers.
    Cell {
        cell: Cell,
        number: bool,
    },
}

/// What two values are compared as.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Type {
    Text,
    Number,
    Float,
    Truth,
}

impl Value {
    const fn is_cell(&self) -> bool {
        matches!(self, Self::Cell { .. })
    }

    const fn kind(&self) -> Type {
        match self {
            Self::Text(_) | Self::Cell { number: false, .. } => Type::Text,
            Self::Number(_) | Self::Cell { number: true, .. } => Type::Number,
            Self::Float(_) => Type::Float,
            Self::Truth(_) => Type::Truth,
        }
    }

    /// `None` if the cell is empty.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Number(number) => Some(number.to_string()),
            Self::Float(number) => Some(number.to_string()),
            Self::Truth(truth) => Some(truth.to_string()),
            Self::Cell { cell, .. } => cell.text().map(|text| text.trim().to_owned()),
        }
    }

    fn number(&self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Truth(truth) => Some(u64::from(*truth)),
            _ => self.text()?.trim().parse().ok(),
        }
    }

    fn float(&self) -> Option<f64> {
        match self {
            Self::Float(number) => Some(*number),
            Self::Truth(truth) => Some(f64::from(u8::from(*truth))),
            _ => self.text()?.trim().parse().ok(),
        }
    }

    /// As a condition of its own: neither empty nor zero.
    pub(super) fn truth(&self) -> bool {
        match self {
            Self::Truth(truth) => *truth,
            Self::Float(number) => *number != 0.0,
            Self::Cell { number: true, .. } | Self::Number(_) => {
                self.number().is_some_and(|number| number != 0)
            }
            Self::Cell { .. } | Self::Text(_) => self.text().is_some_and(|text| !text.is_empty()),
        }
    }

    /// As the other side of a comparison with a boolean: text says yes, `true` or `1`.
    fn as_truth(&self) -> bool {
        if self.kind() != Type::Text {
            return self.truth();
        }
        let text = self.text().unwrap_or_default().trim().to_ascii_lowercase();
        text == "1" || text == "true" || text.starts_with('y')
    }
}

/// What two values are compared as: a column takes the type of the literal that it is compared
/// with; floating point numbers prevail over integers, and conditions over everything.
fn common(left: &Value, right: &Value) -> Type {
    let (own, other) = (left.kind(), right.kind());
    if own == other {
        return own;
    }
    if own == Type::Truth || other == Type::Truth {
        return Type::Truth;
    }
    match (left.is_cell(), right.is_cell()) {
        (true, false) => other,
        (false, true) => own,
        _ if own == Type::Float || other == Type::Float => Type::Float,
        _ => Type::Number,
    }
}

pub(super) fn compare(left: &Value, operator: Operator, right: &Value) -> bool {
    let ordering = match common(left, right) {
        Type::Text => Some(left.text().cmp(&right.text())),
        Type::Truth => Some(left.as_truth().cmp(&right.as_truth())),
        // A number that is not there is neither equal nor unequal.
        Type::Number => left.number().zip(right.number()).map(|(left, right)| left.cmp(&right)),
        Type::Float => {
            left.float().zip(right.float()).and_then(|(left, right)| left.partial_cmp(&right))
        }
    };
    ordering.is_some_and(|ordering| match operator {
        Operator::Eq => ordering == Ordering::Equal,
        Operator::Ne => ordering != Ordering::Equal,
        Operator::Lt => ordering == Ordering::Less,
        Operator::Le => ordering != Ordering::Greater,
        Operator::Gt => ordering == Ordering::Greater,
        Operator::Ge => ordering != Ordering::Less,
    })
}
