//! What happened.

use std::{ops::ControlFlow, path::Path};

use axum::{
    Json,
    extract::{RawQuery, State as Extract},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::{
    State,
    door::Eyes,
    problem::Problem,
    query::{LARGEST_PAGE, PAGE, parameters},
};
use crate::{
    expr::Filter,
    history::{Name, Query, Store, parse_moment},
    model::{Event, Kind, Selector, Time, event::EventKind},
    pipeline::Selection,
    serve::control::sight,
};

/// How many events are looked at for one answer: who asks for rare ones asks again.
const LOOKED_AT: u64 = 200_000;

/// Which events are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Asked {
    since: Option<String>,
    until: Option<String>,
    ns: Option<String>,
    pid: Option<u32>,
    uid: Option<u32>,
    container: Option<String>,
    event: Option<String>,
    #[serde(rename = "type")]
    kind: Option<Kind>,
    #[serde(rename = "where")]
    filter: Option<String>,
    limit: Option<usize>,
    after: Option<u64>,
}

pub(super) async fn history(
    Extract(state): Extract<State>,
    eyes: Eyes,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    let asked: Asked = parameters(query.as_deref())?;
    let limit = asked.limit.unwrap_or(PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        return Err(Problem::bad(format!("limit: must be between 1 and {LARGEST_PAGE}")));
    }
    let (query, selection) = read(asked)?;
    let config = state.shared.config();
    if state.shared.history.is_none() {
        return Err(Problem::missing("history"));
    }
    let path = config.history.file();
    let found = spawn_blocking(move || page(&path, &query, selection, limit, eyes)).await;
    found.map_err(Problem::broken)?.map(Json)
}

/// Reads what is asked for, and says what is wrong with it.
fn read(asked: Asked) -> Result<(Query, Selection), Problem> {
    let time = |name: &str, text: Option<String>| -> Result<Option<Time>, Problem> {
        let wrong = |why| Problem::bad(format!("{name}: {why}"));
        text.map(|text| parse_moment(&text).map_err(wrong)).transpose()
    };
    let event = asked.event.map(|event| {
        let found = EventKind::ALL.into_iter().find(|kind| kind.name() == event);
        found.ok_or_else(|| Problem::bad(format!("event: `{event}` is no sort of event")))
    });
    let events: Vec<_> = event.transpose()?.into_iter().collect();
    let filter = asked.filter.as_deref().map(Filter::compile).transpose();
    let filter =
        filter.map_err(|error| Problem::bad(format!("where: {}: {error}", error.position())))?;
    let ns = asked.ns.as_deref().map(name).transpose()?;
    let query = Query {
        since: time("since", asked.since)?,
        until: time("until", asked.until)?,
        after: asked.after,
        limit: Some(LOOKED_AT),
        events: events.clone(),
        pids: asked.pid.into_iter().collect(),
        uid: asked.uid,
        container: asked.container,
        namespaces: ns.map(|name| vec![name]),
    };
    let kinds = asked.kind.into_iter().collect();
    // What there is of tasks passes: whether there is anything, [probe] says.
    let selection = Selection { kinds, events, tasks: true, filter, ..Selection::default() };
    Ok((query, selection))
}

fn name(text: &str) -> Result<Name, Problem> {
    let (kind, inode, id) = match text.parse() {
        Ok(Selector::Inode(inode)) => (None, Some(inode), None),
        Ok(Selector::Kind { kind, inode }) => (Some(kind), Some(inode), None),
        Ok(Selector::Id(id)) => (None, None, Some(id)),
        _ => {
            let what = format!("ns: expected an inode, TYPE:INODE or id:ID, found `{text}`");
            return Err(Problem::bad(what));
        }
    };
    Ok(Name { kind, inode, id })
}

/// The first events that are asked for and may be seen.
fn page(
    path: &Path,
    query: &Query,
    mut selection: Selection,
    limit: usize,
    eyes: Eyes,
) -> Result<Value, Problem> {
    let store = Store::read(path).map_err(Problem::broken)?;
    let (mut events, mut count, mut last): (Vec<Event>, u64, u64) = (Vec::new(), 0, 0);
    let broken = store.events(query, |event| {
        if events.len() == limit {
            return ControlFlow::Break(());
        }
        (count, last) = (count + 1, event.seq);
        if sight::event(&event, eyes.sight, eyes.uid) && selection.admits(&event) {
            events.push(event);
        }
        ControlFlow::Continue(())
    });
    let is_more = broken.map_err(Problem::broken)?.is_some() || count == LOOKED_AT;
    Ok(json!({ "events": events, "next": is_more.then_some(last) }))
}
