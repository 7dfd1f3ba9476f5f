//! What happened.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{RawQuery, State as Extract},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    State, aside,
    door::Eyes,
    problem::Problem,
    query::{LARGEST_PAGE, PAGE, parameters},
};
use crate::{
    history::{Name, Query, parse_moment},
    model::{Kind, Selector, Time, event::EventKind},
    pipeline::Selection,
    serve::{
        past::{self, Page, Wanted},
        seats::Seat,
    },
};

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
    Extension(seat): Extension<Arc<Seat>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    let (wanted, selection, limit) = read(query.as_deref())?;
    let found = aside(seat, move || {
        let store = past::open(&state.shared, eyes.sight, eyes.uid).map_err(Problem::broken)?;
        let store = store.ok_or_else(|| Problem::missing("history"))?;
        wanted.page(&store, selection, limit).map_err(Problem::broken)
    });
    let Page { events, next, .. } = found.await??;
    Ok(Json(json!({ "events": events, "next": next })))
}

/// Reads what is asked for, what only the events show of that, and how many; says what is wrong with it.
pub(super) fn read(query: Option<&str>) -> Result<(Wanted, Selection, usize), Problem> {
    let asked: Asked = parameters(query)?;
    let limit = asked.limit.unwrap_or(PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        return Err(Problem::bad(format!("limit: must be between 1 and {LARGEST_PAGE}")));
    }
    let time = |name: &str, text: Option<String>| -> Result<Option<Time>, Problem> {
        let wrong = |why| Problem::bad(format!("{name}: {why}"));
        text.map(|text| parse_moment(&text).map_err(wrong)).transpose()
    };
    let event = asked.event.map(|event| {
        let found = EventKind::ALL.into_iter().find(|kind| kind.name() == event);
        found.ok_or_else(|| Problem::bad(format!("event: `{event}` is no sort of event")))
    });
    let query = Query {
        since: time("since", asked.since)?,
        until: time("until", asked.until)?,
        after: asked.after,
        limit: None,
        events: event.transpose()?.into_iter().collect(),
        pids: asked.pid.into_iter().collect(),
        uid: asked.uid,
        container: asked.container,
        namespaces: asked.ns.as_deref().map(name).transpose()?.map(|name| vec![name]),
    };
    if query.since.zip(query.until).is_some_and(|(since, until)| until < since) {
        return Err(Problem::bad("until: it is before `since`"));
    }
    let types = asked.kind.into_iter().collect();
    let wanted = Wanted { query, about: None, types, filter: asked.filter };
    let selection = wanted.selection();
    let selection =
        selection.map_err(|error| Problem::bad(format!("where: {}: {error}", error.position())))?;
    Ok((wanted, selection, limit))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_the_wrong_way_round_are_refused() {
        let asked = |since: &str, until: &str| {
            read(Some(&format!("since={since}&until={until}"))).map(drop)
        };
        let why = asked("2026-11-23T10:00:01Z", "2026-11-23T10:00:00Z").unwrap_err();
        assert_eq!(why.detail(), "until: it is before `since`");
        assert!(asked("2026-11-23T10:00:00Z", "2026-11-23T10:00:00Z").is_ok());
    }
}
