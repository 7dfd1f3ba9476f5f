//! Looks at what exists now: through /proc, or through the kernel's memory.

use std::{
    fmt, io,
    sync::{Mutex, MutexGuard, PoisonError, TryLockError},
};

use ns_trace_common::{
    Ns,
    files::Held,
    inspect::{Inspect, RELATIVES},
};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::{
    discover::{
        self, Known, Narrow, Picture, Remembered, Seen,
        tasks::{Tasks, threads},
    },
    model::{Holder, Kind, Kinds, NsRow, Want, World},
    probe::{self, Walk},
    sys::process::{initial_namespace, own_namespace},
    table::{Focus, Identity},
};

/// From how many processes on the walk through memory is quicker although it must be loaded first.
///
/// Whole runs of `ns-trace list` on two busy cores of Linux 6.18, medians of 15, /proc and the walk by
/// turns: 4.8 and 7.4 ms with 87 processes, 11.9 and 9.7 with 240, 18.8 and 9.8 with 390, 29.3 and
/// 11.3 with 1,090.
const WORTH_LOADING: u32 = 200;

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

/// Looks again and again, also where the right to load what walks through memory was given up since.
pub struct Looker {
    walk: Option<Mutex<Walk>>,
    mounts: Mutex<Remembered>,
}

impl fmt::Debug for Looker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Looker").field("mounts", &self.mounts).finish_non_exhaustive()
    }
}

impl Looker {
    /// Loads what walks; one that may not be loaded here looks at /proc.
    #[must_use]
    pub fn load() -> Self {
        /// So many that they are read while the walk goes on: how many there will be, nobody knows.
        const TASKS: u32 = 1 << 14;
        let walk = check_numbers().and_then(|()| Walk::load(TASKS));
        let walk = walk.and_then(|mut walk| walk.complete().map(|()| walk));
        Self { walk: walk.ok().map(Mutex::new), mounts: Mutex::default() }
    }

    /// Finds out what is wanted.
    ///
    /// # Errors
    ///
    /// If /proc cannot be listed.
    pub fn look(&self, want: &Want) -> io::Result<World> {
        let gathered = self.walk.as_ref().map(|walk| {
            let mut walk = walk.lock().unwrap_or_else(PoisonError::into_inner);
            Gathered::by(&mut walk, want)
        });
        match gathered {
            // Others may walk meanwhile.
            Some(Ok(gathered)) => Ok(gathered.complete(&self.mounts, want)),
            _ => discover::look(want),
        }
    }

    /// All namespaces that there are; `None` where the kernel has no lists of them (before 6.18), or does
    /// not let them be read, and while another looks.
    #[must_use]
    pub fn existing(&self) -> Option<Vec<Inspect>> {
        let mut walk = self.idle()?;
        if !walk.has_all_lists() {
            return None;
        }
        let mut all = Vec::new();
        for kind in Kind::ALL {
            all.extend(walk.namespaces(kind).ok()?);
        }
        Some(all)
    }

    /// Who all tasks are now; `None` where only /proc could tell, and while another looks.
    #[must_use]
    pub fn identities(&self) -> Option<Vec<Identity>> {
        let mut all = Vec::new();
        self.idle()?.tasks(|task| all.push(task.into())).ok()?;
        Some(all)
    }

