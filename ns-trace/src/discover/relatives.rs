//! What the namespaces tell of themselves when they are opened: ids, parents, owners.

use std::os::fd::{AsFd as _, OwnedFd};

use rustc_hash::FxHashMap;

use super::{crowd, maps, open::open};
use crate::{
    model::{Kind, Maps, NsRef, NsRow, Want},
    sys::{netnsid::Netnsids, nsfs},
};

/// What one namespace told.
pub(super) struct Answer {
    /// Which.
    pub(super) ns: NsRef,
    /// Its owner.
    pub(super) owner: Option<NsRef>,
    /// Its parent.
    pub(super) parent: Option<NsRef>,
    /// Who made its owner, or a user namespace itself.
    pub(super) uid: Option<u32>,
    /// By which number our own network namespace knows it.
    pub(super) netnsid: Option<i32>,
    /// How its users are mapped.
    pub(super) maps: Option<Maps>,
    /// Those of them that nothing else led to so far, open.
    pub(super) strangers: Vec<(NsRef, OwnedFd)>,
}

/// Asks all of `rows`; `known` says which namespaces are among them.
pub(super) fn ask(
    rows: &[&NsRow],
    want: &Want,
    known: impl Fn(NsRef) -> bool + Sync,
) -> Vec<Answer> {
    let workers = crowd::share(rows, || Worker::new(want), |worker, row| worker.row(row, &known));
    workers.into_iter().flat_map(|worker| worker.answers).collect()
}

/// Asks one that is open.
pub(super) fn ask_open(
    fd: &OwnedFd,
    ns: NsRef,
    want: &Want,
    known: impl Fn(NsRef) -> bool,
) -> Answer {
    Worker::new(want).answer(fd, ns, &known)
}

struct Worker<'a> {
    want: &'a Want,
    answers: Vec<Answer>,
    /// Who made a user namespace, by its inode.
    uids: FxHashMap<u32, Option<u32>>,
    numbers: Option<Netnsids>,
}

impl<'a> Worker<'a> {
    fn new(want: &'a Want) -> Self {
        let numbers = want.netnsid.then(|| Netnsids::open().ok()).flatten();
        Self { want, answers: Vec::new(), uids: FxHashMap::default(), numbers }
    }

    fn row(&mut self, row: &NsRow, known: impl Fn(NsRef) -> bool) {
        let Ok(fd) = open(row) else {
            return;
        };
        let mut answer = self.answer(&fd, row.info.to_ref(), known);
        if self.want.maps && row.info.kind == Kind::User {
            answer.maps = maps::read(row);
        }
        self.answers.push(answer);
    }

    fn answer(&mut self, fd: &OwnedFd, mut ns: NsRef, known: impl Fn(NsRef) -> bool) -> Answer {
        if self.want.ids {
            ns.id = nsfs::id(fd).ok();
        }
        let netnsid = match &self.numbers {
            Some(numbers) if ns.kind == Kind::Net => numbers.get(fd).ok(),
            _ => None,
        };
        let mut answer = Answer {
            ns,
            owner: None,
            parent: None,
            uid: None,
            netnsid,
            maps: None,
            strangers: Vec::new(),
        };
        if !self.want.relatives {
            return answer;
        }
        if let Ok(owner) = nsfs::owner(fd)
            && let Ok(name) = nsfs::reference(owner.as_fd())
        {
            answer.owner = Some(name);
            if ns.kind == Kind::User {
                answer.parent = Some(name);
            } else {
                let uids = &mut self.uids;
                answer.uid =
                    *uids.entry(name.inode).or_insert_with(|| nsfs::owner_uid(&owner).ok());
            }
            if !known(name) {
                answer.strangers.push((name, owner));
            }
        }
        if ns.kind == Kind::User {
            answer.uid = nsfs::owner_uid(fd).ok();
        }
        if ns.kind == Kind::Pid
            && let Ok(parent) = nsfs::parent(fd)
            && let Ok(name) = nsfs::reference(parent.as_fd())
        {
            answer.parent = Some(name);
            if !known(name) {
                answer.strangers.push((name, parent));
            }
        }
        answer
    }
}
