//! `ns-trace why`: every holder is found, named, and gone when it lets go.

mod held;

pub(crate) use self::held::no_walk;

use std::{
    cell::RefCell,
    path::PathBuf,
    process::{Command, Output},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::{
    actor::Actor,
    context::{Context, doctor},
    facts::kind_named,
    tracer::{PATIENCE, program},
};

type Test = fn() -> Result<()>;

/// What holds namespaces, but for what [`held`] has.
const HOLDERS: [(&str, Test); 12] = [
    ("why::a_member", a_member),
    ("why::a_zombie", a_zombie),
    ("why::a_descriptor_of_every_type", a_descriptor_of_every_type),
    ("why::a_descriptor_of_a_thread", a_descriptor_of_a_thread),
    ("why::more_than_people_read", more_than_people_read),
    ("why::a_socket", a_socket),
    ("why::a_thread", a_thread),
    ("why::a_thread_without_its_first", a_thread_without_its_first),
    ("why::children", children),
    ("why::a_mount_elsewhere", a_mount_elsewhere),
    ("why::what_it_owns_and_what_is_below", what_it_owns_and_what_is_below),
    ("why::the_initial_one", the_initial_one),
];

thread_local! {
    /// The socket of the collector that is asked; where there is none, everything is looked at.
    static COLLECTOR: RefCell<Option<PathBuf>> = const { RefCell::new(None) };
}

/// The trials of this file. They do not depend on the backend.
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let plain = |(name, test)| context.once(name, test);
    let mut trials: Vec<_> = HOLDERS.into_iter().map(plain).collect();
    trials.push(listed(context));
    trials.push(plain(("why::selectors_that_name_nothing", selectors_that_name_nothing)));
    trials.push(plain(("why::names_are_escaped", names_are_escaped)));
    trials.extend(held::trials(context));
    trials
}

