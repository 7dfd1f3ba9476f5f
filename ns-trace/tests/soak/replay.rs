//! What a recorded stream says that exists, event by event.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::world::Name;

/// A namespace that the stream knows to be alive.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// The kernel's number, if it has one.
    pub(super) id: Option<u64>,
    /// When it was made, on the boot clock; 0 if before the stream.
    born: u64,
    /// Whom it keeps alive: its owner and its parent.
    pub(super) keeps: Vec<Name>,
}

/// The world as the stream tells it.
#[derive(Debug, Default)]
pub(super) struct Replay {
    pub(super) alive: BTreeMap<Name, Row>,
    /// Deaths: of whom, and when they were told, on the boot clock.
    destroyed: BTreeMap<Name, u64>,
    ids: BTreeSet<(String, u64)>,
    tasks: BTreeSet<(u64, u64)>,
    counts: BTreeMap<String, u64>,
    /// Events that are missing according to the stream itself.
    pub(super) lost: u64,
    /// What cannot be.
    pub(super) faults: Vec<String>,
}

impl Replay {
    /// Reads a stream to its end, or to the first event after `until` on the boot clock.
    pub(super) fn read(path: &Path, until: u64) -> Result<Self> {
        Self::of(BufReader::with_capacity(1 << 20, File::open(path)?), until)
    }

    fn of(input: impl BufRead, until: u64) -> Result<Self> {
        let mut replay = Self::default();
        for (number, line) in (1..).zip(input.lines()) {
            let event: Value = serde_json::from_str(&line?)
                .with_context(|| format!("line {number} is no JSON"))?;
            if event["boot_ns"].as_u64().unwrap_or_default() <= until {
                replay.take(number, &event);
            }
        }
        Ok(replay)
    }

    fn take(&mut self, number: u64, event: &Value) {
        let name = event["event"].as_str().unwrap_or_default();
        *self.counts.entry(name.to_owned()).or_default() += 1;
        if event["seq"] != number {
            self.fault(number, format_args!("seq is {}", event["seq"]));
        }
        match name {
            "create" => self.created(number, &event["ns"]),
            // A resync found it.
            "exist" => {
                if let Some(name) = of(&event["ns"]) {
                    self.alive.entry(name).or_insert_with(|| Row::of(&event["ns"]));
                }
            }
            "destroy" => self.destroyed(number, event),
            "lost" => self.lost += event["lost"]["count"].as_u64().unwrap_or_default(),
            "fork" => {
                // Of threads nothing is asked: one that runs another program takes the number of
                // the first, and its own never ends (execve(2)).
                if event["child"]["tid"] == event["child"]["pid"]
                    && let Some(task) = task(&event["child"])
                    && !self.tasks.insert(task)
                {
                    self.fault(number, format_args!("task {} is forked twice", task.0));
                }
            }
            "exit" => {
                if let Some(task) = task(&event["process"]) {
                    self.tasks.remove(&task);
                }
            }
            _ => {}
        }
    }

    fn created(&mut self, number: u64, ns: &Value) {
        let Some(name) = of(ns) else {
            return self.fault(number, format_args!("a create without a namespace"));
        };
        if let Some(id) = ns["id"].as_u64()
            && !self.ids.insert((name.0.clone(), id))
        {
            self.fault(number, format_args!("{} with the id {id} is created twice", show(&name)));
        }
        if self.alive.insert(name.clone(), Row::of(ns)).is_some() {
            self.fault(number, format_args!("{} is created while it is alive", show(&name)));
        }
    }

    fn destroyed(&mut self, number: u64, event: &Value) {
        let ns = &event["ns"];
        let Some(name) = of(ns) else {
            return self.fault(number, format_args!("a destroy without a namespace"));
        };
        match self.alive.remove(&name) {
            Some(row) if row.id != ns["id"].as_u64() => {
                self.fault(number, format_args!("{} dies with another id", show(&name)));
            }
            // Older than the stream.
            None if !ns["born"].is_null() => {
                self.fault(number, format_args!("{} dies, but was not alive", show(&name)));
            }
            _ => {}
        }
        self.destroyed.insert(name, event["boot_ns"].as_u64().unwrap_or_default());
    }

    fn fault(&mut self, number: u64, what: std::fmt::Arguments<'_>) {
        self.faults.push(format!("line {number}: {what}"));
    }

    /// Whether a death of this name was told.
    pub(super) fn saw_die(&self, name: &Name) -> bool {
        self.destroyed.contains_key(name)
    }

