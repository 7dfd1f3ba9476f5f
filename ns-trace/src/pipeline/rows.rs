//! What stands in the cells of a row.

use std::{
    cell::RefCell,
    collections::HashSet,
    fmt::Write as _,
    fs::File,
    io::Read as _,
    sync::{Arc, OnceLock},
};

use rustc_hash::FxHashMap;

use crate::{
    enrich,
    model::{Cause, Cell, Column, Holder, Kind, Maps, NsRow, ProcessRow, Time, printable},
    sys::{account, clock},
};

/// What a row is about: a namespace, and the process that stands for it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'w> {
    /// The namespace.
    pub ns: &'w NsRow,
    /// The process.
    pub process: Option<&'w ProcessRow>,
}

/// What is found out for cells, each thing once.
#[derive(Debug)]
pub struct Rows {
    kinds: [Arc<str>; Kind::ALL.len()],
    users: RefCell<FxHashMap<u32, Arc<str>>>,
    commands: RefCell<FxHashMap<u32, Arc<str>>>,
    /// Nanoseconds of the boot clock.
    now: u64,
}

impl Default for Rows {
    fn default() -> Self {
        Self::new()
    }
}

impl Rows {
    /// Nothing is found out yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            kinds: Kind::ALL.map(|kind| kind.name().into()),
            users: RefCell::default(),
            commands: RefCell::default(),
            now: clock::boot_ns(),
        }
    }

    /// What stands in a column.
    pub fn cell(&self, subject: Subject<'_>, column: Column) -> Cell {
        let Subject { ns, process } = subject;
        let info = &ns.info;
        let uid = process.map(|process| process.uid).or(ns.owner_uid);
        match column {
            Column::Ns => info.inode.into(),
            Column::Type => self.kinds.get(info.kind as usize).cloned().into(),
            Column::Path => {
                process.map(|p| format!("/proc/{}/ns/{}", p.pid, info.kind.name())).into()
            }
            Column::Nprocs => ns.nprocs.into(),
            Column::Pid => process.map(|process| process.pid).into(),
            Column::Ppid => process.map(|process| process.ppid).into(),
            Column::Command => process.map(|process| self.command(process)).into(),
            Column::Uid => uid.into(),
            Column::User => uid.map(|uid| self.user(uid)).into(),
            Column::NetnsId => ns.netnsid.map(netnsid).into(),
            Column::Nsfs => paths(ns).into(),
            Column::Pns => info.parent.map_or(0, |parent| parent.inode).into(),
            Column::Ons => info.owner.map_or(0, |owner| owner.inode).into(),
            Column::Id => info.id.into(),
            Column::Born => info.born.map(born).into(),
            Column::Age => info.born.map_or(Cell::Empty, |born| self.age(ns, born)),
            Column::Creator => {
                ns.creator.as_ref().map(|by| format!("{}({})", by.comm, by.pid)).into()
            }
            Column::Cause => ns.cause.map(Cause::name).into(),
            Column::Owner => info.owner.map(|owner| owner.to_string()).into(),
            Column::Parent => info.parent.map(|parent| parent.to_string()).into(),
            Column::Level => info.level.into(),
            Column::Nthreads => ns.threads.into(),
            Column::Holders => holders(&ns.holders).into(),
            Column::State => ns.life().name().into(),
            Column::Container | Column::Pod => {
                process.map_or(Cell::Empty, |p| place(p.pid, column))
            }
            Column::UidMap => ns.maps.as_ref().and_then(map).into(),
        }
    }

    fn command(&self, process: &ProcessRow) -> Arc<str> {
        let command = || match &process.args {
            Some(args) => args.join(" ").into(),
            None => command_line(process.pid).map_or_else(|| Arc::clone(&process.comm), Arc::from),
        };
        self.commands.borrow_mut().entry(process.pid).or_insert_with(command).clone()
    }

    /// The name of a user, the number if it has none.
    fn user(&self, uid: u32) -> Arc<str> {
        let name = || {
            let number = uid.to_string();
            let found = account::find("passwd", number.as_ref());
            found.map_or(number, |account| account.name.to_string_lossy().into_owned()).into()
        };
        self.users.borrow_mut().entry(uid).or_insert_with(name).clone()
    }

    fn age(&self, ns: &NsRow, born: u64) -> Cell {
        let until = ns.died.unwrap_or(self.now);
        Cell::Seconds(until.saturating_sub(born) / 1_000_000_000)
    }
}

/// Room for the arguments of almost every process.
const PAGE: usize = 4096;

/// The arguments with blanks between them; `None` if there are none, as of kernel threads.
fn command_line(pid: u32) -> Option<String> {
    let mut file = File::open(format!("/proc/{pid}/cmdline")).ok()?;
    let mut bytes = vec![0; PAGE];
    let len = file.read(&mut bytes).ok()?;
    bytes.truncate(len);
    // The kernel fills the room as far as it can (fs/proc/base.c, `get_mm_cmdline`): one read does
    // for almost all.
    if len == PAGE {
        file.read_to_end(&mut bytes).ok()?;
    }
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    for byte in bytes.iter_mut().filter(|byte| **byte == 0) {
        *byte = b' ';
    }
    (!bytes.is_empty()).then(|| printable(&bytes).0)
}

fn netnsid(id: i32) -> String {
    if id < 0 { "unassigned".to_owned() } else { id.to_string() }
}

fn paths(ns: &NsRow) -> Option<String> {
    let mut paths: Vec<_> = ns.nsfs.iter().map(|path| path.display().to_string()).collect();
    let mut seen = HashSet::new();
    paths.retain(|path| seen.insert(path.clone()));
    (!paths.is_empty()).then(|| paths.join("\n"))
}

fn born(born: u64) -> String {
    // Measured once, lest it seems to change.
    static OFFSET: OnceLock<i64> = OnceLock::new();
    Time(born.cast_signed() + OFFSET.get_or_init(clock::realtime_offset)).to_rfc3339()
}

/// How many there are of each kind: `fd:2,mount:1`.
fn holders(holders: &[Holder]) -> Option<String> {
    let mut counts: Vec<(&str, u32)> = Vec::new();
    for holder in holders {
        match counts.iter_mut().find(|(name, _)| *name == holder.name()) {
            Some((_, count)) => *count += 1,
            None => counts.push((holder.name(), 1)),
        }
    }
    let counts: Vec<_> = counts.iter().map(|(name, count)| format!("{name}:{count}")).collect();
    (!counts.is_empty()).then(|| counts.join(","))
}

/// The container or pod of a process.
fn place(pid: u32, column: Column) -> Cell {
    let (container, pod) = enrich::of_process(pid);
    if column == Column::Pod {
        return pod.map(|pod| pod.uid.to_string()).into();
    }
    let Some(container) = container else {
        return Cell::Empty;
    };
    let is_digest = container.id.len() == 64 && container.id.bytes().all(|b| b.is_ascii_hexdigit());
    let id = Arc::clone(&container.id);
    if is_digest { Cell::Digest(id) } else { Cell::Text(id) }
}

/// The map of users as in `uid_map`, a line after the other: `0 1000 1,1 100000 65536`.
fn map(maps: &Maps) -> Option<String> {
    let mut text = String::new();
    for line in &maps.users {
        let comma = if text.is_empty() { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(text, "{comma}{} {} {}", line.inside, line.outside, line.count);
    }
    (!text.is_empty()).then_some(text)
}
