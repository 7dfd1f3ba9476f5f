//! One client: what it asks, and the answer.

use std::{
    io::{self, Read as _, Write as _},
    net::Shutdown,
    os::unix::net::UnixStream,
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;

use super::{
    pack::{Begun, Told, pack},
    request::{Ask, LONGEST, Request, Trace, VERSION},
    sight,
};
use crate::{
    expr::Filter,
    model::{Mounts, ProcessRow, Selector, Slots, Want, World, write_json},
    pipeline::{Inquiry, Picture, Selection},
    serve::{
        Shared,
        config::Sight,
        past::{self, Answer, Question},
        refused::{Door, Reason},
    },
    sink::recent::From,
};

/// How long a client may take to say what it wants.
const LATEST: Duration = Duration::from_secs(5);
/// How often it is looked whether a client that nothing happens for is still there.
const GLANCE: Duration = Duration::from_secs(5);
/// How many events are sent at a time.
const PIECE: usize = 256;

/// The first line of every answer.
#[derive(Debug, Serialize)]
struct Head {
    v: u32,
    #[serde(flatten)]
    what: What,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum What {
    Error(String),
    Past(Answer),
    /// More comes behind the line.
    Follows(()),
}

fn head(stream: &UnixStream, what: What) -> io::Result<()> {
    let mut line = serde_json::to_vec(&Head { v: VERSION, what })?;
    line.push(b'\n');
    let mut stream = stream;
    stream.write_all(&line)
}

/// Says no.
pub(super) fn refuse(stream: &UnixStream, why: impl Into<String>) -> io::Result<()> {
    head(stream, What::Error(why.into()))
}

/// Reads a request and answers it.
pub(super) fn answer(stream: &UnixStream, uid: u32, shared: &Arc<Shared>) -> io::Result<()> {
    let turn_away = |reason, why| {
        shared.refused.count(Door::Control, reason);
        refuse(stream, why)
    };
    let request = match line(stream)? {
        Line::Whole(line) => Request::parse(&line),
        Line::Partial => Err(format!("no request: a line of at most {LONGEST} bytes is expected")),
        Line::Late => {
            let why = format!("no request within {} s", LATEST.as_secs());
            return turn_away(Reason::Slow, why);
        }
        Line::Nothing => return Ok(()),
    };
    let request = match request {
        Ok(request) => request,
        Err(why) => return turn_away(Reason::Malformed, why),
    };
    let seen = sight::of_user(uid, shared.config().control.members);
    if seen == Sight::Nothing {
        return refuse(stream, "the policy of this collector (control.members) shows you nothing");
    }
    match request.ask {
        Ask::Look(want) => world(stream, look(shared, &want, seen, uid)),
        Ask::About(selector) => world(stream, everything_about(shared, &selector, seen, uid)),
        Ask::Past(question) => match past(shared, question, seen, uid) {
            Ok(found) => head(stream, What::Past(found)),
            Err(why) => refuse(stream, why),
        },
        Ask::Trace(wanted) => trace(stream, wanted, shared, seen, uid),
    }
}

/// Sends a world in bytes.
fn world(mut stream: &UnixStream, found: Result<Vec<u8>, String>) -> io::Result<()> {
    match found {
        Ok(found) => {
            head(stream, What::Follows(()))?;
            let sent = stream.write_all(&found);
            // Nobody waits for it to be freed.
            let _closed = stream.shutdown(Shutdown::Both);
            sent
        }
        Err(why) => refuse(stream, why),
    }
}

/// What a client has said.
enum Line {
    Whole(Vec<u8>),
    Nothing,
    /// It has gone before the end of the line, or that is too far.
    Partial,
    /// It has not come to the end of the line in time.
    Late,
}

/// Reads a line, by when it must be complete: who sends a byte now and then is no quicker.
fn line(mut stream: &UnixStream) -> io::Result<Line> {
    let deadline = Instant::now() + LATEST;
    let (mut line, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Line::Late);
        }
        stream.set_read_timeout(Some(left))?;
        let piece = match stream.read(&mut piece) {
            Ok(len) => piece.get(..len).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Line::Late),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let is_over = piece.is_empty();
        let end = piece.iter().position(|byte| *byte == b'\n');
        line.extend_from_slice(end.and_then(|end| piece.get(..=end)).unwrap_or(piece));
        match end {
            _ if line.is_empty() => return Ok(Line::Nothing),
            _ if line.len() > LONGEST => return Ok(Line::Partial),
            Some(_) => return Ok(Line::Whole(line)),
            None if is_over || line.len() == LONGEST => return Ok(Line::Partial),
            None => {}
        }
    }
}

