//! Cases 1 to 3: each type alone, and namespaces in each other.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;

use super::{Sight, kinds, sight};
use crate::{
    compare::expect,
    context::{Context, Room},
    facts::{KINDS, Kind},
    scene::{Scene, create},
};

const USER: u64 = 0x1000_0000;
const PID: u64 = 0x2000_0000;

/// The trials of this file.
pub(super) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let mut trials = Vec::new();
    let mut add = |name: &str, test: fn(&Room) -> Result<()>| {
        trials.extend(context.per_backend(&format!("hidden::{name}"), test));
    };
    add("01_unshare_of_each_type", each_type);
    add("02_three_user_namespaces_deep", |room| three_deep(room, USER));
    add("03_three_pid_namespaces_deep", |room| three_deep(room, PID));
    trials
}

/// One task unshares each type, and then each again: it outlives what it leaves.
fn each_type(room: &Room) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let task = scene.actor.who()?;
    // What user namespaces hold would hide which death is whose.
    let (users, others): (Vec<_>, Vec<_>) = KINDS.iter().partition(|kind| kind.name == "user");
    // A task can prepare one pid namespace for its children, and no second.
    let again = others.iter().filter(|kind| kind.name != "pid");
    let order: Vec<&Kind> = others.iter().chain(again).chain(&users).copied().collect();
    for kind in &order {
        scene.actor.act(&format!("unshare {:x}", kind.flag))?;
    }
    let events = scene.stage.events(task)?;
    let of = |name: &'static str| events.iter().filter(move |event| event["event"] == name);
    let creates: Vec<_> = of("create").cloned().collect();
    let told: Vec<_> = creates.iter().map(|event| event["ns"]["type"].clone()).collect();
    let asked: Vec<_> = order.iter().map(|kind| kind.name).collect();
    ensure!(told == asked, "{told:?}, not {asked:?}");
    ensure!(of("enter").count() == order.len(), "{events:?}");
    let left = |create: &Arc<Value>| {
        let kind = &create["ns"]["type"];
        creates.iter().rfind(|other| other["ns"]["type"] == *kind) != Some(create)
    };
    let (gone, last): (Vec<_>, Vec<_>) = creates.iter().cloned().partition(left);
    ensure!(gone.len() == order.len() - KINDS.len(), "{gone:?}");
    for create in &gone {
        scene.stage.expect_destroy(create, 0)?;
        scene.stage.expect_once(create)?;
    }
    for create in &last {
        scene.stage.expect_alive(create)?;
    }
    scene.end(&last)
}

/// Three namespaces in each other: each is told of, with owner and parent; and if deaths are seen
/// when they happen, the last to go last.
fn three_deep(room: &Room, flag: u64) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let mut family = vec![scene.actor.who()?];
    for _ in 0..3 {
        family.push(scene.actor.task(&format!("clone {flag:x}"))?);
        if flag == USER {
            scene.actor.become_root()?;
        }
    }
    let kind = kinds(flag).next().context("no type")?;
    let mut creates = Vec::new();
    for pair in family.windows(2) {
        let [parent, child] = *pair else { continue };
        let is_create = |event: &Arc<Value>| event["event"] == "create";
        let births: Vec<_> = scene.stage.events(parent)?.into_iter().filter(is_create).collect();
        let [birth] = &births[..] else { anyhow::bail!("{births:?}") };
        let expected = create("clone", flag, &child.namespace(kind.name)?, &parent.process()?);
        expect(birth, &expected)?;
        let own = parent.slots()?;
        let relative = if kind.name == "user" { "owner" } else { "parent" };
        ensure!(birth["ns"][relative]["inode"] == own[kind.name]["inode"], "{birth}");
        creates.push(Arc::clone(birth));
    }
    let stage = scene.stage.clone();
    scene.end(&creates)?;
    let deaths: Result<Vec<_>> =
        creates.iter().map(|create| stage.expect_destroy(create, 0)).collect();
    let is_exact = sight(room, "destroy", "", "")? == Sight::Exact;
    for pair in deaths?.windows(2) {
        let [outer, inner] = pair else { continue };
        ensure!(
            !is_exact || inner["seq"].as_u64() < outer["seq"].as_u64(),
            "{outer} before {inner}"
        );
    }
    Ok(())
}
