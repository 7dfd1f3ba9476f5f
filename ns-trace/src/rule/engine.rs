//! Rules at work: events go in, alerts come out.

use std::{borrow::Cow, sync::Arc};

use super::{
    Count, Exception, Rule, Rules, When, Written,
    lineage::Lineage,
    origins::Origins,
    sequence::Sequences,
    window::{Key, Windows},
};
use crate::{
    expr::Sighting,
    model::{
        Ancestor, Event, NsRef, Origin,
        event::{Alert, Body, EventKind},
        redact::Redaction,
    },
};

/// Says how many tasks are in a namespace, if it knows.
pub type Members<'a> = dyn Fn(&NsRef) -> Option<u32> + 'a;

/// Rules, and what they remember of the events so far.
#[derive(Debug)]
pub struct Engine {
    armed: Vec<Armed>,
    /// For each sort of event the rules that it may concern.
    concerned: [Vec<usize>; EventKind::ALL.len()],
    lineage: Lineage,
    origins: Origins,
    redaction: Redaction,
    held: u64,
}

/// A rule with its memory.
#[derive(Debug)]
struct Armed {
    rule: Arc<Rule>,
    /// Whether what amendments have added to it counts.
    is_amended: bool,
    counts: Windows,
    sequences: Sequences,
    rates: Windows,
}

impl Engine {
    /// The rules that are enabled, with nothing to remember.
    #[must_use]
    pub fn new(rules: &Rules) -> Self {
        let enabled = rules.rules.iter().filter(|rule| rule.enabled);
        Self { redaction: rules.redaction.clone(), ..Self::with(enabled.cloned(), true) }
    }

    /// These rules, enabled or not; as they were written, or with what amendments have added.
    pub(super) fn with(rules: impl Iterator<Item = Arc<Rule>>, is_amended: bool) -> Self {
        let armed: Vec<_> = rules.map(|rule| Armed::new(rule, is_amended)).collect();
        let concerned = EventKind::ALL.map(|kind| {
            let concerns = |(_, armed): &(usize, &Armed)| {
                let conditions = armed.rule.when.conditions();
                conditions.iter().any(|written| written.condition.sorts().contains(kind))
            };
            armed.iter().enumerate().filter(concerns).map(|(at, _)| at).collect()
        });
        let (lineage, origins) = (Lineage::default(), Origins::default());
        Self { armed, concerned, lineage, origins, redaction: Redaction::default(), held: 0 }
    }

    /// Goes on with other rules, which know of processes and namespaces what these knew; counts and
    /// sequences begin anew.
    pub fn replace(&mut self, rules: &Rules) {
        let fresh = Self::new(rules);
        let former = std::mem::replace(self, fresh);
        (self.lineage, self.origins, self.held) = (former.lineage, former.origins, former.held);
    }

    /// Takes in a snapshot of the whole machine: what it does not show has ended unseen.
    pub fn meet(
        &mut self,
        processes: impl Iterator<Item = Ancestor>,
        namespaces: impl Iterator<Item = Origin>,
    ) {
        self.lineage.renew(processes);
        self.origins.renew(namespaces);
    }

    /// Takes in an event, and says which rules match now.
    ///
    /// The alerts' `cause_seq` is the event's `seq`. Alerts themselves are no events to rules.
    pub fn observe(&mut self, event: &Event) -> Vec<Alert> {
        self.look_at(event, &|_| None, true)
    }

