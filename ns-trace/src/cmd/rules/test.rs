//! `ns-trace rules test`.

use std::{collections::BTreeMap, fmt::Write as _, path::Path, process::ExitCode};

use serde_json::{Value, json};

use super::{Failure, print, print_json};
use crate::{
    history::replay::{Error, Replay},
    model::event::{Alert, Severity},
    report::{Class, MATCHED},
    rule::{Engine, Rules, Verdict, try_out},
    view::{
        escape,
        quantity::{Count, Grouped},
        terminal,
    },
};

/// Runs the tests of the rules.
pub(super) fn run(rules: &Rules, json: bool) -> Result<ExitCode, Failure> {
    let verdicts: Vec<_> = rules.rules.iter().flat_map(try_out).collect();
    let untested: Vec<_> =
        rules.rules.iter().filter(|rule| rule.tests.is_empty()).map(|rule| &*rule.id).collect();
    let wrong: Vec<_> = verdicts.iter().filter(|verdict| !verdict.is_right()).collect();
    let right = verdicts.len() - wrong.len();
    if json {
        let failed: Vec<Value> = wrong.iter().map(|verdict| failed(verdict)).collect();
        print_json(&json!({
            "rules": rules.rules.len(), "passed": right, "failed": failed, "untested": untested,
        }))?;
    } else {
        let mut text = String::new();
        for verdict in &wrong {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}", sentence(verdict));
        }
        let (rules, passed) =
            (Count(rules.rules.len() as u64, "rule"), Count(right as u64, "test"));
        let _ = writeln!(text, "{rules}: {passed} passed, {} failed", wrong.len());
        if !untested.is_empty() {
            let _ = writeln!(text, "without tests: {}", untested.join(", "));
        }
        print(&text)?;
    }
    Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn sentence(verdict: &Verdict<'_>) -> String {
    let Verdict { rule, case, alerts } = verdict;
    let list = if case.matches { "match" } else { "no_match" };
    let head = format!("{}: rule `{}`, {list} {}", case.place, rule.id, case.number);
    match alerts.first() {
        None => format!("{head}: no alert"),
        Some(alert) => {
            format!("{head}: an alert: {}", escape(&alert.message, terminal::charset()))
        }
    }
}

fn failed(verdict: &Verdict<'_>) -> Value {
    let Verdict { rule, case, alerts } = verdict;
    json!({
        "rule": &*rule.id, "place": case.place, "matches": case.matches, "number": case.number,
        "alerts": alerts.iter().map(|alert| &alert.message).collect::<Vec<_>>(),
    })
}

/// How often a rule matched, and what it said first.
struct Tally {
    severity: Severity,
    count: u64,
    first: String,
}

/// Shows the rules a recording and counts what they say.
pub(super) fn replay(
    rules: &Rules,
    path: &Path,
    json: bool,
    exit_code: bool,
) -> Result<ExitCode, Failure> {
    let told = |error: Error| {
        Failure::new(format!("cannot replay {}: {error}", path.display())).class(Class::Failure)
    };
    let mut engine = Engine::new(rules);
    let mut events = 0_u64;
    let mut tallies = BTreeMap::<String, Tally>::new();
    for event in Replay::open(path).map_err(told)? {
        events += 1;
        for alert in engine.observe(&event.map_err(told)?) {
            let Alert { rule, severity, message, .. } = alert;
            let fresh = Tally { severity, count: 0, first: message };
            let tally = tallies.entry(rule.to_string()).or_insert(fresh);
            tally.count += 1;
        }
    }
    let count = |severity| -> u64 {
        let of_it = tallies.values().filter(|tally| tally.severity == severity);
        of_it.map(|tally| tally.count).sum()
    };
    let by_severity = Severity::ALL.map(|severity| (severity.name(), count(severity)));
    if json {
        let rules: serde_json::Map<_, _> = tallies
            .iter()
            .map(|(rule, tally)| {
                let severity = tally.severity.name();
                (
                    rule.clone(),
                    json!({"severity": severity, "alerts": tally.count, "first": tally.first}),
                )
            })
            .collect();
        print_json(&json!({
            "events": events,
            "alerts": by_severity.into_iter().map(|(name, count)| (name.to_owned(), count.into())).collect::<serde_json::Map<_, _>>(),
            "held": engine.held(),
            "forgotten": engine.dropped(),
            "rules": rules,
        }))?;
    } else {
        let mut text = String::new();
        let mut sorted: Vec<_> = tallies.iter().collect();
        sorted.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.severity));
        for (rule, tally) in sorted {
            let first = escape(&tally.first, terminal::charset());
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{:>8} {rule:<44} {:>6}  {first}",
                tally.severity.name(),
                tally.count
            );
        }
        let counts: Vec<_> =
            by_severity.iter().map(|(name, count)| format!("{count} {name}")).collect();
        let events = Count(events, "event");
        let _ = write!(text, "{events}: {}", counts.join(", "));
        if engine.held() > 0 {
            let _ = write!(
                text,
                "; {} more held back by the limits of their rules",
                Grouped(engine.held())
            );
        }
        text.push('\n');
        print(&text)?;
    }
    let is_quiet = tallies.is_empty();
    Ok(if exit_code && !is_quiet { ExitCode::from(MATCHED) } else { ExitCode::SUCCESS })
}
