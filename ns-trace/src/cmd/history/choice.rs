//! What is asked for, as the collector understands it.

use std::{fs::File, os::fd::AsFd as _, path::Path};

use crate::{
    cli::{HistoryArgs, HistoryChoice, HistoryCommand},
    history::{Name, Query},
    model::{Selector, Time},
    name::Names,
    report::{Class, Failure},
    serve::past::{Subject, Wanted},
    sys::{account, clock, nsfs},
};

/// Refuses what chooses events where none are printed, and what says one thing twice.
pub(super) fn check(args: &HistoryArgs) -> Result<(), Failure> {
    let refuse = |what| Err(Failure::new(what).class(Class::Usage));
    let HistoryChoice { selector, since, until, pids, user, container, kinds, events, filter } =
        &args.choice;
    let chooses = selector.is_some()
        || since.is_some()
        || until.is_some()
        || !pids.is_empty()
        || user.is_some()
        || container.is_some()
        || !events.is_empty()
        || filter.is_some()
        || args.count;
    let choice = match &args.command {
        Some(HistoryCommand::Export { choice }) => choice,
        _ => &args.choice,
    };
    match (&args.command, &choice.selector) {
        (Some(_), _) if chooses || !kinds.is_empty() => {
            refuse("what chooses events stands behind `export`, and a type behind `list` or `diff`")
        }
        (None, _) if chooses && args.at.is_some() => {
            refuse("--at tells of namespaces, and of them only -t chooses some")
        }
        (_, Some(Selector::Pid { slot: None, .. })) if !choice.pids.is_empty() => {
            refuse("a process is named twice")
        }
        (_, Some(Selector::Container(_))) if choice.container.is_some() => {
            refuse("a container is named twice")
        }
        _ if args.at.is_some_and(|Time(at)| at > clock::real_ns()) => {
            refuse("--at is in the future")
        }
        _ if choice.since.zip(choice.until).is_some_and(|(since, until)| until < since) => {
            refuse("--until is before --since")
        }
        _ => Ok(()),
    }
}

/// The events that are asked for.
pub(super) fn wanted(choice: &HistoryChoice) -> Result<Wanted, Failure> {
    let mut query = Query {
        since: choice.since,
        until: choice.until,
        events: choice.events.clone(),
        pids: choice.pids.clone(),
        container: choice.container.clone(),
        ..Query::default()
    };
    if let Some(user) = &choice.user {
        let found = account::find("passwd", user.as_ref()).map(|account| account.id);
        let missing = || Failure::new(format!("there is no user `{user}`")).class(Class::Usage);
        query.uid = Some(found.or_else(|| user.parse().ok()).ok_or_else(missing)?);
    }
    let about = match &choice.selector {
        None => None,
        Some(Selector::Pid { pid, slot: None }) => Some(Subject::Process(*pid)),
        Some(Selector::Container(id)) => {
            query.container = Some(id.clone());
            None
        }
        Some(selector) => Some(namespace(selector)?),
    };
    Ok(Wanted { query, about, types: choice.kinds.clone(), filter: choice.filter.clone() })
}

/// The namespace that a selector names.
pub(super) fn namespace(selector: &Selector) -> Result<Subject, Failure> {
    let (kind, inode, id) = match selector {
        Selector::Inode(inode) => (None, Some(*inode), None),
        Selector::Kind { kind, inode } => (Some(*kind), Some(*inode), None),
        Selector::Id(id) => (None, None, Some(*id)),
        Selector::Pid { pid, slot: Some(slot) } => return Ok(Subject::Slot(*pid, *slot)),
        Selector::Name(name) => match &Names::files(name.as_ref())[..] {
            [] => return Err(Failure::new(format!("there is no named namespace `{name}` now"))),
            [(_, path), ..] => return file(path),
        },
        Selector::Path(path) => return file(path),
        Selector::Pid { slot: None, .. } | Selector::Container(_) => {
            let what = format!("`{selector}` names no single namespace");
            return Err(Failure::new(what).class(Class::Usage));
        }
    };
    Ok(Subject::Namespace(Name { kind, inode, id }))
}

fn file(path: &Path) -> Result<Subject, Failure> {
    let opened = File::open(path);
    let told = |error| Failure::new(format!("`{}` cannot be opened: {error}", path.display()));
    let opened = opened.map_err(told)?;
    let none = |_| Failure::new(format!("`{}` is no namespace", path.display()));
    let ns = nsfs::reference(opened.as_fd()).map_err(none)?;
    Ok(Subject::Namespace(Name::from(&ns)))
}
