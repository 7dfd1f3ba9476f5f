//! Operations on namespaces as ordered steps, which are plain data, and their execution.
//!
//! ```text
//!  options ──▶ Plan ──▶ --dry-run: text or JSON
//!                 └───▶ carry_out: this process, its child after a fork, and one that stays outside
//! ```
//! A step that fails undoes what those before it have done. Who takes part is single-threaded.

mod action;
mod before;
mod executor;
mod fork;
mod freezer;
mod identity;
mod map;
mod mount;
mod offset;
mod outside;
mod pin;
mod program;
mod reason;
mod root;
mod scene;
mod trouble;
mod unshare;
mod word;

use std::fmt::Write as _;

use serde::Serialize;

pub use self::{
    action::{Action, Place},
    before::{Pause, Setup},
    fork::Fork,
    freezer::Freezer,
    identity::{Identity, KeepCapabilities},
    map::{Map, Setgroups},
    mount::{FileSystem, Interpreter, Mount, Propagation, Spread},
    offset::{Clock, Offset},
    pin::{PidFile, Pin},
    program::{Environment, Exec},
    root::{Directory, Root},
    scene::Scene,
    trouble::{Reason, Trouble},
    unshare::Unshare,
};
pub use crate::sys::job::End;

/// What the JSON of a plan is called.
const SCHEMA: &str = "ns-trace-plan/1";

/// One step; what it does stands in the file of its name.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// Another working directory.
    Directory(Directory),
    /// Another program, in the same process: the last step.
    Exec(Exec),
    /// A child carries out the rest, and this process waits for it.
    Fork(Fork),
    /// A freezer cgroup for the program.
    Freezer(Freezer),
    /// Another user or group.
    Identity(Identity),
    /// An interpreter of programs.
    Interpreter(Interpreter),
    /// Capabilities that the program keeps.
    KeepCapabilities(KeepCapabilities),
    /// Users or groups of a new user namespace.
    Map(Map),
    /// A file system that shows namespaces.
    Mount(Mount),
    /// A clock of a new time namespace.
    Offset(Offset),
    /// A wait for the user.
    Pause(Pause),
    /// A file with the number of the program's process.
    PidFile(PidFile),
    /// A name for a namespace that outlives the program.
    Pin(Pin),
    /// How mounts spread.
    Propagation(Propagation),
    /// Another root directory.
    Root(Root),
    /// Whether groups may be dropped.
    Setgroups(Setgroups),
    /// A command before the program.
    Setup(Setup),
    /// New namespaces for this process.
    Unshare(Unshare),
}

impl Step {
    /// What it does.
    fn action(&self) -> &dyn Action {
        match self {
            Self::Directory(step) => step,
            Self::Exec(step) => step,
            Self::Fork(step) => step,
            Self::Freezer(step) => step,
            Self::Identity(step) => step,
            Self::Interpreter(step) => step,
            Self::KeepCapabilities(step) => step,
            Self::Map(step) => step,
            Self::Mount(step) => step,
            Self::Offset(step) => step,
            Self::Pause(step) => step,
            Self::PidFile(step) => step,
            Self::Pin(step) => step,
            Self::Propagation(step) => step,
            Self::Root(step) => step,
            Self::Setgroups(step) => step,
            Self::Setup(step) => step,
            Self::Unshare(step) => step,
        }
    }
}

/// Steps in their order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Adds a step.
    pub fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// Who carries out which step, as JSON and text tell it.
    fn rows(&self) -> impl Iterator<Item = (By, &Step)> {
        let mut inside = By::Own;
        self.steps.iter().map(move |step| {
            let by = match step.action().place() {
                Place::Inside => inside,
                Place::Outside => By::Outside,
            };
            if matches!(step, Step::Fork(_)) {
                inside = By::Child;
            }
            (by, step)
        })
    }

    /// One line for each step.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (number, (by, step)) in (1..).zip(self.rows()) {
            let by = match by {
                By::Own => "",
                By::Child => "child: ",
                By::Outside => "outside: ",
            };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{number:2}  {by}{}", step.action().describe());
        }
        text
    }

    /// The steps as JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        #[derive(Serialize)]
        struct Row<'a> {
            by: By,
            #[serde(flatten)]
            step: &'a Step,
        }
        let rows: Vec<_> = self.rows().map(|(by, step)| Row { by, step }).collect();
        serde_json::json!({ "schema": SCHEMA, "steps": rows })
    }
}

/// Who carries out a step.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum By {
    #[serde(rename = "self")]
    Own,
    Child,
    Outside,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Flags;

    fn plan() -> Plan {
        let mut plan = Plan::default();
        plan.push(Step::Unshare(Unshare { flags: Flags::from_bits(0x2000_0000) }));
        plan.push(Step::Fork(Fork { death_signal: Some(9), ..Fork::default() }));
        plan.push(Step::PidFile(PidFile { file: "/run/x.pid".into() }));
        plan.push(Step::Exec(Exec { command: vec!["a b".into()], ..Exec::default() }));
        plan
    }

    #[test]
    fn text_says_who_does_what() {
        let lines = [
            " 1  unshare CLONE_NEWPID",
            " 2  fork; the child gets signal 9 when its parent ends",
            " 3  outside: write the number of the program's process to /run/x.pid",
            " 4  child: exec 'a b'",
        ];
        assert_eq!(plan().text(), lines.join("\n") + "\n");
    }

    #[test]
    fn json_has_the_same() {
        let json = serde_json::json!({
            "schema": "ns-trace-plan/1",
            "steps": [
                { "by": "self", "step": "unshare", "flags": ["CLONE_NEWPID"] },
                { "by": "self", "step": "fork", "flags": [], "death_signal": 9 },
                { "by": "outside", "step": "pid_file", "file": "/run/x.pid" },
                { "by": "child", "step": "exec", "command": ["a b"], "environment": "inherit" },
            ],
        });
        assert_eq!(plan().json(), json);
    }
}
