//! What every step can do.

use std::fmt::Debug;

use super::{Scene, Trouble};

/// Where a step is carried out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    /// In this process, or its child after a fork: in the namespaces as far as they are entered.
    Inside,
    /// In a process that stays in the namespaces that this one came from, with its rights there.
    Outside,
}

/// What a step does. Steps are data: nothing in them changes while a plan is carried out; that is
/// what the scene is for.
pub trait Action: Debug {
    /// What it does, in one line.
    fn describe(&self) -> String;

    /// Where it does it.
    fn place(&self) -> Place {
        Place::Inside
    }

    /// What must be done while everything is still as it was: open files by their paths, look up
    /// names. Called for every step before the first is carried out, always inside.
    ///
    /// # Errors
    ///
    /// What is in the way of the step.
    fn prepare(&self, _scene: &mut Scene) -> Result<(), Trouble> {
        Ok(())
    }

    /// Does it.
    ///
    /// # Errors
    ///
    /// Why it could not be done; then nothing of it is.
    fn carry_out(&self, scene: &mut Scene) -> Result<(), Trouble>;

    /// Undoes it, since a later step has failed, where it was carried out; as far as it does not
    /// end with the process anyway.
    fn undo(&self, _scene: &mut Scene) {}
}
