//! Every type of namespace by every call that makes one.

use std::sync::Arc;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;

use crate::{
    actor::Actor,
    context::{Context, Room},
    facts::KINDS,
};

/// The trials of this file.
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let mut trials = Vec::new();
    for kind in &KINDS {
        let name = format!("trace::create::{}_by_unshare", kind.name);
        trials.extend(context.per_backend(&name, move |room| by_unshare(room, kind.flag)));
    }
    trials
}

fn by_unshare(room: &Room, flags: u64) -> Result<()> {
    let tracer = room.tracer()?;
    let mut actor = Actor::start()?;
    let task = actor.who()?;
    actor.act(&format!("unshare {flags:x}"))?;
    let event = tracer.wait("the `create`", |event| {
        event["event"] == "create" && event["process"]["tid"] == task.tid
    })?;
    ensure!(event["process"]["ns"]["mnt"] == task.slots()?["mnt"], "{event}");
    actor.end()
}
