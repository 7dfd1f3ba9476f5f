//! Cases 4 to 7 and 22: calls that fail half-way, several namespaces at once, and 32-bit callers.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::{expect_made, sees};
use crate::{
    actor::syscall::foreign,
    compare::{ANY, expect},
    context::{Context, Room},
    facts::Task,
    scene::{Scene, boot_ns, enter},
    trace::fail::{self, fails, failure},
};

const UTS: u64 = 0x0400_0000;
const IPC: u64 = 0x0800_0000;
const NET: u64 = 0x4000_0000;
const USER: u64 = 0x1000_0000;
/// mnt, uts, ipc, pid and cgroup.
const FIVE: u64 = 0x2e02_0000;

/// The trials of this file.
pub(super) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let mut trials = Vec::new();
    let mut add = |obstacle: Option<&str>, name: &str, test: fn(&Room) -> Result<()>| {
        trials.extend(context.unless(obstacle, &format!("hidden::{name}"), test));
    };
    add(None, "04_partial_failure", partial_failure);
    add(None, "05_clone_of_a_number_that_is_taken", |room| unborn(room, None));
    let pids = Pids::find();
    let no_pids = pids.is_none().then_some("no cgroup can limit the number of processes");
    add(no_pids, "05_clone_beyond_the_limit_of_processes", |room| unborn(room, Pids::find()));
    add(None, "06_several_at_once_by_pidfd", by_pidfd);
    let unknown = (!foreign::KNOWN).then_some("no 32-bit calls on this processor");
    add(unknown, "07_unshare_by_int80", unshare_by_int80);
    add(unknown, "07_setns_by_int80", setns_by_int80);
    add(unknown, "07_clone_by_int80", clone_by_int80);
    add(None, "22_unshare_of_user_by_a_thread", |room| {
        fail::call(room, &["thread"], "unshare", USER, "EINVAL")
    });
    add(None, "refused_by_seccomp", refused_by_seccomp);
    add(None, "malformed_clone3", malformed);
    trials
}

/// The events about a task after the first `seen`.
fn news(scene: &Scene, task: Task, seen: usize) -> Result<Vec<Arc<Value>>> {
    Ok(scene.stage.events(task)?.split_off(seen))
}

/// What is told of a call that makes namespaces and then fails: births and deaths if the backend
/// sees them, then the failure; never that anybody entered or left.
fn expect_undone(
    scene: &Scene,
    room: &Room,
    events: &[Arc<Value>],
    made: u64,
    expected: &Value,
) -> Result<()> {
    let (failed, births) = events.split_last().context("no events")?;
    expect(failed, expected)?;
    let cause = expected["cause"].as_str().context("no cause")?;
    let seen = sees(room, "create", cause, "undone")?;
    ensure!(seen == sees(room, "destroy", "", "call that fails")?, "born, and does not die?");
    let made = if seen { made } else { 0 };
    expect_made(births, cause, made, &expected["process"])?;
    for birth in births {
        ensure!(birth["op"] == failed["op"], "{birth} and {failed}");
        scene.stage.expect_destroy(birth, 0)?;
        scene.stage.expect_once(birth)?;
    }
    Ok(())
}

/// The last of six types is beyond a limit: the five others have been made by then.
fn partial_failure(room: &Room) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let first = scene.actor.who()?;
    let task = scene.actor.task(&format!("clone {USER:x}"))?;
    scene.actor.become_root()?;
    scene.actor.act("write /proc/sys/user/max_net_namespaces 0")?;
    let seen = scene.stage.events(task)?.len();
    let before = task.slots()?;
    scene.actor.fails(&format!("unshare {:x}", FIVE | NET))?;
    ensure!(task.slots()? == before, "it did change something");
    let expected = failure("unshare", FIVE | NET, "ENOSPC", &Value::Null, &task.process()?);
    expect_undone(&scene, room, &news(&scene, task, seen)?, FIVE, &expected)?;
    let creates = scene.stage.events(first)?;
    scene.end(&creates)
}

/// A cgroup in which nobody can have children.
struct Pids(PathBuf);

impl Pids {
    /// The place of one, not made yet; `None` where no hierarchy counts processes.
    fn find() -> Option<Self> {
        let name = format!("ns-trace-test-{}", std::process::id());
        let unified = Path::new("/sys/fs/cgroup");
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let legacy = mounts.lines().find_map(|line| {
            let mut words = line.split(' ').skip(1);
            let (place, kind, options) = (words.next()?, words.next()?, words.next()?);
            let counts = kind == "cgroup" && options.split(',').any(|option| option == "pids");
            counts.then(|| PathBuf::from(place))
        });
        let controllers = fs::read_to_string(unified.join("cgroup.controllers"));
        let counts = controllers.is_ok_and(|all| all.split_whitespace().any(|it| it == "pids"));
        let root = legacy.or_else(|| counts.then(|| unified.to_owned()))?;
        Some(Self(root.join(name)))
    }