    /// As [`observe`](Self::observe), where `members` says how many tasks are in a namespace now;
    /// without alerts if nobody wants any about this event: it is remembered, and may be a part of
    /// what comes, but uses up no limit.
    pub fn look_at(&mut self, event: &Event, members: &Members<'_>, is_wanted: bool) -> Vec<Alert> {
        let kind = event.body.kind();
        if kind == EventKind::Alert {
            return Vec::new();
        }
        let process = event.body.process();
        let before = process.and_then(|process| self.lineage.get(process));
        self.lineage.learn(event);
        self.origins.learn(event);
        let mut alerts = Vec::new();
        let concerned = self.concerned.get(kind as usize).map(Vec::as_slice).unwrap_or_default();
        if !concerned.is_empty() {
            let lineage = process.map(|process| self.lineage.of(process)).unwrap_or_default();
            let row = self.origins.of(event).map(|row| match members(&row.ns.to_ref()) {
                None => row,
                members => Cow::Owned(Origin { members, ..row.into_owned() }),
            });
            let row = row.as_deref();
            let sighting = Sighting { event, lineage: &lineage, before: before.as_ref(), row };
            for at in concerned {
                let Some(armed) = self.armed.get_mut(*at) else { continue };
                if !armed.matches(sighting) || !is_wanted {
                    continue;
                }
                let rate = armed.rule.rate;
                let key = Key::new(rate.by, event, &lineage);
                match armed.rates.admit(key, event.boot_ns, rate) {
                    None => self.held += 1,
                    Some(held) => alerts.push(Alert {
                        rule: Arc::clone(&armed.rule.id),
                        severity: armed.rule.severity,
                        tags: Arc::clone(&armed.rule.tags),
                        message: message(&armed.rule, sighting, &self.redaction),
                        cause_seq: Some(event.seq),
                        repeat: (held > 0).then_some(held),
                        ns: self.origins.named(event),
                        process: process.cloned(),
                    }),
                }
            }
        }
        self.origins.forget(event);
        alerts
    }

    /// How many alerts were held back by the limits of rates.
    #[must_use]
    pub const fn held(&self) -> u64 {
        self.held
    }

    /// How much was forgotten because there was too much to remember: processes, namespaces, counts
    /// and sequences under way.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        let of = |armed: &Armed| armed.counts.dropped + armed.sequences.dropped;
        self.armed.iter().map(of).sum::<u64>() + self.lineage.dropped + self.origins.dropped
    }
}

/// What an alert says. Of its finished text nobody could tell any more where an argument ends.
fn message(rule: &Rule, sighting: Sighting<'_>, redaction: &Redaction) -> String {
    let mut event = sighting.event.clone();
    redaction.apply(&mut event);
    rule.message.render(Sighting { event: &event, ..sighting })
}

impl Written {
    /// Whether it holds; not asked where it cannot.
    fn holds(&self, sighting: Sighting<'_>) -> bool {
        let kind = sighting.event.body.kind();
        self.condition.sorts().contains(kind) && self.condition.holds(sighting)
    }
}

impl Armed {
    fn new(rule: Arc<Rule>, is_amended: bool) -> Self {
        let (counts, rates) = (Windows::default(), Windows::default());
        Self { rule, is_amended, counts, sequences: Sequences::default(), rates }
    }

    fn matches(&mut self, sighting: Sighting<'_>) -> bool {
        let rule = Arc::clone(&self.rule);
        let is_amended = self.is_amended;
        let Sighting { event, lineage, .. } = sighting;
        let is_excepted = || {
            let counts = |exception: &&Exception| is_amended || !exception.is_added;
            let mut exceptions = rule.exceptions.iter().filter(counts);
            exceptions.any(|exception| exception.condition.holds(sighting))
        };
        match &rule.when {
            When::Condition { condition, count } => {
                condition.holds(sighting)
                    && !is_excepted()
                    && count.is_none_or(|count| self.reaches(count, event, lineage))
            }
            When::Sequence { steps, within_ns, by } => {
                let is_one = |(step, number): (&Written, _)| {
                    self.sequences.awaits(number) && step.holds(sighting)
                };
                let fulfils: Vec<_> = steps.iter().zip(0..).map(is_one).collect();
                fulfils.contains(&true)
                    && !is_excepted()
                    && self.sequences.step(event, lineage, (*within_ns, *by), &fulfils)
            }
        }
    }

    /// Whether this event is the last of those that it takes.
    fn reaches(&mut self, count: Count, event: &Event, lineage: &[Arc<Ancestor>]) -> bool {
        let weight = match &event.body {
            Body::Enter(enter) => enter.repeat,
            Body::Fail(fail) => fail.repeat,
            _ => None,
        };
        let key = Key::new(count.by, event, lineage);
        let sum = self.counts.add(key.clone(), event.boot_ns, weight.unwrap_or(1), count);
        let is_reached = sum >= count.number;
        if is_reached {
            self.counts.reset(&key);
        }
        is_reached
    }
}
