//! `ns-trace history`: what happened.

mod choice;
mod lives;
mod source;
mod stream;

use std::process::ExitCode;

use self::source::Past;
use crate::{
    cli::{Format, HistoryArgs, HistoryCommand},
    report::{Class, Failure},
};

/// Answers from the file of the history, or as the collector does.
pub(super) fn run(args: &HistoryArgs) -> Result<ExitCode, Failure> {
    let past = Past::of(args)?;
    match &args.command {
        None if args.at.is_none() => stream::print(&past, args),
        None => lives::list(&past, args.at, &args.choice.kinds, args.format == Format::Json),
        Some(HistoryCommand::List { kinds, json }) => lives::list(&past, args.at, kinds, *json),
        Some(_) if args.at.is_some() => {
            Err(Failure::new("--at goes with list").class(Class::Usage))
        }
        Some(HistoryCommand::Diff { from, to, kinds, json }) => {
            if to < from {
                let what = "the second time is before the first";
                return Err(Failure::new(what).class(Class::Usage));
            }
            lives::difference(&past.difference(*from, *to)?, kinds, *json)
        }
        Some(HistoryCommand::Who { selector, json }) => lives::who(&past, selector, *json),
        Some(HistoryCommand::Export { choice }) => stream::export(&past, choice),
    }
}
