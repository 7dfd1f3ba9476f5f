//! `ns-trace list`.

mod choice;
mod filter;
mod nest;
mod watch;

use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
};

use rustix::termios::tcgetwinsize;

use self::{choice::Choice, filter::Filters};
use crate::{
    cli::{ListArgs, Relation},
    model::{Column, World},
    pipeline::Rows,
    report::{Class, Failure, sight},
    view::{
        table::{Heading, Plain, Table},
        terminal,
    },
};

/// Lists the namespaces, or the processes in one.
pub(super) fn run(args: &ListArgs) -> Result<ExitCode, Failure> {
    if args.list_columns {
        return print(args, &columns());
    }
    let filters = Filters::new(args)?;
    let choice = Choice::new(args, &filters);
    if args.watch {
        return watch::run(args, choice, &filters);
    }
    let world = sight::sight(args.source.0, &choice.want)?;
    let table = table(args, &choice, &filters, &world)?;
    filters.say_errors();
    let code = print(args, &table)?;
    sight::tell_hidden(&world);
    // This is the end: to take it apart piece by piece would be a tenth of the work.
    std::mem::forget((world, table));
    Ok(code)
}

/// The table of what exists.
fn table(
    args: &ListArgs,
    choice: &Choice,
    filters: &Filters,
    world: &World,
) -> Result<Table, Failure> {
    let rows = Rows::new();
    match args.namespace {
        None => {
            let shown = nest::namespaces(args, choice, world);
            Ok(nest::table(choice, filters, &rows, shown))
        }
        Some(inode) => {
            let found = world.namespaces.iter().find(|ns| u64::from(ns.info.inode) == inode);
            let missing = || Failure::new(format!("not found namespace: {inode}"));
            let ns = found.ok_or_else(missing)?;
            let shown = nest::processes(ns, world);
            Ok(nest::table(choice, filters, &rows, shown))
        }
    }
}

/// The columns themselves.
fn columns() -> Table {
    let heading = |name, key| Heading { name, key, ..Heading::default() };
    let headings =
        vec![heading("HOLDER", "holder"), heading("TYPE", "type"), heading("HELP", "help")];
    let mut table = Table::new("lsns-columns", headings);
    for column in Column::ALL {
        let kind = if column.is_number() { "<integer>" } else { "<string>" };
        table.push(None, vec![column.name().into(), kind.into(), column.help().into()]);
    }
    table
}

fn print(args: &ListArgs, table: &Table) -> Result<ExitCode, Failure> {
    sight::print(&render(args, table))?;
    Ok(ExitCode::SUCCESS)
}

/// The text of a table, as it was asked for.
fn render(args: &ListArgs, table: &Table) -> String {
    let headings = !args.noheadings && !args.list_columns;
    if args.json {
        table.to_json()
    } else if args.raw {
        table.to_raw(headings)
    } else {
        let size = io::stdout().is_terminal().then(|| tcgetwinsize(io::stdout()).ok()).flatten();
        let width = size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns != 0);
        table.to_plain(Plain { headings, width, charset: terminal::charset() })
    }
}

/// What the tree is made by, if there is one.
fn relation(args: &ListArgs) -> Option<Relation> {
    args.tree.or((!args.list).then_some(Relation::Process))
}

fn usage(sentence: impl Into<String>) -> Failure {
    Failure::new(sentence).class(Class::Usage)
}
