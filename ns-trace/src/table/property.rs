//! The table against a kernel in small that does anything, while records get lost.

mod kernel;

use std::collections::{BTreeMap, BTreeSet};

use ns_trace_common::inspect::Inspect;
use proptest::prelude::*;

use self::kernel::{Kernel, Op, Sight, Told};
use super::{Finding, Program, RowId, Surroundings, Table};
use crate::{
    model::{Kind, NsInfo, NsRef, Placement, event::Body},
    probe::Record,
};

struct Nowhere;

impl Surroundings for Nowhere {
    fn placement(&mut self, _: u64, _: u64) -> Placement {
        Placement::default()
    }

    fn program(&mut self, _: u32) -> Option<Program> {
        None
    }
}

/// What the test does next.
#[derive(Clone, Copy, Debug)]
enum Move {
    Do(Op),
    /// The next few records get lost.
    Lose(u8),
    /// A snapshot, if one is due; so many things happen between its reading and its end.
    Heal(u8),
    /// Questions are asked: who owns strangers, who of the empty has died.
    Look,
}

fn kinds() -> impl Strategy<Value = u64> {
    // Mostly one or two at once.
    prop::collection::vec(0..Kind::ALL.len(), 1..4)
        .prop_map(|some| some.into_iter().fold(0, |bits, kind| bits | Kind::ALL[kind].flag()))
}

fn moves() -> impl Strategy<Value = Move> {
    let kind = (0..Kind::ALL.len()).prop_map(|kind| Kind::ALL[kind]);
    let who = any::<u16>();
    prop_oneof![
        4 => (who, prop_oneof![Just(0), kinds()]).prop_map(|(who, flags)| Move::Do(Op::Fork(who, flags))),
        4 => (who, kinds()).prop_map(|(who, flags)| Move::Do(Op::Unshare(who, flags))),
        3 => (who, any::<u16>(), kind.clone())
            .prop_map(|(who, whom, kind)| Move::Do(Op::Setns(who, whom, kind))),
        1 => who.prop_map(|who| Move::Do(Op::Exec(who))),
        5 => who.prop_map(|who| Move::Do(Op::Exit(who))),
        2 => (who, kind).prop_map(|(who, kind)| Move::Do(Op::Hold(who, kind))),
        2 => who.prop_map(|which| Move::Do(Op::Release(which))),
        1 => (who, kinds()).prop_map(|(who, flags)| Move::Do(Op::Undo(who, flags))),
        2 => (1..8_u8).prop_map(Move::Lose),
        1 => (0..6_u8).prop_map(Move::Heal),
        2 => Just(Move::Look),
    ]
}

/// A table that listens to a kernel, and who listens to the table.
struct World {
    kernel: Kernel,
    table: Table,
    /// How many records will be lost.
    losing: u8,
    /// Whether any was since the last snapshot, and ever.
    hurt: bool,
    ever_hurt: bool,
    watched: Vec<RowId>,
    /// The living as the findings tell of them: a name is one at a time.
    told: BTreeMap<(Kind, u32), NsInfo>,
    /// Births and deaths that were told.
    births: Vec<(Kind, Option<u64>, Option<u64>)>,
    deaths: Vec<(Kind, Option<u64>, Option<u64>)>,
}

impl World {
    fn new(sight: Sight) -> Self {
        let mut world = Self {
            kernel: Kernel::new(sight),
            table: Table::new(true).keeping_dead(u64::MAX),
            losing: 0,
            hurt: true,
            ever_hurt: false,
            watched: Vec::new(),
            told: BTreeMap::new(),
            births: Vec::new(),
            deaths: Vec::new(),
        };
        world.heal(&mut std::iter::empty());
        world
    }

    fn run(&mut self, moves: Vec<Move>) {
        let mut moves = moves.into_iter();
        while let Some(next) = moves.next() {
            match next {
                Move::Do(op) => self.act(op),
                Move::Lose(count) => self.losing = count,
                Move::Heal(during) if self.hurt => {
                    let during = usize::from(during);
                    let mut ops = moves.by_ref().take(during).filter_map(|next| match next {
                        Move::Do(op) => Some(op),
                        _ => None,
                    });
                    self.heal(&mut ops);
                }
                Move::Heal(_) => {}
                Move::Look => self.look(),
            }
        }
        self.losing = 0;
        while self.hurt {
            self.heal(&mut std::iter::empty());
        }
        self.look();
    }

