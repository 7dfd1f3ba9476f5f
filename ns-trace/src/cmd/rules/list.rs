//! `ns-trace rules list`.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::{Failure, print, print_json};
use crate::{
    model::Cell,
    rule::{Rule, Rules},
    view::{
        table::{Heading, Plain, Table},
        terminal,
    },
};

/// Prints a line for each rule.
pub(super) fn run(rules: &Rules, json: bool) -> Result<ExitCode, Failure> {
    if json {
        let rules: Vec<Value> = rules.rules.iter().map(|rule| summary(rule)).collect();
        print_json(&json!({"rules": rules}))?;
        return Ok(ExitCode::SUCCESS);
    }
    let heading = |name, key| Heading { name, key, ..Heading::default() };
    let mut table = Table::new(
        "rules",
        vec![
            heading("ID", "id"),
            heading("SEVERITY", "severity"),
            heading("TAGS", "tags"),
            heading("TITLE", "title"),
        ],
    );
    let charset = terminal::charset();
    for rule in &rules.rules {
        table.push(None, cells(rule));
    }
    print(&table.to_plain(Plain { headings: true, charset, ..Plain::default() }))?;
    Ok(ExitCode::SUCCESS)
}

fn cells(rule: &Rule) -> Vec<Cell> {
    let off = if rule.enabled { "" } else { " (off)" };
    let text = |text: &str| Cell::from(text);
    vec![
        text(&rule.id),
        text(&format!("{}{off}", rule.severity.name())),
        text(&rule.tags.join(",")),
        text(&rule.title),
    ]
}

/// What a rule is, in short.
pub(super) fn summary(rule: &Rule) -> Value {
    json!({
        "id": &*rule.id,
        "title": rule.title,
        "severity": rule.severity.name(),
        "tags": rule.tags.iter().map(|tag| &**tag).collect::<Vec<_>>(),
        "enabled": rule.enabled,
        "place": rule.place,
    })
}
