//! `ns-trace history`: what happened.

mod choice;
mod lives;
mod stream;

use std::{io, process::ExitCode};

use crate::{
    cli::{Format, HistoryArgs, HistoryCommand},
    history::{Error, Store},
    report::{Class, Failure},
    serve::{config::Config, default_history},
};

/// Answers from the store.
pub(super) fn run(args: &HistoryArgs) -> Result<ExitCode, Failure> {
    let file = args.file.clone().unwrap_or_else(|| {
        // What is wrong with a configuration is no concern of who reads.
        Config::load(None).map_or_else(|_| default_history(), |config| config.history.file())
    });
    let store = Store::read(&file).map_err(|error| told(&error))?;
    let told = |error: Error| told(&error);
    match &args.command {
        None if args.at.is_none() => stream::print(&store, args),
        None => lives::list(&store, args.at, &args.choice.kinds, args.format == Format::Json),
        Some(HistoryCommand::List { kinds, json }) => lives::list(&store, args.at, kinds, *json),
        Some(_) if args.at.is_some() => {
            Err(Failure::new("--at goes with list").class(Class::Usage))
        }
        Some(HistoryCommand::Diff { from, to, kinds, json }) => {
            if to < from {
                let what = "the second time is before the first";
                return Err(Failure::new(what).class(Class::Usage));
            }
            let difference = store.difference(*from, *to).map_err(told)?;
            lives::difference(&difference, kinds, *json)
        }
        Some(HistoryCommand::Who { selector, json }) => lives::who(&store, selector, *json),
        Some(HistoryCommand::Export { choice }) => stream::export(&store, choice),
    }
}

/// What cannot be read, and what can be done.
fn told(error: &Error) -> Failure {
    let failure = Failure::new(error.to_string());
    match error {
        Error::Missing(_) => {
            failure.hint("the collector writes it: run ns-trace serve, or name another by --file")
        }
        Error::Open { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            failure.class(Class::Privilege).hint("only its owner may read it, mostly root")
        }
        Error::Newer { .. } => failure.hint("use the ns-trace that wrote it, or a later one"),
        _ => failure,
    }
}
