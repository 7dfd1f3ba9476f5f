//! The security context that a program gets.

use std::fs;

use serde::Serialize;

use super::{Action, Scene, Trouble};

/// Gives the program a security context of `SELinux` (setexeccon(3)).
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Context {
    /// Which.
    pub context: String,
}

impl Action for Context {
    fn describe(&self) -> String {
        format!("set the context of the program to {}", self.context)
    }

    fn carry_out(&self, _scene: &mut Scene) -> Result<(), Trouble> {
        fs::write("/proc/thread-self/attr/exec", &self.context).map_err(|error| {
            Trouble::of(
                format!("cannot set the context of the program to {}", self.context),
                &error,
            )
        })
    }
}
