//! The numbers by which network namespaces know each other.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::fd::OwnedFd,
    process::ExitCode,
};

use serde::Serialize;

use super::{Outcome, Problem, REFUSED, members, open, plain, print, print_json, shown};
use crate::{
    cli::NetnsOptions,
    model::Kind,
    name::{Error, Names},
    sys::rtnetlink::{NetId, Peer, Refusal, Rtnetlink},
};

/// The numbers that the current network namespace has given out.
pub(super) struct Numbers(Rtnetlink);

impl Numbers {
    pub(super) fn open() -> Result<Self, Problem> {
        let socket = Rtnetlink::open();
        socket.map(Self).map_err(|error| Problem::new(format!("cannot open rtnetlink: {error}")))
    }

    /// The number of a named namespace; `None` if it has none, or is none.
    pub(super) fn of_name(&self, names: &Names, name: &OsStr) -> Option<u32> {
        let file = names.open(name).ok()?;
        self.0.id(Peer::File(&file), None).ok()?.id
    }

    /// The name of the namespace that has this number here.
    fn name(named: &[(String, u32)], id: u32) -> Option<String> {
        named.iter().find(|(_, other)| *other == id).map(|(name, _)| name.clone())
    }

    fn named(&self) -> Result<Vec<(String, u32)>, Problem> {
        let names = Names::of(Kind::Net);
        let number = |name: OsString| Some((plain(&name), self.of_name(&names, &name)?));
        Ok(names.list()?.into_iter().filter_map(number).collect())
    }
}

/// A number as JSON has it.
#[derive(Serialize)]
struct Row {
    #[serde(skip_serializing_if = "Option::is_none")]
    nsid: Option<u32>,
    #[serde(rename = "current-nsid", skip_serializing_if = "Option::is_none")]
    current: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

/// `list-id [target-nsid N] [nsid N]`.
pub(super) fn list(words: &[String], options: &NetnsOptions) -> Outcome {
    let (mut target, mut wanted) = (None, None);
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let place = match word.as_str() {
            "target-nsid" => &mut target,
            "nsid" => &mut wanted,
            _ => {
                return Err(Problem::usage(format!(
                    "unexpected `{word}`; try target-nsid N or nsid N"
                )));
            }
        };
        let value = rest.next().ok_or_else(|| Problem::usage(format!("{word} needs a number")))?;
        *place = Some(parse(value, word)?);
    }
    let numbers = Numbers::open()?;
    let found = match wanted {
        Some(id) => numbers.0.id(Peer::Id(id), target).map(|found| vec![found]),
        None => numbers.0.ids(target),
    };
    // A list that cannot be had is a failure like others to ip(8).
    let status = if wanted.is_some() { REFUSED } else { 1 };
    let found = found.map_err(|refusal| refused(&refusal).status(status))?;
    let named = numbers.named()?;
    let row = |ids: &NetId| {
        // Names are those of here, so it is the number here that leads to them.
        let here = if target.is_some() { ids.current } else { ids.id };
        (*ids, here.and_then(|id| Numbers::name(&named, id)))
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    if options.json {
        let row =
            |(ids, name): (NetId, Option<String>)| Row { nsid: ids.id, current: ids.current, name };
        return print_json(&rows.into_iter().map(row).collect::<Vec<_>>(), options);
    }
    print(&rows.iter().map(line).collect::<String>())
}

fn line((ids, name): &(NetId, Option<String>)) -> String {
    let id = ids.id.map_or_else(|| "unassigned".to_owned(), |id| id.to_string());
    let current = ids.current.map(|id| format!("current-nsid {id} ")).unwrap_or_default();
    let name =
        name.as_deref().map(|name| format!("(iproute2 netns name: {})", shown(name.as_ref())));
    format!("nsid {id} {current}{}\n", name.unwrap_or_default())
}

/// `set NAME NETNSID`.
pub(super) fn set(name: &OsStr, id: &str) -> Outcome {
    let id = if id == "auto" { None } else { Some(parse(id, "NETNSID")?) };
    let file = find(name)?;
    let numbers = Numbers::open()?;
    numbers.0.assign(&file, id).map_err(|refusal| {
        let problem = refused(&refusal);
        match refusal.error.raw_os_error() {
            Some(libc::EEXIST) => problem.hint(
                "the number of a namespace stays until that or the current one ends; \
                 ns-trace netns list shows it",
            ),
            Some(libc::ENOSPC | libc::EBUSY) => problem
                .hint("another namespace has that number; ns-trace netns list-id shows which"),
            Some(libc::EPERM) => {
                problem.hint("it takes CAP_NET_ADMIN in the current network namespace")
            }
            _ => problem,
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// By name, by path, or by the number of a process, in this order, as ip(8) has it.
fn find(name: &OsStr) -> Result<OwnedFd, Problem> {
    if name.as_encoded_bytes().contains(&b'/') {
        return open(name);
    }
    let is_absent = |error: &Error| matches!(error, Error::Open { source, .. } if source.kind() == io::ErrorKind::NotFound);
    match Names::of(Kind::Net).open(name) {
        Ok(file) => Ok(file),
        Err(error) => match name.to_str().and_then(|name| name.parse().ok()) {
            Some(pid) if is_absent(&error) => members::namespace(pid),
            _ => Err(error.into()),
        },
    }
}

fn parse(text: &str, what: &str) -> Result<u32, Problem> {
    let number = text.parse().ok().filter(|number: &u32| i32::try_from(*number).is_ok());
    let told = || Problem::usage(format!("argument \"{text}\" is wrong: invalid {what}"));
    number.ok_or_else(told).map_err(|problem| problem.hint("a number from 0 to 2147483647"))
}

fn refused(refusal: &Refusal) -> Problem {
    let reason = match &refusal.message {
        Some(message) => message.clone(),
        None => super::words(&refusal.error),
    };
    Problem::new(format!("Error: {reason}.")).status(REFUSED)
}