/// Has a collector find every holder that can be had here.
pub(crate) fn every_holder(socket: PathBuf) -> Result<()> {
    COLLECTOR.set(Some(socket));
    let held = held::tests().into_iter().filter(|test| test.obstacle.is_none());
    let held = held.map(|test| match test.name {
        held::TAP => (test.name, held::a_tap_device_is_missing as Test),
        name => (name, test.run),
    });
    let tests = HOLDERS.into_iter().chain(held);
    let outcomes = tests.map(|(name, test)| test().context(name));
    let failures: Vec<_> =
        outcomes.filter_map(Result::err).map(|error| format!("{error:#}")).collect();
    COLLECTOR.set(None);
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

/// What nothing leads to that can be looked at: a mount in a mount namespace without a process; and
/// what /proc does not show, a pid namespace that waits for its first process.
fn listed(context: &Arc<Context>) -> Trial {
    let name = "why::nothing_visible";
    let trial = context.once(name, nothing_visible);
    if trial.has_ignored_flag() {
        return trial;
    }
    let obstacle = match kernel_lists() {
        Ok(true) => None,
        Ok(false) => Some("this kernel has no lists of namespaces that can be read".to_owned()),
        Err(error) => Some(format!("{error:#}")),
    };
    if let Some(obstacle) = &obstacle {
        crate::context::skipped(name, obstacle);
    }
    trial.with_ignored_flag(obstacle.is_some())
}

/// Whether there are lists of all types (6.18), and programs may read them.
fn kernel_lists() -> Result<bool> {
    let output = run(&["doctor", "--offsets"])?;
    let offsets = String::from_utf8(output.stdout)?;
    let has = |line: &&str| line.starts_with("namespaces.uts.list ") && !line.ends_with("absent");
    Ok(offsets.lines().any(|line| has(&line)) && doctor()?["verdict"]["backend"].is_string())
}

fn nothing_visible() -> Result<()> {
    let (mut maker, mut holder) = (Actor::start()?, Actor::start()?);
    let place = std::env::temp_dir().join(format!("ns-trace-test-{}-nowhere", std::process::id()));
    std::fs::write(&place, "")?;
    let path = place.to_str().context("a strange directory for files")?;
    let child = maker.task("clone3 4000000")?;
    let ns = of_task(child.pid, child.tid, "uts")?;
    let back = holder.number("open /proc/self/ns/mnt")?;
    holder.act("unshare 20000")?;
    holder.act("private")?;
    holder.act(&format!("bind /proc/{}/ns/uts {path}", child.pid))?;
    let mounts = holder.number("open /proc/self/ns/mnt")?;
    holder.act(&format!("setns {back} 20000"))?;
    maker.act("exit 0")?;
    maker.act("reap")?;
    let report = expect_holders(&ns, &[])?;
    ensure!(pids(&report).is_empty() && report["frees"] == json!([]), "{report:#}");
    ensure!(report["ns"]["owner"]["type"] == "user", "{report:#}");
    let text = String::from_utf8(run(&["why", &ns])?.stdout)?;
    ensure!(text.contains("nothing visible holds it"), "{text}");
    holder.act(&format!("close {mounts}"))?;
    expect_gone(&ns)?;
    holder.end()?;
    maker.end()?;
    std::fs::remove_file(&place)?;
    let mut actor = Actor::start()?;
    actor.act("unshare 20000000")?;
    let report = run(&["show", &actor.pid().to_string(), "-J"])?;
    let report: Value = serde_json::from_slice(&report.stdout)?;
    let slots = &report["process"]["ns"];
    ensure!(slots["pid_for_children"] != slots["pid"], "{report:#}");
    let ns = format!("pid:{}", slots["pid_for_children"]["inode"]);
    let held = json!({ "holder": "for_children", "pid": actor.pid(), "slot": "pid_for_children" });
    expect_holders(&ns, &[held])?;
    actor.end()?;
    expect_gone(&ns)
}

pub(crate) fn run(args: &[&str]) -> Result<Output> {
    let mut command = Command::new(program());
    if let Some(socket) = COLLECTOR.with_borrow(Option::clone) {
        command.env("NS_TRACE_SOCKET", socket);
    }
    command.args(args).env("LC_ALL", "C.UTF-8").output().context("ns-trace does not start")
}

/// What `why` says of a namespace that is there.
fn why(ns: &str) -> Result<Value> {
    let output = run(&["why", ns, "-J"])?;
    ensure!(output.status.success(), "{ns}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("the report is no JSON")
}

/// The namespace in a slot of a task, as selectors name it.
pub(crate) fn of_task(pid: u64, tid: u64, slot: &str) -> Result<String> {
    let link = std::fs::read_link(format!("/proc/{pid}/task/{tid}/ns/{slot}"))?;
    Ok(link.to_string_lossy().replace(['[', ']'], ""))
}

/// Waits for the end of a namespace.
fn expect_gone(ns: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let output = run(&["why", ns, "-J"])?;
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            ensure!(output.status.code() == Some(1), "{}: {error}", output.status);
            ensure!(error.contains(&format!("there is no namespace `{ns}`")), "{error}");
            return Ok(());
        }
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(Instant::now() < deadline, "{ns} is still there: {report}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Checks that exactly these hold it, all of whose fields are as expected.
fn expect_holders(ns: &str, expected: &[Value]) -> Result<Value> {
    let report = why(ns)?;
    let holders = report["holders"].as_array().context("no holders")?;
    let matches = |holder: &Value, expected: &Value| {
        let fields = expected.as_object().into_iter().flatten();
        fields.clone().count() > 0 && { fields }.all(|(name, value)| holder[name] == *value)
    };
    for one in expected {
        ensure!(holders.iter().any(|holder| matches(holder, one)), "no {one} in {report:#}");
    }
    ensure!(
        holders.len() == expected.len(),
        "{} for {}: {report:#}",
        holders.len(),
        expected.len()
    );
    Ok(report)
}

fn pids(report: &Value) -> Vec<u64> {
    let processes = report["processes"].as_array().into_iter().flatten();
    processes.filter_map(|process| process["pid"].as_u64()).collect()
}

fn a_member() -> Result<()> {
    let mut actor = Actor::start()?;
    let task = actor.who()?;
    actor.act("unshare 4000000")?;
    let ns = of_task(task.pid, task.tid, "uts")?;
    let report = expect_holders(&ns, &[])?;
    ensure!(pids(&report) == [task.pid], "{report:#}");
    ensure!(report["frees"][0].as_str().is_some_and(|step| step.contains(&task.pid.to_string())));
    actor.end()?;
    expect_gone(&ns)
}

/// It keeps its pid and user namespaces until it is reaped.
fn a_zombie() -> Result<()> {
    let mut actor = Actor::start()?;
    let child = actor.task("clone3 30000000")?;
    let (pid_ns, user_ns) =
        (of_task(child.pid, child.tid, "pid")?, of_task(child.pid, child.tid, "user")?);
    actor.act("exit 0")?;
    for ns in [&pid_ns, &user_ns] {
        let report = why(ns)?;
        ensure!(pids(&report) == [child.pid], "{report:#}");
        ensure!(report["processes"][0]["ended"] == true, "{report:#}");
        let step = report["frees"].to_string();
        ensure!(step.contains(&format!("process {} waiting for its child", actor.pid())), "{step}");
    }
    let text = String::from_utf8(run(&["show", &child.pid.to_string()])?.stdout)?;
    ensure!(text.contains("has ended, its parent has not waited for it"), "{text}");
    actor.act("reap")?;
    expect_gone(&pid_ns)?;
    expect_gone(&user_ns)?;
    actor.end()
}

fn a_descriptor_of_every_type() -> Result<()> {
    for name in ["mnt", "pid", "ipc", "uts", "net", "user", "cgroup"] {
        let kind = kind_named(name)?;
        let (mut maker, mut holder) = (Actor::start()?, Actor::start()?);
        let child = maker.task(&format!("clone3 {:x}", kind.flag))?;
        let ns = of_task(child.pid, child.tid, name)?;
        let fd = holder.number(&format!("open /proc/{}/ns/{name}", child.pid))?;
        maker.act("exit 0")?;
        maker.act("reap")?;
        let held = json!({ "holder": "fd", "pid": holder.pid(), "tid": holder.pid(), "fd": fd });
        let report = expect_holders(&ns, &[held])?;
        ensure!(pids(&report).is_empty(), "{report:#}");
        let step = report["frees"][0].as_str().context("no step")?;
        ensure!(step.starts_with(&format!("closing descriptor {fd} of ")), "{step}");
        holder.act(&format!("close {fd}"))?;
        expect_gone(&ns)?;
        holder.end()?;
        maker.end()?;
    }
    Ok(())
}

/// In a table of its own, which /proc/PID/fd does not show.
fn a_descriptor_of_a_thread() -> Result<()> {
    let (mut maker, mut holder) = (Actor::start()?, Actor::start()?);
    let child = maker.task("clone3 4000000")?;
    let ns = of_task(child.pid, child.tid, "uts")?;
    let thread = holder.task("thread")?;
    holder.act("unshare 400")?;
    let fd = holder.number(&format!("open /proc/{}/ns/uts", child.pid))?;
    maker.act("exit 0")?;
    maker.act("reap")?;
    let held = json!({ "holder": "fd", "pid": thread.pid, "tid": thread.tid, "fd": fd });
    expect_holders(&ns, &[held])?;
    holder.end()?;
    expect_gone(&ns)?;
    maker.end()
}

/// Text is cut, JSON is not.
fn more_than_people_read() -> Result<()> {
    const MANY: usize = 25;
    let (mut maker, mut holder) = (Actor::start()?, Actor::start()?);
    let child = maker.task("clone3 4000000")?;
    let ns = of_task(child.pid, child.tid, "uts")?;
    for _ in 0..MANY {
        holder.number(&format!("open /proc/{}/ns/uts", child.pid))?;
    }
    maker.act("exit 0")?;
    maker.act("reap")?;
    let report = why(&ns)?;
    for list in ["holders", "frees"] {
        ensure!(report[list].as_array().is_some_and(|list| list.len() == MANY), "{report:#}");
    }
    let text = String::from_utf8(run(&["why", &ns])?.stdout)?;
    ensure!(text.matches("and 5 more; -J lists all").count() == 2, "{text}");
    let shown = String::from_utf8(run(&["show", &ns])?.stdout)?;
    ensure!(shown.matches("and 5 more; -J lists all").count() == 1, "{shown}");
    holder.end()?;
    expect_gone(&ns)?;
    maker.end()
}

/// Made in a namespace that its process has left since.
fn a_socket() -> Result<()> {
    let mut actor = Actor::start()?;
    let task = actor.who()?;
    let back = actor.number("open /proc/self/ns/net")?;
    actor.act("unshare 40000000")?;
    let ns = of_task(task.pid, task.tid, "net")?;
    let socket = actor.number("socket")?;
    actor.act(&format!("setns {back} 40000000"))?;
    let held = json!({ "holder": "socket", "pid": task.pid, "fd": socket });
    let report = expect_holders(&ns, &[held])?;
    ensure!(pids(&report).is_empty(), "{report:#}");
    actor.act(&format!("close {socket}"))?;
    expect_gone(&ns)?;
    actor.end()
}

fn a_thread() -> Result<()> {
    let mut actor = Actor::start()?;
    let thread = actor.task("thread")?;
    actor.act("name shy")?;
    actor.act("unshare 4000000")?;
    let ns = of_task(thread.pid, thread.tid, "uts")?;
    let held = json!({ "holder": "thread", "pid": thread.pid, "tid": thread.tid, "comm": "shy" });
    let report = expect_holders(&ns, &[held])?;
    ensure!(pids(&report).is_empty(), "{report:#}");
    actor.act("exit 0")?;
    expect_gone(&ns)?;
    actor.end()
}

/// The first thread of the process is a zombie and has no namespace but two.
fn a_thread_without_its_first() -> Result<()> {
    let mut actor = Actor::start()?;
    let thread = actor.task("thread alone")?;
    actor.act("unshare 4000000")?;
    let ns = of_task(thread.pid, thread.tid, "uts")?;
    let held = json!({ "holder": "thread", "pid": thread.pid, "tid": thread.tid });
    expect_holders(&ns, &[held])?;
    actor.end()?;
    expect_gone(&ns)
}

/// `time_for_children` at once, `pid_for_children` once there was a first child.
fn children() -> Result<()> {
    let mut actor = Actor::start()?;
    let task = actor.who()?;
    if actor.act("unshare 80").is_ok() {
        let ns = of_task(task.pid, task.tid, "time_for_children")?;
        let held = json!({
            "holder": "for_children", "pid": task.pid, "tid": task.tid, "slot": "time_for_children",
        });
        expect_holders(&ns, &[held])?;
    }
    actor.act("unshare 20000000")?;
    let child = actor.task("clone 0")?;
    let ns = of_task(child.pid, child.tid, "pid")?;
    let held = json!({ "holder": "for_children", "pid": task.pid, "slot": "pid_for_children" });
    let report = expect_holders(&ns, &[held])?;
    ensure!(pids(&report) == [child.pid], "{report:#}");
    actor.act("exit 0")?;
    actor.end()?;
    expect_gone(&ns)
}

/// A bind mount that is in another mount namespace only.
fn a_mount_elsewhere() -> Result<()> {
    let (mut maker, mut holder) = (Actor::start()?, Actor::start()?);
    let place = std::env::temp_dir().join(format!("ns-trace-test-{}-why", std::process::id()));
    std::fs::write(&place, "")?;
    let path = place.to_str().context("a strange directory for files")?;
    let child = maker.task("clone3 4000000")?;
    let ns = of_task(child.pid, child.tid, "uts")?;
    holder.act("unshare 20000")?;
    holder.act("private")?;
    holder.act(&format!("bind /proc/{}/ns/uts {path}", child.pid))?;
    maker.act("exit 0")?;
    maker.act("reap")?;
    let mnt = of_task(holder.pid().into(), holder.pid().into(), "mnt")?;
    let held = json!({ "holder": "mount", "path": path, "pid": holder.pid() });
    let report = expect_holders(&ns, &[held])?;
    let seen = &report["holders"][0]["mnt_ns"];
    ensure!(mnt == format!("mnt:{}", seen["inode"]), "{report:#}");
    // Nothing but that mount leads to it, and still it tells who owns it.
    ensure!(report["ns"]["owner"]["type"] == "user", "{report:#}");
    holder.act(&format!("unbind {path}"))?;
    expect_gone(&ns)?;
    holder.end()?;
    maker.end()?;
    Ok(std::fs::remove_file(&place)?)
}

/// Two user namespaces, one in the other, and nobody in the outer one.
fn what_it_owns_and_what_is_below() -> Result<()> {
    let mut actor = Actor::start()?;
    let task = actor.who()?;
    actor.act("unshare 14000000")?;
    actor.become_root()?;
    let (outer, uts) = (of_task(task.pid, task.tid, "user")?, of_task(task.pid, task.tid, "uts")?);
    actor.act("unshare 10000000")?;
    let inner = of_task(task.pid, task.tid, "user")?;
    let number = |ns: &str| ns.rsplit(':').next().and_then(|inode| inode.parse::<u64>().ok());
    let report = why(&outer)?;
    ensure!(pids(&report).is_empty(), "{report:#}");
    for (holder, ns) in [("child", &inner), ("owned", &uts)] {
        let holders = report["holders"].as_array().context("no holders")?;
        let is_it =
            |one: &&Value| one["holder"] == holder && one["ns"]["inode"].as_u64() == number(ns);
        ensure!(holders.iter().any(|one| is_it(&one)), "no {holder} {ns}: {report:#}");
    }
    actor.end()?;
    expect_gone(&outer)
}

fn the_initial_one() -> Result<()> {
    let report = why("uts:4026531838")?;
    ensure!(report["ns"]["initial"] == true, "{report:#}");
    let step = report["frees"][0].as_str().context("no step")?;
    ensure!(step.starts_with("nothing: it is initial"), "{step}");
    Ok(())
}

fn selectors_that_name_nothing() -> Result<()> {
    for (selector, code, sentence) in [
        ("nett:1", 2, "names no namespace"),
        ("pid:4194304", 1, "there is no process 4194304"),
        ("net:4294967295", 1, "there is no namespace `net:4294967295`"),
        ("uts:4026531839", 1, "did you mean"),
        ("name:no-such-name", 1, "named namespace `no-such-name`"),
        ("container:no-such", 1, "there is no container `no-such`"),
        ("/proc/self/stat", 1, "`/proc/self/stat` is no namespace"),
        ("/no/such/file", 1, "`/no/such/file` cannot be opened"),
        (&std::process::id().to_string(), 1, "may be any of"),
    ] {
        let output = run(&["why", selector])?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(code), "{selector}: {}: {error}", output.status);
        ensure!(error.contains(sentence), "{selector}: {error}");
        ensure!(output.stdout.is_empty(), "{selector}: something on standard output");
    }
    Ok(())
}

fn names_are_escaped() -> Result<()> {
    let mut actor = Actor::start()?;
    let task = actor.who()?;
    actor.act("unshare 4000000")?;
    actor.act("name a\u{1b}[31mb")?;
    let ns = of_task(task.pid, task.tid, "uts")?;
    let output = run(&["why", &ns])?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(text.contains("a\\x1b[31mb") && !text.contains('\u{1b}'), "{text}");
    actor.end()
}
