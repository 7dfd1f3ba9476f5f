//! Names for namespaces of any type.

use std::{ffi::OsStr, path::PathBuf};

use super::{Outcome, Problem, done, shown};
use crate::{
    model::{Kind, Selector, Slot},
    name::{Names, Source},
    report::choice::{Choice, Chosen, choose},
};

/// `pin SELECTOR NAME`.
pub(super) fn pin(selector: &Selector, name: &OsStr, kind: Option<Kind>) -> Outcome {
    // Whether it can be a name does not depend on the type, and is known at once.
    Names::of(Kind::Net).path(name)?;
    let chosen = one(selector, kind)?;
    done(Names::of(chosen.kind).add(name, &Source::Open(chosen.file, chosen.told)))
}

/// The one namespace that is meant.
fn one(selector: &Selector, kind: Option<Kind>) -> Result<Chosen, Problem> {
    let chosen = match (choose(selector)?, kind) {
        (Choice::One(chosen), _) => chosen,
        (Choice::Process(pid), Some(kind)) => {
            let slot = Some(Slot::of(kind));
            return one(&Selector::Pid { pid, slot }, Some(kind));
        }
        (Choice::Container(all), Some(kind)) => {
            let one = all.into_iter().find(|chosen| chosen.kind == kind);
            one.ok_or_else(|| {
                let kind = kind.name();
                Problem::new(format!("no {kind} namespace of {selector} is in sight"))
            })?
        }
        (Choice::Process(_) | Choice::Container(_), None) => {
            let sentence = format!("{selector} has a namespace of each type");
            return Err(Problem::new(sentence).hint("say which is meant: --type TYPE"));
        }
    };
    match kind {
        Some(kind) if kind != chosen.kind => {
            let (wanted, found) = (kind.name(), chosen.kind.name());
            Err(Problem::new(format!("{selector} is no {wanted} namespace, but a {found} one")))
        }
        _ => Ok(chosen),
    }
}

/// `unpin NAME`.
pub(super) fn unpin(name: &OsStr, kind: Option<Kind>) -> Outcome {
    Names::of(Kind::Net).path(name)?;
    let mut found = Names::files(name);
    found.retain(|(known, _)| kind.is_none_or(|kind| kind == *known));
    match &found[..] {
        [(kind, _)] => done(Names::of(*kind).remove(name)),
        [] => Err(Problem::new(format!("There is no namespace with the name \"{}\"", shown(name)))
            .hint("ns-trace netns list --type TYPE shows the names")),
        several => Err(ambiguous(name, several)),
    }
}

fn ambiguous(name: &OsStr, several: &[(Kind, PathBuf)]) -> Problem {
    let kinds: Vec<_> = several.iter().map(|(kind, _)| kind.name()).collect();
    let sentence =
        format!("\"{}\" is the name of several namespaces: {}", shown(name), kinds.join(", "));
    Problem::new(sentence).hint("say which is meant: --type TYPE")
}
