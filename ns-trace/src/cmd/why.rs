//! `ns-trace why`: what keeps a namespace alive.

use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
};

use serde::Serialize;

use crate::{
    cli::WhyArgs,
    model::{NsInfo, NsRow},
    pipeline::resolve,
    report::{Failure, sight},
    view::{
        keeper::{Keeper, Member, releases},
        quantity::Count,
        sheet::{Mark, Sheet},
        terminal,
    },
};

/// Name and version of the JSON report.
const SCHEMA: &str = "ns-trace-why/1";

/// How many processes and holders are listed for people.
const LISTED: usize = 20;

#[derive(Serialize)]
struct Report<'a> {
    schema: &'static str,
    ns: &'a NsInfo,
    processes: Vec<Member>,
    holders: Vec<Keeper>,
    /// What must happen, all of it; empty if nothing visible holds the namespace.
    frees: Vec<String>,
    /// How many processes may not be looked at.
    unreadable: u32,
}

/// Looks, and tells.
pub(super) fn run(args: &WhyArgs) -> Result<ExitCode, Failure> {
    let world = sight::about(args.source.0, &args.selector)?;
    let row = resolve::one(&args.selector, &world).map_err(|error| sight::refusal(&error))?;
    let holders: Vec<_> = row.holders.iter().map(|holder| Keeper::new(holder, &world)).collect();
    let processes = Member::of(row, &world);
    let report = Report {
        schema: SCHEMA,
        ns: &row.info,
        frees: releases(row, &processes, &holders),
        processes,
        holders,
        unreadable: world.unreadable,
    };
    if args.json {
        sight::print_json(&report)?;
    } else {
        sight::print(&text(&report, row))?;
    }
    sight::tell_hidden(&world);
    Ok(ExitCode::SUCCESS)
}

fn text(report: &Report<'_>, row: &NsRow) -> String {
    let color = terminal::has_color(io::stdout().is_terminal());
    let mut sheet = Sheet::new(color, terminal::charset());
    sheet.section(&row.info.to_ref().to_string());
    let none = report.processes.is_empty();
    let count = Count(report.processes.len() as u64, "process");
    let members = if none { "no process is in it".to_owned() } else { format!("{count} in it") };
    sheet.row(Mark::Fact, ["members", &members]);
    members_of(&mut sheet, &report.processes);
    held_by(&mut sheet, &report.holders);
    sheet.section("What would free it");
    for step in report.frees.iter().take(LISTED) {
        sheet.row(Mark::Fact, [step.as_str()]);
    }
    more(&mut sheet, report.frees.len());
    if report.frees.is_empty() {
        sheet.row(Mark::Notable, ["nothing visible holds it"]);
        let hint = "it may be a key, credentials of io_uring, a mount where no process is, the kernel \
                    itself, or it is just being freed; where the kernel's memory cannot be read also \
                    a message on its way, a file of io_uring, attached memory";
        sheet.row(Mark::Fact, [hint]);
    }
    sheet.render()
}

/// A section of processes, cut where it gets long.
pub(super) fn members_of(sheet: &mut Sheet, members: &[Member]) {
    if members.is_empty() {
        return;
    }
    sheet.section("Processes");
    for member in members.iter().take(LISTED) {
        let (pid, uid) = (member.pid.to_string(), format!("uid {}", member.uid));
        let threads = Count(member.threads.into(), "thread").to_string();
        if member.ended {
            let ended = format!("has ended; its parent {} has not waited for it", member.ppid);
            sheet.row(Mark::Notable, [&pid, &uid, &threads, &member.comm, &ended]);
        } else {
            sheet.row(Mark::Fact, [&pid, &uid, &threads, &member.comm]);
        }
    }
    more(sheet, members.len());
}

/// A section of holders, cut where it gets long: a named network namespace is mounted in every mount
/// namespace there is.
pub(super) fn held_by(sheet: &mut Sheet, holders: &[Keeper]) {
    if holders.is_empty() {
        return;
    }
    sheet.section("Held by");
    for keeper in holders.iter().take(LISTED) {
        sheet.row(Mark::Fact, [keeper.holder, &keeper.what()]);
    }
    more(sheet, holders.len());
}

/// How many of so many are not listed.
fn more(sheet: &mut Sheet, count: usize) {
    if let Some(more) = count.checked_sub(LISTED).filter(|more| *more > 0) {
        sheet.row(Mark::Fact, [&format!("and {more} more; -J lists all")]);
    }
}
