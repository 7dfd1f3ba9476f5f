//! `ns-trace show`: everything about one namespace or one process.

mod namespace;
mod process;

use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
};

use crate::{
    cli::ShowArgs,
    model::{MapLine, Maps, NsRow, World},
    pipeline::resolve,
    report::{Failure, sight},
    view::{
        sheet::{Mark, Sheet},
        terminal,
    },
};

/// Name and version of the JSON report.
const SCHEMA: &str = "ns-trace-show/1";

/// Looks, and tells.
pub(super) fn run(args: &ShowArgs) -> Result<ExitCode, Failure> {
    let world = sight::about(args.source.0, &args.selector)?;
    let refused = |error| sight::refusal(&error);
    let mut sheet =
        Sheet::new(terminal::has_color(io::stdout().is_terminal()), terminal::charset());
    if let Some(process) = resolve::process_of(&args.selector, &world).map_err(refused)? {
        let report = process::Report::new(process, &world);
        if args.json {
            sight::print_json(&report)?;
        } else {
            report.fill(&mut sheet);
            sight::print(&sheet.render())?;
        }
    } else {
        let row = resolve::one(&args.selector, &world).map_err(refused)?;
        let report = namespace::Report::new(row, &world);
        if args.json {
            sight::print_json(&report)?;
        } else {
            report.fill(&mut sheet);
            sight::print(&sheet.render())?;
        }
    }
    sight::tell_hidden(&world);
    Ok(ExitCode::SUCCESS)
}

/// A namespace and those that `next` leads to from it, itself first. Chains end: each is deeper than
/// the next.
fn chain<'w>(
    from: &'w NsRow,
    world: &'w World,
    next: impl Fn(&NsRow) -> Option<crate::model::NsRef>,
) -> Vec<&'w NsRow> {
    let mut chain = vec![from];
    while let Some(row) = chain.last().copied().and_then(&next)
        && let Some(row) = world.namespace(row.kind, row.inode)
        && chain.len() <= world.namespaces.len()
    {
        chain.push(row);
    }
    chain
}

/// Rows for the maps of a user namespace.
fn map_rows(sheet: &mut Sheet, maps: &Maps) {
    for (name, lines) in [("uid_map", &maps.users), ("gid_map", &maps.groups)] {
        if lines.is_empty() {
            sheet.row(Mark::Fact, [name, "none is mapped"]);
        }
        for MapLine { inside, outside, count } in lines {
            sheet.row(Mark::Fact, [name, &format!("{inside} is {outside}, {count} in all")]);
        }
    }
}
