//! One look at what exists now: through /proc, or through the kernel's memory.

use std::io;

use ns_trace_common::inspect::{Inspect, RELATIVES};
use rustc_hash::FxHashSet;

use crate::{
    discover::{self, Picture},
    model::{Kind, Want, World},
    probe::{self, Walk},
    sys::process::{initial_namespace, own_namespace},
};

/// From how many processes on the walk through memory is quicker although it must be loaded first.
const WORTH_LOADING: u32 = 1500;

/// Finds out what is wanted, in the quickest way that this system admits.
///
/// # Errors
///
/// If /proc cannot be listed.
pub fn look(want: &Want) -> io::Result<World> {
    let processes = discover::count();
    if (want.complete || processes >= WORTH_LOADING)
        && let Ok(world) = walk(want, processes)
    {
        return Ok(world);
    }
    discover::look(want)
}

/// Finds out what is wanted from the kernel's memory: nothing is opened for it.
///
/// # Errors
///
/// If the kernel, or the lack of a privilege, does not let it.
fn walk(want: &Want, processes: u32) -> Result<World, probe::Error> {
    // Its numbers are those of the initial namespaces, /proc's those of ours.
    for kind in [Kind::Pid, Kind::User] {
        let name = kind.name();
        if own_namespace(name).ok() != initial_namespace(name) {
            let what = format!("not in the initial {name} namespace");
            return Err(probe::Error::SelfCheck(what));
        }
    }
    let mut walk = Walk::load(processes)?;
    let mut picture = Picture::new(want);
    walk.tasks(|task| picture.add(task))?;
    let mut known = Vec::new();
    for kind in Kind::ALL.into_iter().filter(|kind| want.kinds.contains(*kind)) {
        known.extend(walk.namespaces(kind)?.iter().filter_map(|found| picture.known(found)));
    }
    if want.relatives {
        let mut questions = picture.questions(&known, RELATIVES);
        let mut asked = FxHashSet::default();
        while !questions.is_empty() {
            asked.extend(questions.iter().map(|question| question.ns.address));
            walk.inspect(&mut questions)?;
            known.extend(questions.iter().filter_map(|answer| picture.known(answer)));
            questions = questions.iter().flat_map(relatives).collect();
            questions.retain(|question| asked.insert(question.ns.address));
        }
    }
    Ok(discover::around(picture.finish(), &known, want))
}

/// Questions about the owner and the parent in an answer.
fn relatives(answer: &Inspect) -> [Inspect; 2] {
    let about = |ns, kind| Inspect { ns, kind, want: RELATIVES, ..Inspect::default() };
    [about(answer.owner, Kind::User as u32), about(answer.parent, answer.kind)]
}
