//! CEL over the rows of the list: `type == "net" && nprocs > 10`.

use super::{Error, Filter, kind::Object, names::Names, view::View};
use crate::model::{Cell, Column};

/// A condition on the cells of a row, whose names are those of the columns in JSON.
#[derive(Debug)]
pub struct RowFilter(Filter);

impl RowFilter {
    /// Reads and checks an expression, as [`Filter::compile`] does.
    pub fn compile(source: &str) -> Result<Self, Error> {
        Filter::over(Object::Row, source).map(Self)
    }

    /// Whether the condition holds for a row.
    pub fn matches(&self, cell: &dyn Fn(Column) -> Cell) -> bool {
        let cells: Vec<_> = self.columns().map(|column| (column, cell(column))).collect();
        self.0.holds(View::Row(Cells(&cells)))
    }

    /// The columns that it looks at.
    pub fn columns(&self) -> impl Iterator<Item = Column> {
        self.0.names.roots().filter_map(|name| name.parse().ok())
    }

    /// For how many rows there was no result: a cell was empty.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.0.errors()
    }
}

impl Names {
    /// The outermost fields that the expression names.
    fn roots(&self) -> impl Iterator<Item = &'static str> {
        self.paths.iter().filter_map(|path| path.0.first()).map(|field| field.name)
    }
}

/// The cells of one row that an expression asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cells<'e>(&'e [(Column, Cell)]);

impl Cells<'_> {
    pub(super) fn get(self, column: Column) -> Cell {
        let found = self.0.iter().find(|(other, _)| *other == column);
        found.map_or(Cell::Empty, |(_, cell)| cell.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{kind::Kind, table},
        *,
    };

    fn cell(column: Column) -> Cell {
        match column {
            Column::Type => "net".into(),
            Column::Nprocs => 9_u32.into(),
            Column::Age => Cell::Seconds(61),
            Column::Container => Cell::Digest("3f2a".repeat(16).into()),
            _ => Cell::Empty,
        }
    }

    #[test]
    fn the_fields_are_the_columns() {
        let fields = table::fields(Object::Row);
        let fields = fields.iter().map(|field| (field.name, field.kind == Kind::INT));
        let columns = Column::ALL.into_iter().map(|column| (column.key(), column.is_number()));
        assert!(fields.eq(columns));
    }

    #[test]
    fn rows_are_asked_by_the_names_in_json() {
        for (source, truth) in [
            ("type == 'net' && nprocs > 8", true),
            ("nprocs in [1, 2]", false),
            ("age > 60 && container.startsWith('3f2a3f')", true),
            ("pid == null && container != null", true),
            ("command.contains('sh') || type.matches('^n')", true),
        ] {
            let filter = RowFilter::compile(source).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(filter.matches(&cell), truth, "{source}");
            assert_eq!(filter.errors(), 0, "{source}");
        }
        let filter = RowFilter::compile("pid > 1").unwrap();
        assert!(!filter.matches(&cell) && filter.errors() == 1);
    }

    #[test]
    fn unknown_fields_are_refused_with_a_guess() {
        let error = RowFilter::compile("type == 'net' && nproc > 8").unwrap_err();
        assert_eq!(error.to_string(), "unknown field `nproc`, did you mean `nprocs`?");
        assert_eq!(error.position().column, 18);
        let error = RowFilter::compile("cause == 'unshared' || type == 'ne'").unwrap_err();
        assert_eq!(error.to_string(), "unknown word `unshared`, did you mean `unshare`?");
        let error = RowFilter::compile("state != 'alive'").unwrap_err();
        assert_eq!(error.to_string(), "unknown word `alive`; it can be active, held, dead");
        assert!(RowFilter::compile("type == 'network'").is_err());
        assert!(RowFilter::compile("process.pid == 1").is_err());
        assert!(RowFilter::compile("type > 8").is_err());
    }

    #[test]
    fn the_columns_that_it_looks_at_are_known() {
        let filter = RowFilter::compile("uidmap == null || holders == '' && age > 1").unwrap();
        let columns: Vec<_> = filter.columns().collect();
        assert_eq!(columns, [Column::UidMap, Column::Holders, Column::Age]);
    }
}
