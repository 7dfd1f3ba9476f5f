//! The table of kernels in the README: what the backends hang on there, and what they see.

use std::fmt::Write as _;

use crate::{
    model::Kind,
    probe::{
        Backend, Plan,
        coverage::{Sight, coverage},
        fixtures::{Known, known},
    },
};

/// A line for each kernel that is known and each backend.
pub(super) fn kernels() -> String {
    let mut text = String::from(
        "| Linux | backend | birth | death | tasks at the start | `id` of | exact | late | never |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for kernel in known() {
        for backend in Backend::ALL {
            line(&mut text, &kernel, backend);
        }
    }
    text
}

fn line(text: &mut String, kernel: &Known, backend: Backend) {
    let Known { version: (major, minor), layout, abilities } = kernel;
    let hooks = Plan::new(backend, layout, abilities).hooks;
    let hooks_function = |wanted: &str| hooks.iter().any(|hook| hook.function() == Some(wanted));
    let birth = if hooks_function("__ns_tree_add_raw") {
        "`__ns_tree_add_raw`"
    } else if hooks_function("copy_net_ns") {
        "constructor of each type"
    } else {
        "flags of the call"
    };
    let death = if hooks_function("proc_free_inum") { "`proc_free_inum`" } else { "looking" };
    let tasks = if abilities.loops { "`bpf_loop`" } else { "BPF iterator" };
    let ids: Vec<_> = Kind::ALL
        .into_iter()
        .zip(&layout.offsets.namespaces)
        .filter(|(_, offsets)| offsets.id != ns_trace_common::ABSENT)
        .map(|(kind, _)| kind.name())
        .collect();
    let ids = if ids.len() == Kind::ALL.len() { "all".to_owned() } else { ids.join(", ") };
    let rows = coverage(layout);
    let count = |sight| rows.iter().filter(|row| row.cell(backend).sight == sight).count();
    let (exact, late, never) = (count(Sight::Exact), count(Sight::Late), count(Sight::Never));
    writeln!(
        text,
        "| {major}.{minor} | `{backend}` | {birth} | {death} | {tasks} | {ids} | {exact} | {late} | {never} |",
    )
    .unwrap();
}
