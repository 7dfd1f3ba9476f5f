//! What was there at which time.

use std::{collections::BTreeMap, sync::Arc};

use super::{Directory, write};
use crate::{
    history::{End, Name, Query, Store},
    model::{
        Cause, Creator, Event, Flags, Kind, NsInfo, NsRef, Process, SLOTS, Slot, Slots, Time,
        event::{
            Body, ByEvent, Change, Create, Destroy, Enter, Exist, Host, Loss, Lost, Reason,
            SchemaName, Source, Stage, Sync,
        },
    },
    sys::host,
};

pub(super) fn event(seq: u64, time: i64, body: Body) -> Event {
    Event {
        schema: SchemaName::V1,
        seq,
        time: Time(time),
        boot_ns: time.unsigned_abs(),
        source: Source::Probe,
        body,
        container: None,
        pod: None,
        lossy: false,
    }
}

fn ns(inode: u32, born: Option<i64>) -> NsInfo {
    NsInfo {
        kind: Kind::Net,
        inode,
        id: None,
        initial: false,
        born: born.map(i64::unsigned_abs),
        owner: Some(NsRef { kind: Kind::User, inode: 1, id: None, initial: true }),
        parent: None,
        level: None,
    }
}

fn process(inode: u32) -> Arc<Process> {
    let pid = 100 + inode;
    Arc::new(Process { pid, tid: pid, uid: 1000, comm: "maker".into(), ..Process::default() })
}

pub(super) fn create(seq: u64, time: i64, inode: u32) -> Event {
    let flags = Flags::from_bits(Kind::Net.flag());
    let (ns, process) = (ns(inode, Some(time)), process(inode));
    let create = Create { cause: Cause::Unshare, flags, op: seq, ns, process };
    event(seq, time, Body::Create(create))
}

pub(super) fn enter(seq: u64, time: i64, inode: u32) -> Event {
    let to = Some(ns(inode, None).to_ref());
    let changes = vec![Change { slot: Slot::Net, from: None, to }];
    let (cause, flags, process) = (Cause::Setns, Flags::from_bits(0), process(inode));
    let (relation, repeat) = (None, None);
    event(
        seq,
        time,
        Body::Enter(Enter { cause, flags, op: seq, changes, relation, repeat, process }),
    )
}

pub(super) fn destroy(seq: u64, time: i64, inode: u32) -> Event {
    let destroy = Destroy {
        ns: ns(inode, Some(1)),
        creator: None,
        lifetime_ns: None,
        last_task_boot_ns: None,
    };
    event(seq, time, Body::Destroy(destroy))
}

pub(super) fn lost(seq: u64, time: i64) -> Event {
    let lost = Loss { count: 3, stage: Stage::Ring, by_event: ByEvent::default(), cpu: None };
    event(seq, time, Body::Lost(Lost { lost }))
}

fn exist(seq: u64, time: i64, inode: u32) -> Event {
    event(seq, time, Body::Exist(Exist { ns: ns(inode, None), members: 1 }))
}

fn sync(seq: u64, time: i64, boot_id: &str) -> Event {
    let host = Host {
        name: "h".to_owned(),
        boot_id: boot_id.to_owned(),
        kernel: "k".to_owned(),
        backend: "fentry".to_owned(),
    };
    event(seq, time, Body::Sync(Sync { reason: Reason::Start, host }))
}

fn at(store: &Store, time: i64) -> Vec<u32> {
    let mut inodes: Vec<_> =
        store.at(Time(time)).unwrap().iter().map(|life| life.ns.inode).collect();
    inodes.sort_unstable();
    inodes
}

