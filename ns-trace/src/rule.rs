//! Rules: what to say when events look like an attack or a mistake.
//!
//! Files of YAML are [read](load) and checked as a whole; an [`Engine`] is shown every event and
//! answers with alerts. It is a pure value: time comes with the events, and everything that it
//! remembers is bounded.

mod case;
mod compile;
mod engine;
mod expand;
mod fields;
mod file;
mod lineage;
mod node;
mod origins;
mod pack;
mod read;
mod sequence;
mod source;
#[cfg(test)]
mod tests;
mod trial;
mod window;

use std::sync::Arc;

pub use self::{
    compile::load,
    engine::{Engine, Members},
    file::{File, Problem},
    pack::shipped,
    read::RULE_KEYS,
    source::{RULES_D, SourceError, files, is_installed},
    trial::{Verdict, try_out},
};
use crate::{
    expr::{Condition, Template},
    model::{Event, event::Severity, redact::Redaction},
};

/// Rules that were read and checked.
#[derive(Debug, Default)]
pub struct Rules {
    /// In the order of the files.
    pub rules: Vec<Arc<Rule>>,
    /// What their messages must not say.
    pub redaction: Redaction,
}

impl Rules {
    /// The id that may have been meant.
    #[must_use]
    pub fn closest(&self, id: &str) -> Option<&str> {
        fields::closest(id, self.rules.iter().map(|rule| &*rule.id))
    }
}

/// One rule.
#[derive(Debug)]
pub struct Rule {
    /// What alerts call it.
    pub id: Arc<str>,
    /// One line for people.
    pub title: String,
    /// What it is about, why that matters and what to do.
    pub description: String,
    /// How bad it is.
    pub severity: Severity,
    /// Numbers of MITRE ATT&CK and other words.
    pub tags: Arc<[Arc<str>]>,
    /// When it matches.
    pub when: When,
    /// When it does not although it would.
    pub exceptions: Vec<Exception>,
    /// What the alert says.
    pub message: Template,
    /// How the message was written.
    pub message_source: String,
    /// How many alerts it may raise about one process.
    pub rate: Count,
    /// Whether it is used.
    pub enabled: bool,
    /// Events that must make it match, and events that must not.
    pub tests: Vec<Case>,
    /// The file and line that it begins in.
    pub place: String,
}

/// When a rule matches.
#[derive(Debug)]
pub enum When {
    /// When an event fulfils the condition, or as many do.
    Condition {
        /// The condition.
        condition: Written,
        /// How many events it takes; one if none.
        count: Option<Count>,
    },
    /// When events fulfil the conditions one after the other.
    Sequence {
        /// The conditions.
        steps: Vec<Written>,
        /// How long all of it may take, in nanoseconds.
        within_ns: u64,
        /// What the events must have in common.
        by: By,
    },
}

impl When {
    /// Its conditions.
    #[must_use]
    pub fn conditions(&self) -> &[Written] {
        match self {
            Self::Condition { condition, .. } => std::slice::from_ref(condition),
            Self::Sequence { steps, .. } => steps,
        }
    }
}

/// A condition, and how it was written.
#[derive(Debug)]
pub struct Written {
    /// With its macros and lists.
    pub source: String,
    /// Without.
    pub condition: Condition,
}

/// A condition under which a rule is silent.
#[derive(Debug)]
pub struct Exception {
    /// What it is called.
    pub name: String,
    /// The condition.
    pub condition: Written,
    /// Whether an amendment has added it.
    pub is_added: bool,
}

/// So many of something in so long a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Count {
    /// How many.
    pub number: u64,
    /// In how long, in nanoseconds.
    pub within_ns: u64,
    /// Of what they must be.
    pub by: By,
}

/// What events have in common that belong together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum By {
    /// The process.
    Process,
    /// One process is the other or descends from it.
    Lineage,
    /// As lineage, and children of one parent too.
    Family,
    /// The parent of the process.
    Parent,
    /// The real user.
    User,
    /// The container.
    Container,
    /// Nothing but the rule.
    Host,
}

impl By {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::Process,
        Self::Lineage,
        Self::Family,
        Self::Parent,
        Self::User,
        Self::Container,
        Self::Host,
    ];

    /// Whether it is about two processes, so that a single one cannot be counted by it.
    #[must_use]
    pub const fn is_of_two(self) -> bool {
        matches!(self, Self::Lineage | Self::Family)
    }

    /// The name used in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Lineage => "lineage",
            Self::Family => "family",
            Self::Parent => "parent",
            Self::User => "user",
            Self::Container => "container",
            Self::Host => "host",
        }
    }
}

/// Events that must, or must not, make a rule match.
#[derive(Debug)]
pub struct Case {
    /// Whether they must.
    pub matches: bool,
    /// Whether an amendment has added it: it is about the rule with all that was added, the others
    /// are about the rule as it was written.
    pub is_added: bool,
    /// Which it is of those that must or must not, from 1.
    pub number: usize,
    /// What happens, in order.
    pub events: Vec<Event>,
    /// The file and line that it begins in.
    pub place: String,
}
