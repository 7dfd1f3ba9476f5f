//! What rules have said.

use std::sync::PoisonError;

use axum::{
    Json,
    extract::{RawQuery, State as Extract},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{State, door::Eyes, problem::Problem, query::parameters};
use crate::{
    expr::Filter,
    model::{
        Event,
        event::{Body, Severity},
    },
    serve::control::sight,
};

/// How many are answered with, if nothing else is asked for, and at most.
const PAGE: usize = 100;
const LARGEST_PAGE: usize = 1000;

/// Which alerts are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Asked {
    #[serde(rename = "where")]
    filter: Option<String>,
    rule: Option<String>,
    severity: Option<Severity>,
    limit: Option<usize>,
    before: Option<u64>,
}

/// Reads what is asked: it, its expression, and how many.
pub(super) fn read(query: Option<&str>) -> Result<(Asked, Option<Filter>, usize), Problem> {
    let asked: Asked = parameters(query)?;
    let limit = asked.limit.unwrap_or(PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        return Err(Problem::bad(format!("limit: must be between 1 and {LARGEST_PAGE}")));
    }
    let filter = asked.filter.as_deref().map(Filter::compile).transpose();
    let filter =
        filter.map_err(|error| Problem::bad(format!("where: {}: {error}", error.position())))?;
    Ok((asked, filter, limit))
}

/// The latest alerts, the latest first.
pub(super) async fn alerts(
    Extract(state): Extract<State>,
    eyes: Eyes,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    let (asked, mut filter, limit) = read(query.as_deref())?;
    let kept = state.shared.alerts.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let is_wanted = |event: &Event| {
        let Body::Alert(alert) = &event.body else { return false };
        asked.rule.as_deref().is_none_or(|rule| rule == &*alert.rule)
            && asked.severity.is_none_or(|least| alert.severity >= least)
            && asked.before.is_none_or(|before| event.seq < before)
            && sight::event(event, eyes.sight, eyes.uid)
    };
    let events = kept.iter().rev().map(|entry| &entry.event);
    let events = events.filter(|event| is_wanted(event));
    let wanted = events.filter(|event| filter.as_mut().is_none_or(|filter| filter.matches(event)));
    let mut found: Vec<_> = wanted.take(limit + 1).collect();
    let is_more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| is_more).map(|event| event.seq);
    Ok(Json(json!({ "alerts": found, "next": next })))
}
