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
    /// As many for each row as there were columns when it was added.
    cells: Vec<Cell>,
    /// Of each row, where its cells begin, and the row that it lies below.
    rows: Vec<(usize, Option<usize>)>,
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

impl Table {
    /// An empty table.
    #[must_use]
    pub const fn new(name: &'static str, columns: Vec<Heading>) -> Self {
        Self { name, columns, cells: Vec::new(), rows: Vec::new() }
    }

    /// Makes room for so many more rows.
    pub fn reserve(&mut self, rows: usize) {
        self.cells.reserve(rows.saturating_mul(self.columns.len()));
        self.rows.reserve(rows);
    }

    /// Adds a row, below that of the number `parent` if there is one, and returns its own.
    pub fn push(&mut self, parent: Option<usize>, cells: impl IntoIterator<Item = Cell>) -> usize {
        // A row lies below one that was there before: so no row lies below itself.
        let parent = parent.filter(|parent| *parent < self.rows.len());
        self.rows.push((self.cells.len(), parent));
        self.cells.extend(cells);
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
        self.order().into_iter().map(|place| (place.depth, self.row(place.row)))
    }

    /// The cells of a row.
    fn row(&self, row: usize) -> &[Cell] {
        let end = self.rows.get(row + 1).map_or(self.cells.len(), |(start, _)| *start);
        self.rows.get(row).and_then(|(start, _)| self.cells.get(*start..end)).unwrap_or_default()
    }

    /// The rows from top to bottom, each with its place in the tree.
    fn order(&self) -> Vec<Place> {
        // The first row below each and the next one beside it; the last place is that of no row.
        let top = self.rows.len();
        let (mut below, mut beside) = (vec![None; top + 1], vec![None; top]);
        for (row, (_, parent)) in self.rows.iter().enumerate().rev() {
            beside[row] = below[parent.unwrap_or(top)].replace(row);
        }
        let mut order = Vec::with_capacity(top);
        let (mut next, mut depth) = (below[top], 0);
        while let Some(row) = next {
            order.push(Place { row, depth, is_last: beside[row].is_none() });
            next = below[row];
            depth += 1;
            let mut from = Some(row);
            while let (None, Some(row)) = (next, from) {
                (next, from) = (beside[row], self.rows[row].1);
                depth -= 1;
            }
        }
        order
    }
}

/// Where a row stands in the tree.
#[derive(Clone, Copy, Debug)]
struct Place {
    row: usize,
    /// How many rows it lies below.
    depth: usize,
    /// Whether it is the last one below the same row.
    is_last: bool,
}
