//! Events one after the other, by processes that belong together.

use std::{collections::VecDeque, sync::Arc};

use super::{By, window::Key};
use crate::model::{Ancestor, Event};

/// How many sequences of a rule can be under way.
const MOST: usize = 256;

/// The sequences of a rule that have begun.
#[derive(Debug, Default)]
pub(super) struct Sequences {
    /// The oldest first.
    begun: VecDeque<Begun>,
    /// How many were given up for others.
    pub(super) dropped: u64,
}

#[derive(Debug)]
struct Begun {
    /// How many steps are done.
    steps: usize,
    /// When the first was.
    since: u64,
    who: Who,
}

/// Who did the first step.
#[derive(Debug)]
struct Who {
    key: Key,
    pid: u32,
    /// The processes that it descends from, init left out, of which everybody does.
    ancestors: Vec<u32>,
    /// Its parent, unless that is init.
    parent: Option<u32>,
}

impl Who {
    fn new(by: By, event: &Event, lineage: &[Arc<Ancestor>]) -> Option<Self> {
        let pid = event.body.process().map_or(0, |process| process.pid);
        let ancestors = match by {
            By::Lineage | By::Family if pid == 0 => return None,
            By::Lineage | By::Family => {
                lineage.iter().map(|ancestor| ancestor.pid).filter(|pid| *pid > 1).collect()
            }
            _ => Vec::new(),
        };
        let parent = match Key::new(By::Parent, event, lineage) {
            Key::Number(parent) => Some(parent).filter(|parent| *parent > 1),
            _ => None,
        };
        Some(Self { key: Key::new(by, event, lineage), pid, ancestors, parent })
    }

    /// Whether two of them belong together.
    fn is_kin(&self, other: &Self, by: By) -> bool {
        let in_line = self.pid == other.pid
            || self.ancestors.contains(&other.pid)
            || other.ancestors.contains(&self.pid);
        match by {
            By::Lineage => in_line,
            By::Family => in_line || self.parent.is_some() && self.parent == other.parent,
            _ => self.key == other.key,
        }
    }
}

impl Sequences {
    /// Whether anybody waits for a step; for the first, everybody does.
    pub(super) fn awaits(&self, step: usize) -> bool {
        step == 0 || self.begun.iter().any(|begun| begun.steps == step)
    }

    /// Takes in an event; whether it ends a sequence. `fulfils` says which steps it could be.
    pub(super) fn step(
        &mut self,
        event: &Event,
        lineage: &[Arc<Ancestor>],
        (within_ns, by): (u64, By),
        fulfils: &[bool],
    ) -> bool {
        if !fulfils.contains(&true) {
            return false;
        }
        let now = event.boot_ns;
        while self.begun.front().is_some_and(|begun| begun.since.saturating_add(within_ns) <= now) {
            self.begun.pop_front();
        }
        let Some(who) = Who::new(by, event, lineage) else { return false };
        let mut ended = false;
        for begun in &mut self.begun {
            if fulfils.get(begun.steps) == Some(&true) && begun.who.is_kin(&who, by) {
                begun.steps += 1;
                ended |= begun.steps == fulfils.len();
            }
        }
        self.begun.retain(|begun| begun.steps < fulfils.len());
        if !ended && fulfils.first() == Some(&true) {
            self.begin(Begun { steps: 1, since: now, who });
        }
        ended
    }

    fn begin(&mut self, begun: Begun) {
        // Whoever repeats the first step begins anew, and takes no more room.
        let same = |other: &Begun| {
            other.steps == 1 && other.who.pid == begun.who.pid && other.who.key == begun.who.key
        };
        if let Some(at) = self.begun.iter().position(same) {
            self.begun.remove(at);
        } else if self.begun.len() == MOST {
            self.begun.pop_front();
            self.dropped += 1;
        }
        self.begun.push_back(begun);
    }
}
