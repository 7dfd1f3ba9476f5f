//! Tasks that come, change their program, and go.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    super::{Process, TaskRef},
    Change,
};

/// A task was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Fork {
    /// The new task; a thread if its `pid` and `tid` differ.
    pub child: TaskRef,
    /// The task that made it.
    pub process: Arc<Process>,
}

/// A process runs another program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Exec {
    /// The slots that the exec changed: only a pending time namespace does that. A thread other than
    /// the leader takes the leader's number and brings its own namespaces along.
    pub changes: Vec<Change>,
    /// The process, after the exec.
    pub process: Arc<Process>,
}

/// A task ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Exit {
    /// How it ended.
    pub status: Status,
    /// The task.
    pub process: Arc<Process>,
}

/// How a task ended.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Status {
    /// By exit(2).
    Code {
        /// The exit code, 0 to 255.
        code: u8,
    },
    /// By a signal.
    Signal {
        /// The signal number.
        signal: u8,
        /// Whether a core was dumped.
        core: bool,
    },
}

impl Status {
    /// Reads a wait status as wait(2) returns it.
    #[must_use]
    pub const fn from_wait(status: u32) -> Self {
        let signal = (status & 0x7f) as u8;
        if signal == 0 {
            Self::Code { code: (status >> 8 & 0xff) as u8 }
        } else {
            Self::Signal { signal, core: status & 0x80 != 0 }
        }
    }
}