    fn act(&mut self, op: Op) {
        for told in self.kernel.step(op) {
            if self.losing > 0 {
                self.losing -= 1;
                (self.hurt, self.ever_hurt) = (true, true);
                continue;
            }
            let record = match &told {
                Told::Create(record) => Record::Create(record),
                Told::Destroy(record) => Record::Destroy(record),
                Told::Enter(record) => Record::Enter(record),
                Told::Fork(record) => Record::Fork(record),
                Told::Clone(record) => Record::Clone(record),
                Told::Exec(exec) => Record::Exec { exec, exe: b"", args: b"" },
                Told::Exit(record) => Record::Exit(record),
            };
            self.apply(&record);
        }
        // A call that failed ends too: nothing is told of it here but what it made.
        if let Op::Undo(..) = op {
            self.give_up();
        }
    }

    fn apply(&mut self, record: &Record<'_>) {
        let mut out = Vec::new();
        self.table.apply(record, &mut Nowhere, &mut out);
        self.hear(&out);
    }

    fn give_up(&mut self) {
        let mut out = Vec::new();
        self.table.give_up_before(u64::MAX, &mut out);
        self.hear(&out);
    }

    /// A snapshot, as the live source takes one: read at once, told while other things happen.
    fn heal(&mut self, during: &mut dyn Iterator<Item = Op>) {
        self.hurt = false;
        let is_first = self.told.is_empty();
        self.table.begin_walk(self.kernel.now + 1);
        self.kernel.now += 1;
        let rows: Vec<_> =
            self.kernel.tids().into_iter().filter_map(|tid| self.kernel.member(tid)).collect();
        for row in &rows {
            if let Some(op) = during.next() {
                self.act(op);
            }
            self.apply(&Record::Member(row));
        }
        during.for_each(|op| self.act(op));
        self.table.end_walk(self.kernel.now, false);
        self.relate();
        self.give_up();
        let all: Vec<_> = self.table.rows().map(|(id, _)| id).collect();
        self.bury(&all, true);
        self.relate();
        let mut shown = self.table.untold();
        shown.extend(self.table.take_moved());
        if is_first {
            shown = self.table.rows().map(|(id, _)| id).collect();
        }
        let mut out = Vec::new();
        for id in shown {
            self.table.exists(id, self.kernel.now, &mut out);
        }
        self.hear(&out);
    }

    fn relate(&mut self) {
        loop {
            let strangers = self.table.take_strangers();
            if strangers.is_empty() {
                return;
            }
            for id in strangers {
                if let Some(answer) = self.ask(id) {
                    self.table.relate(id, &answer);
                }
            }
        }
    }

    fn ask(&self, id: RowId) -> Option<Inspect> {
        let row = self.table.row(id)?;
        let question = Inspect { ns: row.ns, kind: row.kind as u32, ..Inspect::default() };
        Some(self.kernel.answer(&question))
    }

    fn look(&mut self) {
        self.relate();
        self.watched.extend(self.table.take_orphans());
        if self.kernel.sight.hooked {
            return;
        }
        // One that dies takes its owner and its parent along.
        let mut watched = std::mem::take(&mut self.watched);
        watched.retain(|id| self.table.row(*id).is_some_and(|row| row.members == 0));
        self.bury(&watched, false);
        watched.retain(|id| self.table.row(*id).is_some());
        self.watched = watched;
    }

    /// Asks which of them still live; after a loss also whether they are who they were.
    fn bury(&mut self, ids: &[RowId], hurt: bool) {
        let mut out = Vec::new();
        for id in ids {
            match self.ask(*id) {
                Some(answer) if answer.alive == 0 => {
                    self.table.died(*id, self.kernel.now, &mut out);
                }
                Some(answer) if hurt => self.table.confirm(*id, &answer),
                _ => {}
            }
        }
        self.hear(&out);
    }

    /// Takes in what is told, as whoever reads the stream would.
    fn hear(&mut self, findings: &[Finding]) {
        for finding in findings {
            match &finding.body {
                Body::Create(event) => {
                    self.births.push(name(&event.ns));
                    let place = (event.ns.kind, event.ns.inode);
                    let former = self.told.insert(place, event.ns.clone());
                    assert_eq!(former, None, "born while it lives");
                }
                Body::Exist(event) => {
                    let place = (event.ns.kind, event.ns.inode);
                    let known = self.told.insert(place, event.ns.clone());
                    assert!(known.is_none_or(|known| known.id == event.ns.id), "two at once");
                }
                Body::Destroy(event) => {
                    self.deaths.push(name(&event.ns));
                    let known = self.told.remove(&(event.ns.kind, event.ns.inode));
                    let Some(known) = known else {
                        // What a loss hid may die before anybody has told of it.
                        assert_eq!(event.ns.born, None, "it was never born");
                        continue;
                    };
                    assert_eq!(known.id, event.ns.id, "another dies");
                    // Of whom nothing but a number can tell from the former, no birth is known.
                    let unsure = self.ever_hurt && event.ns.id.is_none();
                    let is_same = known.born == event.ns.born;
                    assert!(is_same || unsure && event.ns.born.is_none(), "another dies");
                }
                _ => {}
            }
        }
    }

