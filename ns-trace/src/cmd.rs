//! The rooms: one file per command, and how their failures are told.

mod completions;
mod create;
mod doctor;
mod enter;
mod exec;
mod history;
mod list;
mod netns;
mod rules;
mod serve;
mod show;
mod top;
mod trace;
mod tree;
mod why;

use std::{
    env,
    io::{self, Write as _},
    process::ExitCode,
};

use crate::{
    cli::{Called, Cli, Command},
    plan::{Plan, Trouble},
    report::{self, Class, Failure},
    sys::job,
};

/// Runs a command and says what became of it.
#[must_use]
pub fn run(called: &Called, cli: &Cli) -> ExitCode {
    let (result, own_failure) = match &cli.command {
        Command::Trace(args) => {
            // With a command its own statuses are its own: ours must be told apart from them.
            let own = (!args.command.is_empty()).then_some(report::OWN_FAILURE);
            (trace::run(args), own)
        }
        Command::List(args) => (list::run(args), None),
        Command::Tree(args) => (tree::run(args), None),
        Command::Show(args) => (show::run(args), None),
        Command::Why(args) => (why::run(args), None),
        Command::Rules(args) => (rules::run(args), None),
        Command::Top(args) => (top::run(args), None),
        Command::History(args) => (history::run(args), None),
        Command::Serve(args) => (serve::run(args), None),
        Command::Doctor(args) => (doctor::run(args), None),
        Command::Create(args) => return carry_out(called, create::plan(args)),
        Command::Enter(args) => return carry_out(called, enter::plan(args)),
        Command::Exec(args) => return carry_out(called, exec::plan(args)),
        Command::Netns(args) => return netns::run(args),
        Command::Completions { shell } => (completions::run(*shell), None),
        Command::Complete { prefix } => return completions::live::run(prefix),
    };
    match result {
        Ok(code) => code,
        Err(error) => report::failure(&error, own_failure),
    }
}

/// Says what is wrong with the command line, or shows the help that it asks for.
#[must_use]
pub fn refuse(called: &Called, error: &clap::Error) -> ExitCode {
    // Without a reader there is nobody to tell.
    drop(error.print());
    let mut words = env::args_os().skip(1);
    let has_command =
        words.next().is_some_and(|first| first == "trace") && words.any(|word| word == "--");
    match error.exit_code() {
        0 => ExitCode::SUCCESS,
        _ if has_command && words.next().is_some() => ExitCode::from(report::OWN_FAILURE),
        _ => ExitCode::from(called.usage_status(error.kind())),
    }
}

/// What to do with a plan.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum How {
    /// Do it.
    Do,
    /// Show it as text.
    Text,
    /// Show it as JSON.
    Json,
}

impl How {
    /// What --dry-run and --json ask for.
    const fn new(dry_run: bool, json: bool) -> Self {
        match (dry_run, json) {
            (true, true) => Self::Json,
            (true, false) => Self::Text,
            (false, _) => Self::Do,
        }
    }
}

/// Carries out the plan that could be made, and says what is wrong.
fn carry_out(called: &Called, plan: Result<(Plan, How), Failure>) -> ExitCode {
    let (plan, how) = match plan {
        Ok(plan) => plan,
        Err(failure) => return tell(called, &failure),
    };
    let text = match how {
        How::Text => plan.text(),
        How::Json => format!("{:#}\n", plan.json()),
        How::Do => {
            return match plan.carry_out() {
                Ok(end) => ExitCode::from(job::follow(end)),
                Err(trouble) => {
                    let status = trouble.exit_status();
                    tell(called, &failure(&trouble));
                    ExitCode::from(status)
                }
            };
        }
    };
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            tell(called, &Failure::new(format!("cannot write the plan: {error}")))
        }
        _ => ExitCode::SUCCESS,
    }
}

fn tell(called: &Called, failure: &Failure) -> ExitCode {
    report::failure_of(called.tool(), failure, Some(Class::Failure.code()))
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        failure(&trouble)
    }
}

fn failure(trouble: &Trouble) -> Failure {
    let failure = Failure::new(trouble.to_string());
    match trouble.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
