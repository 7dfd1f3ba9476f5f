//! From selectors to open namespaces.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    os::fd::{AsFd as _, OwnedFd},
    thread,
    time::Duration,
};

use super::{Class, Failure, sight};
use crate::{
    discover,
    model::{Kind, NsRow, Selector, Want, World},
    name::Names,
    pipeline::resolve,
    sys::nsfs,
};

/// A namespace that was chosen; it stays alive as long as this is kept.
pub(crate) struct Chosen {
    pub(crate) kind: Kind,
    pub(crate) file: OwnedFd,
    /// How it was named.
    pub(crate) told: String,
}

/// What a selector names.
pub(crate) enum Choice {
    /// All namespaces of a process.
    Process(u32),
    /// One namespace.
    One(Chosen),
    /// All namespaces of a container.
    Container(Vec<Chosen>),
}

/// Opens what a selector names, over the shortest way: most need no look at the whole system.
pub(crate) fn choose(selector: &Selector) -> Result<Choice, Failure> {
    let told = selector.to_string();
    match selector {
        Selector::Pid { pid, slot: None } => Ok(Choice::Process(*pid)),
        Selector::Pid { pid, slot: Some(slot) } => {
            opened(format!("/proc/{pid}/ns/{}", slot.name()), told).map(Choice::One)
        }
        Selector::Path(path) => opened(path, told).map(Choice::One),
        Selector::Name(name) => named(name.as_ref()).map(Choice::One),
        Selector::Id(id) => match nsfs::open_by_id(*id, None) {
            Ok(file) => Ok(Choice::One(Chosen { kind: kind(&file, &told)?, file, told })),
            // Before Linux 6.19 a handle must say more.
            Err(_) => looked_up(selector),
        },
        Selector::Inode(_) | Selector::Kind { .. } | Selector::Container(_) => looked_up(selector),
    }
}

/// The namespace of a name, of whatever type.
fn named(name: &OsStr) -> Result<Chosen, Failure> {
    let told = format!("name:{}", name.display());
    match &Names::files(name)[..] {
        [] => {
            let sentence = resolve::no_name(&name.to_string_lossy()).to_string();
            Err(Failure::new(sentence).hint("`ns-trace netns list --type TYPE` shows the names"))
        }
        [(kind, _)] => {
            let file = Names::of(*kind).open(name);
            let file = file.map_err(|error| Failure::new(error.to_string()))?;
            Ok(Chosen { kind: *kind, file, told })
        }
        [(_, path), ..] => {
            let sentence = format!("there are several namespaces with the name {}", name.display());
            Err(Failure::new(sentence).hint(format!("give its file: {}", path.display())))
        }
    }
}

fn opened(path: impl AsRef<std::path::Path>, told: String) -> Result<Chosen, Failure> {
    let path = path.as_ref();
    let file = File::open(path).map_err(|error| {
        let failure = Failure::new(format!("cannot open {}: {}", path.display(), words(&error)));
        match error.kind() {
            io::ErrorKind::PermissionDenied => failure
                .class(Class::Privilege)
                .hint("it takes CAP_SYS_PTRACE and every capability that the process has"),
            io::ErrorKind::NotFound => {
                failure.hint("is it gone? `ns-trace list` shows what there is")
            }
            _ => failure,
        }
    })?;
    let file = OwnedFd::from(file);
    Ok(Chosen { kind: kind(&file, &told)?, file, told })
}

fn kind(file: &OwnedFd, told: &str) -> Result<Kind, Failure> {
    nsfs::kind(file).map_err(|_other_file| Failure::new(format!("{told} is no namespace")))
}

/// Looks at everything there is.
fn looked_up(selector: &Selector) -> Result<Choice, Failure> {
    let world = sight::scan(&Want::ALL)?;
    let choice = if let Selector::Container(_) = selector {
        let rows = resolve::namespaces(selector, &world).map_err(|error| sight::refusal(&error))?;
        let open = |row: &&NsRow| open(row, &world, selector);
        Choice::Container(rows.iter().map(open).collect::<Result<_, _>>()?)
    } else {
        let row = resolve::one(selector, &world).map_err(|error| sight::refusal(&error))?;
        Choice::One(open(row, &world, selector)?)
    };
    // The look took several threads. Some calls want this to be the only one, and the kernel counts
    // one a moment longer than whoever waits for its end.
    while fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() > 1) {
        thread::sleep(Duration::from_micros(100));
    }
    Ok(choice)
}

fn open(row: &NsRow, world: &World, selector: &Selector) -> Result<Chosen, Failure> {
    let told = row.info.to_ref().to_string();
    let file = discover::open(row, world).map_err(|error| {
        let sentence = format!("{selector} is {told}, which cannot be opened: {}", words(&error));
        let failure = Failure::new(sentence);
        if world.unreadable > 0 || error.kind() == io::ErrorKind::PermissionDenied {
            failure
                .class(Class::Privilege)
                .hint("`ns-trace why` shows what holds it; run it as root")
        } else {
            failure.hint("`ns-trace why` shows what holds it")
        }
    })?;
    debug_assert!(nsfs::kind(file.as_fd()).is_ok_and(|kind| kind == row.info.kind));
    Ok(Chosen { kind: row.info.kind, file, told })
}

/// An error without the number that Rust adds to it.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