    fn confine(&self, task: Task) -> Result<()> {
        let root = self.0.parent().context("no root")?;
        if root.join("cgroup.controllers").exists() {
            fs::write(root.join("cgroup.subtree_control"), "+pids")?;
        }
        fs::create_dir(&self.0)?;
        fs::write(self.0.join("pids.max"), "0")?;
        fs::write(self.0.join("cgroup.procs"), task.pid.to_string())?;
        Ok(())
    }
}

impl Drop for Pids {
    fn drop(&mut self) {
        // It was never made, perhaps.
        drop(fs::remove_dir(&self.0));
    }
}

/// A clone that fails after its namespaces were made: the kernel frees them for a task that never
/// was, while the parent runs.
fn unborn(room: &Room, pids: Option<Pids>) -> Result<()> {
    const FLAGS: u64 = UTS | IPC | NET;
    let mut scene = Scene::new(room)?;
    let task = scene.actor.who()?;
    let (line, errno) = match &pids {
        Some(pids) => {
            pids.confine(task)?;
            (format!("clone3 {FLAGS:x}"), "EAGAIN")
        }
        None => (format!("clone3 {FLAGS:x} {}", task.pid), "EEXIST"),
    };
    let before = task.process()?;
    scene.actor.fails(&line)?;
    let expected = failure("clone3", FLAGS, errno, &Value::Null, &before);
    expect_undone(&scene, room, &news(&scene, task, 0)?, FLAGS, &expected)?;
    // The parent has not left anything.
    let seen = scene.stage.events(task)?.len();
    let step = scene.call(&format!("unshare {UTS:x}"))?;
    let events = news(&scene, task, seen)?;
    let [create, entered] = &events[..] else { anyhow::bail!("{events:?}") };
    expect(entered, &enter("unshare", UTS, &step.changes(), Some(ANY), &step.process))?;
    ensure!(step.changes()[0]["from"] == before["ns"]["uts"], "{entered}");
    let result = scene.end(std::slice::from_ref(create));
    drop(pids);
    result
}

/// Several namespaces of a process at once, its user namespace among them; then the same again.
fn by_pidfd(room: &Room) -> Result<()> {
    const FLAGS: u64 = USER | UTS | NET;
    let mut host = Scene::new(room)?;
    let first = host.actor.who()?;
    let owner = host.actor.task(&format!("clone {:x}", FLAGS | IPC))?;
    let mut scene = Scene::on(&host.stage)?;
    let task = scene.actor.who()?;
    let pidfd = scene.actor.number(&format!("pidfd {}", owner.pid))?;
    let step = scene.call(&format!("setns {pidfd} {FLAGS:x}"))?;
    let events = scene.stage.events(task)?;
    let [event] = &events[..] else { anyhow::bail!("{events:?}") };
    expect(event, &enter("setns", FLAGS, &step.changes(), Some(ANY), &step.process))?;
    ensure!(step.changes().as_array().is_some_and(|all| all.len() == 3), "{event}");
    // In uts and net it is already: nothing changes, and nothing is told.
    scene.actor.act(&format!("setns {pidfd} {:x}", UTS | NET))?;
    // A user namespace cannot be joined again, and so the new ipc namespace is not either.
    let slots = owner.slots()?;
    let target = json!({ "pid": owner.pid, "ns": [slots["ipc"], slots["user"]] });
    let expected = |process: &Value| {
        let mut event = failure("setns", USER | IPC, "EINVAL", &target, process);
        event["relation"] = ANY.into();
        event
    };
    fails(&mut scene, &format!("setns {pidfd} {:x}", USER | IPC), "EINVAL", expected)?;
    ensure!(task.slots()? == step.process["ns"], "it did change something");
    ensure!(scene.stage.events(task)?.len() == 2, "{:?}", scene.stage.events(task)?);
    scene.end(&[])?;
    let creates = host.stage.events(first)?;
    host.end(&creates)
}

/// unshare of the 32-bit ABI, well and badly.
fn unshare_by_int80(room: &Room) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let task = scene.actor.who()?;
    let step = scene.call(&format!("int80 unshare {UTS:x}"))?;
    ensure!(step.changes() != json!([]), "nothing changed");
    let seen = sees(room, "enter", "unshare", "32-bit")?;
    ensure!(seen == sees(room, "create", "unshare", "32-bit")?, "one without the other?");
    let mut creates = Vec::new();
    let events = scene.stage.events(task)?;
    if seen {
        let [create, entered] = &events[..] else { anyhow::bail!("{events:?}") };
        expect_made(std::slice::from_ref(create), "unshare", UTS, &step.process)?;
        expect(entered, &enter("unshare", UTS, &step.changes(), Some(ANY), &step.process))?;
        creates.push(Arc::clone(create));
    } else {
        ensure!(events.is_empty(), "{events:?}");
    }
    scene.actor.fails(&format!("int80 unshare {:x}", UTS | 1))?;
    expect_failure(&scene, room, "unshare", task, events.len(), || {
        Ok(failure("unshare", UTS | 1, "EINVAL", &Value::Null, &task.process()?))
    })?;
    scene.end(&creates)
}

