//! `ns-trace rules explain`.

use std::{fmt::Write as _, process::ExitCode};

use serde_json::{Value, json};

use super::{Failure, list, print, print_json};
use crate::{
    rule::{Case, Count, Rule, Rules, When, Written},
    view::{escape, quantity::Lasting, terminal},
};

/// Prints everything about one rule.
pub(super) fn run(rules: &Rules, id: &str, json: bool) -> Result<ExitCode, Failure> {
    let Some(rule) = rules.rules.iter().find(|rule| &*rule.id == id) else {
        let hint = match rules.closest(id) {
            Some(near) => format!("did you mean {near}?"),
            None => "`ns-trace rules list` shows what there is".to_owned(),
        };
        return Err(Failure::new(format!("there is no rule `{id}`")).hint(hint));
    };
    if json {
        print_json(&whole(rule))?;
    } else {
        print(&escape_lines(&text(rule)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Escapes what a file may have put there, line by line.
fn escape_lines(text: &str) -> String {
    let charset = terminal::charset();
    text.lines().map(|line| escape(line, charset).into_owned() + "\n").collect()
}

fn text(rule: &Rule) -> String {
    let mut out = format!("{}  {}\n", rule.id, rule.severity.name());
    let mut add = |text: &str| {
        out.push_str(text);
        out.push('\n');
    };
    add(&rule.title);
    if !rule.description.is_empty() {
        add("");
        add(&rule.description);
    }
    add("");
    add(&format!("tags       {}", rule.tags.join(", ")));
    add(&format!("file       {}", rule.place));
    if !rule.enabled {
        add("enabled    no");
    }
    match &rule.when {
        When::Condition { condition, count } => {
            add(&block("condition", condition));
            if let Some(count) = count {
                add(&format!("count      at least {}", amount(*count)));
            }
        }
        When::Sequence { steps, within_ns, by } => {
            for (step, number) in steps.iter().zip(1..) {
                add(&block(&format!("step {number}"), step));
            }
            add(&format!("within     {}, by {}", Lasting(*within_ns), by.name()));
        }
    }
    for exception in &rule.exceptions {
        add(&block(&format!("except, {}", exception.name), &exception.condition));
    }
    add(&format!("message    {}", rule.message_source));
    add(&format!("rate       at most {}", amount(rule.rate)));
    for case in &rule.tests {
        add(&format!("test       {} {}", verb(case), describe(case)));
    }
    out
}

fn verb(case: &Case) -> &'static str {
    if case.matches { "matches" } else { "does not match" }
}

fn describe(case: &Case) -> String {
    let events: Vec<_> = case.events.iter().map(|event| event.body.kind().name()).collect();
    let comm = case.events.iter().rev().find_map(|event| event.body.process());
    let who = comm.map_or_else(String::new, |process| format!(" of {}", process.comm));
    format!("{}{who} ({})", events.join(", "), case.place)
}

fn amount(count: Count) -> String {
    let Count { number, within_ns, by } = count;
    format!("{number} in {} by {}", Lasting(within_ns), by.name())
}

/// A condition below its name, and without macros and lists if it has any.
fn block(name: &str, written: &Written) -> String {
    let mut out = name.to_owned();
    let indented = |text: &str, out: &mut String| {
        for line in text.lines() {
            // Writing to a string cannot fail.
            let _ = write!(out, "\n    {line}");
        }
    };
    indented(&written.source, &mut out);
    let expanded = written.condition.source();
    if expanded != written.source {
        out.push_str("\n  which is");
        indented(expanded, &mut out);
    }
    out
}

fn whole(rule: &Rule) -> Value {
    let condition = |written: &Written| json!({"written": written.source, "expanded": written.condition.source()});
    let count = |count: &Count| json!({"number": count.number, "within_ns": count.within_ns, "by": count.by.name()});
    let when = match &rule.when {
        When::Condition { condition: written, count: counted } => {
            json!({"condition": condition(written), "count": counted.as_ref().map(count)})
        }
        When::Sequence { steps, within_ns, by } => json!({"sequence": {
            "steps": steps.iter().map(condition).collect::<Vec<_>>(),
            "within_ns": within_ns,
            "by": by.name(),
        }}),
    };
    let exceptions = rule.exceptions.iter();
    let exceptions: serde_json::Map<_, _> = exceptions
        .map(|exception| (exception.name.clone(), condition(&exception.condition)))
        .collect();
    let tests: Vec<_> = rule
        .tests
        .iter()
        .map(|case| json!({"matches": case.matches, "place": case.place, "events": case.events}))
        .collect();
    let mut whole = list::summary(rule);
    let more = json!({
        "description": rule.description,
        "when": when,
        "exceptions": exceptions,
        "message": rule.message_source,
        "rate": count(&rule.rate),
        "tests": tests,
    });
    if let (Value::Object(whole), Value::Object(more)) = (&mut whole, more) {
        whole.extend(more);
    }
    whole
}
