//! What exists now, as /proc and the namespaces themselves tell: one pass per file.
//!
//! Nothing here keeps a namespace open longer than the pass that needs it, and no process that ends
//! meanwhile spoils what is said of the others.

mod draft;
mod stat;
pub mod tasks;

use self::{draft::Draft, tasks::Tasks};
use crate::model::{Want, World};

/// Looks at /proc.
///
/// # Errors
///
/// If /proc cannot be listed.
pub fn look(want: &Want) -> std::io::Result<World> {
    Ok(around(tasks::scan(want)?, want))
}

/// Finds out the rest about the namespaces that `tasks` are in.
#[must_use]
pub fn around(tasks: Tasks, want: &Want) -> World {
    let mut draft = Draft::new(want);
    draft.members(&tasks.processes);
    World { namespaces: draft.finish(), processes: tasks.processes, unreadable: tasks.unreadable }
}
