//! The tables of rules in the README.

use std::fmt::Write as _;

use clap::CommandFactory as _;

use super::fresh_part;
use crate::{
    cli::Cli,
    expr::rule_fields,
    rule::{By, File, RULE_KEYS, Verdict, load, shipped, try_out},
};

/// What others look for in what becomes of namespaces: whose rule it is, and ours or what stands for
/// it.
const DETECTIONS: [(&str, &str, &[&str], &str); 22] = [
    (
        "Falco: Change thread namespace",
        "setns by programs that are not on a list",
        &["container-enters-host", "sandbox-enters-host", "stranger-enters-container"],
        "",
    ),
    (
        "Falco: Change namespace privileges via unshare",
        "unshare in a container without CAP_SYS_ADMIN",
        &["container-user-namespace"],
        "",
    ),
    (
        "Tetragon: namespace-access",
        "setns by what descends from a container",
        &["container-enters-host", "container-enters-container", "container-enters-host-network"],
        "",
    ),
    (
        "Tetragon: deny-nsenter",
        "setns into a container by what does not descend from its init",
        &["stranger-enters-container"],
        "alerts only; it stops nobody",
    ),
    (
        "Tetragon: privileges-raise",
        "a user namespace made without CAP_SYS_ADMIN",
        &["unprivileged-user-namespace", "container-user-namespace"],
        "",
    ),
    (
        "Tetragon: kill_unprivileged_user_namespace",
        "the same, from another pid namespace than the host's",
        &["user-namespace-below-pid-namespace"],
        "alerts only",
    ),
    (
        "Bombini: UnprivNsTestRule",
        "the same, refused",
        &["unprivileged-user-namespace"],
        "alerts only; user.max_user_namespaces refuses",
    ),
    (
        "InnerWarden: userns_create",
        "user namespaces of processes on a list",
        &["unprivileged-user-namespace"],
        "alerts only; a list is an exception turned round",
    ),
    (
        "Tetragon: matchNamespaceChanges",
        "a process is elsewhere than when it began",
        &["container-enters-host", "sandbox-enters-host"],
        "every `enter` event has `from` and `to`",
    ),
    (
        "Tetragon: matchNamespaces host_ns",
        "a process in a namespace of the host does something",
        &["container-program-on-host"],
        "`process.ns.mnt.initial` in any condition",
    ),
    (
        "Datadog: unshare.flags, setns with its result",
        "flags of a call; host namespaces asked for, refused too",
        &[
            "unprivileged-network-admin",
            "container-refused-by-host",
            "container-enters-host-network",
        ],
        "",
    ),
    (
        "Elastic: unshare, then root",
        "unshare by a user, root within 30 s",
        &["user-namespace-then-root"],
        "",
    ),
    (
        "Elastic: OverlayFS, unshare -r",
        "a user namespace by a user, then uid 0",
        &["user-namespace-then-root", "user-maps-host-root"],
        "",
    ),
    (
        "Elastic: via OverlayFS",
        "the same with a mount namespace and file capabilities",
        &["user-namespace-then-root"],
        "mounts are not seen, what comes of them is",
    ),
    (
        "Elastic: Namespace Manipulation Using Unshare",
        "the program unshare runs",
        &["shell-makes-namespaces", "container-makes-namespaces"],
        "",
    ),
    (
        "Elastic: Nsenter with a target in a container",
        "the program nsenter runs with -t",
        &["container-enters-host", "container-enters-host-network"],
        "",
    ),
    ("Kunai: bin_system_nsenter_escape", "nsenter of pid 1", &["container-enters-host"], ""),
    (
        "Elastic: Privilege Escalation via Runc Init",
        "`runc init` with another effective user",
        &["runtime-init-with-borrowed-root"],
        "",
    ),
    (
        "auditd: 41-containers",
        "clone with any flag of namespaces; unshare; setns",
        &["namespace-flood", "namespace-limit", "deep-user-namespaces"],
        "all of them, clone3 too, are `create`, `enter` and `fail` events",
    ),
    (
        "Tracee: switch_task_ns, init_namespaces",
        "raw events",
        &["namespace-without-process"],
        "`enter` events; `exist` with --snapshot",
    ),
    (
        "Falco: setns to the host's namespace",
        "the file given to setns is the host's",
        &["container-enters-host", "container-refused-by-host"],
        "ptrace is not seen",
    ),
    (
        "InnerWarden: container_escape",
        "tools for namespaces and mounts run in a container",
        &["container-runs-namespace-tool", "denied-namespace-calls", "namespace-orphaned"],
        "",
    ),
];

