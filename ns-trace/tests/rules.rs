//! `ns-trace rules`, and the alerts of `trace --rules`.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
    sync::Arc,
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    actor::Actor,
    churn,
    context::{Context, Room, skipped},
    init,
    stage::wait_until_idle,
    trace::{
        container::{Cgroup, fresh_id},
        replay::{RECORDING, replay},
        run::{Folder, Run, parse, run, sorts, trace, trial, trial_per_backend},
    },
    tracer::program,
};

/// The trials of this file.
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let mut trials = vec![
        context.here("rules::what_is_wrong_has_its_place", what_is_wrong_has_its_place),
        context.here("rules::files_that_are_none", files_that_are_none),
        context.here("rules::the_shipped_ones_pass_their_tests", shipped_pass_their_tests),
        context.here("rules::a_test_that_fails_is_told", a_test_that_fails_is_told),
        context.here("rules::list_and_explain", list_and_explain),
        context.here("rules::a_recording_is_judged", a_recording_is_judged),
        context.here("rules::others_use_up_no_limit", others_use_up_no_limit),
        ordinary_life_trial(context),
    ];
    trials.extend(trial_per_backend(
        context,
        "rules",
        &[
            ("a_container_that_enters_the_host_is_an_alert", container_enters_host),
            ("a_plain_user_that_makes_a_user_namespace_is_told", plain_user),
            ("what_is_older_than_the_trace_is_known", older),
            ("the_exit_code_tells_of_an_alert", exit_code),
        ],
    ));
    let bare = init::is_ours().then_some("there is no program to make setuid");
    let title = "rules::a_user_who_becomes_root_is_told";
    trials.extend(context.unless(bare, title, user_becomes_root));
    trials
}

/// A recording says the same on every kernel: an emulated machine need not read it slowly.
fn ordinary_life_trial(context: &Arc<Context>) -> Trial {
    let name = "rules::ordinary_life_raises_no_alarm";
    let emulated = init::is_ours();
    if emulated {
        skipped(name, "an hour of events is the same on every kernel; tested on the host");
    }
    trial(context, name, ordinary_life).with_ignored_flag(emulated)
}

fn rules(words: &[&str]) -> Result<Run> {
    run(Command::new(program()).arg("rules").args(words), b"")
}

fn answer(words: &[&str], status: i32) -> Result<Value> {
    let run = rules(words)?;
    run.ends(status, &[])?;
    ensure!(run.stderr.is_empty(), "{run:?}");
    serde_json::from_str(&run.stdout).with_context(|| format!("{words:?}: {run:?}"))
}

const BAD: &str = "\
rules:
  - id: one
    title: One
    severity: loud
    condition: event == 'create' && is_root
macros:
  is_root: process.uidd == 0
";

/// A rule by that name with that condition.
fn rule(id: &str, condition: &str) -> String {
    let head = "title: A rule\n    severity: medium\n    tags: [T1611]";
    format!("rules:\n  - id: {id}\n    {head}\n    condition: {condition}\n")
}

fn what_is_wrong_has_its_place() -> Result<()> {
    let folder = Folder::new()?;
    let bad = folder.file("bad.yaml", BAD)?;
    let other = folder.file("other.yml", rule("two", "event ="))?;
    folder.file("no-rules.txt", "{")?;
    let severity = format!("{bad}:4:15: `severity` must be one of critical, high");
    let field = format!("{bad}:7:20: unknown field `process.uidd`, did you mean `process.uid`?");
    let caret = "\n      is_root: process.uidd == 0\n                       ^";
    let syntax = format!("{other}:6:22: unexpected `=`; `==` compares");
    let whole = folder.as_ref().display().to_string();
    let words = ["3 problems with the rules", &severity, &field, caret, &syntax];
    for command in ["check", "list", "test"] {
        rules(&[command, &whole])?.ends(1, &words)?;
    }
    rules(&["explain", "one", &whole])?.ends(1, &words)?;
    // To trace they are a part of the command line.
    trace(&["--rules", &whole])?.ends(2, &words)?;
    let json = answer(&["check", "-J", &whole], 1)?;
    let problem = &json["problems"][1];
    ensure!(problem["line"] == 7 && problem["column"] == 20 && problem["file"] == bad, "{json}");
    let json = answer(&["check", "-J"], 0)?;
    ensure!(json["problems"] == json!([]) && json["rules"].as_u64() >= Some(20), "{json}");
    ensure!(rules(&["check"])?.stdout.ends_with(" files: fine\n"));
    Ok(())
}

