//! The page about one namespace.

use std::fmt::Write as _;

use super::Top;
use crate::{
    model::{Holder, NsRow},
    view::{escape, quantity::Lasting},
};

/// How many processes and holders are listed each.
const MOST: usize = 200;
/// How many events.
const EVENTS: usize = 20;

impl Top {
    /// The lines of the page.
    pub(super) fn details(&self, row: &NsRow) -> Vec<String> {
        let mut lines = Vec::new();
        let mut say = |name: &str, what: String| lines.push(format!("{name:<11}{what}"));
        let info = &row.info;
        let initial = if info.initial { "  (the system's first)" } else { "" };
        say("namespace", format!("{}{initial}", info.to_ref()));
        say("id", info.id.map_or_else(|| "unknown".to_owned(), |id| id.to_string()));
        let now = self.picture.boot_ns;
        let ago = |moment: u64| format!("{} ago", Lasting(now.saturating_sub(moment)));
        say("born", info.born.map_or_else(|| "before the tracer".to_owned(), ago));
        if let Some(died) = row.died {
            say("gone", ago(died));
        }
        if let Some(owner) = info.owner {
            say("owner", owner.to_string());
        }
        if let Some(parent) = info.parent {
            say("parent", parent.to_string());
        }
        if let Some(level) = info.level {
            say("level", level.to_string());
        }
        if let Some(creator) = &row.creator {
            let mut who = format!("{} {}", creator.pid, self.safe(&creator.comm));
            if let Some(exe) = &creator.exe {
                // Writing to a string cannot fail.
                let _ = write!(who, "  {}", self.safe(exe));
            }
            let cause = row.cause.map_or("unknown", |cause| cause.name());
            say("creator", format!("{who}  uid {}  by {cause}", creator.uid));
        }
        self.holders(row, &mut lines);
        lines.push(String::new());
        lines.push("EVENTS  the latest first".to_owned());
        let before = lines.len();
        lines.extend(self.events_of(row).take(EVENTS).map(|event| self.event_line(event, 0)));
        if lines.len() == before {
            lines.push("  none yet".to_owned());
        }
        self.members(row, &mut lines);
        lines
    }

    fn members(&self, row: &NsRow, lines: &mut Vec<String>) {
        lines.push(String::new());
        let count = row.processes.len();
        lines.push(format!("PROCESSES  {count}, with {} threads", row.threads));
        for pid in row.processes.iter().take(MOST) {
            let process = self.picture.world.process(*pid);
            let (uid, comm) = process.map_or((0, "?"), |process| (process.uid, &*process.comm));
            lines.push(format!("  {pid:>7} {uid:>6}  {}", self.safe(comm)));
        }
        if count > MOST {
            lines.push(format!("  and {} more", count - MOST));
        }
    }

    fn holders(&self, row: &NsRow, lines: &mut Vec<String>) {
        lines.push(String::new());
        if row.died.is_some() {
            return lines.push("HELD BY  nothing: it is gone".to_owned());
        }
        let Some(world) = &self.closely else {
            return lines.push("HELD BY  looking ...".to_owned());
        };
        let seen = world.namespace(row.info.kind, row.info.inode);
        let holders = seen.map(|row| row.holders.as_slice()).unwrap_or_default();
        lines.push(format!("HELD BY  {} besides its processes", holders.len()));
        let texts = holders.iter().take(MOST).map(|holder| format!("  {}", self.holder(holder)));
        lines.extend(texts);
        if holders.len() > MOST {
            lines.push(format!("  and {} more", holders.len() - MOST));
        }
        if holders.is_empty() && row.processes.is_empty() {
            lines.push("  nothing visible holds it".to_owned());
        }
    }

    fn holder(&self, holder: &Holder) -> String {
        let word = holder.name();
        match holder {
            Holder::Thread { pid, tid, .. } => format!("{word:<13} thread {tid} of process {pid}"),
            Holder::ForChildren { pid, tid, slot } => {
                format!("{word:<13} {} of thread {tid} of process {pid}", slot.name())
            }
            Holder::Fd { pid, fd, .. }
            | Holder::Socket { pid, fd, .. }
            | Holder::File { pid, fd, .. } => {
                format!("{word:<13} descriptor {fd} of process {pid}")
            }
            Holder::Memory { pid, segment } => {
                format!("{word:<13} segment {segment}, attached to process {pid}")
            }
            Holder::Mount { path, mnt_ns, pid } | Holder::ProcMount { path, mnt_ns, pid } => {
                let path = path.to_string_lossy();
                format!("{word:<13} {} in {mnt_ns}, of process {pid}", self.safe(&path))
            }
            Holder::Child(ns) | Holder::Owned(ns) => format!("{word:<13} {ns}"),
        }
    }

    /// A string of the kernel's, safe to show.
    pub(super) fn safe(&self, text: &str) -> String {
        escape(text, self.look.charset).into_owned()
    }
}