/// Lives come and go under few inodes, which are used again at once: at every time the store knows the
/// same ones as a list of them does.
#[test]
fn the_past_is_as_a_model_remembers_it() {
    let mut random = fastrand::Rng::with_seed(6);
    let (mut events, mut alive) = (Vec::new(), BTreeMap::new());
    let mut lives: Vec<(u32, i64, i64)> = Vec::new();
    for step in 1..400_i64 {
        let (seq, time, inode) = (step.unsigned_abs(), 10 * step, random.u32(2..12));
        match alive.remove(&inode) {
            None => {
                alive.insert(inode, time);
                events.push(create(seq, time, inode));
            }
            Some(born) if random.bool() => {
                lives.push((inode, born, time));
                events.push(destroy(seq, time, inode));
            }
            Some(born) => {
                alive.insert(inode, born);
                events.push(enter(seq, time, inode));
            }
        }
    }
    lives.extend(alive.into_iter().map(|(inode, born)| (inode, born, i64::MAX)));
    let directory = Directory::new();
    write(&directory.store(), &events);
    let store = Store::read(&directory.store()).unwrap();
    let model = |time: i64| -> Vec<_> {
        let there = lives.iter().filter(|(_, born, died)| *born <= time && *died > time);
        let mut inodes: Vec<_> = there.map(|(inode, _, _)| *inode).collect();
        inodes.sort_unstable();
        inodes
    };
    for time in (5..4100).step_by(95) {
        assert_eq!(at(&store, time), model(time), "at {time}");
    }
    for (from, to) in [(5, 4100), (1000, 1010), (1234, 2345), (2000, 2000)] {
        let difference = store.difference(Time(from), Time(to)).unwrap();
        let count = |holds: &dyn Fn(i64, i64) -> bool| {
            lives.iter().filter(|(_, born, died)| holds(*born, *died)).count()
        };
        let made = count(&|born, died| born > from && born <= to && died > to);
        let gone = count(&|born, died| born <= from && died > from && died <= to);
        let passed = count(&|born, died| born > from && died <= to);
        let found =
            (difference.made.len(), difference.gone.len(), difference.passed.values().sum());
        assert_eq!(found, (made, gone, passed as u64), "from {from} to {to}");
    }
    let named = store.named(&Name { kind: Some(Kind::Net), inode: Some(5), id: None }).unwrap();
    let expected = lives.iter().filter(|(inode, _, _)| *inode == 5).count();
    assert_eq!(named.len(), expected);
    for life in named {
        let born = life.began;
        let account = store.account(life, 100).unwrap();
        assert_eq!(account.made.map(|event| event.time), Some(born));
        assert!(account.entered.iter().all(|event| event.time > born));
    }
}

#[test]
fn lives_are_known_with_who_made_them() {
    let directory = Directory::new();
    let path = directory.store();
    write(&path, &[create(1, 10, 7), create(2, 20, 8), exist(3, 25, 9), destroy(4, 30, 8)]);
    let lives = Store::open(&path).unwrap().at(Time(30)).unwrap();
    let inodes: Vec<_> = lives.iter().map(|life| life.ns.inode).collect();
    assert_eq!(inodes, [7, 9]);
    let creator =
        Creator { pid: 107, tid: 107, start_ns: 0, comm: "maker".into(), exe: None, uid: 1000 };
    assert_eq!(
        (lives[0].creator.as_deref(), lives[0].cause),
        (Some(&creator), Some(Cause::Unshare))
    );
    assert_eq!((&lives[1].creator, lives[1].cause), (&None, None));
    assert_eq!(lives[0].ns, ns(7, Some(10)));
}

#[test]
fn what_a_start_does_not_find_any_more_has_ended() {
    let directory = Directory::new();
    let path = directory.store();
    let boot = host::boot_id();
    write(&path, &[sync(1, 5, &boot), create(2, 10, 7), create(3, 20, 8)]);
    // A start that tells of nothing that exists says nothing of what does not.
    write(&path, &[sync(4, 30, &boot), create(5, 31, 9)]);
    assert_eq!(at(&Store::read(&path).unwrap(), 32), [7, 8, 9]);
    write(&path, &[sync(6, 40, &boot), exist(7, 40, 8), exist(8, 40, 10)]);
    let mut writer = Store::open(&path).unwrap().writer().unwrap();
    writer.append(&sync(9, 50, &boot)).unwrap();
    writer.append(&exist(10, 50, 8)).unwrap();
    writer.settle().unwrap();
    writer.commit().unwrap();
    drop(writer);
    let store = Store::read(&path).unwrap();
    assert_eq!(at(&store, 49), [7, 8, 9, 10], "the third start did not get to say what is gone");
    assert_eq!(at(&store, 50), [8]);
    let life = store.named(&Name { kind: None, inode: Some(8), id: None }).unwrap();
    assert_eq!(life.len(), 1, "it is the one that was made before");
    assert!(life[0].creator.is_some());
}

