//! Events of the past, printed.

use std::{io, ops::ControlFlow, process::ExitCode};

use super::{choice, told};
use crate::{
    cli::{Color, Format, HistoryArgs, HistoryChoice},
    cmd::trace::output,
    history::Store,
    report::{self, Failure, sight},
    sink::Outlet as _,
};

/// Prints events as they are asked for.
pub(super) fn print(store: &Store, args: &HistoryArgs) -> Result<ExitCode, Failure> {
    if args.count {
        return count(store, &args.choice);
    }
    events(store, &args.choice, args.format, args.color)
}

/// Prints events as a recording.
pub(super) fn export(store: &Store, choice: &HistoryChoice) -> Result<ExitCode, Failure> {
    events(store, choice, Format::Json, Color::Never)
}

fn events(
    store: &Store,
    choice: &HistoryChoice,
    format: Format,
    color: Color,
) -> Result<ExitCode, Failure> {
    let (query, mut selection) = choice::query(store, choice)?;
    let mut sink = output::of_the_past(format, color);
    let broken = store.events(&query, |event| {
        if !selection.admits(&event) {
            return ControlFlow::Continue(());
        }
        match sink.write(&event) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    });
    let broken = broken.map_err(|error| told(&error))?;
    match broken.map_or_else(|| sink.flush(), Err) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            return Err(Failure::new(format!("cannot write: {error}")));
        }
        _ => {}
    }
    say_errors(&selection);
    Ok(ExitCode::SUCCESS)
}

fn count(store: &Store, choice: &HistoryChoice) -> Result<ExitCode, Failure> {
    let (query, mut selection) = choice::query(store, choice)?;
    let mut count = 0_u64;
    let ended = store.events::<()>(&query, |event| {
        count += u64::from(selection.admits(&event));
        ControlFlow::Continue(())
    });
    ended.map_err(|error| told(&error))?;
    sight::print(&format!("{count}\n"))?;
    say_errors(&selection);
    Ok(ExitCode::SUCCESS)
}

fn say_errors(selection: &crate::pipeline::Selection) {
    let errors = selection.filter.as_ref().map_or(0, crate::expr::Filter::errors);
    if errors > 0 {
        report::note(&format!("--where could not be evaluated for {errors} events"));
    }
}