/// What exists, as far as it is wanted and seen, in bytes: from the table alone, if that knows it all.
fn look(shared: &Arc<Shared>, want: &Want, seen: Sight, uid: u32) -> Result<Vec<u8>, String> {
    let is_known = !want.files && !want.netnsid && !want.maps && want.mounts < Mounts::Every;
    // Whose is what, all of them tell.
    if is_known && want.first && seen == Sight::All {
        return firsts(shared, *want);
    }
    let picture = shared.ask(Inquiry::Picture)?;
    let found =
        if is_known { known(shared, picture, want) } else { shared.closely(&picture, want)? };
    Ok(pack(&sight::world(found, seen, uid)))
}

/// All about what is named, as far as it is seen.
fn everything_about(
    shared: &Shared,
    selector: &Selector,
    seen: Sight,
    uid: u32,
) -> Result<Vec<u8>, String> {
    // Not even to look there: to open a file can do things.
    if matches!(selector, Selector::Path(_) | Selector::Name(_)) {
        return Err(
            "files and names are others for the collector: the type and inode are not".to_owned()
        );
    }
    Ok(pack(&shared.about(selector, seen, uid)?))
}

/// What the table knows, of the processes but those that are first somewhere.
fn firsts(shared: &Shared, want: Want) -> Result<Vec<u8>, String> {
    let (begun, mut processes) = shared.ask(|answer| {
        Inquiry::Table(Box::new(move |table| {
            let roll = table.roll();
            let rows = roll.rows().filter(|(row, _)| want.kinds.contains(row.kind));
            let mut firsts: Vec<_> = rows.clone().filter_map(|(_, tally)| tally.first).collect();
            firsts.sort_unstable();
            firsts.dedup();
            let processes: Vec<_> =
                firsts.into_iter().filter_map(|pid| roll.process(pid)).collect();
            let begun = Begun::new(rows.map(|(row, tally)| Told {
                info: row.info(),
                owner_uid: None,
                processes: tally.first.as_slice(),
                nprocs: tally.nprocs,
                threads: tally.threads,
                creator: row.creator.as_ref(),
                cause: row.cause,
                died: row.died,
            }));
            answer((begun, processes));
        }))
    })?;
    finish(shared, &mut processes, &want);
    Ok(begun.end(&processes))
}

/// What the table knows of all.
fn known(shared: &Shared, picture: Picture, want: &Want) -> World {
    let mut found = Arc::unwrap_or_clone(picture.world);
    found.namespaces.retain(|row| want.kinds.contains(row.info.kind));
    finish(shared, &mut found.processes, want);
    found
}

/// Leaves out what is not wanted of processes, and what nobody shall see.
fn finish(shared: &Shared, processes: &mut [ProcessRow], want: &Want) {
    let unknown = (!(want.ids || want.threads || want.children)).then(Slots::default);
    let redact = &shared.config().redact;
    for process in processes {
        if let Some(unknown) = &unknown {
            process.slots = unknown.clone();
            process.threads.clear();
        }
        if let Some(args) = &mut process.args {
            redact.arguments(args);
        }
    }
}

/// What the history answers.
fn past(shared: &Shared, question: Question, seen: Sight, uid: u32) -> Result<Answer, String> {
    let store = past::open(shared, seen, uid).map_err(|error| error.to_string())?;
    let store = store.ok_or("this collector keeps no history (history.enabled)")?;
    past::answer(&store, question).map_err(|error| error.to_string())
}

/// Sends what happens until the client goes.
fn trace(
    stream: &UnixStream,
    wanted: Trace,
    shared: &Shared,
    seen: Sight,
    uid: u32,
) -> io::Result<()> {
    if wanted.tasks && !shared.config().probe.tasks {
        return refuse(stream, "this collector does not trace tasks (probe.tasks)");
    }
    let filter = match wanted.filter.as_deref().map(Filter::compile).transpose() {
        Ok(filter) => filter,
        Err(error) => return refuse(stream, format!("{}: {error}", error.position())),
    };
    let kinds = wanted.types;
    let mut selection = Selection { kinds, tasks: wanted.tasks, filter, ..Selection::default() };
    let mut reader = shared.recent.reader(From::Now);
    head(stream, What::Follows(()))?;
    let mut lines = Vec::new();
    // As every stream does, it begins by saying where it comes from.
    if let Some(start) = shared.start.get() {
        write_json(start, crate::model::Fields::Full, &mut lines);
    }
    let mut out = stream;
    loop {
        out.write_all(&lines)?;
        lines.clear();
        let batch = reader.wait(PIECE, GLANCE);
        for entry in batch.lost.iter().chain(&batch.entries) {
            if sight::event(&entry.event, seen, uid) && selection.admits(&entry.event) {
                lines.extend_from_slice(entry.json());
            }
        }
        if batch.is_last {
            return out.write_all(&lines);
        }
        if batch.entries.is_empty() && has_gone(stream) {
            return Ok(());
        }
    }
}

/// Whether nobody is at the other end any more.
fn has_gone(stream: &UnixStream) -> bool {
    let mut fds = [PollFd::new(stream, PollFlags::RDHUP)];
    poll(&mut fds, Some(&Timespec::default())).is_ok_and(|count| count > 0)
}
