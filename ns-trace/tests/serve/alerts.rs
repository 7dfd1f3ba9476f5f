//! What rules say of it, what is kept secret, and what the collector itself may do.

use std::{env, fs, process};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;

use super::{Collector, Test, http::get, make};
use crate::{
    actor::{self, Actor},
    context::Room,
    tracer::PATIENCE,
};

pub(super) const TRIALS: [(&str, Test); 3] = [
    ("serve::alerts::rules_look_at_what_happens", rules),
    ("serve::alerts::secrets_are_taken_out", secrets),
    ("serve::alerts::rights_are_given_up", rights),
];

/// A file of one rule about new uts namespaces.
fn rule(id: &str) -> String {
    format!(
        "rules:\n  - id: {id}\n    title: A uts namespace was made\n    severity: high\n    \
         tags: [T1611]\n    condition: event == 'create' && ns.type == 'uts'\n    \
         message: '{{process.comm}} made {{ns.inode}}'\n    \
         rate: {{at_most: 100, within: 1m, by: process}}\n"
    )
}

fn rules(room: &Room) -> Result<()> {
    let name = format!("ns-trace-test-{}-rules.yaml", process::id());
    let file = env::temp_dir().join(name);
    fs::write(&file, rule("first"))?;
    let config = format!("[rules]\npaths = [\"{}\"]\n", file.display());
    let mut collector = Collector::start(room, &config)?;
    let tracer = collector.tracer()?;
    let place = tracer.len();
    let inode = make(tracer)?;
    let alert = tracer.wait_since(place, "an alert", |event| event["event"] == "alert")?;
    ensure!(alert["rule"] == "first" && alert["ns"]["inode"] == inode, "{alert}");
    let said = alert["message"].as_str().unwrap_or_default();
    ensure!(said.ends_with(&format!(" made {inode}")), "{alert}");
    let cause = tracer.wait_since(0, "its cause", |event| event["seq"] == alert["cause_seq"])?;
    ensure!(cause["event"] == "create" && cause["ns"]["inode"] == inode, "{cause}");
    make(tracer)?;
    let all = get(&collector, "/api/v1/alerts")?;
    let of = |answer: &Value| answer["alerts"].as_array().map_or(0, Vec::len);
    ensure!(of(&all) == 2 && all["next"].is_null(), "{all}");
    ensure!(all["alerts"][1] == *alert, "{all} has not {alert}");
    let page = get(&collector, "/api/v1/alerts?limit=1&severity=medium&rule=first")?;
    ensure!(of(&page) == 1 && page["alerts"][0] == all["alerts"][0], "{page}");
    let rest = get(&collector, &format!("/api/v1/alerts?before={}", page["next"]))?;
    ensure!(of(&rest) == 1 && rest["alerts"][0] == *alert, "{rest}");
    for none in ["severity=critical", "rule=second", "where=false"] {
        let none = get(&collector, &format!("/api/v1/alerts?{none}"))?;
        ensure!(of(&none) == 0, "{none}");
    }
    // What is wrong changes nothing; what is right counts from then on.
    fs::write(&file, "rules: 7\n")?;
    tracer.signal(Signal::HUP)?;
    make(tracer)?;
    fs::write(&file, rule("second"))?;
    tracer.signal(Signal::HUP)?;
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        make(tracer)?;
        if of(&get(&collector, "/api/v1/alerts?rule=second")?) > 0 {
            break;
        }
        ensure!(std::time::Instant::now() < deadline, "the new rules have no effect");
    }
    let before = get(&collector, "/api/v1/alerts?limit=1000")?;
    // The next run knows them too, if there is a history.
    let ended = collector.end(Signal::TERM)?;
    ensure!(ended.stderr.contains("stays as it was"), "{}", ended.stderr);
    collector.run()?;
    let after = get(&collector, "/api/v1/alerts?limit=1000")?;
    let kept: Vec<_> = before["alerts"].as_array().into_iter().flatten().collect();
    let known: Vec<_> = after["alerts"].as_array().into_iter().flatten().collect();
    ensure!(known.ends_with(&kept) && kept.len() > 2, "{after} has not {before}");
    fs::remove_file(&file)?;
    collector.finish().map(drop)
}

