//! What happens: server-sent events.

use std::{
    convert::Infallible,
    io::Write as _,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Extension,
    body::Body,
    extract::{RawQuery, State as Extract},
    http::{HeaderMap, header},
    response::{IntoResponse as _, Response},
};
use futures_core::Stream;
use serde::Deserialize;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::{State, door::Eyes, problem::Problem, query::parameters};
use crate::{
    expr::Filter,
    model::Kind,
    pipeline::Selection,
    serve::{control::sight, seats::Seat},
    sink::recent::{Batch, Entry, From, Reader},
};

/// How often a stream on which nothing happens says that it is still there.
const ALIVE: Duration = Duration::from_secs(15);
/// How many events are looked at before others have their turn.
const PIECE: usize = 256;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Asked {
    #[serde(rename = "where")]
    filter: Option<String>,
    #[serde(rename = "type")]
    kind: Option<Kind>,
}

/// Reads what is asked: it and its expression.
pub(super) fn read(query: Option<&str>) -> Result<(Asked, Option<Filter>), Problem> {
    let asked: Asked = parameters(query)?;
    let filter = asked.filter.as_deref().map(Filter::compile).transpose();
    let filter =
        filter.map_err(|error| Problem::bad(format!("where: {}: {error}", error.position())))?;
    Ok((asked, filter))
}

pub(super) async fn events(
    Extract(state): Extract<State>,
    eyes: Eyes,
    Extension(seat): Extension<Arc<Seat>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let (asked, filter) = read(query.as_deref())?;
    let from = match headers.get("last-event-id").map(|id| id.to_str().unwrap_or_default()) {
        None => From::Now,
        Some(id) => match id.split_once('.').map(|(run, seq)| (run, seq.parse())) {
            Some((run, Ok(seq))) if *run == state.shared.run => From::After(seq),
            // Of another run: numbers go on, and what came behind it then is not kept any more.
            Some((_, Ok(seq))) => From::After(state.shared.first.saturating_sub(1).min(seq)),
            _ => return Err(Problem::bad(format!("Last-Event-ID: `{id}` is none of ours"))),
        },
    };
    let kinds = asked.kind.into_iter().collect();
    let mut alive = interval(ALIVE);
    alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let feed = Feed {
        run: state.shared.run.clone(),
        reader: state.shared.recent.reader(from),
        // What there is of tasks passes: whether there is anything, [probe] says.
        selection: Selection { kinds, tasks: true, filter, ..Selection::default() },
        eyes,
        alive,
        is_over: false,
        _seat: seat,
    };
    let kind = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((kind, Body::from_stream(feed)).into_response())
}

/// The events for one client: nothing is queued for it but what is on its way.
struct Feed {
    run: String,
    reader: Reader,
    selection: Selection,
    eyes: Eyes,
    alive: Interval,
    is_over: bool,
    _seat: Arc<Seat>,
}

impl Feed {
    /// The events that it wants, as text.
    fn text(&mut self, batch: &Batch) -> Vec<u8> {
        let mut text = Vec::new();
        for entry in batch.lost.iter().chain(&batch.entries) {
            let event = &entry.event;
            if sight::event(event, self.eyes.sight, self.eyes.uid) && self.selection.admits(event) {
                write(entry, &self.run, &mut text);
            }
        }
        text
    }
}

fn write(entry: &Entry, run: &str, text: &mut Vec<u8>) {
    let (seq, name) = (entry.event.seq, entry.event.body.kind().name());
    // Writing to memory cannot fail.
    let _written = write!(text, "id: {run}.{seq}\nevent: {name}\ndata: ");
    text.extend_from_slice(entry.json());
    text.push(b'\n');
}

impl Stream for Feed {
    type Item = Result<Vec<u8>, Infallible>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let feed = self.get_mut();
        if feed.is_over {
            return Poll::Ready(None);
        }
        if let Poll::Ready(batch) = feed.reader.poll(PIECE, context) {
            let text = feed.text(&batch);
            feed.is_over = batch.is_last;
            if !text.is_empty() {
                return Poll::Ready(Some(Ok(text)));
            }
            // Nothing of that was wanted; the others first.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        match feed.alive.poll_tick(context) {
            Poll::Ready(_) => Poll::Ready(Some(Ok(b": alive\n\n".to_vec()))),
            Poll::Pending => Poll::Pending,
        }
    }
}
