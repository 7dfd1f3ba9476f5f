//! What the calls that change namespaces did.

use std::fmt::{self, Write as _};

use super::{super::color::Style, line::Line};
use crate::model::{
    NsRef, Slot,
    event::{Change, Enter, Fail, Target},
};

pub(super) fn enter(event: &Enter, line: &mut Line<'_>) -> fmt::Result {
    changes(&event.changes, line)?;
    line.relation(event.relation)?;
    line.write_str("  by ")?;
    line.call(event.cause, event.flags)?;
    repeated(event.repeat, line)
}

/// How many calls the line stands for, if it is not one.
fn repeated(repeat: Option<u64>, line: &mut Line<'_>) -> fmt::Result {
    match repeat {
        None => Ok(()),
        Some(1) => line.paint(Style::NOTABLE, format_args!("  once more")),
        Some(repeat) => line.paint(Style::NOTABLE, format_args!("  {repeat} times more")),
    }
}

pub(super) fn changes(changes: &[Change], line: &mut Line<'_>) -> fmt::Result {
    for (at, change) in changes.iter().enumerate() {
        if at > 0 {
            line.write_str(", ")?;
        }
        let Change { slot, from, to } = change;
        // The two slots for children would pass for the task's own otherwise.
        if slot.name() != slot.kind().name() {
            write!(line, "{} ", slot.name())?;
        }
        side(*slot, from.as_ref(), Style::DIM, line)?;
        line.arrow()?;
        side(*slot, to.as_ref(), Style::CYAN, line)?;
    }
    Ok(())
}

fn side(slot: Slot, ns: Option<&NsRef>, style: Style, line: &mut Line<'_>) -> fmt::Result {
    match ns {
        Some(ns) => line.namespace(ns, style),
        None => line.paint(style, format_args!("{}:?", slot.kind().name())),
    }
}

pub(super) fn fail(event: &Fail, line: &mut Line<'_>) -> fmt::Result {
    line.call(event.cause, event.flags)?;
    line.write_char(' ')?;
    line.paint(Style::RED, format_args!("{}", event.errno))?;
    match &event.target {
        None => {}
        Some(Target::Namespace(ns)) => write!(line, " on {ns}")?,
        Some(Target::Process(target)) => {
            write!(line, " on process {}", target.pid)?;
            for (at, ns) in target.ns.iter().enumerate() {
                write!(line, "{}{ns}", if at == 0 { ": " } else { ", " })?;
            }
        }
    }
    line.relation(event.relation)?;
    // The reason of an EINVAL may be among the flags that name no namespace.
    if event.flags.rest() != 0 {
        write!(line, "  other flags {:#x}", event.flags.rest())?;
    }
    repeated(event.repeat, line)
}
