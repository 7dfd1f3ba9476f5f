//! Tasks with `--tasks`, and what events say of processes.

use std::{
    ffi::OsStr,
    fs::{self, File},
    os::unix::ffi::OsStrExt as _,
    path::PathBuf,
    process::Stdio,
    sync::Arc,
};

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::{
    actor::{self, Actor},
    compare::{ANY, expect, same},
    context::{Context, Room},
    facts::Task,
    scene::{Scene, Stage, boot_ns, create, enter, settle},
};

const UTS: u64 = 0x0400_0000;

/// The trials of this file.
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let mut trials = Vec::new();
    let mut add = |name: &str, test: fn(&Room) -> Result<()>| {
        trials.extend(context.per_backend(&format!("trace::tasks::{name}"), test));
    };
    add("fork_and_exit", fork_and_exit);
    add("killed", |room| killed(room, 9));
    add("dumped", |room| killed(room, 6));
    add("thread", thread);
    add("exec_by_the_leader", exec);
    add("exec_by_another_thread", exec_by_thread);
    add("without_the_option", without);
    add("older_than_the_tracer", older);
    add("shorter_than_a_look", short);
    add("arguments_that_are_no_text", no_text);
    add("arguments_without_end", long);
    trials
}

/// A scene of its own, with `--tasks`.
fn scene(room: &Room) -> Result<Scene> {
    Scene::on(&Stage::new(Arc::new(room.start(&["--tasks"])?)))
}

/// The one event of a sort about a task.
fn only(scene: &Scene, task: Task, name: &str) -> Result<Arc<Value>> {
    let events = scene.stage.events(task)?;
    let mut found = events.iter().filter(|event| event["event"] == name);
    let event = found.next().with_context(|| format!("no `{name}` in {events:?}"))?;
    ensure!(found.next().is_none(), "more than one `{name}`");
    Ok(Arc::clone(event))
}

fn fork(child: Task, process: &Value, start: &Value) -> Value {
    let child = json!({ "pid": child.pid, "tid": child.tid, "start_ns": start });
    json!({ "event": "fork", "child": child, "process": process })
}

fn fork_and_exit(room: &Room) -> Result<()> {
    let mut scene = scene(room)?;
    let parent = scene.actor.who()?;
    let process = parent.process()?;
    let child = scene.actor.task("clone 0")?;
    let born = child.process()?;
    expect(&*only(&scene, parent, "fork")?, &fork(child, &process, &born["start_ns"]))?;
    scene.actor.act("exit 7")?;
    let exit = json!({ "event": "exit", "status": { "code": 7 }, "process": born });
    expect(&*only(&scene, child, "exit")?, &exit)?;
    scene.end(&[])
}

/// By a signal; whether a core was dumped is what the parent is told.
fn killed(room: &Room, signal: u8) -> Result<()> {
    let place = Place::new()?;
    let mut scene = scene(room)?;
    let child = scene.actor.task("clone 0")?;
    scene.actor.act(&format!("core {}", place.0.display()))?;
    let process = child.process()?;
    scene.actor.tell(&format!("kill {signal}"))?;
    let told = scene.actor.answer()?;
    ensure!(told["signal"] == signal, "{told}");
    let status = json!({ "signal": signal, "core": told["core"] });
    let exit = json!({ "event": "exit", "status": status, "process": process });
    expect(&*only(&scene, child, "exit")?, &exit)?;
    scene.end(&[])
}

/// A directory for cores.
struct Place(PathBuf);

