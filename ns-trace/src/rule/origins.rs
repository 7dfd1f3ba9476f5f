//! Where namespaces come from: the rows that conditions see.

use std::{borrow::Cow, sync::Arc};

use rustc_hash::FxHashMap;

use crate::model::{
    Creator, Event, Kind, NsInfo, NsRef, Origin,
    event::{Body, Target},
};

/// How many namespaces are remembered: some 30 MiB at most.
const MOST: usize = 1 << 16;

/// The namespaces whose birth was seen, or that a snapshot told.
#[derive(Debug, Default)]
pub(super) struct Origins {
    rows: FxHashMap<(Kind, u32, Option<u64>), Origin>,
    /// How many were not remembered.
    pub(super) dropped: u64,
}

impl Origins {
    /// Takes in a birth or a row of a snapshot.
    pub(super) fn learn(&mut self, event: &Event) {
        match &event.body {
            Body::Create(create) => {
                let process = &create.process;
                let creator = Creator {
                    pid: process.pid,
                    tid: process.tid,
                    start_ns: process.start_ns,
                    comm: Arc::clone(&process.comm),
                    exe: process.exe.clone(),
                    uid: process.uid,
                };
                let origin = Origin {
                    cause: Some(create.cause),
                    creator: Some(Arc::new(creator)),
                    container: event.container.clone(),
                    ..unknown(&create.ns)
                };
                self.insert(key(&create.ns.to_ref()), origin);
            }
            Body::Exist(exist) => {
                self.meet(Origin { members: Some(exist.members), ..unknown(&exist.ns) });
            }
            _ => {}
        }
    }

    /// Takes in all namespaces that there are; the others have ended unseen.
    pub(super) fn renew(&mut self, namespaces: impl Iterator<Item = Origin>) {
        let former = std::mem::take(&mut self.rows);
        for mut origin in namespaces {
            let key = key(&origin.ns.to_ref());
            if let Some(former) = former.get(&key) {
                origin.container.clone_from(&former.container);
            }
            self.insert(key, origin);
        }
    }

    /// Takes in a namespace that was there before; who made it may be known.
    fn meet(&mut self, origin: Origin) {
        let key = key(&origin.ns.to_ref());
        if let Some(known) = self.rows.get_mut(&key) {
            (known.members, known.ns) = (origin.members, origin.ns);
        } else {
            self.insert(key, origin);
        }
    }

    fn insert(&mut self, key: (Kind, u32, Option<u64>), origin: Origin) {
        if self.rows.len() < MOST || self.rows.contains_key(&key) {
            self.rows.insert(key, origin);
        } else {
            self.dropped += 1;
        }
    }

    /// Forgets what has ended.
    pub(super) fn forget(&mut self, event: &Event) {
        if let Body::Destroy(destroy) = &event.body {
            self.rows.remove(&key(&destroy.ns.to_ref()));
        }
    }

    /// The namespace that an event is about; of several the first that is known.
    pub(super) fn of(&self, event: &Event) -> Option<Cow<'_, Origin>> {
        let known = |ns: &NsRef| self.rows.get(&key(ns)).map(Cow::Borrowed);
        match &event.body {
            Body::Enter(enter) => {
                enter.changes.iter().find_map(|change| known(change.to.as_ref()?))
            }
            Body::Fail(fail) => match fail.target.as_ref()? {
                Target::Namespace(ns) => known(ns),
                Target::Process(process) => process.ns.iter().find_map(known),
            },
            Body::Destroy(destroy) => known(&destroy.ns.to_ref()).or_else(|| {
                let creator = destroy.creator.clone();
                Some(Cow::Owned(Origin { creator, ..unknown(&destroy.ns) }))
            }),
            Body::Create(_) | Body::Exist(_) | Body::Map(_) => {
                let info = about(event)?;
                known(&info.to_ref()).or_else(|| Some(Cow::Owned(unknown(&info))))
            }
            _ => None,
        }
    }

    /// What is known of a namespace, for an alert about it.
    pub(super) fn info(&self, ns: &NsRef) -> NsInfo {
        let known = self.rows.get(&key(ns)).map(|origin| origin.ns.clone());
        let NsRef { kind, inode, id, initial } = *ns;
        known.unwrap_or(NsInfo {
            kind,
            inode,
            id,
            initial,
            born: None,
            owner: None,
            parent: None,
            level: None,
        })
    }

    /// The one namespace that an event is about, as its alert names it.
    pub(super) fn named(&self, event: &Event) -> Option<NsInfo> {
        match &event.body {
            Body::Enter(enter) => match enter.changes.as_slice() {
                [change] => change.to.as_ref().map(|ns| self.info(ns)),
                _ => None,
            },
            Body::Fail(fail) => match &fail.target {
                Some(Target::Namespace(ns)) => Some(self.info(ns)),
                _ => None,
            },
            _ => about(event),
        }
    }
}

fn about(event: &Event) -> Option<NsInfo> {
    match &event.body {
        Body::Create(event) => Some(event.ns.clone()),
        Body::Destroy(event) => Some(event.ns.clone()),
        Body::Map(event) => Some(event.ns.clone()),
        Body::Exist(event) => Some(event.ns.clone()),
        _ => None,
    }
}

fn unknown(ns: &NsInfo) -> Origin {
    Origin { ns: ns.clone(), cause: None, creator: None, container: None, members: None }
}

const fn key(ns: &NsRef) -> (Kind, u32, Option<u64>) {
    (ns.kind, ns.inode, ns.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(inode: u32, members: u32) -> Origin {
        let ns = NsRef { kind: Kind::Net, inode, id: None, initial: false };
        Origin { members: Some(members), ..unknown(&Origins::default().info(&ns)) }
    }

    #[test]
    fn a_snapshot_makes_room_and_a_flood_is_counted() {
        let mut origins = Origins::default();
        for inode in 0..70_000 {
            origins.meet(origin(inode, 1));
        }
        assert_eq!((origins.rows.len(), origins.dropped), (MOST, 70_000 - MOST as u64));
        origins.renew([origin(7, 3), origin(90_000, 1)].into_iter());
        let members: Vec<_> = origins.rows.values().filter_map(|row| row.members).collect();
        assert_eq!(members.iter().sum::<u32>(), 4);
    }
}