fn files_that_are_none() -> Result<()> {
    let folder = Folder::new()?;
    let empty = folder.as_ref().display().to_string();
    rules(&["check", &empty])?.ends(1, &["no rules in ", "*.yaml"])?;
    let missing = folder.path("missing.yaml");
    rules(&["check", &missing])?.ends(1, &["cannot read rules from ", "hint: ", "shipped"])?;
    let binary = folder.file("binary.yaml", [0xff, 0xfe, 0])?;
    rules(&["check", &binary])?.ends(1, &["cannot read rules from "])?;
    rules(&["explain"])?.ends(2, &["Usage: "])?;
    trace(&["--exit-code"])?.ends(2, &["--rules"])
}

fn shipped_pass_their_tests() -> Result<()> {
    let json = answer(&["test", "-J"], 0)?;
    ensure!(json["failed"] == json!([]) && json["passed"].as_u64() > Some(50), "{json}");
    let run = rules(&["test", "shipped"])?;
    run.ends(0, &[])?;
    ensure!(run.stdout.contains(" tests passed, 0 failed"), "{run:?}");
    let folder = Folder::new()?;
    let amend = "amend: [{id: unprivileged-user-namespace, exceptions: {ci: process.uid == 1000}";
    let ours = folder.file("ours.yaml", format!("{amend}}}]"))?;
    answer(&["test", "-J", "shipped", &ours], 0)?;
    // What the amendment says of itself is another matter.
    let tests = "tests: {match: [{event: create, ns: user:7, process: {uid: 1000}}]}";
    let wrong = folder.file("wrong.yaml", format!("{amend}, {tests}}}]"))?;
    let json = answer(&["test", "-J", "shipped", &wrong], 1)?;
    let failed = json["failed"].as_array().map_or(0, Vec::len);
    ensure!(failed == 1 && json["failed"][0]["rule"] == "unprivileged-user-namespace", "{json}");
    Ok(())
}

fn a_test_that_fails_is_told() -> Result<()> {
    let folder = Folder::new()?;
    let tests = "    message: it was {process.comm}\n    tests:\n      \
                 match: [{event: create}, {event: enter}]\n      no_match: [{event: create}]\n";
    let file = folder.file("a.yaml", rule("mine", "event == 'create'") + tests)?;
    let run = rules(&["test", &file])?;
    run.ends(1, &[])?;
    for line in [
        format!("{file}:9: rule `mine`, match 2: no alert"),
        format!("{file}:10: rule `mine`, no_match 1: an alert: it was prog"),
        "1 rule: 1 test passed, 2 failed".to_owned(),
    ] {
        ensure!(run.stdout.contains(&line), "no {line:?} in {}", run.stdout);
    }
    let json = answer(&["test", "-J", &file], 1)?;
    ensure!(json["failed"][1]["alerts"] == json!(["it was prog"]), "{json}");
    Ok(())
}

fn list_and_explain() -> Result<()> {
    let json = answer(&["list", "-J"], 0)?;
    let all = json["rules"].as_array().context("no rules")?;
    let first = all.first().context("no rule")?;
    let id = first["id"].as_str().context("no id")?;
    ensure!(first["severity"] == "critical" && first["tags"][0] == "T1611", "{first}");
    let table = rules(&["list"])?;
    table.ends(0, &[])?;
    ensure!(table.stdout.lines().count() == all.len() + 1, "{table:?}");
    let text = rules(&["explain", id])?;
    text.ends(0, &[])?;
    for words in [
        id,
        "critical",
        "T1611",
        "condition\n    enters && ",
        "\n  which is\n    (event == 'enter'",
    ] {
        ensure!(text.stdout.contains(words), "no {words:?} in {}", text.stdout);
    }
    let json = answer(&["explain", "-J", id], 0)?;
    let condition = &json["when"]["condition"];
    ensure!(condition["expanded"].is_string(), "{json}");
    ensure!(condition["expanded"] != condition["written"], "{json}");
    ensure!(json["tests"][0]["events"][0]["event"] == "enter", "{json}");
    rules(&["explain", "container-enters-hots"])?.ends(
        1,
        &["there is no rule `container-enters-hots`", "did you mean container-enters-host?"],
    )
}

