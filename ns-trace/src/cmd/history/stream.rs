//! Events of the past, printed.

use std::{io, ops::ControlFlow, process::ExitCode};

use super::{Past, choice};
use crate::{
    cli::{Color, Format, HistoryArgs, HistoryChoice},
    cmd::trace::output,
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

fn count(past: &Past, choice: &HistoryChoice) -> Result<ExitCode, Failure> {
    let mut count = 0_u64;
    let (_, errors) = past.events::<()>(choice::wanted(choice)?, |_| {
        count += 1;
        ControlFlow::Continue(())
    })?;
    sight::print(&format!("{count}\n"))?;
    say(errors);
    Ok(ExitCode::SUCCESS)
}

fn say(errors: u64) {
    if errors > 0 {
        report::note(&format!("--where could not be evaluated for {errors} events"));
    }
}
