//! Which namespaces a selector names.

use std::{
    fs::File,
    io,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
};

use strsim::damerau_levenshtein;

use crate::{
    enrich,
    model::{Kind, NsRef, NsRow, ProcessRow, Selector, Slot, World},
    name::Names,
    sys::nsfs,
};

/// How many names an error lists.
const LISTED: usize = 12;

/// Why a selector names nothing that can be used.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// Nothing has that name.
    #[error("there is no {what}{}", suggested(.near.as_deref()))]
    Unknown {
        /// What is not there.
        what: String,
        /// What may have been meant.
        near: Option<String>,
    },
    /// Several have it.
    #[error("`{selector}` may be any of {}", listed(.names))]
    Ambiguous {
        /// The selector.
        selector: String,
        /// What it could be.
        names: Vec<String>,
    },
    /// It may not be looked at.
    #[error("the namespaces of process {pid} may not be read")]
    Hidden {
        /// The process.
        pid: u32,
    },
    /// The process has none of that kind any more: a zombie keeps but two.
    #[error(
        "process {pid} ({comm}) has no {slot} namespace: it has ended, or that one has no process yet"
    )]
    Empty {
        /// The process.
        pid: u32,
        /// Its name.
        comm: String,
        /// Which.
        slot: &'static str,
    },
    /// A file cannot be used.
    #[error("`{}` cannot be opened: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is something else.
    #[error("`{}` is no namespace{}", .path.display(), left_over(.path))]
    NoNamespace {
        /// Which.
        path: PathBuf,
    },
}

fn suggested(near: Option<&str>) -> String {
    near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
}

fn listed(names: &[String]) -> String {
    let shown = names.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(LISTED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn left_over(path: &Path) -> &'static str {
    if Names::has(path) { ": nothing is mounted there any more" } else { "" }
}

/// All that `selector` names, in the order of the slots for a process or container. `world` must
/// hold what could be meant: every kind, and own mounts for names and paths.
///
/// # Errors
///
/// If it names nothing, or several processes or containers.
pub fn namespaces<'w>(
    selector: &Selector,
    world: &'w World,
) -> Result<Vec<&'w NsRow>, ResolveError> {
    match selector {
        Selector::Inode(inode) => {
            let rows = world.namespaces.iter().filter(|row| row.info.inode == *inode);
            some(rows.collect(), || unknown(world, selector))
        }
        Selector::Kind { kind, inode } => {
            let row = world.namespace(*kind, *inode);
            some(row.into_iter().collect(), || unknown(world, selector))
        }
        Selector::Id(id) => {
            let rows = world.namespaces.iter().filter(|row| row.info.id == Some(*id));
            some(rows.collect(), || unknown(world, selector))
        }
        Selector::Pid { pid, slot } => of_process(process(*pid, world)?, *slot, world),
        Selector::Name(name) => {
            let rows = Names::files(name.as_ref());
            let rows = rows.iter().map(|(_, path)| file(path, world)).collect::<Result<_, _>>()?;
            some(rows, || no_name(name))
        }
        Selector::Container(id) => of_process(first_of_container(id, world)?, None, world),
        Selector::Path(path) => file(path, world).map(|row| vec![row]),
    }
}

/// The one namespace that `selector` names.
///
/// # Errors
///
/// If it names none or several.
pub fn one<'w>(selector: &Selector, world: &'w World) -> Result<&'w NsRow, ResolveError> {
    let rows = namespaces(selector, world)?;
    if let [row] = rows[..] {
        return Ok(row);
    }
    let names = match selector {
        Selector::Pid { pid, .. } => {
            rows.iter().map(|row| format!("pid:{pid}:{}", row.info.kind.name())).collect()
        }
        _ => rows.iter().map(|row| row.info.to_ref().to_string()).collect(),
    };
    Err(ResolveError::Ambiguous { selector: selector.to_string(), names })
}

