//! Ways to a namespace that is known by name: through who is in it, or what holds it.

use std::{
    fs::File,
    io,
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
};

use crate::{
    model::{Holder, NsRow, World},
    sys::{file, nsfs},
};

/// How many members are tried: one that ends meanwhile must not be the end of the search.
const MEMBERS: usize = 4;

/// Opens a namespace. It stays alive as long as the file is open.
///
/// # Errors
///
/// `NotFound` if nothing in this `world` leads to it that may be opened.
pub fn open(row: &NsRow, world: &World) -> io::Result<OwnedFd> {
    let mut opened = straight(row);
    for holder in &row.holders {
        let (ns, step): (_, fn(OwnedFd) -> io::Result<OwnedFd>) = match holder {
            Holder::Child(child) => (child, nsfs::parent),
            Holder::Owned(owned) => (owned, nsfs::owner),
            _ => continue,
        };
        if opened.is_ok() {
            break;
        }
        let Some(relative) = world.namespace(ns.kind, ns.inode) else { continue };
        // Relatives lie below, and the last of them has a member or a file.
        if let Ok(fd) = open(relative, world).and_then(step)
            && is(&fd, row)
        {
            opened = Ok(fd);
        }
    }
    opened
}

/// Opens a namespace without a way through another.
///
/// # Errors
///
/// `NotFound` if nothing leads to it that is in sight and may be opened.
pub(super) fn straight(row: &NsRow) -> io::Result<OwnedFd> {
    let mut way = None;
    let name = row.info.kind.name();
    let members = row.processes.iter().take(MEMBERS);
    let members = members.map(|pid| at(format!("/proc/{pid}/ns/{name}")));
    let mounts = row.nsfs.iter().map(at);
    let ns = (row.info.kind, row.info.inode);
    let id = row.info.id.into_iter().map(|id| nsfs::open_by_id(id, Some(ns)));
    let holders = row.holders.iter().map(through);
    for opened in members.chain(mounts).chain(id).chain(holders) {
        // The number of a process or a path may lead to something else by now.
        match opened {
            Ok(fd) if is(&fd, row) => return Ok(fd),
            Ok(_) => {}
            Err(error) => way = way.or(Some(error)),
        }
    }
    Err(way.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
}

fn at(path: impl AsRef<Path>) -> io::Result<OwnedFd> {
    Ok(File::open(path)?.into())
}

fn is(fd: &OwnedFd, row: &NsRow) -> bool {
    let wanted = (row.info.kind, row.info.inode);
    nsfs::reference(fd.as_fd()).is_ok_and(|ns| (ns.kind, ns.inode) == wanted)
}

/// Through one holder of it.
fn through(holder: &Holder) -> io::Result<OwnedFd> {
    match holder {
        // Its own kind is in the slot of the same name.
        Holder::ForChildren { pid, tid, slot } => {
            at(format!("/proc/{pid}/task/{tid}/ns/{}", slot.name()))
        }
        Holder::Fd { pid, tid, fd } => at(format!("/proc/{pid}/task/{tid}/fd/{fd}")),
        Holder::Mount { path, pid, .. } => at(format!("/proc/{pid}/root{}", path.display())),
        Holder::Socket { pid, tid, fd } => {
            let owner = if pid == tid { file::process(*pid)? } else { file::thread(*tid)? };
            let copy = file::duplicate(&owner, *fd)?;
            nsfs::of_socket(&copy).or_else(|_no_socket| nsfs::of_tun(&copy))
        }
        Holder::Thread { pid, tid, kind } => {
            at(format!("/proc/{pid}/task/{tid}/ns/{}", kind.name()))
        }
        Holder::File { .. }
        | Holder::Memory { .. }
        | Holder::ProcMount { .. }
        | Holder::Child(_)
        | Holder::Owned(_) => Err(io::ErrorKind::NotFound.into()),
    }
}