/// What a bind mount or an open file keeps is found a while after a start.
#[test]
fn a_life_goes_on_that_was_taken_for_gone() {
    let directory = Directory::new();
    let path = directory.store();
    let boot = host::boot_id();
    let with_id = |mut event: Event, id| {
        match &mut event.body {
            Body::Create(create) => create.ns.id = id,
            Body::Exist(exist) => exist.ns.id = id,
            Body::Destroy(destroy) => destroy.ns.id = id,
            _ => {}
        }
        event
    };
    let ids = [(7, Some(70)), (8, None), (9, Some(90))];
    let made = (2..).zip(ids).map(|(seq, (inode, id))| with_id(create(seq, 10, inode), id));
    let made: Vec<_> = [sync(1, 5, &boot)].into_iter().chain(made).collect();
    write(&path, &made);
    write(&path, &[with_id(destroy(5, 15, 9), Some(90))]);
    let start = |seq| {
        let mut writer = Store::open(&path).unwrap().writer().unwrap();
        writer.append(&sync(seq, 20, &boot)).unwrap();
        writer.append(&exist(seq + 1, 20, 10)).unwrap();
        writer.settle().unwrap();
        writer.commit().unwrap();
        writer
    };
    let lives = |inode| {
        let name = Name { kind: None, inode: Some(inode), id: None };
        let lives = Store::read(&path).unwrap().named(&name).unwrap();
        lives.iter().map(|life| (life.began.0, life.ended.map(|at| at.0))).collect::<Vec<_>>()
    };
    let mut writer = start(6);
    assert_eq!([lives(7), lives(8)], [[(10, Some(20))], [(10, Some(20))]]);
    for ((inode, id), seq) in ids.into_iter().zip(8..) {
        writer.append(&with_id(exist(seq, 30, inode), id)).unwrap();
    }
    writer.commit().unwrap();
    assert_eq!(lives(7), [(10, None)]);
    // Who has no id may be another, and what the kernel has freed is no more.
    assert_eq!(lives(8), [(10, Some(20)), (30, None)]);
    assert_eq!(lives(9), [(10, Some(15)), (30, None)]);
    // It is known as before, also by another that did not see it end, and can end again.
    drop(writer);
    drop(start(12));
    write(&path, &[with_id(exist(14, 40, 7), Some(70))]);
    assert_eq!(lives(7), [(10, None)]);
    assert_eq!(
        Store::read(&path).unwrap().at(Time(40)).unwrap()[0].creator.as_ref().unwrap().pid,
        107
    );
    write(&path, &[with_id(destroy(15, 50, 7), Some(70))]);
    assert_eq!(lives(7), [(10, Some(50))]);
}

#[test]
fn that_nobody_looked_before_a_start_is_known() {
    let directory = Directory::new();
    let path = directory.store();
    let boot = host::boot_id();
    write(&path, &[sync(1, 5, &boot), create(2, 10, 7), create(3, 20, 8)]);
    write(&path, &[sync(4, 30, &boot), create(5, 40, 9)]);
    let store = Store::read(&path).unwrap();
    for (time, started) in
        [(5, None), (19, None), (20, Some(30)), (29, Some(30)), (30, None), (40, None)]
    {
        assert_eq!(store.started(Time(time)).unwrap(), started.map(Time), "at {time}");
    }
}