    /// What walks, if nobody else has it.
    fn idle(&self) -> Option<MutexGuard<'_, Walk>> {
        match self.walk.as_ref()?.try_lock() {
            Ok(walk) => Some(walk),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Through whose eyes the mounts of each mount namespace were seen last, by its inode.
    #[must_use]
    pub fn witnesses(&self) -> FxHashMap<u32, u32> {
        self.mounts.lock().unwrap_or_else(PoisonError::into_inner).witnesses()
    }

    /// Finds out what is wanted of one process: where it and process 1 are, and what is above that. None
    /// if it is gone.
    #[must_use]
    pub fn look_at_process(&self, pid: u32, want: &Want) -> Option<World> {
        let want = Want { complete: false, files: false, ..*want };
        let mut picture = Picture::new(&want);
        let mut walk = self.walk.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        let tids: Vec<_> = [pid, 1].into_iter().flat_map(threads).collect();
        walk.tasks_of(&tids, |task| picture.add(task)).ok()?;
        let questions = picture.questions(&[], RELATIVES);
        let known = with_those_above(&mut walk, &picture, questions).ok()?;
        drop(walk);
        let narrow = Some(Narrow { may_find: false, mnt: &[] });
        let tasks = picture.finish();
        let world = discover::around(tasks, &known, None, narrow, &self.mounts, &want);
        world.process(pid).is_some().then_some(world)
    }

    /// Finds out what is wanted of one namespace: who is in it and holds it, and what is above and below
    /// it. None if it is gone.
    #[must_use]
    pub fn look_at(&self, focus: Focus, want: &Want) -> Option<World> {
        let may_find = focus.may_have_more;
        // What is below it counts, and not what holds that.
        let held = if may_find { want.held } else { Kinds::NONE.with(focus.kind) };
        let want = Want { complete: false, held, ..*want };
        let mut walk = self.walk.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (focus.kind, focus.ns.inode);
        let Focused { gathered, mnt } = Focused::by(&mut walk, focus, &want).ok()??;
        drop(walk);
        let Gathered { tasks, known, seen } = gathered;
        let narrow = Some(Narrow { may_find, mnt: &mnt });
        let mut world = discover::around(tasks, &known, seen, narrow, &self.mounts, &want);
        let row = world.namespace(key.0, key.1)?;
        // Through whose eyes a mount was seen.
        let holders: FxHashSet<_> = row.holders.iter().filter_map(Holder::pid).collect();
        let unmet = holders.into_iter().filter(|pid| world.process(*pid).is_none());
        let unmet: Vec<_> = unmet.flat_map(threads).collect();
        if !unmet.is_empty() {
            let mut picture = Picture::new(&want);
            let mut walk = self.walk.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
            walk.tasks_of(&unmet, |task| picture.add(task)).ok()?;
            drop(walk);
            world.processes.extend(picture.finish().processes);
            world.processes.sort_by_key(|process| process.pid);
        }
        Some(world)
    }
}

/// Finds out what is wanted from the kernel's memory: nothing is opened for it.
///
/// # Errors
///
/// If the kernel, or the lack of a privilege, does not let it.
fn walk(want: &Want, processes: u32) -> Result<World, probe::Error> {
    check_numbers()?;
    Ok(Gathered::by(&mut Walk::load(processes)?, want)?.complete(&Mutex::default(), want))
}

/// Whether the numbers of processes and users are the same here and in memory.
fn check_numbers() -> Result<(), probe::Error> {
    // Its numbers are those of the initial namespaces, /proc's those of ours.
    for kind in [Kind::Pid, Kind::User] {
        let name = kind.name();
        if own_namespace(name).ok() != initial_namespace(name) {
            let what = format!("not in the initial {name} namespace");
            return Err(probe::Error::SelfCheck(what));
        }
    }
    Ok(())
}

/// What memory tells.
struct Gathered {
    tasks: Tasks,
    known: Vec<Known>,
    seen: Option<Seen>,
}

impl Gathered {
    fn by(walk: &mut Walk, want: &Want) -> Result<Self, probe::Error> {
        let (mut picture, mut known) = (Picture::new(want), Vec::new());
        let mut gather = |walk: &mut Walk| -> Result<(), probe::Error> {
            walk.tasks(|task| picture.add(task))?;
            // Whom the tasks lead to, they have named.
            if !(want.complete || want.relatives || want.ids || want.files) {
                return Ok(());
            }
            for kind in Kind::ALL.into_iter().filter(|kind| want.kinds.contains(*kind)) {
                let found = walk.namespaces(kind)?;
                known.extend(found.iter().filter_map(|found| picture.known(found)));
            }
            Ok(())
        };
        let files = if want.files {
            Some(walk.files(want.held.bits(), gather)?)
        } else {
            gather(walk)?;
            None
        };
        if want.relatives {
            let mut questions = picture.questions(&known, RELATIVES);
            questions.extend(files.iter().flat_map(|files| held(files)));
            known.extend(with_those_above(walk, &picture, questions)?);
        }
        let seen = files.map(|files| picture.seen(&files));
        Ok(Self { tasks: picture.finish(), known, seen })
    }

