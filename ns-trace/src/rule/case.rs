//! The events of a rule's own tests: as little as matters, over what events mostly are.
//!
//! ```yaml
//! tests:
//!   match:
//!     - {event: enter, container: c1, relation: host, changes: {mnt: mnt:host}}
//!     - [{event: create, …}, {event: exec, after: 5s, …}]
//!   no_match:
//!     - {event: enter, …}
//! ```
//! `after` is the time since the event before, `times` how often it happens. A namespace is written as `net:7`, one that the system booted with as `net:host`.

mod defaults;
mod merge;

use serde_json::{Map, Value as Json, json};

use super::{
    Case,
    fields::{Reading, duration},
    file::{File, Place, Problem},
    node::{Node, Value},
};
use crate::model::Event;

/// A case as it was written.
#[derive(Debug)]
pub(super) struct Draft {
    file: std::sync::Arc<File>,
    at: Place,
    is_added: bool,
    matches: bool,
    number: usize,
    events: Vec<Node>,
}

/// Reads the `tests` of a rule, or those that an amendment adds.
pub(super) fn read(node: Node, is_added: bool, reading: &mut Reading<'_>) -> Vec<Draft> {
    let mut drafts = Vec::new();
    let Some(mut fields) = reading.fields(node, "`tests`", &["match", "no_match"]) else {
        return drafts;
    };
    for (key, matches) in [("match", true), ("no_match", false)] {
        let Some(node) = fields.take(key) else { continue };
        for (node, number) in reading.list(node, &format!("`{key}`")).into_iter().zip(1..) {
            let at = node.at;
            let events = match node.value {
                Value::List(events) => events,
                _ => vec![node],
            };
            let file = std::sync::Arc::clone(&reading.file);
            drafts.push(Draft { file, at, is_added, matches, number, events });
        }
    }
    drafts
}

/// Makes the events, and notes what are none.
pub(super) fn compile(drafts: Vec<Draft>, problems: &mut Vec<Problem>) -> Vec<Case> {
    let mut cases = Vec::new();
    for Draft { file, at, is_added, matches, number, events: nodes } in drafts {
        let nodes = repeated(nodes, at).unwrap_or_else(|(at, message)| {
            problems.push(file.problem(at, message));
            Vec::new()
        });
        let mut events = Vec::new();
        let mut boot_ns = defaults::BOOT_NS;
        for (node, seq) in nodes.iter().zip(1..) {
            match event(node, seq, &mut boot_ns) {
                Ok(event) => events.push(event),
                Err((at, message)) => problems.push(file.problem(at, message)),
            }
        }
        let place = format!("{}:{}", file.name, at.line);
        cases.push(Case { matches, is_added, number, events, place });
    }
    cases
}

/// An event with `times` stands for so many; `at` is where the case is.
fn repeated(nodes: Vec<Node>, at: Place) -> Result<Vec<Node>, Wrong> {
    /// Enough for any count that makes sense in a test.
    const MOST: usize = 10_000;
    if nodes.is_empty() {
        // It would hold whatever the rule is.
        return Err((at, "a case needs an event".to_owned()));
    }
    let mut all = Vec::new();
    for node in nodes {
        let times = times(&node)?;
        if all.len().saturating_add(times) > MOST {
            return Err((at, format!("a case has no more than {MOST} events")));
        }
        all.extend(std::iter::repeat_n(node, times));
    }
    Ok(all)
}

fn times(node: &Node) -> Result<usize, Wrong> {
    let Value::Map(entries) = &node.value else { return Ok(1) };
    let Some((_, value)) = entries.iter().find(|(key, _)| merge::name_of(key) == "times") else {
        return Ok(1);
    };
    let times = merge::name_of(value).parse().ok().filter(|times| *times > 0);
    times.ok_or_else(|| (value.at, "`times` must be a whole number above 0".to_owned()))
}

/// A place and what is wrong there.
type Wrong = (Place, String);

fn event(node: &Node, seq: u64, boot_ns: &mut u64) -> Result<Event, Wrong> {
    let Json::Object(mut written) = merge::json(node, "") else {
        return Err((node.at, "an event must be a mapping of its fields".to_owned()));
    };
    *boot_ns += after(node, &mut written)?;
    written.remove("times");
    let Some(Json::String(sort)) = written.get("event").cloned() else {
        return Err((
            node.at,
            "the event has no `event`: create, enter, fail and so on".to_owned(),
        ));
    };
    let mut whole = defaults::event(&sort, &written).ok_or_else(|| {
        let sorts = defaults::SORTS.join(", ");
        (node.at, format!("`{sort}` is no event that rules see: {sorts}"))
    })?;
    merge::over(&mut whole, Json::Object(written));
    merge::over(
        &mut whole,
        json!({"schema": "ns-trace/1", "seq": seq, "source": "probe", "boot_ns": *boot_ns,
               "time": "2026-11-24T10:00:00.000000000Z"}),
    );
    let event: Event =
        serde_json::from_value(whole).map_err(|error| (node.at, error.to_string()))?;
    let known = serde_json::to_value(&event).unwrap_or_default();
    match merge::surplus(node, &known) {
        None => Ok(event),
        Some((at, name)) => Err((at, format!("`{sort}` events have no field `{name}`"))),
    }
}

/// How long after the one before an event happens.
fn after(node: &Node, written: &mut Map<String, Json>) -> Result<u64, Wrong> {
    /// Enough to tell the order.
    const NEXT: u64 = 1_000_000;
    match written.remove("after") {
        None => Ok(NEXT),
        Some(Json::Number(seconds))
            if seconds.as_u64().is_some_and(|seconds| seconds < 1 << 30) =>
        {
            Ok(seconds.as_u64().unwrap_or_default() * 1_000_000_000)
        }
        Some(Json::String(text)) if duration(&text).is_some() => {
            Ok(duration(&text).unwrap_or(NEXT))
        }
        Some(_) => Err((node.at, "`after` must be a time, such as 30s".to_owned())),
    }
}
