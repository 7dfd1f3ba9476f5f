//! Files with everything wrong in them, and rules at work.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::model::{arbitrary, event::Alert};

/// The rules of one file.
fn rules(text: &str) -> Rules {
    load(&[File::new("x.yaml", text)]).unwrap_or_else(|problems| {
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        panic!("{}", problems.join("\n"))
    })
}

/// What is wrong with a file, without the excerpts.
fn problems(text: &str) -> Vec<String> {
    let problems = load(&[File::new("x.yaml", text)]).expect_err(text);
    let line =
        |problem: &Problem| format!("{}:{}: {}", problem.line, problem.column, problem.message);
    problems.iter().map(line).collect()
}

/// A rule of that condition, with the lines given below it.
fn rule(condition: &str, more: &str) -> String {
    format!(
        "rules:\n  - id: r\n    title: R\n    severity: low\n    condition: {condition}\n{more}"
    )
}

/// What the only rule of a file says to the events of its only test.
fn alerts(text: &str) -> Vec<Alert> {
    let rules = rules(text);
    let rule = &rules.rules[0];
    let mut engine = Engine::new(&rules);
    rule.tests[0].events.iter().flat_map(|event| engine.observe(event)).collect()
}

#[test]
fn all_that_is_wrong_with_a_file_is_told_at_once() {
    let text = "\
lists:
  shells: [sh, [bash]]
  x: [a]
macros:
  in_shell: process.com == 'sh'
  event: 'true'
  round: true && round
rules:
  - id: Bad Id
    title: A
    severity: fatal
    condition: process.uid == 'x'
  - id: two
    titel: B
    severity: low
    tags: [T1611, t16, T16, Escape]
    condition: >
      event == 'create' &&
      in_shell && process.uidd == 0
  - id: two
    title: C
    severity: low
    message: '{process.com} é {'
    condition: |
      event == 'create' &&
        process.uidd == 0
    exceptions:
      ours: proces.pid == 1
    tests:
      match:
        - {event: create, process: {uid: 0, name: x}}
        - {event: nothing}
        - [{event: enter, after: soon}]
  - id: three
    title: D
    severity: low
  - id: four
    title: E
    severity: low
    sequence: {within: 0s, by: friend, steps: ['true']}
    count: {at_least: 3}
    id: five
rulez: []
";
    insta::assert_snapshot!(problems(text).join("\n"), @r"
    2:16: what is in the list `shells` must be words or numbers
    3:3: `x` is no name for a macro or list: a-z, 0-9 and _, two or more, no digit first
    5:21: unknown field `process.com`, did you mean `process.comm`?
    6:3: `event` has a meaning in expressions already
    7:18: macro `round` stands for itself: round -> round
    9:9: `Bad Id` is no id: a-z, 0-9 and -, at most 64 of them
    11:15: `severity` must be one of critical, high, medium, low, info; this is `fatal`
    12:28: `==` does not work on int and string
    13:5: the rule `two` has no `title`
    14:5: unknown key `titel`, did you mean `title`?
    16:24: the tag `T16` is neither a number of MITRE ATT&CK (T1611, T1548.001, TA0004) nor a word of a-z, 0-9 and -
    16:29: the tag `Escape` is neither a number of MITRE ATT&CK (T1611, T1548.001, TA0004) nor a word of a-z, 0-9 and -
    20:9: the rule `two` is in x.yaml:13 too
    23:16: unknown field `process.com`, did you mean `process.comm`?
    26:17: unknown field `process.uidd`, did you mean `process.uid`?
    28:13: unknown field `proces`, did you mean `process`?
    31:45: `create` events have no field `name`
    32:11: `nothing` is no event that rules see: create, enter, fail, destroy, map, exist, fork, exec, exit, lost, sync
    33:12: `after` must be a time, such as 30s
    34:5: the rule `three` has no `condition` and no `sequence`
    40:15: a sequence has 2 to 8 steps
    40:24: `within` must be a time above 0, such as 30s, 1m or 500ms
    40:32: `by` must be one of process, lineage, family, parent, user, container, host; this is `friend`
    41:12: `count` has no `within`
    41:12: `count` goes with `condition`, not with `sequence`
    42:5: the key `id` is here twice
    43:1: unknown key `rulez`, did you mean `rules`?
    ");
}

#[test]
fn a_case_has_events_and_as_many_as_it_says() {
    let cases = "        - []\n        - {event: create, times: many}\n        - [{event: create, times: 0}]\n        \
        - {event: create, times: 10001}\n";
    let text = rule("event == 'create'", &format!("    tests:\n      no_match:\n{cases}"));
    let said = problems(&text);
    let said: Vec<_> =
        said.iter().filter_map(|line| line.split_once(": ")).map(|(_, why)| why).collect();
    let no_number = "`times` must be a whole number above 0";
    let most = "a case has no more than 10000 events";
    assert_eq!(said, ["a case needs an event", no_number, no_number, most]);
}

#[test]
fn rules_may_be_shared_by_threads() {
    fn is_shared<T: Send + Sync>(_: &T) {}
    let rules = rules("rules: []");
    is_shared(&rules);
    is_shared(&Engine::new(&rules));
}

#[test]
fn a_problem_shows_its_line() {
    let text = rule("'event == \"create\" && process.uidd == 0'", "");
    let problem = load(&[File::new("a/b.yaml", text)]).unwrap_err().remove(0);
    insta::assert_snapshot!(problem.to_string(), @r#"
    a/b.yaml:5:46: unknown field `process.uidd`, did you mean `process.uid`?
            condition: 'event == "create" && process.uidd == 0'
                                                     ^
    "#);
    let problem = load(&[File::new("b.yaml", "\"a\\e[2J\": 1")]).unwrap_err().remove(0);
    assert!(problem.message.starts_with("unknown key `a [2J`"), "{problem}");
    let problem = load(&[File::new("c.yaml", "rules: [")]).unwrap_err().remove(0);
    assert!(problem.to_string().starts_with("c.yaml:2:1: "), "{problem}");
}

#[test]
fn names_are_known_in_all_files_and_defined_once() {
    let names =
        File::new("names.yaml", "macros: {is_root: process.uid == 0}\nlists: {shells: [sh]}");
    let user = File::new("user.yaml", rule("is_root && process.comm in shells", ""));
    let rules = load(&[Arc::clone(&user), Arc::clone(&names)]).unwrap();
    let conditions = rules.rules[0].when.conditions();
    assert_eq!(conditions[0].source, "is_root && process.comm in shells");
    assert_eq!(conditions[0].condition.source(), "(process.uid == 0) && process.comm in [\"sh\"]");
    let twice = File::new("twice.yaml", "macros: {is_root: 'true'}");
    let again = File::new("again.yaml", rule("true", ""));
    let problems = load(&[names, user, twice, again]).unwrap_err();
    let problems: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(
        problems,
        ["`is_root` is defined in names.yaml:1 too", "the rule `r` is in user.yaml:2 too"]
    );
    assert!(load(&[]).unwrap().rules.is_empty());
}

#[test]
fn rules_of_other_files_can_be_amended() {
    let theirs = File::new(
        "theirs.yaml",
        rule("event == 'create'", "    tests: {match: [{event: create}]}"),
    );
    let amend = |what: &str| File::new("ours.yaml", format!("amend:\n  - {{id: r{what}}}\n"));
    let load_with = |what| load(&[Arc::clone(&theirs), amend(what)]);
    let rules = load_with(", severity: high, exceptions: {ours: process.comm == 'prog'}").unwrap();
    assert_eq!(rules.rules[0].severity.name(), "high");
    let mut engine = Engine::new(&rules);
    assert!(engine.observe(&rules.rules[0].tests[0].events[0]).is_empty(), "it is excepted");
    assert!(!load_with(", enabled: false").unwrap().rules[0].enabled);
    let rate = ", rate: {at_most: 1, within: 1h}";
    assert_eq!(load_with(rate).unwrap().rules[0].rate.number, 1);
    for (what, message) in [
        ("2", "ours.yaml:2:10: there is no rule `r2` to amend"),
        (", title: x", "ours.yaml:2:13: unknown key `title`"),
        (", exceptions: {x: uid == 0}", "ours.yaml:2:29: unknown field `uid`"),
    ] {
        let problems = load_with(what).unwrap_err();
        assert!(problems[0].to_string().starts_with(message), "{}", problems[0]);
    }
}

#[test]
fn the_tests_of_a_rule_are_about_it_as_it_was_written() {
    let tests = "    exceptions: {sh: process.comm == 'sh'}\n    tests:\n      \
                 match: [{event: create}]\n      no_match: [{event: create, process: {comm: sh}}]\n";
    let theirs = File::new("theirs.yaml", rule("event == 'create'", tests));
    let are_right = |amendment: &str| {
        let ours = File::new("ours.yaml", format!("amend:\n  - {{id: r, {amendment}}}\n"));
        let rules = load(&[Arc::clone(&theirs), ours]).unwrap_or_else(|problems| {
            panic!("{amendment}: {}", problems[0]);
        });
        try_out(&rules.rules[0]).map(|verdict| verdict.is_right()).collect::<Vec<_>>()
    };
    let ours = "exceptions: {ours: process.comm == 'prog'}";
    for amendment in [ours, "enabled: false", "severity: info", "rate: {at_most: 1, within: 1h}"] {
        assert_eq!(are_right(amendment), [true, true], "{amendment}");
    }
    // Those of the amendment are about all of it.
    let right =
        "tests: {match: [{event: create, process: {comm: x}}], no_match: [{event: create}]}";
    assert_eq!(are_right(&format!("{ours}, {right}")), [true; 4]);
    let wrong = "tests: {match: [{event: create}]}";
    assert_eq!(are_right(&format!("{ours}, {wrong}")), [true, true, false]);
}

#[test]
fn an_alert_says_what_caused_it() {
    let text = rule(
        "event == 'create'",
        "    tags: [T1611, escape]\n    message: '{process.comm} made {ns.type}'\n    tests:\n      \
         match:\n        - {event: create, ns: mnt:5, process: {comm: sh, pid: 7}, container: c1}",
    );
    let alert = alerts(&text).remove(0);
    assert_eq!(
        (&*alert.rule, alert.severity.name(), alert.message.as_str()),
        ("r", "low", "sh made mnt")
    );
    assert_eq!((alert.cause_seq, alert.repeat), (Some(1), None));
    assert_eq!(alert.ns.map(|ns| ns.inode), Some(5));
    assert_eq!(alert.process.map(|process| process.pid), Some(7));
    assert_eq!(alert.tags.iter().map(|tag| &**tag).collect::<Vec<_>>(), ["T1611", "escape"]);
}

/// How many alerts the events of a test raise.
fn count(condition: &str, more: &str, events: &str) -> usize {
    let tests = format!("    tests:\n      match:\n        - [{events}]\n");
    alerts(&rule(condition, &format!("{more}{tests}"))).len()
}

#[test]
fn exceptions_silence() {
    let exceptions =
        "    exceptions:\n      sh: process.comm == 'sh'\n      null: process.exe == 'x'\n";
    let events = "{event: create, process: {comm: sh}}, {event: create, process: {exe: null}}";
    assert_eq!(count("event == 'create'", exceptions, events), 1);
}

#[test]
fn lineage_is_who_made_whom() {
    let made = "lineage.exists(a, a.comm == 'shim')";
    let shim = "{event: exec, process: {pid: 900, comm: shim}}";
    let create = "{event: create, process: {pid: 1000, ppid: 1}}";
    let fork = "{event: fork, process: {pid: 900, comm: shim}, child: {pid: 1000, tid: 1000}}";
    let is_create = format!("event == 'create' && {made}");
    assert_eq!(count(&is_create, "", create), 0);
    assert_eq!(
        count(&is_create, "", &format!("{shim}, {create}")),
        0,
        "adopted: the parent is init"
    );
    assert_eq!(count(&is_create, "", &format!("{fork}, {create}")), 1, "born of the shim");
    let child = "{event: create, process: {pid: 1000, ppid: 900}}";
    assert_eq!(count(&is_create, "", &format!("{shim}, {child}")), 1, "older than its birth");
    let end = "{event: exit, process: {pid: 900, comm: shim}}";
    assert_eq!(count(&is_create, "", &format!("{fork}, {end}, {create}")), 1, "orphaned");
}

#[test]
fn other_rules_know_what_these_knew() {
    let fork = "{event: fork, process: {pid: 900, comm: shim}, child: {pid: 1000}}";
    let events = format!(
        "    tests:\n      match:\n        - [{fork}, {{event: create, process: {{ppid: 1}}}}]\n"
    );
    let rules = rules(&rule("event == 'create' && lineage.exists(a, a.comm == 'shim')", &events));
    let [birth, create] = &rules.rules[0].tests[0].events[..] else { panic!("two events") };
    let mut engine = Engine::new(&Rules::default());
    assert!(engine.observe(birth).is_empty() && engine.observe(create).is_empty());
    engine.replace(&rules);
    assert_eq!(engine.observe(create).len(), 1);
    engine.replace(&Rules::default());
    assert!(engine.observe(create).is_empty());
}

#[test]
fn rows_say_who_made_a_namespace() {
    let create = "{event: create, ns: net:5, process: {comm: maker}}";
    let enter = "{event: enter, changes: {net: net:5}}";
    let destroy = "{event: destroy, ns: net:5}";
    let condition = "event == 'enter' && row.creator.comm == 'maker'";
    assert_eq!(count(condition, "", &format!("{create}, {enter}")), 1);
    assert_eq!(count(condition, "", &format!("{create}, {destroy}, {enter}")), 0);
    assert_eq!(count("event == 'enter' && row == null", "", enter), 1);
    let exist = "{event: exist, ns: net:5, members: 3}";
    assert_eq!(count("event == 'enter' && row.members == 3", "", &format!("{exist}, {enter}")), 1);
}

#[test]
fn counts_are_of_what_belongs_together() {
    let fail =
        |pid: u32, after: &str| format!("{{event: fail, after: {after}, process: {{pid: {pid}}}}}");
    let three = "    count: {at_least: 3, within: 10s}\n";
    let events = |all: &[(u32, &str)]| {
        all.iter().map(|(pid, after)| fail(*pid, after)).collect::<Vec<_>>().join(", ")
    };
    let of = |more, all: &[_]| count("event == 'fail'", more, &events(all));
    assert_eq!(of(three, &[(1, "0"), (1, "1s"), (1, "1s")]), 1);
    assert_eq!(of(three, &[(1, "0"), (2, "1s"), (1, "1s")]), 0);
    assert_eq!(of(three, &[(1, "0"), (1, "1s"), (1, "9s")]), 0);
    assert_eq!(of(three, &[(1, "0"); 7]), 2, "each time from nothing");
    let of_host = "    count: {at_least: 3, within: 10s, by: host}\n";
    assert_eq!(of(of_host, &[(1, "0"), (2, "1s"), (3, "1s")]), 1);
    let repeated = "{event: fail, repeat: 5}";
    assert_eq!(count("event == 'fail'", three, repeated), 1);
}

#[test]
fn rates_hold_back_and_say_so() {
    let fail = "{event: fail}, ".repeat(9) + "{event: fail, after: 2m}";
    let tests = format!("    tests:\n      match:\n        - [{fail}]\n");
    let alerts = alerts(&rule("event == 'fail'", &tests));
    let repeats: Vec<_> = alerts.iter().map(|alert| alert.repeat).collect();
    assert_eq!(repeats, [None, None, None, None, None, Some(4)]);
}

/// How many alerts a sequence of `create` and `exec` raises.
fn in_sequence(by: &str, events: &str) -> usize {
    let text = format!(
        "rules:\n  - id: r\n    title: R\n    severity: low\n    sequence:\n      within: 10s\n      \
         by: {by}\n      steps: [event == 'create', event == 'exec']\n    tests:\n      match:\n        \
         - [{events}]"
    );
    alerts(&text).len()
}

#[test]
fn sequences_are_of_processes_that_belong_together() {
    let create = |pid: u32| format!("{{event: create, process: {{pid: {pid}}}}}");
    let exec = |pid: u32| format!("{{event: exec, process: {{pid: {pid}}}}}");
    let fork = |parent: u32, pid: u32| {
        format!("{{event: fork, process: {{pid: {parent}}}, child: {{pid: {pid}, tid: {pid}}}}}")
    };
    let run = |by, events: &[String]| in_sequence(by, &events.join(", "));
    assert_eq!(run("lineage", &[create(5), exec(5)]), 1);
    assert_eq!(run("lineage", &[exec(5), create(5)]), 0);
    assert_eq!(run("lineage", &[create(5), fork(5, 6), fork(6, 7), exec(7)]), 1, "a descendant");
    assert_eq!(run("lineage", &[fork(5, 6), create(6), exec(5)]), 1, "an ancestor");
    assert_eq!(run("lineage", &[fork(5, 6), fork(5, 7), create(6), exec(7)]), 0, "a sibling");
    assert_eq!(run("family", &[fork(5, 6), fork(5, 7), create(6), exec(7)]), 1);
    assert_eq!(run("family", &[fork(5, 6), create(6), exec(5)]), 1);
    assert_eq!(run("family", &[fork(1, 6), fork(1, 7), create(6), exec(7)]), 0, "children of init");
    assert_eq!(run("family", &[fork(5, 6), fork(6, 7), fork(5, 8), create(7), exec(8)]), 0);
    assert_eq!(run("parent", &[fork(5, 6), fork(5, 7), create(6), exec(7)]), 1);
    assert_eq!(run("lineage", &[fork(1, 6), fork(1, 7), create(1), exec(7)]), 0, "all are init's");
    assert_eq!(run("process", &[create(5), fork(5, 6), exec(6)]), 0);
    assert_eq!(run("user", &[create(5), exec(6)]), 1);
    let late = "{event: exec, after: 11s, process: {pid: 5}}".to_owned();
    assert_eq!(run("lineage", &[create(5), late]), 0);
    assert_eq!(run("lineage", &[create(5), exec(5), exec(5)]), 1, "once");
}

#[test]
fn what_is_remembered_is_bounded_and_what_is_not_is_counted() {
    let forks: Vec<_> =
        (10..3000_u32).map(|pid| format!("{{event: create, process: {{pid: {pid}}}}}")).collect();
    let text = format!(
        "rules:\n  - id: r\n    title: R\n    severity: low\n    sequence:\n      within: 1h\n      \
         by: process\n      steps: [event == 'create', event == 'exec']\n    tests:\n      \
         no_match:\n        - [{}]",
        forks.join(", ")
    );
    let rules = rules(&text);
    let mut engine = Engine::new(&rules);
    for event in &rules.rules[0].tests[0].events {
        assert!(engine.observe(event).is_empty());
    }
    assert_eq!(engine.dropped(), 2990 - 256);
}

#[test]
fn a_rule_that_is_off_is_tried_but_not_used() {
    let text = rule("event == 'fail'", "    enabled: false\n    tests: {match: [{event: fail}]}\n");
    let rules = rules(&text);
    assert!(Engine::new(&rules).observe(&rules.rules[0].tests[0].events[0]).is_empty());
    assert!(try_out(&rules.rules[0]).all(|verdict| verdict.is_right()));
}

/// Pieces of files of rules, good and bad.
const PIECES: [&str; 36] = [
    "rules:",
    "macros:",
    "lists:",
    "\n",
    "\n  ",
    "\n    ",
    "- ",
    "id: ",
    "r1",
    "title: ",
    "severity: ",
    "low",
    "condition: ",
    "event == 'create'",
    "root && ",
    "root",
    ": ",
    "process.uid == 0",
    "'",
    "\"",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "count: ",
    "at_least: 3",
    "within: 3s",
    "sequence: ",
    "steps: ",
    "tests: ",
    "match: ",
    "{event: create}",
    "message: ",
    "'{process.comm} {'",
    "|\n      ",
];

proptest! {
    #[test]
    fn no_text_panics(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..60), noise: String) {
        for text in [pieces.concat(), noise] {
            if let Err(problems) = load(&[File::new("x", text.clone())]) {
                prop_assert!(!problems.is_empty());
                for problem in problems {
                    prop_assert!(problem.line >= 1 && problem.column >= 1, "{problem}");
                }
            }
        }
    }

    #[test]
    fn a_file_with_one_character_changed_does_not_panic(at in any::<prop::sample::Index>(), new: char) {
        let text = rule("event == 'create' && is_root", "    message: '{process.comm}'\n    tests: {match: [{event: create}]}\n")
            + "macros:\n  is_root: process.uid == 0\nlists:\n  words: [a, 'b']\n";
        let at = at.index(text.chars().count());
        let text: String = text.chars().enumerate().map(|(index, old)| if index == at { new } else { old }).collect();
        if let Ok(rules) = load(&[File::new("x", text)]) {
            for rule in &rules.rules {
                for verdict in try_out(rule) {
                    prop_assert!(verdict.alerts.len() <= 1);
                }
            }
        }
    }
}

#[test]
fn any_events_at_all_have_the_same_alerts_again() {
    let rules = load(&shipped()).unwrap();
    proptest!(|(events in prop::collection::vec(arbitrary::event(), 0..20))| {
        let run = || {
            let mut engine = Engine::new(&rules);
            events.iter().map(|event| engine.observe(event)).collect::<Vec<_>>()
        };
        prop_assert_eq!(run(), run());
    });
}