    /// The table holds what the kernel holds.
    fn check(&self) {
        let kernel = &self.kernel;
        let mut tasks: Vec<_> = self.table.tasks.keys().copied().collect();
        tasks.sort_unstable();
        assert_eq!(tasks, kernel.tids());
        for tid in tasks {
            let (known, real) = (&self.table.tasks[&tid], kernel.task(tid).unwrap());
            assert_eq!((known.task.start_ns, known.set.key), (real.start_ns, real.slots), "{tid}");
            assert!(self.table.is_alive(&known.set), "{tid} is in what is gone");
        }
        let mut seen = BTreeSet::new();
        for (_, row) in self.table.rows() {
            let (name, space) = kernel
                .spaces
                .iter()
                .find(|(_, space)| space.kind == row.kind && space.ns == row.ns)
                .unwrap_or_else(|| panic!("{row:?} is dead"));
            assert!(seen.insert(*name), "{row:?} is there twice");
            assert_eq!(row.members, kernel.members(*name), "members of {row:?}");
            assert_eq!(row.initial, *name < 1000);
            let is_named = |known: Option<NsRef>, real: Option<u64>| {
                known.map(|known| known.inode) == real.map(|real| kernel.spaces[&real].ns.inode)
            };
            assert!(is_named(row.owner, space.owner), "owner of {row:?}");
            assert!(is_named(row.parent, space.parent), "parent of {row:?}");
            let level = row.kind.nests().then_some(space.level);
            assert_eq!(row.level, level, "{row:?}");
            // Without a number of its own nothing tells one that was made unseen, at the same
            // place and under the same inode, from the one before.
            if row.ns.id != 0 || !self.ever_hurt {
                let known = row.born.is_none_or(|born| born == self.moment(*name));
                assert!(known, "{row:?} was made at {name}");
                let maker = row.creator.as_ref().map(|creator| creator.tid);
                assert!(maker.is_none_or(|maker| maker == space.maker), "{row:?}");
                assert!(row.creator.is_some() == row.cause.is_some());
            }
            let told = self.told.get(&(row.kind, row.ns.inode));
            assert_eq!(told.map(|told| told.id), Some(row.info().id), "{row:?} was never told");
        }
        assert_eq!(self.told.len(), seen.len(), "what was told is what there is");
        for (name, space) in &kernel.spaces {
            // What only a descriptor holds and whose birth was lost, nobody can know of.
            let is_known = !self.ever_hurt || kernel.members(*name) > 0;
            assert!(!is_known || seen.contains(name), "{space:?} is not known");
        }
    }

    /// When a namespace was made, as its record says.
    fn moment(&self, name: u64) -> u64 {
        if self.kernel.sight.hooked { name } else { (name - (1 << 40)) / 16 }
    }

    /// Without a loss every birth and every death is told once, in the dead rows as well.
    fn check_history(&mut self) {
        let of =
            |names: &BTreeSet<u64>| names.iter().map(|name| self.moment(*name)).collect::<Vec<_>>();
        let (born, died) = (of(&self.kernel.born), of(&self.kernel.died));
        let sorted = |told: &[(Kind, Option<u64>, Option<u64>)]| {
            let mut moments: Vec<_> = told.iter().filter_map(|(_, _, born)| *born).collect();
            moments.sort_unstable();
            moments
        };
        assert_eq!(sorted(&self.births), born);
        assert_eq!(sorted(&self.deaths), died);
        let mut dead: Vec<_> = self.table.dead(0).filter_map(|row| row.born).collect();
        dead.sort_unstable();
        assert_eq!(dead, died);
    }

    /// No two births and no two deaths are one namespace's.
    fn check_names(&self) {
        for told in [&self.births, &self.deaths] {
            let named = told.iter().filter(|(_, id, _)| id.is_some());
            let mut seen = BTreeSet::new();
            assert!(named.clone().all(|name| seen.insert(name)), "{told:?}");
        }
    }
}

fn name(info: &NsInfo) -> (Kind, Option<u64>, Option<u64>) {
    (info.kind, info.id, info.born)
}

fn sights() -> impl Strategy<Value = Sight> {
    (any::<bool>(), any::<bool>()).prop_map(|(hooked, numbered)| Sight { hooked, numbered })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_happens_the_table_is_the_world(
        sight in sights(),
        moves in prop::collection::vec(moves(), 0..120),
    ) {
        let mut world = World::new(sight);
        world.run(moves);
        world.check();
        world.check_names();
    }

    #[test]
    fn without_a_loss_everything_is_told(
        sight in sights(),
        moves in prop::collection::vec(moves(), 0..120),
    ) {
        let moves = moves.into_iter().filter(|next| !matches!(next, Move::Lose(_))).collect();
        let mut world = World::new(sight);
        world.run(moves);
        world.check();
        world.check_history();
    }
}