impl Place {
    fn new() -> Result<Self> {
        let name = format!("ns-trace-test-{}-core-{}", std::process::id(), boot_ns());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn thread(room: &Room) -> Result<()> {
    let mut scene = scene(room)?;
    let leader = scene.actor.who()?;
    let process = leader.process()?;
    let thread = scene.actor.task("thread")?;
    let born = thread.process()?;
    expect(&*only(&scene, leader, "fork")?, &fork(thread, &process, &born["start_ns"]))?;
    scene.actor.act("exit 0")?;
    let exit = json!({ "event": "exit", "status": { "code": 0 }, "process": born });
    expect(&*only(&scene, thread, "exit")?, &exit)?;
    let events = scene.stage.events(leader)?;
    ensure!(events.iter().all(|event| event["event"] != "exit"), "the leader lives");
    scene.end(&[])
}

fn exec(room: &Room) -> Result<()> {
    let mut scene = scene(room)?;
    let task = scene.actor.who()?;
    // The first one, by which the test started it.
    let first = only(&scene, task, "exec")?;
    expect(&first, &json!({ "event": "exec", "changes": [], "process": task.process()? }))?;
    scene.actor.act("exec one two")?;
    scene.actor.who()?;
    let process = task.process()?;
    same(&process["args"], &json!([process["exe"], "one", "two"]))?;
    let events = scene.stage.events(task)?;
    let event = events.last().context("no events")?;
    expect(event, &json!({ "event": "exec", "changes": [], "process": process }))?;
    scene.end(&[])
}

/// The thread becomes the leader and brings its own namespaces along: it changes none.
fn exec_by_thread(room: &Room) -> Result<()> {
    let mut scene = scene(room)?;
    let leader = scene.actor.who()?;
    let thread = scene.actor.task("thread")?;
    scene.actor.act(&format!("unshare {UTS:x}"))?;
    let after = thread.slots()?;
    let told = scene.stage.events(leader)?.len();
    scene.actor.act("exec three")?;
    ensure!(scene.actor.who()? == leader, "the thread has not become the leader");
    let process = leader.process()?;
    same(&process["ns"], &after)?;
    let events = scene.stage.events(leader)?;
    let new: Vec<_> = events.iter().skip(told).collect();
    let [exit, exec] = &new[..] else { bail!("{new:?}") };
    // All other threads end first, the leader among them.
    ensure!(exit["event"] == "exit" && exit["status"]["code"] == 0, "{exit}");
    expect(exec, &json!({ "event": "exec", "changes": [], "process": process }))?;
    let created = only(&scene, thread, "create")?;
    scene.end(&[created])
}

fn without(room: &Room) -> Result<()> {
    let mut scene = Scene::new(room)?;
    scene.actor.task("clone 0")?;
    scene.actor.act("exec a")?;
    scene.actor.act("exit 0")?;
    settle(&scene.stage.tracer)?;
    let is_task =
        |event: &&Arc<Value>| ["fork", "exec", "exit"].iter().any(|name| event["event"] == *name);
    ensure!(scene.stage.events_so_far().iter().find(is_task).is_none(), "tasks unasked for");
    scene.end(&[])
}

/// Program and arguments come from /proc then.
fn older(room: &Room) -> Result<()> {
    let mut command = actor::command()?;
    command.args(["an", "older", "one"]);
    let actor = Actor::spawn(&mut command)?;
    let mut scene = Scene { actor, stage: Stage::new(Arc::new(room.start(&[])?)) };
    let task = scene.actor.who()?;
    let step = scene.call(&format!("unshare {UTS:x}"))?;
    same(&step.process["args"], &json!([step.process["exe"], "an", "older", "one"]))?;
    let expected = create("unshare", UTS, &task.namespace("uts")?, &step.process);
    let created = only(&scene, task, "create")?;
    expect(&created, &expected)?;
    scene.end(&[created])
}

/// A process that is gone before anybody could have looked at it.
fn short(room: &Room) -> Result<()> {
    let stage = Stage::new(room.tracer()?);
    let place = Place::new()?;
    let script = place.0.join("script");
    fs::write(&script, format!("unshare {UTS:x}\n"))?;
    let before = boot_ns();
    let mut child = actor::command()?
        .args(["a", "short", "one"])
        .stdin(File::open(&script)?)
        .stdout(Stdio::null())
        .spawn()?;
    ensure!(child.wait()?.success(), "it failed");
    let after = boot_ns();
    // It is as this process is, but for what is its own.
    let pid = u64::from(child.id());
    let own = Task::leader(u64::from(std::process::id())).process()?;
    let events = stage.events(Task::leader(pid))?;
    let [created, entered] = &events[..] else { bail!("{events:?}") };
    let ns = json!({
        "type": "uts", "inode": ANY, "id": ANY, "initial": false,
        "owner": own["ns"]["user"], "parent": null, "level": null,
    });
    let mut process = own.clone();
    for (key, value) in [
        ("pid", json!(pid)),
        ("tid", json!(pid)),
        ("vpid", json!(pid)),
        ("ppid", own["pid"].clone()),
        ("start_ns", ANY.into()),
        ("args", json!([own["exe"], "a", "short", "one"])),
    ] {
        process[key] = value;
    }
    let comm = own["exe"].as_str().and_then(|exe| exe.rsplit('/').next()).context("no exe")?;
    process["comm"] = comm.chars().take(15).collect::<String>().into();
    process["ns"]["uts"] = ANY.into();
    expect(created, &create("unshare", UTS, &ns, &process))?;
    let start = created["process"]["start_ns"].as_u64().context("no start")?;
    ensure!((before..=after).contains(&start), "{created}");
    let moved = json!([{ "slot": "uts", "from": own["ns"]["uts"], "to": ANY }]);
    expect(entered, &enter("unshare", UTS, &moved, Some("own"), &process))?;
    stage.expect_destroy(created, 0)?;
    stage.expect_once(created)
}

/// The event of an actor with these arguments that makes a namespace, and the arguments in it.
fn with_arguments(room: &Room, args: &[&OsStr]) -> Result<(Arc<Value>, Vec<Value>)> {
    let stage = Stage::new(room.tracer()?);
    let mut actor = Actor::spawn(actor::command()?.args(args))?;
    let task = actor.who()?;
    actor.act(&format!("unshare {UTS:x}"))?;
    let events = stage.events(task)?;
    let event = events.first().context("no events")?;
    let shown = event["process"]["args"].as_array().context("no arguments")?;
    ensure!(shown[0] == event["process"]["exe"], "{event}");
    actor.end()?;
    Ok((Arc::clone(event), shown[1..].to_vec()))
}

fn no_text(room: &Room) -> Result<()> {
    let args = [OsStr::from_bytes(b"gr\xfcn"), OsStr::new("grün"), OsStr::new("")];
    let (event, args) = with_arguments(room, &args)?;
    ensure!(args == ["gr\\xfcn", "grün", ""], "{event}");
    ensure!(event["lossy"] == true, "{event}");
    let (event, args) = with_arguments(room, &[OsStr::new("grün")])?;
    ensure!(args == ["grün"], "{event}");
    ensure!(event.get("lossy").is_none(), "{event}");
    Ok(())
}

/// Arguments are cut at 4 KiB, with the NUL after each counted.
fn long(room: &Room) -> Result<()> {
    let long = "x".repeat(5000);
    let (event, args) = with_arguments(room, &["first".as_ref(), long.as_ref()])?;
    ensure!(event["process"]["args_truncated"] == true, "{event}");
    let exe = event["process"]["exe"].as_str().context("no exe")?;
    let left = 4096 - (exe.len() + 1) - "first\0".len();
    ensure!(args == ["first", &"x".repeat(left)], "{event}");
    let (event, _) = with_arguments(room, &["first".as_ref()])?;
    ensure!(event["process"].get("args_truncated").is_none(), "{event}");
    Ok(())
}
