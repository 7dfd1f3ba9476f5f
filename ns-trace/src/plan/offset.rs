//! The clocks of a new time namespace.

use std::fmt;

use serde::Serialize;

use super::{Action, Scene, Trouble, map::write, reason};

/// A clock that a time namespace shifts (`time_namespaces(7)`).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// `CLOCK_MONOTONIC`.
    Monotonic,
    /// `CLOCK_BOOTTIME`.
    Boottime,
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Monotonic => "monotonic",
            Self::Boottime => "boottime",
        })
    }
}

/// Shifts a clock of the new time namespace, which no process may be in yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Offset {
    /// Which clock.
    pub clock: Clock,
    /// By how many seconds.
    pub seconds: i64,
}

impl Action for Offset {
    fn describe(&self) -> String {
        format!("write `{} {} 0` to timens_offsets", self.clock, self.seconds)
    }

    fn carry_out(&self, _scene: &mut Scene) -> Result<(), Trouble> {
        let line = format!("{} {} 0", self.clock, self.seconds);
        write("/proc/self/timens_offsets", &line).map_err(|error| {
            Trouble::of(format!("cannot write `{line}` to /proc/self/timens_offsets"), &error)
                .because(reason::of_offset(&error))
        })
    }
}