#[test]
fn nothing_outlives_its_boot() {
    let directory = Directory::new();
    let path = directory.store();
    write(&path, &[sync(1, 5, "one"), create(2, 10, 7), create(3, 20, 8)]);
    write(&path, &[sync(4, 90, "two"), create(5, 100, 7)]);
    let store = Store::read(&path).unwrap();
    assert_eq!(at(&store, 19), [7]);
    assert_eq!(at(&store, 95), [0_u32; 0]);
    assert_eq!(at(&store, 100), [7]);
    assert_eq!(store.named(&Name { kind: None, inode: Some(7), id: None }).unwrap().len(), 2);
}

#[test]
fn an_inode_that_comes_again_without_an_end_is_another() {
    let directory = Directory::new();
    let path = directory.store();
    write(&path, &[create(1, 10, 7), create(2, 20, 7), enter(3, 30, 7)]);
    let store = Store::read(&path).unwrap();
    let lives = store.named(&Name { kind: None, inode: Some(7), id: None }).unwrap();
    let ends: Vec<_> = lives.iter().map(|life| (life.began.0, life.ended)).collect();
    assert_eq!(ends, [(10, Some(Time(20))), (20, None)]);
    let entered: Vec<_> =
        lives.iter().map(|life| store.account(life.clone(), 1).unwrap().entered.len()).collect();
    assert_eq!(entered, [0, 1]);
    let account = |most| store.account(lives[1].clone(), most).unwrap();
    assert!(!account(1).more && account(0).more && account(0).entered.is_empty());
}

#[test]
fn a_user_is_told_of_what_is_theirs() {
    let directory = Directory::new();
    let path = directory.store();
    // User 1000 has made and entered some; one was there before, and one is of somebody else who was
    // seen in what user 1000 has made.
    let mut foreign = create(4, 40, 10);
    if let Body::Create(create) = &mut foreign.body {
        let mut slots = [None; SLOTS];
        slots[Slot::Net as usize] = Some(ns(7, None).to_ref());
        let ns = Slots(Arc::new(slots));
        create.process = Arc::new(Process { uid: 7, pid: 300, tid: 300, ns, ..Process::default() });
    }
    let events = [create(1, 10, 7), exist(2, 20, 8), enter(3, 30, 7), foreign, lost(5, 50)];
    write(&path, &events);
    let seen = |uid: u32| {
        let store = Store::read(&path).unwrap().only_of(uid);
        let numbers: Vec<_> =
            super::found(&store, &Query::default()).iter().map(|event| event.seq).collect();
        (numbers, at(&store, 50), store)
    };
    let (numbers, inodes, store) = seen(1000);
    assert_eq!((numbers, inodes), (vec![1, 3, 5], vec![7]));
    let name = |inode| Name { kind: None, inode: Some(inode), id: None };
    assert!(store.knows(&name(7)).unwrap() && !store.knows(&name(10)).unwrap());
    assert!(store.knows_process(107).unwrap() && !store.knows_process(300).unwrap());
    assert_eq!(store.last_in(300, Slot::Net).unwrap(), None);
    assert_eq!(store.difference(Time(5), Time(50)).unwrap().made.len(), 1);
    let (numbers, inodes, store) = seen(7);
    assert_eq!((numbers, inodes), (vec![4, 5], vec![7, 10]));
    assert_eq!(store.last_in(300, Slot::Net).unwrap().map(|ns| ns.inode), Some(7));
    // Not who made it: that is nobody whom they see.
    let life = store.named(&name(7)).unwrap().remove(0);
    assert_eq!(life.creator, None);
    let account = store.account(life, 100).unwrap();
    assert_eq!((account.made, account.entered.len()), (None, 0));
    let (numbers, inodes, _) = seen(8);
    assert_eq!((numbers, inodes), (vec![5], Vec::new()));
    // What is looked at counts, not what is told of.
    let query = Query { limit: Some(3), ..Query::default() };
    let ended = store.events::<()>(&query, |_| std::ops::ControlFlow::Continue(()));
    assert_eq!(ended.unwrap(), End::Limit(3));
}
