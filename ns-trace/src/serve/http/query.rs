//! What exists.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Path, Query, RawQuery, State as Extract, rejection::PathRejection},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{sync::oneshot, time::timeout};

use super::{State, aside, door::Eyes, problem::Problem};
use crate::{
    expr::RowFilter,
    model::{Cause, Creator, Kind, Kinds, Mounts, NsInfo, NsRow, Selector, Want, World},
    pipeline::{Inquiry, Picture, Rows, Subject},
    serve::{Shared, control::sight, seats::Seat},
    view::keeper::{Keeper, Member},
};

/// How long the pipeline may take to answer.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);
/// How many rows are answered with, if nothing else is asked for, and at most.
pub(super) const PAGE: usize = 100;
pub(super) const LARGEST_PAGE: usize = 10_000;

/// What exists now.
pub(super) async fn picture(shared: &Shared) -> Result<Picture, Problem> {
    let (answer, answered) = oneshot::channel();
    shared.inquiries.ask(Inquiry::Picture(Box::new(move |picture| {
        // The client may have gone.
        let _told = answer.send(picture);
    })));
    let in_time = timeout(PATIENCE, answered).await;
    in_time.ok().and_then(Result::ok).ok_or_else(Problem::silent)
}

/// Which namespaces are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Asked {
    #[serde(rename = "where")]
    filter: Option<String>,
    #[serde(rename = "type")]
    kind: Option<Kind>,
    limit: Option<usize>,
    after: Option<u32>,
}

/// Reads parameters, and says what is wrong with them.
pub(super) fn parameters<T: for<'de> Deserialize<'de>>(query: Option<&str>) -> Result<T, Problem> {
    let uri = format!("/?{}", query.unwrap_or_default());
    let uri = uri.parse().map_err(|error| Problem::bad(format!("bad parameters: {error}")))?;
    let Query(read) = Query::try_from_uri(&uri)
        .map_err(|error| Problem::bad(format!("bad parameters: {}", error.body_text())))?;
    Ok(read)
}

/// One of many.
#[derive(Debug, Serialize)]
struct Item<'a> {
    ns: &'a NsInfo,
    creator: Option<&'a Creator>,
    cause: Option<Cause>,
    threads: u32,
    processes: &'a [u32],
}

impl<'a> Item<'a> {
    fn new(row: &'a NsRow) -> Self {
        Self {
            ns: &row.info,
            creator: row.creator.as_deref(),
            cause: row.cause,
            threads: row.threads,
            processes: &row.processes,
        }
    }
}

/// Reads what is asked: it, its expression, and how many.
pub(super) fn read(query: Option<&str>) -> Result<(Asked, Option<RowFilter>, usize), Problem> {
    let asked: Asked = parameters(query)?;
    let limit = asked.limit.unwrap_or(PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        return Err(Problem::bad(format!("limit: must be between 1 and {LARGEST_PAGE}")));
    }
    let filter = asked.filter.as_deref().map(RowFilter::compile).transpose();
    let filter =
        filter.map_err(|error| Problem::bad(format!("where: {}: {error}", error.position())))?;
    Ok((asked, filter, limit))
}

pub(super) async fn namespaces(
    Extract(state): Extract<State>,
    eyes: Eyes,
    Extension(seat): Extension<Arc<Seat>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    let (asked, filter, limit) = read(query.as_deref())?;
    let picture = picture(&state.shared).await?;
    let want = filter.as_ref().map_or(Want::MEMBERS, |filter| Want::of(filter.columns()));
    let world = if want.netnsid || want.maps || want.mounts > Mounts::Ignored {
        let shared = Arc::clone(&state.shared);
        let kinds = asked.kind.map_or(Kinds::ALL, |kind| Kinds::NONE.with(kind));
        let want = Want { kinds, held: kinds, ..want };
        aside(seat, move || shared.closely(&picture, &want)).await?.map_err(Problem::broken)?
    } else {
        (*picture.world).clone()
    };
    let world = sight::world(world, eyes.sight, eyes.uid);
    let rows = Rows::new();
    let matches = |row: &&NsRow| {
        let process = row.processes.first().and_then(|pid| world.process(*pid));
        let subject = Subject { ns: row, process };
        asked.kind.is_none_or(|kind| kind == row.info.kind)
            && asked.after.is_none_or(|after| row.info.inode > after)
            && filter
                .as_ref()
                .is_none_or(|filter| filter.matches(&|column| rows.cell(subject, column)))
    };
    let mut found: Vec<_> = world.namespaces.iter().filter(matches).take(limit + 1).collect();
    let is_more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| is_more).map(|row| row.info.inode);
    let items: Vec<_> = found.into_iter().map(Item::new).collect();
    Ok(Json(json!({ "namespaces": items, "next": next })))
}

