//! `ns-trace rules`: check, list, test and explain rules.

mod check;
mod explain;
mod list;
mod test;

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use crate::{
    cli::{RulesArgs, RulesCommand},
    report::Failure,
    rule::{self, File, Problem, Rules, SourceError},
};

/// Does what is asked for.
pub(super) fn run(args: &RulesArgs) -> Result<ExitCode, Failure> {
    match &args.command {
        RulesCommand::Check { paths, json } => check::run(paths, *json),
        RulesCommand::List { paths, json } => list::run(&load(paths)?, *json),
        RulesCommand::Test { paths, replay: None, json, .. } => test::run(&load(paths)?, *json),
        RulesCommand::Test { paths, replay: Some(replay), exit_code, json } => {
            test::replay(&load(paths)?, replay, *json, *exit_code)
        }
        RulesCommand::Explain { id, paths, json } => explain::run(&load(paths)?, id, *json),
    }
}

/// Reads and checks rules.
pub(super) fn load(paths: &[PathBuf]) -> Result<Rules, Failure> {
    rule::load(&files(paths)?).map_err(|problems| failure(&problems))
}

/// All problems as one failure.
fn failure(problems: &[Problem]) -> Failure {
    let text: Vec<_> = problems.iter().map(ToString::to_string).collect();
    let what = match problems.len() {
        1 => "a problem".to_owned(),
        number => format!("{number} problems"),
    };
    Failure::new(format!("{what} with the rules\n{}", text.join("\n")))
}

/// The files that are meant.
fn files(paths: &[PathBuf]) -> Result<Vec<Arc<File>>, Failure> {
    rule::files(paths).map_err(|error| {
        let failure = Failure::new(error.to_string());
        match error {
            SourceError::Read { source, .. }
                if source.kind() == io::ErrorKind::NotFound && !paths.is_empty() =>
            {
                failure.hint("`shipped` is the word for the rules that come with ns-trace")
            }
            _ => failure,
        }
    })
}

/// Prints the answer; a reader that went away is content.
fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("cannot write: {error}")))
        }
        _ => Ok(()),
    }
}

/// Prints an answer in JSON.
fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    print(&format!("{value:#}\n"))
}