/// The same by a name that means the same wherever it is said, even where other files are; `None` if
/// there is none such.
#[must_use]
pub fn anywhere(selector: &Selector) -> Option<Selector> {
    let path = match selector {
        Selector::Path(path) => path.clone(),
        Selector::Name(name) => match &mut Names::files(name.as_ref())[..] {
            [(_, path)] => std::mem::take(path),
            _ => return None,
        },
        _ => return Some(selector.clone()),
    };
    let NsRef { kind, inode, .. } = nsfs::reference(File::open(path).ok()?.as_fd()).ok()?;
    Some(Selector::Kind { kind, inode })
}

/// The process that `selector` names, if it names one rather than a namespace.
///
/// # Errors
///
/// If there is no such process.
pub fn process_of<'w>(
    selector: &Selector,
    world: &'w World,
) -> Result<Option<&'w ProcessRow>, ResolveError> {
    match selector {
        Selector::Pid { pid, slot: None } => process(*pid, world).map(Some),
        Selector::Container(id) => first_of_container(id, world).map(Some),
        _ => Ok(None),
    }
}

/// What is said if nothing has that name.
#[must_use]
pub fn no_name(name: &str) -> ResolveError {
    let near = nearest(name, names()).map(|near| format!("name:{near}"));
    ResolveError::Unknown { what: format!("named namespace `{name}`"), near }
}

fn some(
    rows: Vec<&NsRow>,
    error: impl FnOnce() -> ResolveError,
) -> Result<Vec<&NsRow>, ResolveError> {
    if rows.is_empty() { Err(error()) } else { Ok(rows) }
}

fn unknown(world: &World, selector: &Selector) -> ResolveError {
    let text = selector.to_string();
    let rows = world.namespaces.iter().map(|row| row.info.to_ref());
    let near = match selector {
        Selector::Inode(_) => nearest(&text, rows.map(|ns| ns.inode.to_string())),
        // The inode is right more often than the type.
        Selector::Kind { inode, .. } => {
            let same = rows.clone().find(|ns| ns.inode == *inode).map(|ns| ns.to_string());
            same.or_else(|| nearest(&text, rows.map(|ns| ns.to_string())))
        }
        _ => None,
    };
    ResolveError::Unknown { what: format!("namespace `{text}` in sight"), near }
}

fn process(pid: u32, world: &World) -> Result<&ProcessRow, ResolveError> {
    let unknown = || ResolveError::Unknown { what: format!("process {pid}"), near: None };
    world.process(pid).ok_or_else(unknown)
}

fn of_process<'w>(
    process: &ProcessRow,
    slot: Option<Slot>,
    world: &'w World,
) -> Result<Vec<&'w NsRow>, ResolveError> {
    if Slot::ALL.into_iter().all(|slot| process.slots.get(slot).is_none()) {
        return Err(ResolveError::Hidden { pid: process.pid });
    }
    let row = |ns: &NsRef| world.namespace(ns.kind, ns.inode);
    let Some(slot) = slot else {
        let slots = Kind::ALL.into_iter().map(Slot::of);
        return Ok(slots.filter_map(|slot| process.slots.get(slot).and_then(row)).collect());
    };
    let found = process.slots.get(slot).and_then(row);
    found.map(|row| vec![row]).ok_or_else(|| ResolveError::Empty {
        pid: process.pid,
        comm: process.comm.to_string(),
        slot: slot.name(),
    })
}

/// The first process of the container whose id begins with `prefix`.
fn first_of_container<'w>(prefix: &str, world: &'w World) -> Result<&'w ProcessRow, ResolveError> {
    let mut found: Vec<(String, &ProcessRow)> = Vec::new();
    let mut others = Vec::new();
    for process in &world.processes {
        let Some(container) = enrich::container_of(process.pid) else {
            continue;
        };
        if !container.id.starts_with(prefix) {
            others.push(container.id.to_string());
        } else if found.iter().all(|(id, _)| **id != *container.id) {
            found.push((container.id.to_string(), process));
        }
    }
    match &found[..] {
        [(_, process)] => Ok(process),
        [] => {
            let near = nearest(prefix, others).map(|id| format!("container:{id}"));
            Err(ResolveError::Unknown { what: format!("container `{prefix}`"), near })
        }
        _ => Err(ResolveError::Ambiguous {
            selector: format!("container:{prefix}"),
            names: found.into_iter().map(|(id, _)| format!("container:{id}")).collect(),
        }),
    }
}

