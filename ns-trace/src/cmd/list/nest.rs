//! The rows, and what each lies below.

use rustc_hash::{FxHashMap, FxHashSet};

use super::{Choice, Filters};
use crate::{
    cli::{ListArgs, Relation},
    model::{Kind, NsRef, NsRow, ProcessRow, World},
    pipeline::{Rows, Subject},
    view::table::Table,
};

/// The namespaces that are asked for, each with its process of the lowest number.
///
/// Those that nobody is in and that are not mounted here are shown if what holds them is looked for:
/// else it would depend on the way of looking whether one is found.
pub(super) fn namespaces<'w>(
    args: &ListArgs,
    choice: &Choice,
    world: &'w World,
) -> Vec<Subject<'w>> {
    let by_namespace = matches!(choice.relation, Some(Relation::Owner | Relation::Parent));
    let all = choice.want.files || by_namespace || args.watch;
    let is_asked = |ns: &&NsRow| {
        (all || !ns.processes.is_empty() || !ns.nsfs.is_empty())
            && (!args.persistent || ns.processes.is_empty())
            && args.task.is_none_or(|task| ns.processes.contains(&task))
    };
    // What a process has made anew stands in a row mostly.
    let mut last: Option<&ProcessRow> = None;
    let subject = |ns: &'w NsRow| {
        let process = ns.processes.first().and_then(|pid| match last {
            Some(last) if last.pid == *pid => Some(last),
            _ => world.process(*pid),
        });
        last = process.or(last);
        Subject { ns, process }
    };
    world.namespaces.iter().filter(is_asked).map(subject).collect()
}

/// The processes in a namespace.
pub(super) fn processes<'w>(ns: &'w NsRow, world: &'w World) -> Vec<Subject<'w>> {
    let process = |pid: &u32| world.process(*pid);
    ns.processes.iter().map(|pid| Subject { ns, process: process(pid) }).collect()
}

/// The table of the rows that pass the filters.
pub(super) fn table(
    choice: &Choice,
    filters: &Filters,
    rows: &Rows,
    mut subjects: Vec<Subject<'_>>,
) -> Table {
    subjects.retain(|subject| filters.match_row(rows, *subject));
    let mut table = Table::new("namespaces", choice.headings.clone());
    table.reserve(subjects.len());
    let mut push = |table: &mut Table, parent, subject: Subject<'_>| {
        table.push(parent, choice.columns.iter().map(|column| rows.cell(subject, *column)))
    };
    // As lsns has it: without the column that shows the tree there is none, in JSON neither.
    let is_tree = choice.headings.iter().any(|heading| heading.tree);
    match choice.relation.filter(|_| is_tree) {
        None => {
            for subject in subjects {
                push(&mut table, None, subject);
            }
        }
        Some(Relation::Process) => by_process(&subjects, &mut table, &mut push),
        Some(relation) => by_namespace(relation, &subjects, &mut table, &mut push),
    }
    table
}

type Push<'p> = &'p mut dyn FnMut(&mut Table, Option<usize>, Subject<'_>) -> usize;

/// Each row below the last one before it whose process is the parent of its own.
fn by_process(subjects: &[Subject<'_>], table: &mut Table, push: Push<'_>) {
    let mut rows: FxHashMap<u32, usize> = FxHashMap::default();
    for subject in parents_first(subjects) {
        let parent = subject.process.and_then(|process| rows.get(&process.ppid).copied());
        let row = push(table, parent, subject);
        rows.extend(subject.process.map(|process| (process.pid, row)));
    }
}

/// As they are if they are namespaces; the processes of one namespace in such an order that parents
/// come before their children, whose numbers may be lower when numbers start over.
fn parents_first<'w>(subjects: &[Subject<'w>]) -> Vec<Subject<'w>> {
    let is_one = subjects.windows(2).all(|pair| std::ptr::eq(pair[0].ns, pair[1].ns));
    if !is_one {
        return subjects.to_vec();
    }
    let places: FxHashMap<u32, usize> = subjects
        .iter()
        .enumerate()
        .filter_map(|(place, subject)| Some((subject.process?.pid, place)))
        .collect();
    let mut order = Vec::with_capacity(subjects.len());
    let mut met = FxHashSet::default();
    for start in 0..subjects.len() {
        let mut path = Vec::new();
        let mut next = Some(start);
        while let Some(place) = next.filter(|place| met.insert(*place)) {
            path.push(place);
            let process = subjects[place].process;
            next = process.and_then(|process| places.get(&process.ppid).copied());
        }
        order.extend(path.into_iter().rev().map(|place| subjects[place]));
    }
    order
}

/// Each row below that of its owner or parent. What has no parent comes after its owner, as lsns has it.
fn by_namespace(relation: Relation, subjects: &[Subject<'_>], table: &mut Table, push: Push<'_>) {
    let places: FxHashMap<(Kind, u32), usize> = subjects
        .iter()
        .enumerate()
        .map(|(place, subject)| ((subject.ns.info.kind, subject.ns.info.inode), place))
        .collect();
    let place = |ns: Option<NsRef>| places.get(&ns.map(|ns| (ns.kind, ns.inode))?).copied();
    let above = |subject: &Subject<'_>| {
        let info = &subject.ns.info;
        place(if relation == Relation::Owner { info.owner } else { info.parent })
    };
    let before = |subject: &Subject<'_>| above(subject).or_else(|| place(subject.ns.info.owner));
    let mut rows: Vec<Option<usize>> = vec![None; subjects.len()];
    let mut met = FxHashSet::default();
    for start in 0..subjects.len() {
        // Up to one that is there already, or that nothing is above of; then down again.
        let mut path = Vec::new();
        let mut next = Some(start);
        while let Some(place) = next.filter(|place| met.insert(*place)) {
            path.push(place);
            next = before(&subjects[place]);
        }
        for place in path.into_iter().rev() {
            let parent = above(&subjects[place]).and_then(|above| rows[above]);
            rows[place] = Some(push(table, parent, subjects[place]));
        }
    }
}