fn secrets(room: &Room) -> Result<()> {
    const SECRET: &str = "s3cr3t";
    let rules = env::temp_dir().join(format!("ns-trace-test-{}-secrets.yaml", process::id()));
    fs::write(
        &rules,
        "rules:\n  - {id: told, title: T, severity: low, condition: event == 'create', \
         message: 'args {process.args}'}\n",
    )?;
    let config = format!(
        "[redact]\nargs = [\"--key[= ]([^ ]+)\"]\n[rules]\npaths = [\"{}\"]\n",
        rules.display()
    );
    let collector = Collector::start(room, &config);
    fs::remove_file(&rules)?;
    let collector = collector?;
    let tracer = collector.tracer()?;
    let mut command = actor::command()?;
    command.arg(format!("--key={SECRET}")).args(["--key", SECRET]);
    let mut actor = Actor::spawn(&mut command)?;
    let place = tracer.len();
    actor.act("unshare 4000000")?;
    let pid = actor.pid();
    let is_it = |event: &Value| event["event"] == "create" && event["process"]["pid"] == pid;
    let made = tracer.wait_since(place, "a `create`", is_it)?;
    let args = made["process"]["args"].as_array().context("no arguments")?;
    let tail: Vec<_> = args.iter().skip(1).filter_map(Value::as_str).collect();
    ensure!(tail == ["--key=[redacted]", "--key", "[redacted]"], "{made}");
    let is_told = |event: &Value| event["event"] == "alert" && event["process"]["pid"] == pid;
    let told = tracer.wait_since(place, "an `alert`", is_told)?;
    let message = told["message"].as_str().unwrap_or_default();
    ensure!(message.matches("[redacted]").count() == 2, "{told}");
    drop(actor);
    let ended = collector.finish()?;
    for event in &ended.events {
        ensure!(!event.to_string().contains(SECRET), "{event}");
    }
    Ok(())
}

/// A line of `/proc/PID/status`.
fn line<'a>(status: &'a str, name: &str) -> Result<&'a str> {
    let mut lines = status.lines().filter_map(|line| line.split_once(':'));
    let found = lines.find(|(other, _)| *other == name);
    found.map(|(_, value)| value.trim()).with_context(|| format!("no {name}"))
}

fn rights(room: &Room) -> Result<()> {
    // CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE, CAP_SYS_ADMIN and CAP_BPF, and one that is asked for.
    const KEPT: u64 = 1 << 2 | 1 << 19 | 1 << 21 | 1 << 39 | 1 << 5;
    let collector = Collector::start(room, "[privileges]\nkeep = [\"CAP_KILL\"]\n")?;
    // All threads that there will be.
    get(&collector, "/api/v1/namespaces/1").err().context("there is no namespace 1")?;
    let tasks = format!("/proc/{}/task", collector.tracer()?.pid());
    let mut threads = 0;
    for task in fs::read_dir(&tasks)? {
        let status = fs::read_to_string(task?.path().join("status"))?;
        for set in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
            let held = u64::from_str_radix(line(&status, set)?, 16)?;
            ensure!(held & !KEPT == 0, "{set} {held:x}: {status}");
        }
        ensure!(line(&status, "NoNewPrivs")? == "1", "{status}");
        ensure!(line(&status, "Seccomp")? == "2", "no filter: {status}");
        threads += 1;
    }
    ensure!(threads >= 5, "but {threads} threads");
    let output = collector.ask(&["doctor", "-J"]).output()?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let told = &report["collector"];
    ensure!(told["pid"] == collector.tracer()?.pid(), "{told}");
    ensure!(told["no_new_privileges"] == true && told["seccomp"] == true, "{told}");
    let names = told["capabilities"].as_array().context("no capabilities")?;
    ensure!(names.contains(&Value::from("CAP_BPF")), "{told}");
    ensure!(!names.contains(&Value::from("CAP_SYS_MODULE")), "{told}");
    collector.finish().map(drop)
}
