//! Namespaces of the past, printed.

use std::{fmt::Write as _, process::ExitCode};

use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};

use super::{Past, choice};
use crate::{
    history::{Account, Difference, Life},
    model::{Cell, Creator, Event, Kind, Process, Selector, Time, event::Body},
    report::{self, Failure, sight},
    serve::past::Moment,
    view::{
        escape,
        table::{Heading, Plain, Table},
        terminal,
    },
};

/// Prints the namespaces that were there at a time, or when the last event was stored.
pub(super) fn list(
    past: &Past,
    at: Option<Time>,
    kinds: &[Kind],
    json: bool,
) -> Result<ExitCode, Failure> {
    let Moment { first, last, at, started, namespaces: mut lives } = past.at(at)?;
    if at < first {
        return Err(Failure::new(format!("the history begins at {}, after that", shown(first))));
    }
    if let Some(started) = started {
        let started = shown(started);
        report::note(&format!(
            "what came and went between the last event before that time and {started}, when a collector \
             was started, is not known"
        ));
    } else if at > last && !past.is_written() {
        let last = shown(last);
        report::note(&format!(
            "the history ends at {last}: what came and went after that is not known"
        ));
    }
    lives.retain(|life| admits(kinds, life.ns.kind));
    lives.sort_by_key(|life| (life.ns.inode, life.ns.kind));
    if json {
        return print_json(&json!({ "at": at, "last": last, "namespaces": lives }));
    }
    let mut table = table(false);
    for life in &lives {
        table.push(None, cells(life));
    }
    print_table(&table)
}

/// Prints what changed.
pub(super) fn difference(
    difference: &Difference,
    kinds: &[Kind],
    json: bool,
) -> Result<ExitCode, Failure> {
    let of = |lives: &[Life]| -> Vec<Life> {
        lives.iter().filter(|life| admits(kinds, life.ns.kind)).cloned().collect()
    };
    let (made, gone) = (of(&difference.made), of(&difference.gone));
    let passed = difference.passed.iter().filter(|(kind, _)| admits(kinds, **kind));
    let passed: u64 = passed.map(|(_, count)| count).sum();
    if json {
        return print_json(&json!({ "made": made, "gone": gone, "passed": passed }));
    }
    let mut table = table(true);
    for (sign, lives) in [("-", &gone), ("+", &made)] {
        for life in lives {
            let mut row = vec![Cell::from(sign)];
            row.extend(cells(life));
            table.push(None, row);
        }
    }
    let code = print_table(&table)?;
    if passed > 0 {
        report::note(&format!("{passed} more came and went in between"));
    }
    Ok(code)
}

/// Prints who made and who entered a namespace.
pub(super) fn who(past: &Past, selector: &Selector, json: bool) -> Result<ExitCode, Failure> {
    let accounts = past.who(choice::namespace(selector)?)?;
    if json {
        return print_json(&json!({ "namespaces": accounts }));
    }
    let mut out = String::new();
    for account in &accounts {
        tell(account, &mut out);
    }
    sight::print(&out)?;
    Ok(ExitCode::SUCCESS)
}

fn admits(kinds: &[Kind], kind: Kind) -> bool {
    kinds.is_empty() || kinds.contains(&kind)
}

fn table(with_sign: bool) -> Table {
    let heading = |name, key| Heading { name, key, ..Heading::default() };
    let right = |name, key| Heading { right: true, ..heading(name, key) };
    let mut headings = vec![
        right("NS", "ns"),
        heading("TYPE", "type"),
        right("ID", "id"),
        heading("SINCE", "began"),
        heading("CAUSE", "cause"),
        right("PID", "pid"),
        right("UID", "uid"),
        heading("COMMAND", "comm"),
    ];
    if with_sign {
        headings.insert(0, heading("", "change"));
    }
    Table::new("namespaces", headings)
}

fn cells(life: &Life) -> Vec<Cell> {
    let text = |text: &str| Cell::from(text);
    let creator = life.creator.as_deref();
    vec![
        text(&life.ns.inode.to_string()),
        text(life.ns.kind.name()),
        text(&life.ns.id.map(|id| id.to_string()).unwrap_or_default()),
        text(&shown(life.began)),
        text(life.cause.map_or("", |cause| cause.name())),
        text(&creator.map(|creator| creator.pid.to_string()).unwrap_or_default()),
        text(&creator.map(|creator| creator.uid.to_string()).unwrap_or_default()),
        text(creator.map_or("", |creator| &*creator.comm)),
    ]
}

fn print_table(table: &Table) -> Result<ExitCode, Failure> {
    let charset = terminal::charset();
    sight::print(&table.to_plain(Plain { headings: true, charset, ..Plain::default() }))?;
    Ok(ExitCode::SUCCESS)
}

fn print_json(value: &Value) -> Result<ExitCode, Failure> {
    sight::print(&format!("{value:#}\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// Writes for people what happened to a namespace.
fn tell(account: &Account, out: &mut String) {
    let Account { life, made, entered, more } = account;
    let id = life.ns.id.map(|id| format!(" (id {id})")).unwrap_or_default();
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{}{id}", life.ns.to_ref());
    let began = shown(life.began);
    match (made.as_ref().map(|event| &event.body), &life.creator) {
        (Some(Body::Create(create)), _) => {
            let _ = writeln!(
                out,
                "  made     {began}  {} by {}",
                create.cause.name(),
                process(&create.process)
            );
        }
        (_, Some(creator)) => {
            let cause = life.cause.map_or("", |cause| cause.name());
            let _ = writeln!(out, "  made     {began}  {cause} by {}", maker(creator));
        }
        _ => {
            let _ = writeln!(out, "  there    {began}  when it was first heard of");
        }
    }
    for event in entered {
        let _ = writeln!(out, "  entered  {}  {}", shown(event.time), entry(event, life));
    }
    if *more {
        let ns = life.ns.to_ref();
        let _ = writeln!(out, "  entered  more often: ns-trace history {ns} -e enter,exec");
    }
    if let Some(ended) = life.ended {
        let _ = writeln!(out, "  ended    {}", shown(ended));
    }
}

fn entry(event: &Event, life: &Life) -> String {
    let (cause, changes) = match &event.body {
        Body::Enter(enter) => (enter.cause.name(), &enter.changes),
        Body::Exec(exec) => ("exec", &exec.changes),
        _ => return String::new(),
    };
    let target = life.ns.to_ref();
    let from = changes.iter().find(|change| {
        change.to.is_some_and(|to| (to.kind, to.inode) == (target.kind, target.inode))
    });
    let from = from.and_then(|change| change.from);
    let from = from.map(|from| format!(" from {from}")).unwrap_or_default();
    let who = event.body.process().map(|task| process(task)).unwrap_or_default();
    format!("{cause} by {who}{from}")
}

fn process(process: &Process) -> String {
    named(process.pid, &process.comm, process.uid)
}

fn maker(creator: &Creator) -> String {
    named(creator.pid, &creator.comm, creator.uid)
}

fn named(pid: u32, comm: &str, uid: u32) -> String {
    format!("{} ({pid}), uid {uid}", escape(comm, terminal::charset()))
}

/// A time where the reader is.
fn shown(Time(nanos): Time) -> String {
    let moment = Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or(Timestamp::UNIX_EPOCH);
    let zoned = moment.to_zoned(TimeZone::system());
    zoned.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string()
}
