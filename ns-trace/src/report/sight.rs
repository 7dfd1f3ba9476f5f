//! What the commands that look at the system have in common: the look, and how its limits are told.

use std::io::{self, Write as _};

use serde::Serialize;

use super::{Class, Failure};
use crate::{
    discover,
    model::{From, Mounts, Selector, Want, World},
    pipeline::{
        self, look,
        resolve::{self, ResolveError},
    },
    serve::client::{self, ClientError},
    sys::{
        memory,
        process::{initial_namespace, own_namespace},
    },
    view::{escape, quantity::Count, terminal},
};

/// What is wanted of it.
pub(crate) fn sight(from: From, want: &Want) -> Result<World, Failure> {
    memory::take_large_pages();
    match live(from, || client::look(want)) {
        Some(Ok(world)) if want.mounts >= Mounts::Own => Ok(mounted(world)),
        Some(answer) => answer,
        None => scan(want),
    }
}

/// All there is to see of what a selector names.
pub(crate) fn about(from: From, selector: &Selector) -> Result<World, Failure> {
    memory::take_large_pages();
    let ask = || match resolve::anywhere(selector) {
        Some(selector) => client::about(selector),
        None => client::look(&Want::ALL),
    };
    match live(from, ask) {
        Some(answer) => answer.map(mounted),
        None => pipeline::about(selector, None, look).map_err(|error| unlisted(&error)),
    }
}

/// The mounts where we see them, not where the collector does.
fn mounted(mut world: World) -> World {
    discover::mounted(&mut world);
    world
}

/// What a collector says; `None` if it is to be looked for without one.
fn live(
    from: From,
    ask: impl FnOnce() -> Result<World, ClientError>,
) -> Option<Result<World, Failure>> {
    match (from, asks_as_it_is_numbered()) {
        (From::Scan, _) | (From::Auto, false) => None,
        (From::Live, false) => Some(Err(elsewhere())),
        (From::Auto, true) => ask().ok().map(Ok),
        (From::Live, true) => Some(ask().map_err(|error| unanswered(&error))),
    }
}

/// Whether processes and users have the numbers here that they have for the collector.
pub(crate) fn asks_as_it_is_numbered() -> bool {
    ["pid", "user"].into_iter().all(|name| own_namespace(name).ok() == initial_namespace(name))
}

/// Why a collector is not asked from here.
pub(crate) fn elsewhere() -> Failure {
    Failure::new(
        "cannot ask the collector: its numbers of processes and users are not those of here",
    )
    .hint("ask from the initial pid and user namespace, or take --source scan")
}

/// A collector that does not answer.
pub(crate) fn unanswered(error: &ClientError) -> Failure {
    let failure = Failure::new(error.to_string());
    match error {
        ClientError::Unreached { source, .. } => match source.kind() {
            io::ErrorKind::PermissionDenied => failure
                .class(Class::Privilege)
                .hint("the members of its group (control.group) and root may ask it"),
            _ => failure.hint("start one (ns-trace serve), or take --source scan"),
        },
        ClientError::Refused(_) | ClientError::Broken(_) => failure,
    }
}

/// What is wanted of what can be seen from here.
pub(crate) fn scan(want: &Want) -> Result<World, Failure> {
    look(want).map_err(|error| unlisted(&error))
}

fn unlisted(error: &io::Error) -> Failure {
    Failure::new(format!("cannot list /proc: {error}")).hint("mount it: mount -t proc proc /proc")
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
             capabilities that this process lacks; tap devices take CAP_NET_ADMIN): what only they \
             hold is not shown"
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
