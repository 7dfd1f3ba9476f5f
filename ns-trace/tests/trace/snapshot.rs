//! `--snapshot` shows every namespace that exists.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    os::unix::fs::MetadataExt as _,
    sync::Arc,
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::run::trial_per_backend;
use crate::{
    actor::Actor,
    context::{Context, Room},
    facts::{KINDS, SLOTS, kind_of_slot, namespace},
};

/// The trials of this file.
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    trial_per_backend(
        context,
        "trace::snapshot",
        &[
            ("everything_in_proc_is_shown", everything_in_proc_is_shown),
            ("filters_apply", filters_apply),
        ],
    )
}

/// The namespaces of all tasks: inode, then what is known of it and how many tasks have it.
pub(crate) fn in_proc() -> Result<BTreeMap<u64, (Value, u64)>> {
    let mut found = BTreeMap::new();
    for process in fs::read_dir("/proc")?.flatten() {
        let Ok(tasks) = fs::read_dir(process.path().join("task")) else { continue };
        for task in tasks.flatten() {
            let mut own = BTreeSet::new();
            for slot in SLOTS {
                // It may end meanwhile, or be hidden.
                let Ok(file) = File::open(task.path().join("ns").join(slot)) else { continue };
                let inode = file.metadata()?.ino();
                own.insert(inode);
                if let std::collections::btree_map::Entry::Vacant(place) = found.entry(inode) {
                    place.insert((namespace(&file.into(), kind_of_slot(slot))?, 0));
                }
            }
            for inode in own {
                found.entry(inode).and_modify(|(_, members)| *members += 1);
            }
        }
    }
    Ok(found)
}

/// Whether an event says what /proc says; before 6.18 it knows ids that /proc does not.
pub(crate) fn agree(event: &Value, facts: &Value) -> bool {
    let Some(facts) = facts.as_object() else { return event == facts };
    facts.iter().all(|(name, fact)| {
        let unknown = name == "id" && fact.is_null();
        unknown || agree(&event[name], fact)
    })
}

fn everything_in_proc_is_shown(room: &Room) -> Result<()> {
    let mut actor = Actor::start()?;
    // User namespaces within each other, and one of every other type in the inner one.
    actor.act("unshare 10000000")?;
    // Without root in it there can be no other within.
    actor.act("write /proc/self/uid_map 0 0 1")?;
    actor.act("write /proc/self/setgroups deny")?;
    actor.act("write /proc/self/gid_map 0 0 1")?;
    actor.task("clone 10000000")?;
    actor.act("unshare 4e020000")?;
    let inner = actor.task("clone 20000000")?;
    let thread = actor.task("thread")?;
    let own = inner.slots()?;
    let before = in_proc()?;
    let tracer = room.start(&["--snapshot"])?;
    let ended = tracer.finish()?;
    let after = in_proc()?;

    let mut shown = BTreeMap::new();
    for event in ended.events.iter().filter(|event| event["event"] == "exist") {
        ensure!(event["source"] == "snapshot", "{event}");
        let mut ns = event["ns"].clone();
        let born = ns.as_object_mut().context("no object")?.remove("born");
        let inode = ns["inode"].as_u64().context("no inode")?;
        // Others may make some while it starts.
        let is_old = before.get(&inode).is_some_and(|(facts, _)| agree(&ns, facts));
        ensure!(!is_old || born == Some(Value::Null), "older than the tracer: {event}");
        let twice = shown.insert(inode, (ns, event["members"].as_u64().context("no members")?));
        ensure!(twice.is_none(), "twice: {event}");
    }
    let mut compared = 0;
    for (inode, (facts, _)) in &before {
        // What ended while we looked may be missing; its inode may be another's by now.
        if after.get(inode).is_some_and(|(later, _)| later == facts) {
            let (ns, _) = shown.get(inode).with_context(|| format!("not shown: {facts}"))?;
            ensure!(agree(ns, facts), "{ns} is not {facts}");
            compared += 1;
        }
    }
    ensure!(compared >= 8, "only {compared}");
    for kind in &KINDS {
        let initial = shown
            .values()
            .filter(|(ns, _)| ns["type"] == kind.name && ns["initial"] == json!(true));
        ensure!(initial.count() == 1, "{} has no first one", kind.name);
    }
    // Nobody but the actor is in these.
    let mut others = 0;
    for slot in SLOTS {
        let inode = own[slot]["inode"].as_u64().context("no inode")?;
        let ((facts, members), (ns, counted)) = (&before[&inode], &shown[&inode]);
        if facts["initial"] == json!(false) {
            ensure!(members == counted, "{ns}: {counted} members, not {members}");
            others += 1;
        }
    }
    ensure!(others == 8, "{own}");
    ensure!(thread.pid == inner.pid);
    actor.end()
}

fn filters_apply(room: &Room) -> Result<()> {
    let tracer = room.start(&["--snapshot", "-t", "time", "--where", "ns.initial"])?;
    let ended = tracer.finish()?;
    let shown: Vec<_> = ended.events.iter().filter(|event| event["event"] == "exist").collect();
    let [event] = shown[..] else { anyhow::bail!("{shown:?}") };
    ensure!(event["ns"]["type"] == "time" && event["ns"]["inode"] == 0xefff_fffa_u32, "{event}");
    let tracer = room.start(&["--snapshot", "-e", "create"])?;
    ensure!(tracer.finish()?.events.iter().all(|event| event["event"] != "exist"));
    Ok(())
}