    /// Whether it was made before that moment of the boot clock.
    pub(super) fn is_older(&self, name: &Name, moment: u64) -> bool {
        self.alive.get(name).is_some_and(|row| row.born < moment)
    }

    /// Those that nobody need show to be alive: owners and parents, near and far, of `names`.
    pub(super) fn ancestors(&self, names: &BTreeSet<Name>) -> BTreeSet<Name> {
        let mut found = BTreeSet::new();
        let mut open: Vec<Name> = names.iter().cloned().collect();
        while let Some(name) = open.pop() {
            let keeps = self.alive.get(&name).map(|row| row.keeps.clone()).unwrap_or_default();
            open.extend(keeps.into_iter().filter(|kept| found.insert(kept.clone())));
        }
        found
    }

    /// Processes that were forked and did not end: number and start.
    pub(super) fn running(&self) -> impl Iterator<Item = (u64, u64)> {
        self.tasks.iter().copied()
    }

    /// Whether this one did not end.
    pub(super) fn is_running(&self, task: (u64, u64)) -> bool {
        self.tasks.contains(&task)
    }

    /// How many of each there were.
    pub(super) fn summary(&self) -> String {
        let mut text = String::new();
        for (name, count) in &self.counts {
            let comma = if text.is_empty() { "" } else { ", " };
            // Writing to a string cannot fail.
            let _written = write!(text, "{comma}{count} {name}");
        }
        text
    }
}

impl Row {
    fn of(ns: &Value) -> Self {
        Self {
            id: ns["id"].as_u64(),
            born: ns["born"].as_u64().unwrap_or_default(),
            keeps: [&ns["owner"], &ns["parent"]].into_iter().filter_map(of).collect(),
        }
    }
}

/// A namespace in an event.
fn of(ns: &Value) -> Option<Name> {
    Some((ns["type"].as_str()?.to_owned(), ns["inode"].as_u64()?))
}

/// A task in an event: number and start.
fn task(value: &Value) -> Option<(u64, u64)> {
    Some((value["tid"].as_u64()?, value["start_ns"].as_u64()?))
}

/// A namespace as people write it.
pub(super) fn show(name: &Name) -> String {
    format!("{}:{}", name.0, name.1)
}

/// Replays of streams of a few lines.
pub(super) mod tests {
    use anyhow::{Result, ensure};

    use super::Replay;

    fn line(seq: u64, event: &str, inode: u64, id: u64) -> String {
        format!(
            r#"{{"seq":{seq},"boot_ns":{seq},"event":"{event}","ns":{{"type":"uts","inode":{inode},"id":{id},"born":{seq},"owner":{{"type":"user","inode":1}},"parent":null}}}}"#
        )
    }

    fn replay(lines: &[String], until: u64) -> Result<Replay> {
        Replay::of(lines.join("\n").as_bytes(), until)
    }

    pub(in super::super) fn births_and_deaths_pair_up() -> Result<()> {
        let lines = [line(1, "create", 7, 1), line(2, "destroy", 7, 1), line(3, "create", 7, 2)];
        let replay = replay(&lines, u64::MAX)?;
        ensure!(replay.faults.is_empty(), "{:?}", replay.faults);
        let uts = ("uts".to_owned(), 7);
        ensure!(replay.alive.contains_key(&uts) && replay.saw_die(&uts));
        ensure!(replay.ancestors(&[uts].into()).contains(&("user".to_owned(), 1)));
        ensure!(replay.summary() == "2 create, 1 destroy");
        Ok(())
    }

    pub(in super::super) fn what_cannot_be_is_a_fault() -> Result<()> {
        for lines in [
            [line(1, "create", 7, 1), line(2, "create", 7, 2)],
            [line(1, "create", 7, 1), line(2, "create", 8, 1)],
            [line(1, "create", 7, 1), line(2, "destroy", 7, 2)],
            [line(1, "create", 7, 1), line(2, "destroy", 8, 1)],
            [line(1, "create", 7, 1), line(3, "destroy", 7, 1)],
        ] {
            ensure!(replay(&lines, u64::MAX)?.faults.len() == 1, "{lines:?}");
        }
        Ok(())
    }

    pub(in super::super) fn up_to_a_moment() -> Result<()> {
        let lines = [line(1, "create", 7, 1), line(2, "destroy", 7, 1)];
        ensure!(replay(&lines, 1)?.alive.len() == 1);
        Ok(())
    }
}
