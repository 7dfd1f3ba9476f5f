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
    choice::check(args)?;
    let past = Past::of(args)?;
    let is_json = args.format == Format::Json;
    match &args.command {
        None if args.at.is_none() => stream::print(&past, args),
        None => lives::list(&past, args.at, &args.choice.kinds, is_json),
        Some(HistoryCommand::List { kinds, json }) => {
            lives::list(&past, args.at, kinds, *json || is_json)
        }
        Some(_) if args.at.is_some() => {
            Err(Failure::new("--at goes with list").class(Class::Usage))
        }
        Some(HistoryCommand::Diff { from, to, kinds, json }) => {
            if to < from {
                let what = "the second time is before the first";
                return Err(Failure::new(what).class(Class::Usage));
            }
            lives::difference(&past.difference(*from, *to)?, kinds, *json || is_json)
        }
        Some(HistoryCommand::Who { selector, json }) => {
            lives::who(&past, selector, *json || is_json)
        }
        Some(HistoryCommand::Export { choice }) => stream::export(&past, choice),
    }
}
