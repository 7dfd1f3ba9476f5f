//! The walk over all open files, by several processors at once.

use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use ns_trace_common::files::{ARGUMENTS, BATCH, Held, KINDS, MOST_SHARES, SHARE, SHARES, SKIP};

use super::{Walk, load::refused};
use crate::{
    probe::Error,
    sys::{bpf::object::run_on_demand, processor},
};

impl Walk {
    /// Every open file that keeps a namespace of these kinds (a bit each, by its number) in a way that
    /// only memory tells. The same one may appear twice if others come or go meanwhile. This thread does
    /// something else `meanwhile`.
    ///
    /// # Errors
    ///
    /// If the kernel refuses to run the program, and those of what is done meanwhile.
    pub fn files(
        &mut self,
        kinds: u8,
        meanwhile: impl FnOnce(&mut Self) -> Result<(), Error>,
    ) -> Result<Vec<Held>, Error> {
        let program = self.programs.own_program("files")?;
        let mut rooms = self.programs.files.take().ok_or(Error::Part("FILES"))?;
        // Whoever panics shall not take it along.
        let found = catch_unwind(AssertUnwindSafe(|| {
            find(program.as_fd(), rooms.elements(), kinds, || meanwhile(self))
        }));
        self.programs.files = Some(rooms);
        let mut all = found.unwrap_or_else(|panic| resume_unwind(panic))?;
        // In the order of the processes, whichever processor met them.
        all.sort_by_key(|held| held.pid);
        Ok(all)
    }
}

/// Has each processor visit shares of the processes until none is left.
fn find(
    program: BorrowedFd<'_>,
    rooms: &mut [Held],
    kinds: u8,
    meanwhile: impl FnOnce() -> Result<(), Error>,
) -> Result<Vec<Held>, Error> {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    // One more than there are processors, since one of them has something else to do as well.
    let shares = if processors == 1 { 1 } else { processors + 1 }.min(MOST_SHARES as usize);
    let rooms = Mutex::new(rooms.chunks_mut(BATCH as usize).take(shares).enumerate());
    let visit = || {
        let mut found = Vec::new();
        loop {
            let next = rooms.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((share, room)) = next else { return Ok(found) };
            found.extend(share_of(program, kinds, [share, shares], room)?);
        }
    };
    let began = AtomicUsize::new(0);
    let here = processor::current();
    let elsewhere = || {
        processor::avoid(here);
        began.fetch_add(1, Ordering::Relaxed);
        visit()
    };
    thread::scope(|scope| {
        let spawn = |_| thread::Builder::new().spawn_scoped(scope, elsewhere);
        let others = (1..shares.min(processors)).map(spawn).collect::<io::Result<Vec<_>>>();
        let others = others.map_err(refused("files"))?;
        // A program that runs gives way to nobody: who were still here when ours does would wait for
        // its end.
        while began.load(Ordering::Relaxed) < others.len() {
            thread::yield_now();
        }
        meanwhile()?;
        let mut found = visit().map_err(refused("files"))?;
        for other in others {
            let other = other.join().unwrap_or_else(|panic| resume_unwind(panic));
            found.extend(other.map_err(refused("files"))?);
        }
        Ok(found)
    })
}

/// What is found in one share of the processes, of so many; as long as there was no room for all, in
/// further runs.
fn share_of(
    program: BorrowedFd<'_>,
    kinds: u8,
    [share, shares]: [usize; 2],
    room: &mut [Held],
) -> io::Result<Vec<Held>> {
    let mut all: Vec<Held> = Vec::new();
    loop {
        room.fill(Held::default());
        let mut arguments = [0; ARGUMENTS];
        arguments[SKIP] = all.len() as u64;
        arguments[KINDS] = kinds.into();
        arguments[SHARE] = share as u64;
        arguments[SHARES] = shares as u64;
        run_on_demand(program, &arguments)?;
        let before = all.len();
        all.extend(room.iter().take_while(|held| held.ns.address != 0));
        if all.len() - before < room.len() {
            return Ok(all);
        }
    }
}
