//! Events of the past, printed.

use std::{io, ops::ControlFlow, process::ExitCode};

use super::{Past, choice};
use crate::{
    cli::{Color, Format, HistoryArgs, HistoryChoice},
    cmd::trace::output,
    expr::Filter,
    model::{Event, event::Body},
    report::{self, Failure, sight},
    sink::Outlet as _,
};

/// Prints events as they are asked for.
pub(super) fn print(past: &Past, args: &HistoryArgs) -> Result<ExitCode, Failure> {
    if args.count {
        return count(past, &args.choice);
    }
    events(past, &args.choice, args.format, args.color)
}

/// Prints events as a recording.
pub(super) fn export(past: &Past, choice: &HistoryChoice) -> Result<ExitCode, Failure> {
    events(past, choice, Format::Json, Color::Never)
}

fn events(
    past: &Past,
    choice: &HistoryChoice,
    format: Format,
    color: Color,
) -> Result<ExitCode, Failure> {
    let mut sink = output::of_the_past(format, color);
    let each = |event| match sink.write(&event) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    };
    let (broken, errors) = past.events(choice::wanted(choice)?, each)?;
    match broken.map_or_else(|| sink.flush(), Err) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            return Err(Failure::new(format!("cannot write: {error}")));
        }
        _ => {}
    }
    say(errors);
    Ok(ExitCode::SUCCESS)
}

/// Counts the events that are asked for, and of the others only what is told with them: that some are
/// missing.
fn count(past: &Past, choice: &HistoryChoice) -> Result<ExitCode, Failure> {
    let wanted = choice::wanted(choice)?;
    let events = choice.events.clone();
    let is_of_all = wanted.is_of_all();
    let mut filter = wanted.filter.as_deref().and_then(|filter| Filter::compile(filter).ok());
    let (mut count, mut lost) = (0_u64, 0_u64);
    let mut is_meant = |event: &Event| {
        is_of_all
            || events.contains(&event.body.kind())
            || filter.as_mut().is_some_and(|filter| filter.matches(event))
    };
    let (_, errors) = past.events::<()>(wanted, |event| {
        match &event.body {
            Body::Lost(body) if !is_meant(&event) => lost += body.lost.count,
            Body::Sync(_) if !is_meant(&event) => {}
            _ => count += 1,
        }
        ControlFlow::Continue(())
    })?;
    sight::print(&format!("{count}\n"))?;
    if lost > 0 {
        report::note(&format!(
            "{lost} events were lost in that time; some of them may be missing here"
        ));
    }
    say(errors);
    Ok(ExitCode::SUCCESS)
}

fn say(errors: u64) {
    if errors > 0 {
        report::note(&format!("--where could not be evaluated for {errors} events"));
    }
}