/// setns of the 32-bit ABI, well and badly.
fn setns_by_int80(room: &Room) -> Result<()> {
    let mut host = Scene::new(room)?;
    let first = host.actor.who()?;
    let owner = host.actor.task(&format!("clone {UTS:x}"))?;
    let mut scene = Scene::on(&host.stage)?;
    let task = scene.actor.who()?;
    let file = scene.actor.number(&format!("open /proc/{}/ns/uts", owner.pid))?;
    let step = scene.call(&format!("int80 setns {file} {UTS:x}"))?;
    ensure!(step.changes() != json!([]), "nothing changed");
    let events = scene.stage.events(task)?;
    if sees(room, "enter", "setns", "32-bit")? {
        let [entered] = &events[..] else { anyhow::bail!("{events:?}") };
        expect(entered, &enter("setns", UTS, &step.changes(), Some(ANY), &step.process))?;
    } else {
        ensure!(events.is_empty(), "{events:?}");
    }
    scene.actor.fails(&format!("int80 setns 9999 {UTS:x}"))?;
    expect_failure(&scene, room, "setns", task, events.len(), || {
        Ok(failure("setns", UTS, "EBADF", &Value::Null, &task.process()?))
    })?;
    // Whatever the tracer saw of it: as long as the actor is in the namespace, it lives.
    let creates = host.stage.events(first)?;
    let [create] = &creates[..] else { anyhow::bail!("{creates:?}") };
    host.actor.end()?;
    scene.stage.expect_alive(create)?;
    let alive = boot_ns();
    scene.end(&[])?;
    host.stage.expect_destroy(create, alive)?;
    host.stage.expect_once(create)
}

/// clone and clone3 of the 32-bit ABI make tasks, which every backend sees.
fn clone_by_int80(room: &Room) -> Result<()> {
    for call in ["clone", "clone3"] {
        let mut scene = Scene::new(room)?;
        let parent = scene.actor.who()?;
        let child = scene.actor.task(&format!("int80 {call} {UTS:x}"))?;
        let creates = scene.stage.events(parent)?;
        expect_made(&creates, call, UTS, &parent.process()?)?;
        let events = scene.stage.events(child)?;
        let [entered] = &events[..] else { anyhow::bail!("{events:?}") };
        ensure!(entered["cause"] == call && entered["op"] == creates[0]["op"], "{entered}");
        scene.end(&creates)?;

        let mut scene = Scene::new(room)?;
        let task = scene.actor.who()?;
        // CLONE_FS.
        let flags = USER | 0x200;
        scene.actor.fails(&format!("int80 {call} {flags:x}"))?;
        expect_failure(&scene, room, "clone,", task, 0, || {
            Ok(failure(call, flags, "EINVAL", &Value::Null, &task.process()?))
        })?;
        scene.end(&[])?;
    }
    Ok(())
}

/// Checks what is told of a failing 32-bit call after the first `seen` events.
fn expect_failure(
    scene: &Scene,
    room: &Room,
    cause: &str,
    task: Task,
    seen: usize,
    expected: impl Fn() -> Result<Value>,
) -> Result<()> {
    let events = news(scene, task, seen)?;
    match &events[..] {
        [event] if sees(room, "fail", cause, "32-bit")? => expect(event, &expected()?),
        [] if !sees(room, "fail", cause, "32-bit")? => Ok(()),
        _ => anyhow::bail!("{events:?}"),
    }
}

/// A filter answers in the kernel's place.
fn refused_by_seccomp(room: &Room) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let task = scene.actor.who()?;
    scene.actor.act(&format!("forbid {}", libc::SYS_unshare))?;
    scene.actor.fails(&format!("unshare {UTS:x}"))?;
    let events = scene.stage.events(task)?;
    match &events[..] {
        [event] if sees(room, "fail", "unshare", "seccomp")? => {
            expect(event, &failure("unshare", UTS, "EPERM", &Value::Null, &task.process()?))?;
        }
        [] if !sees(room, "fail", "unshare", "seccomp")? => {}
        _ => anyhow::bail!("{events:?}"),
    }
    scene.end(&[])
}

/// A structure that is too short to be read.
fn malformed(room: &Room) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let task = scene.actor.who()?;
    scene.actor.fails(&format!("malformed {UTS:x}"))?;
    let events = scene.stage.events(task)?;
    match &events[..] {
        [event] if sees(room, "fail", "clone3", "malformed")? => {
            expect(event, &failure("clone3", UTS, "EINVAL", &Value::Null, &task.process()?))?;
        }
        [] if !sees(room, "fail", "clone3", "malformed")? => {}
        _ => anyhow::bail!("{events:?}"),
    }
    scene.end(&[])
}