pub(super) async fn namespace(
    Extract(state): Extract<State>,
    eyes: Eyes,
    Extension(seat): Extension<Arc<Seat>>,
    inode: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, Problem> {
    let Path(inode) = inode.map_err(|error| Problem::bad(error.body_text()))?;
    let number = inode.parse().ok();
    let inode: u32 = number.ok_or_else(|| Problem::bad(format!("`{inode}` is no inode")))?;
    let shared = Arc::clone(&state.shared);
    let asked = Selector::Inode(inode);
    let looked = aside(seat, move || {
        // A guess costs no look.
        let is_nowhere = shared.is_nowhere(inode)?;
        if is_nowhere { Ok(World::default()) } else { shared.about(&asked, eyes.sight, eyes.uid) }
    });
    let world = looked.await?.map_err(|_silent| Problem::silent())?;
    let row = world.namespaces.iter().find(|row| row.info.inode == inode);
    let row = row.ok_or_else(|| Problem::missing(format!("namespace {inode}")))?;
    Ok(Json(whole(row, &world)))
}

fn whole(row: &NsRow, world: &World) -> Value {
    let holders: Vec<_> = row.holders.iter().map(|holder| Keeper::new(holder, world)).collect();
    json!({
        "ns": row.info,
        "owner_uid": row.owner_uid,
        "creator": row.creator,
        "cause": row.cause,
        "threads": row.threads,
        "processes": Member::of(row, world),
        "holders": holders,
    })
}

pub(super) async fn process(
    Extract(state): Extract<State>,
    eyes: Eyes,
    pid: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, Problem> {
    let Path(pid) = pid.map_err(|error| Problem::bad(error.body_text()))?;
    let number = pid.parse().ok();
    let pid: u32 = number.ok_or_else(|| Problem::bad(format!("`{pid}` is no process number")))?;
    let picture = picture(&state.shared).await?;
    let world = sight::world((*picture.world).clone(), eyes.sight, eyes.uid);
    let found = world.process(pid).ok_or_else(|| Problem::missing(format!("process {pid}")))?;
    Ok(Json(json!({
        "pid": found.pid,
        "ppid": found.ppid,
        "uid": found.uid,
        "comm": found.comm,
        "threads": found.count,
        "ns": found.slots,
    })))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::{
        super::{PATHS, check},
        *,
    };

    /// A piece of a query that may be right, or not.
    fn piece() -> impl Strategy<Value = String> {
        let names = [
            "where", "type", "limit", "after", "before", "rule", "severity", "since", "until",
            "ns", "event", "x", "",
        ];
        let values =
            ["net", "1", "-1", "99999999999999999999", "high", "true", "%00", "%", "%ff", "a=b"];
        let pair = (select(names.to_vec()), select(values.to_vec()));
        prop_oneof![
            4 => pair.prop_map(|(name, value)| format!("{name}={value}")),
            1 => any::<String>(),
        ]
    }

    proptest! {
        /// Whatever is asked for, it is understood or refused as a problem.
        #[test]
        fn no_query_is_too_strange(pieces in vec(piece(), 0..4)) {
            let query = pieces.join("&");
            for path in PATHS {
                if let Err(why) = check(path, &query) {
                    let names = [
                        "bad parameters: ", "where: ", "limit: ", "since: ", "until: ", "ns: ",
                        "event: ",
                    ];
                    prop_assert!(names.iter().any(|name| why.starts_with(name)), "{why}");
                }
            }
        }
    }

    #[test]
    fn parameters_are_read() {
        let asked: Asked =
            parameters(Some("type=net&limit=7&where=type%20%3D%3D%20%22net%22")).unwrap();
        assert_eq!((asked.kind, asked.limit), (Some(Kind::Net), Some(7)));
        assert_eq!(asked.filter.as_deref(), Some("type == \"net\""));
        for wrong in ["colour=1", "type=nett", "limit=-1", "limit=1&limit=2"] {
            assert!(parameters::<Asked>(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
