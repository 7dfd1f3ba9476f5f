//! Moves by setns, and into pending namespaces.

use std::sync::Arc;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;

use crate::{
    compare::expect,
    context::{Context, Room},
    facts::{KINDS, Kind},
    scene::{Scene, changes, enter},
};

/// The trials of this file.
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let mut trials = Vec::new();
    for kind in &KINDS {
        let title = |call| format!("trace::enter::{}_by_{call}", kind.name);
        trials.extend(context.per_backend(&title("setns"), move |room| by_nsfs(room, kind, true)));
        let test = move |room: &Room| by_nsfs(room, kind, false);
        trials.extend(context.per_backend(&title("setns_without_type"), test));
    }
    trials
}

/// Joins a namespace of another family by its nsfs file.
fn by_nsfs(room: &Room, kind: &Kind, typed: bool) -> Result<()> {
    let mut host = Scene::new(room)?;
    let first = host.actor.who()?;
    let owner = host.actor.task(&format!("clone3 {:x}", kind.flag))?;
    let mut scene = Scene::on(&host.stage)?;
    let task = scene.actor.who()?;
    let file = format!("open /proc/{}/ns/{}", owner.pid, kind.name);
    let file = scene.actor.number(&file)?;
    let flags = if typed { kind.flag } else { 0 };
    let step = scene.call(&format!("setns {file} {flags:x}"))?;
    let events = scene.stage.events(task)?;
    ensure!(events.len() == 1, "{events:?}");
    for event in &events {
        expect(event, &enter("setns", flags, &step.changes(), None, &step.process))?;
    }
    ensure!(step.changes() != changes(&step.before, &step.before), "nothing changed");
    scene.end(&[])?;
    let creates = host.stage.events(first)?;
    host.end(&creates)
}
