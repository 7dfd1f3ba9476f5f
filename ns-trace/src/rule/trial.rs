//! Rules against their own tests.

use std::sync::Arc;

use super::{Case, Engine, Rule};
use crate::model::event::Alert;

/// What became of one test of a rule.
#[derive(Debug)]
pub struct Verdict<'r> {
    /// The rule.
    pub rule: &'r Rule,
    /// The test.
    pub case: &'r Case,
    /// What the rule said.
    pub alerts: Vec<Alert>,
}

impl Verdict<'_> {
    /// Whether it is what the test wants.
    #[must_use]
    pub const fn is_right(&self) -> bool {
        self.case.matches != self.alerts.is_empty()
    }
}

/// Shows a rule, enabled or not, the events of each of its tests, one test after the other.
///
/// Whoever wrote the rule could not know what amendments add: their exceptions count in their own
/// tests only.
pub fn try_out(rule: &Arc<Rule>) -> impl Iterator<Item = Verdict<'_>> {
    rule.tests.iter().map(|case| {
        let mut engine = Engine::with(std::iter::once(Arc::clone(rule)), case.is_added);
        let alerts = case.events.iter().flat_map(|event| engine.observe(event)).collect();
        Verdict { rule, case, alerts }
    })
}
