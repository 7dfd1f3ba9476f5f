//! `ns-trace netns`: names of namespaces, as ip-netns(8) has them.

mod batch;
mod exec;
mod members;
mod monitor;
mod number;
mod pin;
mod place;

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Write as _},
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    process::ExitCode,
};

use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    cli::{NetnsArgs, NetnsCommand, NetnsOptions},
    model::{Kind, printable},
    name::{Error, Names, Source},
    report::{self, Class, Failure},
    view::{escape, terminal},
};

/// What ip(8) returns for failures of `exec` itself, and for words that it does not know or that
/// cannot be what they stand for. If a word is missing it is 1.
const OWN: u8 = 255;
/// What it returns if the kernel refuses what it was asked over netlink.
const REFUSED: u8 = 2;

/// A failure with its exit status.
struct Problem {
    failure: Failure,
    status: u8,
}

impl Problem {
    fn new(sentence: impl Into<String>) -> Self {
        Self { failure: Failure::new(sentence), status: 1 }
    }

    fn usage(sentence: impl Into<String>) -> Self {
        Self::new(sentence).status(OWN)
    }

    const fn status(mut self, status: u8) -> Self {
        self.status = status;
        self
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self { failure: self.failure.hint(hint), ..self }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let problem = Self::new(error.to_string());
        match &error {
            Error::Invalid(_) => {
                problem.status(OWN).hint("a name is that of a file: no slash, at most 255 bytes")
            }
            Error::Dead { kind, path } => problem.hint(format!(
                "it may be left from a program that was killed; ns-trace netns {} {} removes it",
                if *kind == Kind::Net { "delete" } else { "unpin" },
                path.file_name().unwrap_or_default().display()
            )),
            // A mount namespace holds all that is mounted in it. What is older the kernel tells by
            // the ids (`mnt_ns_loop` in fs/namespace.c).
            Error::Bind { kind: Kind::Mnt, .. } if error.errno() == Some(libc::EINVAL) => problem
                .hint(
                    "the kernel mounts a mount namespace only in one that is older, which is one \
                     of a smaller id, never in itself or a younger one: name it from outside \
                     (Linux 6.18 numbers on every CPU apart: what began later on another CPU may \
                     pass for older there)",
                ),
            Error::Bind { .. } if error.errno() == Some(libc::ENOSPC) => problem.hint(
                "the limit fs.mount-max (sysctl) of this mount namespace is reached",
            ),
            Error::Create { .. } | Error::Directory { .. }
                if error.errno() == Some(libc::ENOSPC) =>
            {
                problem.hint("the file system of that directory is full: `df` and `df -i` tell")
            }
            _ => match error.errno() {
                Some(libc::EPERM | libc::EACCES) => problem
                    .status(Class::Privilege.code())
                    .hint("it takes CAP_SYS_ADMIN in the user namespace that owns the mounts; run it as root"),
                Some(libc::ENOSPC) => problem.hint(
                    "the limit user.max_net_namespaces (sysctl) is reached; `ns-trace list -t net` \
                     shows who has them",
                ),
                _ => problem,
            },
        }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self { status: failure.status(), failure }
    }
}

type Outcome = Result<ExitCode, Problem>;

/// Runs the command, or those of the batch.
pub(super) fn run(args: &NetnsArgs) -> ExitCode {
    let outcome = start(args);
    outcome.unwrap_or_else(|problem| tell(&problem))
}

fn tell(problem: &Problem) -> ExitCode {
    report::failure(&problem.failure, Some(problem.status))
}

fn start(args: &NetnsArgs) -> Outcome {
    let NetnsArgs { options, command } = args;
    if let Some(name) = &options.netns {
        place::enter(name).map_err(|problem| problem.status(OWN))?;
    }
    match (&options.batch, command) {
        (Some(_), Some(_)) => Err(Problem::usage("a command and --batch exclude each other")),
        (Some(file), None) => batch::run(file, options),
        (None, command) => perform(command.as_ref(), options),
    }
}

