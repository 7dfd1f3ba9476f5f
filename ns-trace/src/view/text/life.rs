//! Birth, existence and death of namespaces.

use std::fmt::{self, Write as _};

use super::{
    super::{
        color::Style,
        quantity::{Count, Lasting},
    },
    line::Line,
};
use crate::model::{
    Cause, Kind, NsInfo,
    event::{Create, Destroy, Exist, Map},
};

pub(super) fn create(event: &Create, line: &mut Line<'_>) -> fmt::Result {
    line.namespace(&event.ns.to_ref(), Style::GREEN)?;
    line.write_str("  by ")?;
    match event.cause {
        Cause::Kernel => line.write_str("the kernel")?,
        cause => line.call(cause, event.flags)?,
    }
    relatives(&event.ns, "  ", line)
}

pub(super) fn exist(event: &Exist, line: &mut Line<'_>) -> fmt::Result {
    line.namespace(&event.ns.to_ref(), Style::PLAIN)?;
    write!(line, "  {}", Count(u64::from(event.members), "task"))?;
    relatives(&event.ns, ", ", line)
}

pub(super) fn map(event: &Map, line: &mut Line<'_>) -> fmt::Result {
    /// How many ranges are worth showing.
    const RANGES: usize = 4;
    line.namespace(&event.ns.to_ref(), Style::PLAIN)?;
    let map = &event.map;
    write!(line, "  {}", map.file.name())?;
    if let Some(value) = &map.value {
        let value = line.escape(value);
        write!(line, " {value}")?;
    }
    for (at, range) in map.lines.iter().take(RANGES).enumerate() {
        let separator = if at == 0 { " " } else { ", " };
        write!(line, "{separator}{} {} {}", range.inside, range.outside, range.count)?;
    }
    if map.truncated || map.lines.len() > RANGES {
        let mark = line.ellipsis();
        write!(line, " {mark}")?;
    }
    if let Some(errno) = event.errno {
        line.write_char(' ')?;
        line.paint(Style::RED, format_args!("{errno}"))?;
    }
    Ok(())
}

/// Owner and parent; of a user namespace they are the same.
fn relatives(ns: &NsInfo, separator: &str, line: &mut Line<'_>) -> fmt::Result {
    if let Some(owner) = &ns.owner
        && ns.kind != Kind::User
    {
        write!(line, "{separator}owner {owner}")?;
    }
    if let Some(parent) = &ns.parent {
        write!(line, "{separator}parent {parent}")?;
        // The first level is where they all are that nobody has nested.
        if let Some(level) = ns.level.filter(|level| *level > 1) {
            write!(line, " (level {level})")?;
        }
    }
    Ok(())
}

pub(super) fn destroy(event: &Destroy, boot_ns: u64, line: &mut Line<'_>) -> fmt::Result {
    /// From here on it is worth a word that something other than a task kept it.
    const KEPT: u64 = 100_000_000;
    line.namespace(&event.ns.to_ref(), Style::MAGENTA)?;
    match event.lifetime_ns {
        Some(lifetime) => write!(line, "  lived {}", Lasting(lifetime))?,
        None => line.write_str("  older than this trace")?,
    }
    if let Some(creator) = &event.creator {
        let comm = line.escape(&creator.comm);
        write!(line, ", made by {} {comm}", creator.pid)?;
    }
    if let Some(left) = event.last_task_boot_ns
        && let Some(kept) = boot_ns.checked_sub(left).filter(|kept| *kept >= KEPT)
    {
        write!(line, ", outlived its last task by {}", Lasting(kept))?;
    }
    Ok(())
}
