//! What the commands that look at the system have in common: the look, and how its limits are told.

use std::io::{self, Write as _};

use serde::Serialize;

use super::{Class, Failure};
use crate::{
    model::{Want, World},
    pipeline::{look, resolve::ResolveError},
    view::{escape, quantity::Count, terminal},
};

/// All there is to see.
pub(crate) fn everything() -> Result<World, Failure> {
    sight(&Want::ALL)
}

/// What is wanted of it.
pub(crate) fn sight(want: &Want) -> Result<World, Failure> {
    look(want).map_err(|error| {
        Failure::new(format!("cannot list /proc: {error}"))
            .hint("mount it: mount -t proc proc /proc")
    })
}

/// A selector that names nothing.
pub(crate) fn refusal(error: &ResolveError) -> Failure {
    let failure = Failure::new(escape(&error.to_string(), terminal::charset()));
    match error {
        ResolveError::Unknown { .. } | ResolveError::NoNamespace { .. } => failure
            .hint("it may be dead by now, or out of sight; `ns-trace list` shows what there is"),
        ResolveError::Ambiguous { .. } => failure.hint("name one of them"),
        ResolveError::Hidden { .. } => failure
            .class(Class::Privilege)
            .hint("it takes CAP_SYS_PTRACE and no fewer capabilities than the process has"),
        ResolveError::File { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            failure.class(Class::Privilege)
        }
        ResolveError::Empty { .. } | ResolveError::File { .. } => failure,
    }
}

/// Says on standard error what could not be seen.
pub(crate) fn tell_hidden(world: &World) {
    if world.unreadable > 0 {
        let processes = Count(world.unreadable.into(), "process");
        super::note(&format!(
            "{processes} may not be looked into (CAP_SYS_PTRACE is missing, or they have \
             capabilities that this process lacks): what only they hold is not shown"
        ));
    }
}

/// Writes a report as JSON.
pub(crate) fn print_json(report: &impl Serialize) -> Result<(), Failure> {
    let json = serde_json::to_string_pretty(report);
    print(&(json.map_err(|error| Failure::new(format!("cannot write JSON: {error}")))? + "\n"))
}

/// Writes to standard output; a reader who went away is no failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}