/// Carries out one command.
fn perform(command: Option<&NetnsCommand>, options: &NetnsOptions) -> Outcome {
    let all = options.all;
    if all && !matches!(command, Some(NetnsCommand::Delete { .. } | NetnsCommand::Exec { .. })) {
        return Err(Problem::usage("--all is for delete and exec"));
    }
    let names = Names::of(Kind::Net);
    match command {
        None => list(Kind::Net, options),
        Some(NetnsCommand::List { kind }) => list(kind.unwrap_or(Kind::Net), options),
        Some(NetnsCommand::ListId { words }) => number::list(words, options),
        Some(NetnsCommand::Set { name, id }) => number::set(name, id),
        Some(NetnsCommand::Add { name }) => done(names.add(name, &Source::New)),
        Some(NetnsCommand::Attach { name, pid }) => attach(name, pid),
        Some(NetnsCommand::Delete { name }) => delete(name.as_deref(), all),
        Some(NetnsCommand::Identify { pid }) => members::identify(pid.as_deref(), options),
        Some(NetnsCommand::Pids { name }) => members::pids(name, options),
        Some(NetnsCommand::Exec { words }) => exec::run(words, options),
        Some(NetnsCommand::Pin { selector, name, kind }) => pin::pin(selector, name, *kind),
        Some(NetnsCommand::Unpin { name, kind }) => pin::unpin(name, *kind),
        Some(NetnsCommand::Monitor) => monitor::run(options),
    }
}

fn done(result: Result<(), Error>) -> Outcome {
    Ok(result.map(|()| ExitCode::SUCCESS)?)
}

/// A name as JSON has it.
#[derive(Serialize)]
struct Row {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u32>,
}

fn list(kind: Kind, options: &NetnsOptions) -> Outcome {
    let names = Names::of(kind);
    let found = names.list()?;
    let numbers = (kind == Kind::Net).then(number::Numbers::open).transpose()?;
    let mut rows = Vec::with_capacity(found.len());
    for name in found {
        let id = numbers.as_ref().and_then(|numbers| numbers.of_name(&names, &name));
        rows.push((name, id));
    }
    if options.json {
        // As ip(8) has it: without a name there is nothing, and not even an empty array.
        let rows: Vec<_> =
            rows.iter().map(|(name, id)| Row { name: plain(name), id: *id }).collect();
        return if rows.is_empty() { Ok(ExitCode::SUCCESS) } else { print_json(&rows, options) };
    }
    let line = |(name, id): (OsString, Option<u32>)| {
        let id = id.map(|id| format!(" (id: {id})")).unwrap_or_default();
        format!("{}{id}\n", shown(&name))
    };
    print(&rows.into_iter().map(line).collect::<String>())
}

fn attach(name: &OsStr, pid: &str) -> Outcome {
    let names = Names::of(Kind::Net);
    names.path(name)?;
    let number = pid.parse().ok().filter(|number: &u32| *number > 0);
    let number = number.ok_or_else(|| Problem::new(format!("Invalid PID: {pid}")))?;
    let source = Source::Open(members::namespace(number)?, format!("/proc/{number}/ns/net"));
    done(names.add(name, &source))
}

fn delete(name: Option<&OsStr>, all: bool) -> Outcome {
    let names = Names::of(Kind::Net);
    match (name, all) {
        (Some(name), false) => done(names.remove(name)),
        (Some(_), true) => Err(Problem::usage("a name and --all exclude each other")),
        (None, false) => Err(Problem::new("No netns name specified")),
        (None, true) => {
            let mut status = ExitCode::SUCCESS;
            for name in names.list()? {
                if let Err(error) = names.remove(&name) {
                    status = tell(&error.into());
                }
            }
            Ok(status)
        }
    }
}

/// Opens a file of a namespace that somebody named by its path.
fn open(path: &OsStr) -> Result<OwnedFd, Problem> {
    let file = File::open(path);
    file.map(OwnedFd::from).map_err(|error| {
        Problem::new(format!(
            "Cannot open network namespace \"{}\": {}",
            shown(path),
            words(&error)
        ))
    })
}

/// A name as JSON has it.
fn plain(name: &OsStr) -> String {
    printable(name.as_bytes()).0
}

/// A name as people read it.
fn shown(name: &OsStr) -> String {
    escape(&plain(name), terminal::charset()).into_owned()
}

/// An error without the number that Rust adds to it.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

fn print_json(value: &impl Serialize, options: &NetnsOptions) -> Outcome {
    let text = if options.pretty {
        serde_json::to_string_pretty(value)
    } else {
        serde_json::to_string(value)
    };
    print(&(text.map_err(|error| Problem::new(error.to_string()))? + "\n"))
}

fn print(text: &str) -> Outcome {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Problem::new(format!("cannot write: {error}")))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Prints one thing a line, or an array of objects.
fn print_column(key: &str, values: Vec<Value>, options: &NetnsOptions) -> Outcome {
    if options.json {
        let rows: Vec<_> = values.into_iter().map(|value| json!({ key: value })).collect();
        return print_json(&rows, options);
    }
    let mut text = String::new();
    for value in &values {
        match value {
            Value::String(name) => text.push_str(&escape(name, terminal::charset())),
            other => text.push_str(&other.to_string()),
        }
        text.push('\n');
    }
    print(&text)
}
