//! Cases 12, 23, 24 and 28: many at once.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    actor::Actor,
    context::{Context, Room},
    init,
    scene::{Scene, Stage, settle},
    trace::snapshot::in_proc,
    tracer::PATIENCE,
};

/// How long it may take until a storm has been told of.
const STORM: Duration = Duration::from_mins(3);

/// The trials of this file.
pub(super) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let mut trials = Vec::new();
    trials.extend(context.per_backend("hidden::12_inodes_used_again", inodes_reused));
    trials.extend(context.per_backend("hidden::23_a_hundred_nets_at_once", hundred_nets));
    trials.extend(context.per_backend("hidden::24_killed_while_cloning", killed));
    trials.extend(context.alone_per_backend("hidden::28_start_in_a_storm", start_in_a_storm));
    trials
}

/// Inodes are reused at once, for whatever comes first: births and deaths alternate, and no id
/// comes twice.
fn inodes_reused(room: &Room) -> Result<()> {
    const CALLS: usize = 1000;
    let stage = Stage::new(room.tracer()?);
    let mut actors = [Actor::start()?, Actor::start()?];
    let pids = actors.each_ref().map(|actor| u64::from(actor.pid()));
    for actor in &mut actors {
        actor.tell(&format!("turns {CALLS} 4000000 2000000 80"))?;
    }
    for mut actor in actors {
        let answer = actor.answer()?;
        ensure!(answer.get("error").is_none(), "{answer}");
        actor.end()?;
    }
    let is_of = |event: &Value, who: &str| pids.iter().any(|pid| event[who]["pid"] == *pid);
    let is_destroy = |event: &&Arc<Value>| event["event"] == "destroy" && is_of(event, "creator");
    let deadline = Instant::now() + PATIENCE;
    while stage.events_so_far().iter().filter(is_destroy).count() < 2 * CALLS
        && Instant::now() < deadline
    {
        thread::sleep(Duration::from_millis(10));
    }
    settle(&stage.tracer)?;
    let (mut living, mut ids, mut ends) = (HashMap::new(), HashSet::new(), 0);
    let mut types = HashMap::<_, HashSet<_>>::new();
    for event in stage.events_so_far() {
        let ns = &event["ns"];
        let inode = ns["inode"].as_u64();
        if event["event"] == "create" && is_of(&event, "process") {
            ensure!(living.insert(inode, ns.clone()).is_none(), "{ns} is born on top of another");
            let id = ns["id"].as_u64();
            ensure!(id.is_none_or(|id| ids.insert(id)), "{ns} has an id that was used before");
            types.entry(inode).or_default().insert(ns["type"].to_string());
        } else if event["event"] == "destroy" && is_of(&event, "creator") {
            let born = living.remove(&inode);
            ensure!(born.as_ref() == Some(ns), "{ns} dies, {born:?} lives");
            ends += 1;
        }
    }
    ensure!(living.is_empty(), "{living:?} never ended");
    ensure!(ends == 2 * CALLS, "{ends} deaths of {}", 2 * CALLS);
    // Otherwise it was about nothing.
    ensure!(types.len() < CALLS, "{} inodes: none was used again", types.len());
    ensure!(types.values().any(|types| types.len() > 1), "none was used for another type");
    Ok(())
}

/// Net namespaces are freed in batches.
fn hundred_nets(room: &Room) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let task = scene.actor.who()?;
    for _ in 0..100 {
        scene.actor.act("unshare 40000000")?;
        scene.actor.number("open /proc/self/ns/net")?;
    }
    let creates = births(&scene.stage.events(task)?);
    ensure!(creates.len() == 100, "{} creates", creates.len());
    // Every descriptor is closed at once.
    scene.end(&creates)
}

fn births(events: &[Arc<Value>]) -> Vec<Arc<Value>> {
    events.iter().filter(|event| event["event"] == "create").cloned().collect()
}

/// Killed somewhere on the way to a child with a net namespace: what was made by then ends.
fn killed(room: &Room) -> Result<()> {
    const ROUNDS: u64 = 12;
    let stage = Stage::new(room.tracer()?);
    let mut all = Vec::new();
    for round in 0..ROUNDS {
        let mut actor = Actor::start()?;
        let task = actor.who()?;
        actor.act("breed 48000000")?;
        thread::sleep(Duration::from_millis(5 + 7 * round));
        let pid = i32::try_from(actor.pid()).ok().and_then(Pid::from_raw).context("no number")?;
        kill_process(pid, Signal::KILL)?;
        ensure!(!actor.ended()?.success(), "it ended by itself");
        let events = stage.events(task)?;
        // The call may have failed for the signal, which its caller never gets to know: EINTR, or
        // ENOMEM when it could not wait for memory.
        let is_other = |event: &&Arc<Value>| event["event"] != "create" && event["event"] != "fail";
        let other = events.iter().find(is_other);
        ensure!(other.is_none(), "{other:?}");
        all.extend(births(&events));
    }
    ensure!(!all.is_empty(), "all were killed too early");
    for create in &all {
        stage.expect_destroy(create, 0)?;
    }
    all.iter().try_for_each(|create| stage.expect_once(create))
}

/// The namespaces other than the first ones that are alive according to a stream.
fn alive(events: &[Arc<Value>]) -> BTreeSet<u64> {
    let mut alive = BTreeSet::new();
    for event in events {
        let Some(inode) = event["ns"]["inode"].as_u64() else { continue };
        match event["event"].as_str() {
            Some("create" | "exist") if event["ns"]["initial"] == false => {
                alive.insert(inode);
            }
            Some("destroy") => {
                alive.remove(&inode);
            }
            _ => {}
        }
    }
    alive
}

/// While a tracer attaches and looks around, thousands come and go: in the end it knows those that
/// there are.
fn start_in_a_storm(room: &Room) -> Result<()> {
    // Without a pause they outrun an emulated machine, which then never gets to the end of it.
    let pause = if init::is_ours() { 4 } else { 0 };
    let mut actors = [Actor::start()?, Actor::start()?];
    for actor in &mut actors {
        // Only types that are freed at once: a backlog of others would outlive this.
        actor.act(&format!("churn {pause} 4000000 2000000 80"))?;
    }
    let tracer = room.start(&["--snapshot"])?;
    let deadline = Instant::now() + PATIENCE;
    while births(&tracer.since(0)).len() <= 100 {
        ensure!(Instant::now() < deadline, "no storm");
        thread::sleep(Duration::from_millis(10));
    }
    for actor in &mut actors {
        actor.who()?;
    }
    // An emulated machine takes its time to tell of everything that happened.
    let deadline = Instant::now() + STORM;
    while let Err(error) = settle(&tracer) {
        ensure!(Instant::now() < deadline, "{error:#}");
    }
    let deadline = Instant::now() + PATIENCE;
    let (told, shown) = loop {
        settle(&tracer)?;
        let is_not_first = |(value, _): &(Value, u64)| value["initial"] == false;
        let shown = in_proc()?.into_iter().filter(|(_, row)| is_not_first(row));
        let shown: BTreeSet<_> = shown.map(|(inode, _)| inode).collect();
        let told = alive(&tracer.since(0));
        if told == shown || Instant::now() > deadline {
            break (told, shown);
        }
        thread::sleep(Duration::from_millis(100));
    };
    ensure!(told == shown, "told of {told:?}, /proc shows {shown:?}");
    ensure!(shown.len() >= 6, "only {shown:?}");
    for actor in actors {
        actor.end()?;
    }
    tracer.finish().map(drop)
}
