//! What is asked for, found in the store.

use std::fs::File;

use super::told;
use crate::{
    cli::HistoryChoice,
    cmd::trace::failure,
    expr::Filter,
    history::{Name, Query, Store},
    model::{NsRef, Selector},
    name::Names,
    pipeline::Selection,
    report::{Class, Failure},
    sys::{account, nsfs},
};

/// The query, and what only the events themselves show.
pub(super) fn query(store: &Store, choice: &HistoryChoice) -> Result<(Query, Selection), Failure> {
    let filter = choice.filter.as_deref();
    let compiled = filter.map(Filter::compile).transpose();
    let compiled =
        compiled.map_err(|error| failure::of_filter(&error, filter.unwrap_or_default()))?;
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
    if let Some(selector) = &choice.selector {
        select(store, selector, &mut query)?;
    }
    let (kinds, events) = (choice.kinds.clone(), choice.events.clone());
    // Whether there is anything of tasks, the collector's configuration says.
    let selection =
        Selection { kinds, events, tasks: true, filter: compiled, ..Selection::default() };
    Ok((query, selection))
}

fn select(store: &Store, selector: &Selector, query: &mut Query) -> Result<(), Failure> {
    match selector {
        Selector::Pid { pid, slot: None } => {
            if !store.knows_process(*pid).map_err(|error| told(&error))? {
                return Err(Failure::new(format!("the history knows no process {pid}")));
            }
            query.pids.push(*pid);
        }
        Selector::Container(id) if query.container.is_none() => query.container = Some(id.clone()),
        Selector::Container(_) => {
            let what = "a container is named twice";
            return Err(Failure::new(what).class(Class::Usage));
        }
        _ => query.namespaces = Some(vec![namespace(store, selector)?]),
    }
    Ok(())
}

/// The namespace, or those that had the inode one after the other.
pub(super) fn namespace(store: &Store, selector: &Selector) -> Result<Name, Failure> {
    let of = |ns: NsRef| Name { kind: Some(ns.kind), inode: Some(ns.inode), id: ns.id };
    let name = match selector {
        Selector::Inode(inode) => Name { kind: None, inode: Some(*inode), id: None },
        Selector::Kind { kind, inode } => Name { kind: Some(*kind), inode: Some(*inode), id: None },
        Selector::Id(id) => Name { kind: None, inode: None, id: Some(*id) },
        Selector::Pid { pid, slot: Some(slot) } => {
            let found = store.last_in(*pid, *slot).map_err(|error| told(&error))?;
            of(found.ok_or_else(|| missing(selector))?)
        }
        Selector::Name(name) => match &Names::files(name.as_ref())[..] {
            [] => return Err(Failure::new(format!("there is no named namespace `{name}` now"))),
            [(_, path), ..] => of(file(path)?),
        },
        Selector::Path(path) => of(file(path)?),
        Selector::Pid { slot: None, .. } | Selector::Container(_) => {
            let what = format!("`{selector}` names no single namespace");
            return Err(Failure::new(what).class(Class::Usage));
        }
    };
    let is_known = store.knows(&name).map_err(|error| told(&error))?;
    if is_known { Ok(name) } else { Err(missing(selector)) }
}

fn missing(selector: &Selector) -> Failure {
    Failure::new(format!("the history knows no namespace `{selector}`"))
}

fn file(path: &std::path::Path) -> Result<NsRef, Failure> {
    let opened = File::open(path);
    let told = |error| Failure::new(format!("`{}` cannot be opened: {error}", path.display()));
    let opened = opened.map_err(told)?;
    let none = |_| Failure::new(format!("`{}` is no namespace", path.display()));
    nsfs::reference(std::os::fd::AsFd::as_fd(&opened)).map_err(none)
}