/// The rules that come along.
pub(super) fn rules() -> String {
    let mut text = String::from("| rule | severity | tags | |\n|---|---|---|---|\n");
    for rule in &load(&shipped()).unwrap().rules {
        let (id, severity, title) = (&rule.id, rule.severity.name(), &rule.title);
        writeln!(text, "| `{id}` | {severity} | {} | {title} |", rule.tags.join(", ")).unwrap();
    }
    text
}

/// What stands for the rules of others.
pub(super) fn detections() -> String {
    let mut text = String::from("| | others | look for | here |\n|---|---|---|---|\n");
    for ((other, what, rules, more), number) in DETECTIONS.iter().zip(1..) {
        let mut here: Vec<_> = rules.iter().map(|rule| format!("`{rule}`")).collect();
        here.extend((!more.is_empty()).then(|| (*more).to_owned()));
        writeln!(text, "| {number} | {other} | {what} | {} |", here.join("; ")).unwrap();
    }
    text
}

#[test]
fn the_fields_of_rules_are_fresh() {
    let mut text = String::from("| field | type |\n|---|---|\n");
    for (field, kind) in rule_fields() {
        writeln!(text, "| `{field}` | {kind} |").unwrap();
    }
    fresh_part("doc/rules.md", "fields", &text);
}

#[test]
fn every_key_is_explained() {
    let text = include_str!("../../doc/rules.md");
    for key in ["rules", "macros", "lists", "amend", "tests"].iter().chain(&RULE_KEYS) {
        assert!(text.contains(&format!("| `{key}` |")), "{key}");
    }
    for by in By::ALL {
        assert!(text.contains(&format!("`{}`", by.name())), "{by:?}");
    }
}

#[test]
fn every_rule_stands_for_something_and_every_detection_has_a_rule() {
    let rules = load(&shipped()).unwrap().rules;
    for (other, _, ours, _) in DETECTIONS {
        assert!(!ours.is_empty(), "{other}");
        for id in ours {
            assert!(rules.iter().any(|rule| &*rule.id == *id), "{other}: there is no rule {id}");
        }
    }
    for rule in rules {
        let stands = DETECTIONS.iter().any(|(_, _, ours, _)| ours.contains(&&*rule.id));
        assert!(stands, "{} is in no row", rule.id);
    }
}

/// Checks rules that documents show, and what their tests say.
fn prove(name: &str, text: &str) {
    let rules = load(&[File::new(name, text)]).unwrap_or_else(|problems| {
        panic!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    });
    let verdicts: Vec<_> = rules.rules.iter().flat_map(try_out).collect();
    assert!(verdicts.len() >= 2 && verdicts.iter().all(Verdict::is_right), "{verdicts:?}");
}

#[test]
fn the_rules_that_documents_show_work() {
    let readme = include_str!("../../../README.md");
    let (_, rest) = readme.split_once("```yaml\nrules:").unwrap();
    let (rule, _) = rest.split_once("```").unwrap();
    prove("README.md", &format!("rules:{rule}"));
    let reference = include_str!("../../doc/rules.md");
    let (_, rest) = reference.split_once("```yaml\n").unwrap();
    let (tests, _) = rest.split_once("```").unwrap();
    let tests: Vec<_> = tests.lines().map(|line| format!("    {line}")).collect();
    let head = "rules:\n  - id: r\n    title: R\n    severity: low\n    condition: >-\n      \
                relation == 'host' || event == 'create' && lineage.exists(a, a.comm == 'shim')\n";
    prove("rules.md", &format!("{head}{}", tests.join("\n")));
    for (name, text) in [("README.md", readme), ("rules.md", reference)] {
        let (_, rest) = text.split_once("```yaml\namend:").unwrap();
        let (amendment, _) = rest.split_once("```").unwrap();
        let mut files = shipped();
        files.push(File::new(name, format!("amend:{amendment}")));
        let rules = load(&files).unwrap().rules;
        let verdicts: Vec<_> = rules.iter().flat_map(try_out).collect();
        assert!(verdicts.iter().all(Verdict::is_right), "{name}");
    }
    let help =
        Cli::command().find_subcommand("rules").unwrap().get_after_help().unwrap().to_string();
    let rule: Vec<_> = help
        .lines()
        .skip_while(|line| *line != "  rules:")
        .take_while(|line| line.starts_with("  "))
        .map(|line| line.split_once("    critical, high").map_or(line, |(rule, _)| rule))
        .map(|line| line.split_once("    numbers of").map_or(line, |(rule, _)| rule))
        .collect();
    prove("help", &rule.join("\n"));
}
