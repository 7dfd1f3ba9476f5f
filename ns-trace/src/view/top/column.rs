//! What the list shows of a namespace.

use std::cmp::Ordering;

use crate::{
    model::{Kind, NsRow, World},
    view::quantity::Lasting,
};

/// A column of the list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Column {
    Namespace,
    Processes,
    Threads,
    Pid,
    User,
    Age,
    Cause,
    Creator,
    Command,
}

impl Column {
    pub(super) const ALL: [Self; 9] = [
        Self::Namespace,
        Self::Processes,
        Self::Threads,
        Self::Pid,
        Self::User,
        Self::Age,
        Self::Cause,
        Self::Creator,
        Self::Command,
    ];

    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Namespace => "NAMESPACE",
            Self::Processes => "PROCS",
            Self::Threads => "THREADS",
            Self::Pid => "PID",
            Self::User => "UID",
            Self::Age => "AGE",
            Self::Cause => "CAUSE",
            Self::Creator => "CREATOR",
            Self::Command => "COMMAND",
        }
    }

    /// How wide it is; the last one takes the rest.
    pub(super) const fn width(self) -> usize {
        match self {
            Self::Namespace | Self::Creator => 18,
            Self::Processes | Self::User => 6,
            Self::Threads | Self::Pid => 7,
            Self::Age => 12,
            Self::Cause => 9,
            Self::Command => 15,
        }
    }

    /// Whether it is aligned at its end.
    pub(super) const fn is_number(self) -> bool {
        matches!(self, Self::Processes | Self::Threads | Self::Pid | Self::User | Self::Age)
    }

    /// The one that follows, or the one before.
    pub(super) fn next(self, back: bool) -> Self {
        let count = Self::ALL.len();
        let at = (self as usize + if back { count - 1 } else { 1 }) % count;
        Self::ALL.get(at).copied().unwrap_or(self)
    }

    /// What it says of a namespace, unescaped; empty if nothing is known.
    pub(super) fn text(self, row: &NsRow, world: &World, now: u64) -> String {
        let first = row.processes.first().and_then(|pid| world.process(*pid));
        match self {
            Self::Namespace => row.info.to_ref().to_string(),
            Self::Processes => row.nprocs.to_string(),
            Self::Threads => row.threads.to_string(),
            Self::Pid => row.processes.first().map_or_else(String::new, u32::to_string),
            Self::User => first.map_or_else(String::new, |process| process.uid.to_string()),
            Self::Age => {
                let age = row.info.born.map(|born| row.died.unwrap_or(now).saturating_sub(born));
                age.map_or_else(String::new, |age| Lasting(age).to_string())
            }
            Self::Cause => row.cause.map_or("", |cause| cause.name()).to_owned(),
            Self::Creator => row
                .creator
                .as_ref()
                .map_or_else(String::new, |creator| format!("{} {}", creator.pid, creator.comm)),
            Self::Command => match (row.died, first) {
                (Some(died), _) => {
                    format!("(gone for {})", Lasting(now.saturating_sub(died)))
                }
                (None, Some(process)) => process.comm.to_string(),
                (None, None) => "(no process)".to_owned(),
            },
        }
    }

    /// Which of two comes first: numbers from the largest, times from the latest, the rest as in a
    /// dictionary; what is unknown comes last.
    pub(super) fn order(self, (a, b): (&NsRow, &NsRow), world: &World) -> Ordering {
        let text = |row| {
            let text = self.text(row, world, 0);
            (text.is_empty(), text)
        };
        let first = |row: &NsRow| row.processes.first().copied();
        let uid = |row| first(row).and_then(|pid| world.process(pid)).map(|process| process.uid);
        let is_last = |unknown: bool| u8::from(unknown);
        match self {
            Self::Namespace => place(a).cmp(&place(b)),
            Self::Processes => b.nprocs.cmp(&a.nprocs),
            Self::Threads => b.threads.cmp(&a.threads),
            Self::Pid => {
                let key = |row| (is_last(first(row).is_none()), first(row));
                key(a).cmp(&key(b))
            }
            Self::User => {
                let key = |row| (is_last(uid(row).is_none()), uid(row));
                key(a).cmp(&key(b))
            }
            Self::Age => b.info.born.cmp(&a.info.born),
            Self::Cause | Self::Creator | Self::Command => text(a).cmp(&text(b)),
        }
    }
}

/// By type, then by inode; who lives before who is gone.
pub(super) const fn place(row: &NsRow) -> (Kind, u32, bool, u64) {
    let died = match row.died {
        Some(died) => died,
        None => 0,
    };
    (row.info.kind, row.info.inode, row.died.is_some(), died)
}