fn a_recording_is_judged() -> Result<()> {
    let folder = Folder::new()?;
    let recording = folder.file("events.ndjson", RECORDING)?;
    let mine = folder.file("mine.yaml", rule("made", "event == 'create'"))?;
    let words = ["test", "--replay", &recording, &mine];
    let json = answer(&[&words[..], &["-J"]].concat(), 0)?;
    ensure!(json["alerts"]["medium"] == 2 && json["rules"]["made"]["alerts"] == 2, "{json}");
    ensure!(json["events"].as_u64() == Some(RECORDING.lines().count() as u64), "{json}");
    rules(&[&words[..], &["--exit-code"]].concat())?.ends(10, &[])?;
    // The same by trace, which tells of them in their places.
    let run = replay(&["-o", "json", "--rules", &mine, "--exit-code"], RECORDING)?;
    run.ends(10, &["2 alerts"])?;
    let events = run.events()?;
    let sorts = sorts(&events);
    ensure!(sorts.windows(2).filter(|pair| *pair == ["create", "alert"]).count() == 2, "{sorts:?}");
    let causes = events.windows(2).filter(|pair| pair[1]["event"] == "alert");
    for pair in causes {
        ensure!(pair[1]["cause_seq"] == pair[0]["seq"], "{pair:?}");
        ensure!(
            pair[1]["process"] == pair[0]["process"] && pair[1]["ns"] == pair[0]["ns"],
            "{pair:?}"
        );
    }
    let only = ["-o", "json", "--rules", &mine, "--where", "severity == 'medium'", "-e", "alert"];
    let run = replay(&only, RECORDING)?;
    let events = run.events()?;
    let alerts: Vec<_> = events.iter().filter(|event| event["event"] == "alert").collect();
    ensure!(
        alerts.len() == 2 && alerts.iter().all(|alert| alert["cause_seq"].is_null()),
        "{run:?}"
    );
    // The exit status is about what is chosen, whatever sorts of event are to be seen.
    for (less, code, says) in [
        (["--where", "severity == 'high'"], 0, "0 alerts"),
        (["-e", "create"], 10, "2 alerts, 2 of them not asked for"),
        (["-e", "destroy"], 10, "2 alerts, 2 of them not asked for"),
    ] {
        let run = ["-o", "json", "--rules", &mine, "--exit-code"];
        let run = replay(&[&run[..], &less].concat(), RECORDING)?;
        run.ends(code, &[says])?;
        ensure!(run.events()?.iter().all(|event| event["event"] != "alert"), "{run:?}");
    }
    Ok(())
}

/// Rules see everybody, and tell only of those who are asked for.
fn others_use_up_no_limit() -> Result<()> {
    let folder = Folder::new()?;
    let rate = "    rate: {at_most: 1, within: 1h, by: host}\n";
    let mine = folder.file("mine.yaml", rule("made", "event == 'create'") + rate)?;
    let events = parse(RECORDING)?;
    let create = events.iter().find(|event| event["event"] == "create").context("no create")?;
    let mut recording = String::new();
    for (seq, pid) in (1..).zip([5, 5, 7, 7, 5]) {
        let mut event = create.clone();
        (event["seq"], event["process"]["pid"]) = (json!(seq), json!(pid));
        recording += &event.to_string();
        recording.push('\n');
    }
    let args = ["-o", "json", "-e", "alert", "--rules", &mine, "--exit-code"];
    let run = replay(&[&args[..], &["--pid", "7"]].concat(), &recording)?;
    run.ends(10, &["1 alert, 1 more held back"])?;
    ensure!(run.events()?[0]["process"]["pid"] == 7, "{run:?}");
    let run = replay(&[&args[..], &["--pid", "8"]].concat(), &recording)?;
    run.ends(0, &["0 alerts\n"])
}

