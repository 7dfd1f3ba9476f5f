//! Calls that fail.

use std::sync::Arc;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use ns_trace::model::Errno;
use serde_json::{Value, json};

use crate::{
    compare::{ANY, expect, same},
    context::{Context, Room},
    facts::flag_names,
    scene::Scene,
};

const UTS: u64 = 0x0400_0000;
const USER: u64 = 0x1000_0000;
const NET: u64 = 0x4000_0000;
/// `CLONE_FS`, which does not go together with a new user namespace.
const FS: u64 = 0x200;

/// The user without rights.
const NOBODY: &str = "user 65534";

/// The trials of this file.
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let mut trials = Vec::new();
    let mut add = |name: &str, test: fn(&Room) -> Result<()>| {
        trials.extend(context.per_backend(&format!("trace::fail::{name}"), test));
    };
    add("unshare_without_privilege", |room| call(room, &[NOBODY], "unshare", UTS, "EPERM"));
    add("clone_without_privilege", |room| call(room, &[NOBODY], "clone", UTS, "EPERM"));
    add("clone3_without_privilege", |room| call(room, &[NOBODY], "clone3", UTS | NET, "EPERM"));
    add("unshare_with_an_unknown_flag", |room| call(room, &[], "unshare", UTS | 1, "EINVAL"));
    add("clone_of_user_and_fs", |room| call(room, &[], "clone", USER | FS, "EINVAL"));
    add("clone3_of_user_and_fs", |room| call(room, &[], "clone3", USER | FS, "EINVAL"));
    add("unshare_beyond_the_limit", beyond_the_limit);
    add("setns_on_no_descriptor", |room| setns(room, None, UTS, "EBADF"));
    add("setns_on_a_negative_descriptor", negative);
    add("setns_on_another_file", |room| setns(room, Some("/dev/null"), UTS, "EINVAL"));
    add("setns_of_another_type", wrong_type);
    add("setns_without_privilege", setns_without_privilege);
    add("setns_to_own_user", own_user);
    add("setns_by_pidfd", pidfd);
    trials
}

/// The event that is expected of a failing call.
pub(crate) fn failure(
    cause: &str,
    flags: u64,
    errno: &str,
    target: &Value,
    process: &Value,
) -> Value {
    let mut event = json!({
        "event": "fail", "cause": cause, "flags": flag_names(flags), "op": ANY, "errno": errno,
        "target": target, "relation": null, "process": process,
    });
    let rest = flags & 0x7fff_ffff & !0x7e02_0080;
    if rest != 0 {
        event["flags_raw"] = format!("{rest:#x}").into();
    }
    event
}

/// Has the task in front fail a call, and checks that this is all that is told of it.
pub(crate) fn fails(
    scene: &mut Scene,
    line: &str,
    errno: &str,
    expected: impl Fn(&Value) -> Value,
) -> Result<()> {
    let task = scene.actor.who()?;
    let before = scene.stage.events(task)?.len();
    let number = Errno::from_raw(i32::try_from(scene.actor.fails(line)?)?);
    ensure!(number.name() == Some(errno), "`{line}` failed with {number}");
    let events = scene.stage.events(task)?;
    let Some([event]) = events.get(before..) else { anyhow::bail!("{events:?}") };
    expect(event, &expected(&task.process()?))
}

pub(crate) fn call(
    room: &Room,
    preparation: &[&str],
    call: &str,
    flags: u64,
    errno: &str,
) -> Result<()> {
    let mut scene = Scene::new(room)?;
    for line in preparation {
        scene.actor.act(line)?;
    }
    let expected = |process: &Value| failure(call, flags, errno, &Value::Null, process);
    fails(&mut scene, &format!("{call} {flags:x}"), errno, expected)?;
    scene.end(&[])
}

/// In a user namespace whose limit is 0.
fn beyond_the_limit(room: &Room) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let first = scene.actor.who()?;
    scene.actor.task(&format!("clone {USER:x}"))?;
    scene.actor.become_root()?;
    scene.actor.act("write /proc/sys/user/max_net_namespaces 0")?;
    let refused = |process: &Value| failure("unshare", NET, "ENOSPC", &Value::Null, process);
    fails(&mut scene, &format!("unshare {NET:x}"), "ENOSPC", refused)?;
    let creates = scene.stage.events(first)?;
    scene.end(&creates)
}

