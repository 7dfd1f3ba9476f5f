//! What the stream says of itself.

use std::fmt::{self, Write as _};

use super::{
    super::{
        color::Style,
        quantity::{Count, Grouped},
    },
    line::Line,
};
use crate::model::event::{ByEvent, EventKind, Loss, Lost, Reason, Stage, Sync};

pub(super) fn lost(event: &Lost, line: &mut Line<'_>) -> fmt::Result {
    let Loss { count, stage, by_event, cpu } = &event.lost;
    let why = match stage {
        Stage::Kernel => "a probe did not run",
        Stage::Ring => "the ring buffer was full",
        Stage::Backlog => "they came faster than they could be written",
        Stage::Sink => "the output could not take them",
    };
    let what = Count(*count, "event");
    let cpu = cpu.map_or_else(String::new, |cpu| format!(" on CPU {cpu}"));
    line.paint(Style::LOUD, format_args!("{what} missing: {why}{cpu}"))?;
    let mut separator = "  ";
    for (kind, count) in sorts(by_event) {
        if count > 0 {
            write!(line, "{separator}{} {}", Grouped(count), kind.name())?;
            separator = ", ";
        }
    }
    Ok(())
}

fn sorts(by_event: &ByEvent) -> [(EventKind, u64); 8] {
    let ByEvent { create, enter, fail, destroy, map, fork, exec, exit } = *by_event;
    [
        (EventKind::Create, create),
        (EventKind::Enter, enter),
        (EventKind::Fail, fail),
        (EventKind::Destroy, destroy),
        (EventKind::Map, map),
        (EventKind::Fork, fork),
        (EventKind::Exec, exec),
        (EventKind::Exit, exit),
    ]
}

pub(super) fn sync(event: &Sync, line: &mut Line<'_>) -> fmt::Result {
    line.write_str(match event.reason {
        Reason::Start => "complete from here on",
        Reason::Lost => "complete again after a loss",
        Reason::Resume => "complete across a restart",
    })?;
    let host = &event.host;
    let (name, kernel, backend) =
        (line.escape(&host.name), line.escape(&host.kernel), line.escape(&host.backend));
    write!(line, "  {name}, Linux {kernel}, {backend}")
}