/// An hour of what machines with containers do: nothing of it is high, an escape in it is.
fn ordinary_life() -> Result<()> {
    let folder = Folder::new()?;
    for (seed, minutes) in [(1, 60), (2, 10), (3, 10)] {
        let quiet = folder.file("quiet.ndjson", churn::recording(seed, minutes, false))?;
        let json = answer(&["test", "-J", "--replay", &quiet], 0)?;
        ensure!(json["alerts"]["critical"] == 0 && json["alerts"]["high"] == 0, "{seed}: {json:#}");
        ensure!(
            json["forgotten"] == 0 && json["events"].as_u64() > Some(1_000),
            "{seed}: {json:#}"
        );
        let escape = folder.file("escape.ndjson", churn::recording(seed, minutes, true))?;
        let json = answer(&["test", "-J", "--replay", &escape, "--exit-code"], 10)?;
        let alerts = &json["rules"];
        ensure!(alerts["container-enters-host"]["alerts"] == 1, "{seed}: {json:#}");
        ensure!(alerts["container-program-on-host"]["alerts"] == 1, "{seed}: {json:#}");
    }
    Ok(())
}

/// Goes to the host's uts namespace from one of its own, in a cgroup that is called as docker's are.
fn container_enters_host(room: &Room) -> Result<()> {
    let id = fresh_id();
    let cgroup = Cgroup::unified(&format!("docker-{id}.scope"))?;
    let tracer = room.start(&["--exit-code", "--rules"])?;
    let host = Actor::start()?;
    let mut inside = Actor::start()?;
    inside.act(&cgroup.join()?)?;
    let file = inside.number(&format!("open /proc/{}/ns/uts", host.pid()))?;
    inside.act("unshare 4000000")?;
    let pid = inside.pid();
    let is_alert = |event: &Value| {
        event["event"] == "alert"
            && event["process"]["pid"] == pid
            && event["severity"] == "critical"
    };
    let so_far = tracer.since(0);
    ensure!(!so_far.iter().any(|event| is_alert(event)), "too early: {so_far:?}");
    inside.act(&format!("setns {file} 4000000"))?;
    let alert = tracer.wait("an alert", is_alert)?;
    ensure!(alert["rule"] == "container-enters-host" && alert["tags"][0] == "T1611", "{alert}");
    ensure!(alert["container"]["id"] == *id && alert["ns"]["initial"] == true, "{alert}");
    let message = alert["message"].as_str().context("no message")?;
    ensure!(
        message.contains(&format!("({pid}) left its container for the host: uts: uts:")),
        "{message}"
    );
    let cause = tracer.wait("its cause", |event| event["seq"] == alert["cause_seq"])?;
    ensure!(cause["event"] == "enter" && cause["relation"] == "host", "{cause}");
    inside.end()?;
    host.end()?;
    tracer.signal(Signal::TERM)?;
    let ended = tracer.end()?;
    ensure!(ended.status.code() == Some(10), "{}: {}", ended.status, ended.stderr);
    Ok(())
}

/// A child makes a user namespace, then another runs a program that is setuid root, and on no list.
fn user_becomes_root(room: &Room) -> Result<()> {
    let folder = Folder::new()?;
    let program = folder.file("tool", fs::read("/bin/true")?)?;
    fs::set_permissions(&program, Permissions::from_mode(0o4755))?;
    wait_until_idle(Path::new(&program));
    let tracer = room.start(&["-e", "alert", "--rules"])?;
    let mut actor = Actor::start()?;
    let pid = actor.pid();
    actor.act("user 65534")?;
    actor.task("clone 0")?;
    actor.act("unshare 10000000")?;
    actor.act("exit 0")?;
    let ran = actor.act(&format!("run {program}"))?;
    ensure!(ran["code"] == 0, "{ran}");
    let is_it = |event: &Value| {
        event["rule"] == "user-namespace-then-root" && event["process"]["exe"] == *program
    };
    let alert = tracer.wait("an alert", is_it)?;
    let process = &alert["process"];
    ensure!(process["uid"] == 65534 && process["euid"] == 0 && process["ppid"] == pid, "{alert}");
    ensure!(alert["severity"] == "critical", "{alert}");
    actor.end()?;
    tracer.finish().map(drop)
}