fn setns(room: &Room, path: Option<&str>, flags: u64, errno: &str) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let file = match path {
        Some(path) => scene.actor.number(&format!("open {path}"))?,
        None => 9999,
    };
    let expected = |process: &Value| failure("setns", flags, errno, &Value::Null, process);
    fails(&mut scene, &format!("setns {file} {flags:x}"), errno, expected)?;
    scene.end(&[])
}

fn negative(room: &Room) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let expected = |process: &Value| failure("setns", 0, "EBADF", &Value::Null, process);
    fails(&mut scene, "setns -1 0", "EBADF", expected)?;
    scene.end(&[])
}

/// A descriptor of a uts namespace where a net namespace was asked for.
fn wrong_type(room: &Room) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let file = scene.actor.number("open /proc/self/ns/uts")?;
    let expected = |process: &Value| {
        let mut event = failure("setns", NET, "EINVAL", &process["ns"]["uts"], process);
        event["relation"] = "own".into();
        event
    };
    fails(&mut scene, &format!("setns {file} {NET:x}"), "EINVAL", expected)?;
    scene.end(&[])
}

/// At the host's namespace from within one's own, and at somebody else's.
fn setns_without_privilege(room: &Room) -> Result<()> {
    let mut other = Scene::new(room)?;
    let owner = other.actor.who()?;
    other.actor.act(&format!("unshare {NET:x}"))?;

    let mut scene = Scene::on(&other.stage)?;
    let host = scene.actor.who()?.slots()?["net"].clone();
    let at_host = scene.actor.number("open /proc/self/ns/net")?;
    let at_other = scene.actor.number(&format!("open /proc/{}/ns/net", owner.pid))?;
    scene.actor.act(&format!("unshare {NET:x}"))?;
    scene.actor.act(NOBODY)?;
    let theirs = owner.slots()?["net"].clone();
    for (file, target, relation) in
        [(at_host, host, json!("host")), (at_other, theirs, json!("other"))]
    {
        let expected = |process: &Value| {
            let mut event = failure("setns", NET, "EPERM", &target, process);
            event["relation"] = relation.clone();
            event
        };
        fails(&mut scene, &format!("setns {file} {NET:x}"), "EPERM", expected)?;
    }
    scene.end(&[])?;
    other.end(&[])
}

/// The one type that cannot be joined again.
fn own_user(room: &Room) -> Result<()> {
    let mut scene = Scene::new(room)?;
    let file = scene.actor.number("open /proc/self/ns/user")?;
    let expected = |process: &Value| {
        let mut event = failure("setns", USER, "EINVAL", &process["ns"]["user"], process);
        event["relation"] = "own".into();
        event
    };
    fails(&mut scene, &format!("setns {file} {USER:x}"), "EINVAL", expected)?;
    scene.end(&[])
}

/// The target is a process, with those of its namespaces that were asked for.
fn pidfd(room: &Room) -> Result<()> {
    const FLAGS: u64 = UTS | NET;
    let mut other = Scene::new(room)?;
    let owner = other.actor.who()?;
    other.actor.act(&format!("unshare {FLAGS:x}"))?;
    let slots = owner.slots()?;
    let mut scene = Scene::on(&other.stage)?;
    let pidfd = scene.actor.number(&format!("pidfd {}", owner.pid))?;
    let at = |ns: Value| json!({ "pid": owner.pid, "ns": ns });
    // Without flags there is nothing to join.
    let expected = |process: &Value| failure("setns", 0, "EINVAL", &at(json!([])), process);
    fails(&mut scene, &format!("setns {pidfd} 0"), "EINVAL", expected)?;
    scene.actor.act(NOBODY)?;
    let target = at(json!([slots["uts"], slots["net"]]));
    let expected = |process: &Value| {
        let mut event = failure("setns", FLAGS, "EPERM", &target, process);
        event["relation"] = "other".into();
        event
    };
    fails(&mut scene, &format!("setns {pidfd} {FLAGS:x}"), "EPERM", expected)?;
    same(&owner.slots()?, &slots)?;
    scene.end(&[])?;
    other.end(&[])
}
