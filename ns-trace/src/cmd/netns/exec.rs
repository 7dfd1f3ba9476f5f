//! Running programs in named network namespaces.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    process::{Command, ExitCode, ExitStatus},
};

use super::{OWN, Outcome, Problem, place, print, shown, tell, words};
use crate::{
    cli::NetnsOptions,
    model::Kind,
    name::Names,
    report::{Class, Failure},
};

/// `exec NAME COMMAND…`, or with --all `exec COMMAND…`.
pub(super) fn run(words: &[OsString], options: &NetnsOptions) -> Outcome {
    if options.all {
        return in_each(command(words)?);
    }
    let (name, rest) =
        words.split_first().ok_or_else(|| Problem::new("No netns name specified"))?;
    let command = command(rest)?;
    place::enter(name).map_err(|problem| problem.status(OWN))?;
    let (program, args) = command;
    let error = Command::new(program).args(args).exec();
    Err(failed(program, &error))
}

/// As [`run`], in a child: this process has more to do.
pub(super) fn run_in_child(words: &[OsString], options: &NetnsOptions) -> Outcome {
    if options.all {
        return in_each(command(words)?);
    }
    Ok(ExitCode::from(again(words)?))
}

fn command(words: &[OsString]) -> Result<(&OsStr, &[OsString]), Problem> {
    let words = match words.split_first() {
        Some((mark, rest)) if mark == "--" => rest,
        _ => words,
    };
    let (program, args) =
        words.split_first().ok_or_else(|| Problem::new("No command specified"))?;
    Ok((program, args))
}

/// Runs a program in every namespace that has a name, one after the other.
fn in_each((program, args): (&OsStr, &[OsString])) -> Outcome {
    let mut first = 0;
    for name in Names::of(Kind::Net).list()? {
        print(&format!("\nnetns: {}\n", shown(&name)))?;
        let words = [&[name, program.to_owned()], args].concat();
        let status = again(&words).unwrap_or_else(|problem| {
            tell(&problem);
            OWN
        });
        first = if first == 0 { status } else { first };
    }
    Ok(ExitCode::from(first))
}

/// Runs this program once more, for one namespace.
fn again(words: &[OsString]) -> Result<u8, Problem> {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("ns-trace").args(["netns", "exec"]).args(words);
    let status =
        command.status().map_err(|error| Problem::new(format!("cannot start: {error}")))?;
    Ok(code(status))
}

/// A status as a shell has it.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

fn failed(program: &OsStr, error: &io::Error) -> Problem {
    let class = match error.kind() {
        io::ErrorKind::NotFound => Class::NotFound,
        _ => Class::NotExecutable,
    };
    let sentence = format!("exec of \"{}\" failed: {}", shown(program), words(error));
    Problem { failure: Failure::new(sentence).class(class), status: class.code() }
}