/// Namespaces and ancestors that were there before, and how many tasks there are right now.
fn older(room: &Room) -> Result<()> {
    let mut host = Actor::start()?;
    host.act("unshare 4000000")?;
    let mut visitor = Actor::start()?;
    let file = visitor.number(&format!("open /proc/{}/ns/uts", host.pid()))?;
    let condition = format!(
        "event == 'enter' && process.pid == {} && row.type == 'uts' && row.creator == null && \
         row.owner.initial && row.members == 2 && lineage[0].pid == {} && before.uid == 0",
        visitor.pid(),
        std::process::id(),
    );
    let folder = Folder::new()?;
    let mine = folder.file("mine.yaml", rule("visit", &condition))?;
    let tracer = room.start(&["-e", "alert", "--rules", &mine])?;
    visitor.act(&format!("setns {file} 4000000"))?;
    let alert = tracer.wait("an alert", |event| event["event"] == "alert")?;
    ensure!(alert["rule"] == "visit" && alert["ns"]["type"] == "uts", "{alert}");
    visitor.end()?;
    host.end()?;
    tracer.finish().map(drop)
}

/// In a container and outside; root with all rights is nobody to tell of.
fn plain_user(room: &Room) -> Result<()> {
    let cgroup = Cgroup::unified(&format!("docker-{}.scope", fresh_id()))?;
    // Other trials may have used up what is told of this user.
    let folder = Folder::new()?;
    let amend = "amend:\n  - id: unprivileged-user-namespace\n    \
                 rate: {at_most: 100000, within: 1s, by: user}\n";
    let unlimited = folder.file("unlimited.yaml", amend)?;
    let tracer = room.start(&["--rules", "shipped", &unlimited])?;
    for (is_inside, user, rule) in [
        (false, Some("user 65534"), Some("unprivileged-user-namespace")),
        (true, Some("user 65534"), Some("container-user-namespace")),
        (false, None, None),
    ] {
        let place = tracer.len();
        let mut actor = Actor::start()?;
        if is_inside {
            actor.act(&cgroup.join()?)?;
        }
        user.map(|user| actor.act(user)).transpose()?;
        actor.act("unshare 10000000")?;
        let pid = actor.pid();
        let is_its = |event: &Value| event["event"] == "enter" && event["process"]["pid"] == pid;
        tracer.wait_since(place, "the call", is_its)?;
        actor.end()?;
        let is_end = |event: &Value| event["event"] == "destroy" && event["creator"]["pid"] == pid;
        tracer.wait_since(place, "the end", is_end)?;
        let events = tracer.since(place);
        let alerts = events.iter().filter(|event| {
            event["event"] == "alert"
                && event["process"]["pid"] == pid
                && event["ns"]["type"] == "user"
        });
        let found: Vec<_> = alerts.filter_map(|alert| alert["rule"].as_str()).collect();
        ensure!(found == Vec::from_iter(rule), "{found:?}, not {rule:?}");
    }
    tracer.finish().map(drop)
}

/// The program under test makes a namespace, which one rule is about and the other is not.
fn exit_code(room: &Room) -> Result<()> {
    let folder = Folder::new()?;
    let program = program();
    let program = Path::new(&program).to_str().context("a strange path")?;
    for (condition, code) in [("event == 'create' && ns.type == 'uts'", 10), ("event == 'map'", 0)]
    {
        let file = folder.file("a.yaml", rule("uts", condition))?;
        let words = [
            "--probe",
            room.backend(),
            "-o",
            "json",
            "-e",
            "alert",
            "--exit-code",
            "--rules",
            &file,
        ];
        let command = ["--", program, "create", "--uts", program, "completions", "bash"];
        let output = folder.path("events.ndjson");
        let run = trace(&[&words[..], &["--output", &output], &command].concat())?;
        run.ends(code, &[])?;
        let text = fs::read_to_string(&output)?;
        ensure!(text.contains("\"rule\":\"uts\"") == (code == 10), "{text}");
    }
    Ok(())
}