/// The namespace that a file of nsfs is.
fn file<'w>(path: &Path, world: &'w World) -> Result<&'w NsRow, ResolveError> {
    let named = |source| ResolveError::File { path: path.to_owned(), source };
    let opened = File::open(path).map_err(named)?;
    let Ok(ns) = nsfs::reference(opened.as_fd()) else {
        return Err(ResolveError::NoNamespace { path: path.to_owned() });
    };
    let gone = || unknown(world, &Selector::Kind { kind: ns.kind, inode: ns.inode });
    world.namespace(ns.kind, ns.inode).ok_or_else(gone)
}

/// The names of all types.
fn names() -> Vec<String> {
    let names = Kind::ALL.into_iter().flat_map(|kind| Names::of(kind).list().unwrap_or_default());
    names.filter_map(|name| name.into_string().ok()).collect()
}

/// The name that is most like `name`, if one is at all.
fn nearest<S: AsRef<str>>(name: &str, known: impl IntoIterator<Item = S>) -> Option<String> {
    let most = (name.len() / 4).max(1);
    known
        .into_iter()
        .map(|other| (damerau_levenshtein(name, other.as_ref()), other))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, other)| other.as_ref().to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::Slots;

    fn world() -> World {
        let ns = |kind, inode, id| NsRef { kind, inode, id: Some(id), initial: false };
        let (net, uts) = (ns(Kind::Net, 4_026_532_281, 7), ns(Kind::Uts, 4_026_532_290, 8));
        let mut slots = [None; 10];
        slots[Slot::Net as usize] = Some(net);
        slots[Slot::Uts as usize] = Some(uts);
        let slots = Slots(Arc::new(slots));
        let process = ProcessRow { pid: 42, comm: "a".into(), slots, ..ProcessRow::default() };
        let hidden = ProcessRow { pid: 43, ..ProcessRow::default() };
        World {
            namespaces: vec![NsRow::new(net), NsRow::new(uts)],
            processes: vec![process, hidden],
            unreadable: 1,
        }
    }

    fn names(text: &str) -> Result<String, String> {
        let world = world();
        let selector = text.parse().map_err(|error| format!("{error}"))?;
        let rows = namespaces(&selector, &world).map_err(|error| error.to_string())?;
        Ok(rows.iter().map(|row| row.info.to_ref().to_string()).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn what_is_there_is_found() {
        for text in ["4026532281", "net:4026532281", "id:7", "pid:42:net"] {
            assert_eq!(names(text).as_deref(), Ok("net:4026532281"), "{text}");
        }
        assert_eq!(names("pid:42").as_deref(), Ok("uts:4026532290 net:4026532281"));
    }

    #[test]
    fn what_is_not_there_is_said_with_what_may_have_been_meant() {
        for (text, sentence) in [
            (
                "4026532282",
                "there is no namespace `4026532282` in sight; did you mean `4026532281`?",
            ),
            (
                "net:4026532290",
                "there is no namespace `net:4026532290` in sight; did you mean `uts:4026532290`?",
            ),
            ("id:9", "there is no namespace `id:9` in sight"),
            ("pid:41", "there is no process 41"),
            ("pid:43", "the namespaces of process 43 may not be read"),
        ] {
            assert_eq!(names(text).err().as_deref(), Some(sentence));
        }
        let missing = names("pid:42:ipc").expect_err("an empty slot");
        assert!(missing.starts_with("process 42 (a) has no ipc namespace"), "{missing}");
        let no = names("/proc/self/stat").expect_err("not of nsfs");
        assert_eq!(no, "`/proc/self/stat` is no namespace");
    }

    #[test]
    fn what_names_several_is_not_one() {
        let world = world();
        let error = one(&Selector::Pid { pid: 42, slot: None }, &world).expect_err("two");
        assert_eq!(error.to_string(), "`pid:42` may be any of pid:42:uts, pid:42:net");
        let selector = Selector::Pid { pid: 42, slot: Some(Slot::Uts) };
        assert_eq!(one(&selector, &world).expect("one").info.kind, Kind::Uts);
    }
}
