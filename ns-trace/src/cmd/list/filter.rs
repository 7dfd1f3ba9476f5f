//! Which rows are shown.

use super::usage;
use crate::{
    cli::{ListArgs, unknown_column},
    expr::{ColumnFilter, ColumnFilterError, RowFilter},
    model::{Cell, Column},
    pipeline::{Rows, Subject},
    report::Failure,
    view::quantity::Count,
};

/// The conditions on rows.
#[derive(Debug)]
pub(super) struct Filters {
    columns: Option<ColumnFilter>,
    condition: Option<RowFilter>,
}

impl Filters {
    pub(super) fn new(args: &ListArgs) -> Result<Self, Failure> {
        let columns = args.filter.as_deref().map(ColumnFilter::compile).transpose();
        let columns = columns.map_err(|error| {
            let sentence = match &error {
                ColumnFilterError::Column { name, at } => format!("{}, {at}", unknown_column(name)),
                _ => error.to_string(),
            };
            usage(format!("bad --filter expression: {sentence}")).hint(
                "as in 'TYPE == \"net\" && NPROCS > 10'; `ns-trace list -H` lists the columns",
            )
        })?;
        let source = args.condition.as_deref();
        let condition = source.map(RowFilter::compile).transpose().map_err(|error| {
            let snippet = error.snippet(source.unwrap_or_default());
            let at = error.position();
            usage(format!("bad --where expression: {at}: {error}\n{snippet}"))
        })?;
        Ok(Self { columns, condition })
    }

    /// The columns that they look at.
    pub(super) fn columns(&self) -> impl Iterator<Item = Column> {
        let of_columns = self.columns.iter().flat_map(ColumnFilter::columns).copied();
        of_columns.chain(self.condition.iter().flat_map(RowFilter::columns))
    }

    pub(super) fn match_row(&self, rows: &Rows, subject: Subject<'_>) -> bool {
        let cell = |column: Column| -> Cell { rows.cell(subject, column) };
        self.columns.as_ref().is_none_or(|filter| filter.matches(cell))
            && self.condition.as_ref().is_none_or(|filter| filter.matches(&cell))
    }

    /// Says how many rows could not be judged.
    #[expect(clippy::print_stderr, reason = "what is missing is told beside the data")]
    pub(super) fn say_errors(&self) {
        let errors = self.condition.as_ref().map_or(0, RowFilter::errors);
        if errors > 0 {
            let rows = Count(errors, "row");
            eprintln!("ns-trace: --where had no result for {rows}: a cell that it needs is empty");
        }
    }
}
