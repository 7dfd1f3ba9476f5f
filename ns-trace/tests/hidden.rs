//! The hidden cases: what namespaces do that a tracer easily misses, gets twice or gets wrong.
//!
//! Each case has a number, which its tests have in their names:
//!
//! 1. unshare of each type: one death each, of the right type
//! 2. user namespaces in each other
//! 3. pid namespaces in each other: children die first
//! 4. a call that makes namespaces and then fails
//! 5. a clone that makes namespaces and then fails; what the unborn child leaves is not the
//!    parent's leaving
//! 6. setns of several namespaces at once, of those that one is in already, and failing
//! 7. calls of the 32-bit ABI
//! 8. time namespaces: entered by a fork, an exec or at once
//! 9. a pid namespace before its first process, and after it
//! 10. threads with namespaces of their own, beyond the end of the first thread
//! 11. threads of `io_uring`, which no fork announces
//! 12. inode numbers used again at once, for the same type and for another
//! 13. whatever holds a namespace that nobody is in (and `trace::destroy::*_held_by_*`)
//! 14. zombies, which keep their pid and user namespaces and no other
//! 15. programs that the kernel starts on behalf of somebody are not where that somebody is
//! 16. the mount namespace of a kernel thread
//! 17. mount namespaces made by `open_tree(2)`, `fsmount(2)` and without any mount
//! 18. trees of mounts without a namespace
//! 19. namespaces that `listns(2)` leaves out, and that are alive
//! 20. the ids of events are those of the kernel's own handles
//! 21. children of vfork, of `CLONE_PARENT` and in another cgroup
//! 22. a user namespace that a process with threads asks for in vain
//! 23. net namespaces that are freed a hundred at once
//! 24. clones that are killed half-way
//! 25. a tracer that is itself in namespaces
//! 26. another user namespace and an exec; a change of the user is no change of namespaces
//! 27. processes whose namespaces /proc does not show
//! 28. a start in the midst of a storm
//!
//! What is expected is the program's own table of what each backend sees, see [`sight`].

mod birth;
mod call;
mod holder;
mod kernel;
mod mount;
mod nest;
mod pending;
mod place;
mod storm;
mod thread;

use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, ensure};
use libtest_mimic::Trial;
use serde_json::Value;

use crate::{
    compare::same,
    context::{Context, Room, doctor},
    facts::{KINDS, Kind},
};

/// The trials of this group.
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let mut trials = Vec::new();
    trials.extend(birth::trials(context));
    trials.extend(call::trials(context));
    trials.extend(holder::trials(context));
    trials.extend(kernel::trials(context));
    trials.extend(mount::trials(context));
    trials.extend(place::trials(context));
    trials.extend(storm::trials(context));
    trials.extend(nest::trials(context));
    trials.extend(pending::trials(context));
    trials.extend(thread::trials(context));
    trials
}

/// What a cell of the table says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Sight {
    Exact,
    Late,
    Never,
}

/// Whether the backend sees what a row of the table is about, see [`sight`].
fn sees(room: &Room, event: &str, cause: &str, situation: &str) -> Result<bool> {
    Ok(sight(room, event, cause, situation)? != Sight::Never)
}

/// Whether and when the backend sees what a row of the table is about, as the program itself says
/// it; an error if this kernel has no such row. A row is found by its event, and by words in cause
/// and situation; without a word there must be none.
fn sight(room: &Room, event: &str, cause: &str, situation: &str) -> Result<Sight> {
    let table = doctor()?["coverage"].as_array().context("no table")?;
    let has = |cell: &Value, word: &str| match cell.as_str() {
        Some(text) => !word.is_empty() && text.contains(word),
        None => word.is_empty(),
    };
    let is_it = |row: &&Value| {
        row["event"] == event && has(&row["cause"], cause) && has(&row["situation"], situation)
    };
    let rows: Vec<_> = table.iter().filter(is_it).collect();
    let [row] = rows[..] else {
        anyhow::bail!("not one row of {event}, {cause}, {situation}: {rows:?}")
    };
    match row[room.backend()]["sight"].as_str() {
        Some("exact") => Ok(Sight::Exact),
        Some("late") => Ok(Sight::Late),
        Some("never") => Ok(Sight::Never),
        _ => Err(anyhow!("no cell for {} in {row}", room.backend())),
    }
}

/// The types that flags ask for.
fn kinds(flags: u64) -> impl Iterator<Item = &'static Kind> {
    KINDS.iter().filter(move |kind| flags & kind.flag != 0)
}

/// Checks the births of namespaces that nobody was ever in and nothing is known of but what their
/// events say: one of each type of `flags`, by `process` in one call.
fn expect_made(events: &[Arc<Value>], cause: &str, made: u64, process: &Value) -> Result<()> {
    let count = kinds(made).count();
    ensure!(events.len() == count, "{} of {count} births: {events:?}", events.len());
    for kind in kinds(made) {
        let is_it = |event: &&Arc<Value>| event["ns"]["type"] == kind.name;
        let event = events.iter().find(is_it).with_context(|| format!("no {}", kind.name))?;
        ensure!(event["event"] == "create" && event["cause"] == cause, "{event}");
        same(&event["ns"]["initial"], &false.into())?;
        same(&event["ns"]["owner"], &process["ns"]["user"])?;
        same(&event["process"], process)?;
        // Births of a call that fails are told of before its end, as the hook saw them: one on the
        // tree of namespaces knows just their own flag.
        let asked = event["flags"].as_array().context("no flags")?;
        ensure!(asked.contains(&kind.flag_name.into()), "{event}");
    }
    Ok(())
}
