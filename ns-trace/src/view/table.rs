//! Tables and trees as libsmartcols prints them: aligned, raw or JSON.
//!
//! ```text
//!         NS TYPE NPROCS PID USER COMMAND
//! 4026531836 pid      76   2 root kthreadd
//! 4026532281 net       1  25 root └─sleep 300
//! ```

mod json;
mod plain;
mod raw;
#[cfg(test)]
mod tests;

pub use self::plain::Plain;
use crate::model::Cell;

/// A table: rows that may lie below other rows.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// What it is called in JSON.
    pub name: &'static str,
    /// Its columns.
    pub columns: Vec<Heading>,
    rows: Vec<Row>,
}

/// A column.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a property of its own")]
pub struct Heading {
    /// The name above it.
    pub name: &'static str,
    /// The name in JSON.
    pub key: &'static str,
    /// Whether its cells stand at the right.
    pub right: bool,
    /// Whether its cells may be cut where the line is too long.
    pub cut: bool,
    /// Whether the lines of its cells stand below each other.
    pub wrap: bool,
    /// Whether it shows the tree.
    pub tree: bool,
}

/// A row: its cells, and the row that it lies below.
#[derive(Clone, Debug)]
struct Row {
    cells: Vec<Cell>,
    parent: Option<usize>,
}

impl Table {
    /// An empty table.
    #[must_use]
    pub const fn new(name: &'static str, columns: Vec<Heading>) -> Self {
        Self { name, columns, rows: Vec::new() }
    }

    /// Adds a row, below that of the number `parent` if there is one, and returns its own.
    pub fn push(&mut self, parent: Option<usize>, cells: Vec<Cell>) -> usize {
        // A row lies below one that was there before: so no row lies below itself.
        let parent = parent.filter(|parent| *parent < self.rows.len());
        self.rows.push(Row { cells, parent });
        self.rows.len() - 1
    }

    /// How many rows there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The cells of the rows from top to bottom, each with how deep it lies.
    pub fn cells(&self) -> impl Iterator<Item = (usize, &[Cell])> {
        self.order().into_iter().map(|place| (place.depth(), self.rows[place.row].cells.as_slice()))
    }

    /// The rows from top to bottom, each with its place in the tree.
    fn order(&self) -> Vec<Place> {
        let mut children = vec![Vec::new(); self.rows.len()];
        let mut roots = Vec::new();
        for (number, row) in self.rows.iter().enumerate() {
            match row.parent {
                Some(parent) => children[parent].push(number),
                None => roots.push(number),
            }
        }
        let mut order = Vec::with_capacity(self.rows.len());
        // Last in, first out: whoever comes first is pushed last.
        let mut stack: Vec<_> =
            roots.into_iter().rev().map(|row| Place { row, last: Vec::new() }).collect();
        while let Some(place) = stack.pop() {
            let below = &children[place.row];
            for (index, row) in below.iter().enumerate().rev() {
                let mut last = Vec::with_capacity(place.last.len() + 1);
                last.extend_from_slice(&place.last);
                last.push(index + 1 == below.len());
                stack.push(Place { row: *row, last });
            }
            order.push(place);
        }
        order
    }
}

/// Where a row stands in the tree.
#[derive(Clone, Debug)]
struct Place {
    row: usize,
    /// Of each row on the way from a root down to this one, the root excepted: whether it is the
    /// last of its parent's.
    last: Vec<bool>,
}

impl Place {
    const fn depth(&self) -> usize {
        self.last.len()
    }
}
