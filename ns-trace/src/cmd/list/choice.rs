//! Which columns are shown, and what has to be found out for them.

use super::{Filters, relation};
use crate::{
    cli::{ListArgs, Relation},
    model::{Column, Kind, Kinds, Mounts, Want},
    view::table::Heading,
};

/// What is shown, and what is asked for it.
#[derive(Debug)]
pub(super) struct Choice {
    /// The columns, from left to right.
    pub(super) columns: Vec<Column>,
    /// Their headings.
    pub(super) headings: Vec<Heading>,
    /// What makes one row lie below another.
    pub(super) relation: Option<Relation>,
    /// What is to be found out.
    pub(super) want: Want,
}

impl Choice {
    pub(super) fn new(args: &ListArgs, filters: &Filters) -> Self {
        let columns = columns(args);
        let relation = relation(args);
        let headings = columns.iter().map(|column| heading(*column, args, relation)).collect();
        let of_columns = Want::of(columns.iter().copied().chain(filters.columns()));
        let kinds =
            if args.kinds.is_empty() { Kinds::ALL } else { args.kinds.iter().copied().collect() };
        let by_namespace = matches!(relation, Some(Relation::Owner | Relation::Parent));
        let want = Want {
            kinds,
            files: of_columns.files || args.persistent,
            held: kinds,
            // What is named has a mount, also where nobody asks for its name.
            mounts: of_columns.mounts.max(Mounts::Own),
            relatives: of_columns.relatives || by_namespace || args.persistent,
            complete: of_columns.complete || args.persistent,
            // Threads are counted process by process, and the processes of one namespace all shown or
            // looked through.
            first: args.namespace.is_none() && args.task.is_none() && !of_columns.threads,
            ..of_columns
        };
        Self { columns, headings, relation, want }
    }
}

fn columns(args: &ListArgs) -> Vec<Column> {
    use Column::{Command, Holders, NetnsId, Nprocs, Ns, Nsfs, Pid, Ppid, Type, User};
    let mut columns = if args.output_all {
        Column::ALL.into_iter().filter(|column| *column != Holders).collect()
    } else if args.namespace.is_some() {
        vec![Pid, Ppid, User, Command]
    } else if args.kinds.contains(&Kind::Net) {
        vec![Ns, Type, Nprocs, Pid, User, NetnsId, Nsfs, Command]
    } else {
        vec![Ns, Type, Nprocs, Pid, User, Command]
    };
    if let Some(output) = &args.output {
        if !output.more {
            columns.clear();
        }
        columns.extend(&output.columns);
    }
    columns
}

fn heading(column: Column, args: &ListArgs, relation: Option<Relation>) -> Heading {
    let by_process = args.namespace.is_some() || relation == Some(Relation::Process);
    let tree = if by_process { Column::Command } else { Column::Ns };
    Heading {
        name: column.name(),
        key: column.key(),
        right: column.is_right(),
        cut: column == Column::Command && !args.notruncate,
        wrap: column == Column::Nsfs && !args.nowrap,
        tree: relation.is_some() && column == tree,
    }
}