    /// Finds out the rest.
    fn complete(self, mounts: &Mutex<Remembered>, want: &Want) -> World {
        discover::around(self.tasks, &self.known, self.seen, None, mounts, want)
    }
}

/// What memory tells of one namespace.
struct Focused {
    gathered: Gathered,
    mnt: Vec<(NsRow, u64)>,
}

impl Focused {
    /// None if it is gone by now.
    fn by(walk: &mut Walk, focus: Focus, want: &Want) -> Result<Option<Self>, probe::Error> {
        let Focus { kind, ns, below, may_have_more, mounts, .. } = focus;
        let mut picture = Picture::new(want);
        let mut met = FxHashSet::default();
        // Whether something was mounted since.
        let mut events: Vec<_> =
            mounts.iter().map(|(ns, _)| about(*ns, Kind::Mnt as u32)).collect();
        let files = walk.files(want.held.bits(), |walk| {
            walk.tasks_in(kind, &ns, |task| {
                met.insert(task.pid);
                picture.add(task);
            })?;
            walk.inspect(&mut events)
        })?;
        // Whoever has files that tell of themselves is asked, and whoever has others is named.
        let others: FxHashSet<_> = files.iter().map(|held| held.pid).collect();
        let others: Vec<_> = others.difference(&met).flat_map(|pid| threads(*pid)).collect();
        walk.tasks_of(&others, |task| picture.add(task))?;

        let mut questions = vec![about(ns, kind as u32)];
        questions.extend(below.iter().map(|(kind, ns)| about(*ns, *kind as u32)));
        if may_have_more {
            questions.extend(held(&files));
        }
        let known = with_those_above(walk, &picture, questions)?;
        if known.first().is_none_or(|known| known.ns.kind != kind || known.ns.inode != ns.inode) {
            return Ok(None);
        }
        let events = events.iter().map(|answer| answer.event);
        let mnt = mounts.into_iter().map(|(_, row)| row).zip(events).collect();
        let seen = Some(picture.seen(&files));
        let gathered = Gathered { tasks: picture.finish(), known, seen };
        Ok(Some(Self { gathered, mnt }))
    }
}

/// What is asked about, with its owners and parents, and theirs.
fn with_those_above(
    walk: &mut Walk,
    picture: &Picture<'_>,
    mut questions: Vec<Inspect>,
) -> Result<Vec<Known>, probe::Error> {
    let (mut known, mut asked) = (Vec::new(), FxHashSet::default());
    while !questions.is_empty() {
        asked.extend(questions.iter().map(|question| question.ns.address));
        walk.inspect(&mut questions)?;
        known.extend(questions.iter().filter_map(|answer| picture.known(answer)));
        questions = questions.iter().flat_map(relatives).collect();
        questions.retain(|question| asked.insert(question.ns.address));
    }
    Ok(known)
}

/// Questions about the owner and the parent in an answer.
fn relatives(answer: &Inspect) -> [Inspect; 2] {
    [about(answer.owner, Kind::User as u32), about(answer.parent, answer.kind)]
}

/// Questions about what files hold.
fn held(files: &[Held]) -> impl Iterator<Item = Inspect> {
    let named = files.iter().filter(|held| held.ns.inode != 0);
    named.map(|held| about(held.ns, held.kind))
}

/// A question about one namespace.
fn about(ns: Ns, kind: u32) -> Inspect {
    Inspect { ns, kind, want: RELATIVES, ..Inspect::default() }
}
