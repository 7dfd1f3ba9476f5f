//! Writes of the number maps of user namespaces.

use std::{fs, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::{
    compare::{ANY, expect},
    context::{Context, Room},
    facts::Task,
    scene::Scene,
};

const USER: &str = "unshare 10000000";

/// The trials of this file.
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let mut trials = Vec::new();
    for file in ["uid_map", "gid_map", "projid_map"] {
        let test = move |room: &Room| from_outside(room, file);
        trials.extend(context.per_backend(&format!("trace::map::{file}_from_outside"), test));
    }
    trials.extend(context.per_backend("trace::map::setgroups_from_inside", setgroups));
    trials.extend(context.per_backend("trace::map::refused", refused));
    trials.extend(context.per_backend("trace::map::long", long));
    trials
}

/// The `map` events about what `task` wrote: on a backend that cannot see them, there must be none.
fn written(room: &Room, scene: &Scene, task: Task) -> Result<Option<Vec<Arc<Value>>>> {
    let is_map = |event: &Arc<Value>| event["event"] == "map";
    let events: Vec<_> = scene.stage.events(task)?.into_iter().filter(is_map).collect();
    if room.backend() != "fentry" {
        ensure!(events.is_empty(), "never is never: {events:?}");
        return Ok(None);
    }
    Ok(Some(events))
}

fn event(ns: &Value, map: &Value, errno: Option<&str>, process: &Value) -> Value {
    let mut ns = ns.clone();
    ns["born"] = ANY.into();
    json!({ "event": "map", "ns": ns, "map": map, "errno": errno, "process": process })
}

/// The numbers in a map file, which are relative to the reader's namespace: here the parent.
fn numbers(task: Task, file: &str) -> Result<Value> {
    let path = format!("/proc/{}/{file}", task.pid);
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    let range = |line: &str| {
        let mut words = line.split_whitespace().filter_map(|word| word.parse::<u32>().ok());
        json!({ "inside": words.next(), "outside": words.next(), "count": words.next() })
    };
    Ok(text.lines().map(range).collect())
}

/// Somebody in the parent namespace maps numbers for a child, as newuidmap(1) does.
fn from_outside(room: &Room, file: &str) -> Result<()> {
    let mut inner = Scene::new(room)?;
    let task = inner.actor.who()?;
    inner.actor.act(USER)?;
    let mut outer = Scene::on(&inner.stage)?;
    let writer = outer.actor.who()?;
    let text = "0 1000 1\n1 100000 65536\n70000 300000 10";
    outer.actor.act(&format!("lines /proc/{}/{file} {}", task.pid, text.replace('\n', " / ")))?;
    let lines = numbers(task, file)?;
    ensure!(lines.as_array().is_some_and(|lines| lines.len() == 3), "{lines}");
    if let Some(events) = written(room, &outer, writer)? {
        let [one] = &events[..] else { anyhow::bail!("{events:?}") };
        let map = json!({ "file": file, "lines": lines });
        expect(one, &event(&task.namespace("user")?, &map, None, &writer.process()?))?;
    }
    outer.end(&[])?;
    inner.end(&[])
}

/// Everybody may say of his own namespace that setgroups(2) is denied.
fn setgroups(room: &Room) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let task = scene.actor.who()?;
    scene.actor.act(USER)?;
    let process = task.process()?;
    scene.actor.act("write /proc/self/setgroups deny")?;
    if let Some(events) = written(room, &scene, task)? {
        let [one] = &events[..] else { anyhow::bail!("{events:?}") };
        let map = json!({ "file": "setgroups", "lines": [], "value": "deny" });
        expect(one, &event(&task.namespace("user")?, &map, None, &process))?;
    }
    scene.end(&[])
}

/// From inside, where only the own number may be mapped and only once, and what is no map at all.
fn refused(room: &Room) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let task = scene.actor.who()?;
    scene.actor.act(USER)?;
    let process = task.process()?;
    let path = "/proc/self/uid_map";
    for (text, errno) in [("0 1 1", libc::EPERM), ("nonsense", libc::EINVAL)] {
        let number = scene.actor.fails(&format!("write {path} {text}"))?;
        ensure!(number == u64::from(errno.unsigned_abs()), "`{text}`: {number}");
    }
    scene.actor.act(&format!("write {path} 0 0 1"))?;
    scene.actor.fails(&format!("write {path} 0 0 1"))?;
    if let Some(events) = written(room, &scene, task)? {
        let [another, nonsense, good, again] = &events[..] else { anyhow::bail!("{events:?}") };
        let ns = task.namespace("user")?;
        let range = |outside: u32| json!([{ "inside": 0, "outside": outside, "count": 1 }]);
        for (one, lines, errno) in [
            (another, range(1), Some("EPERM")),
            (nonsense, json!([]), Some("EINVAL")),
            (good, range(0), None),
            (again, range(0), Some("EPERM")),
        ] {
            let map = json!({ "file": "uid_map", "lines": lines });
            expect(one, &event(&ns, &map, errno, &process))?;
        }
    }
    scene.end(&[])
}

/// A map beyond what a record holds.
fn long(room: &Room) -> Result<()> {
    let mut inner = Scene::new(room)?;
    let task = inner.actor.who()?;
    inner.actor.act(USER)?;
    let mut outer = Scene::on(&inner.stage)?;
    let writer = outer.actor.who()?;
    let ranges: Vec<String> = (0..100).map(|at| format!("{at} {} 1", 100_000 + 2 * at)).collect();
    outer.actor.act(&format!("lines /proc/{}/uid_map {}", task.pid, ranges.join(" / ")))?;
    let all = numbers(task, "uid_map")?;
    ensure!(all.as_array().is_some_and(|all| all.len() == 100), "{all}");
    if let Some(events) = written(room, &outer, writer)? {
        let [one] = &events[..] else { anyhow::bail!("{events:?}") };
        ensure!(one["map"]["truncated"] == true, "{one}");
        let lines = one["map"]["lines"].as_array().context("no lines")?;
        ensure!((50..100).contains(&lines.len()), "{} lines", lines.len());
        ensure!(all.as_array().is_some_and(|all| all.starts_with(lines)), "{one}");
    }
    outer.end(&[])?;
    inner.end(&[])
}
