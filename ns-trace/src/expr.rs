//! Filters: CEL expressions over events, checked when they are compiled.
//!
//! The names are those of the JSON fields, the language is [CEL](https://cel.dev): `event ==
//! "create" && ns.type == "net" && process.uid == 1000`. Unlike in plain CEL every field, function
//! and type is checked before the first event, and every word that stands beside a field of few words.
//!
//! What is not known cannot be compared: where a field is null, or the event does not have it, the
//! comparison has no result, and neither has what depends on it; such an event does not match and
//! [`Filter::errors`] counts it. `a || b` is true if one of them is, whatever the other. `x == null`,
//! `x != null` and `has(a.x)` always have a result unless the object around the field is missing.
//! Fields that JSON leaves out when they are false or zero are false or zero.
//!
//! This room does not know where events come from.

mod call;
mod check;
mod error;
mod field;
mod guard;
mod kind;
mod names;
mod parse;
mod path;
mod pattern;
mod place;
#[cfg(test)]
mod properties;
mod row;
#[cfg(test)]
mod samples;
mod scols;
mod sighting;
mod signature;
mod sorts;
mod suggest;
mod table;
mod template;
mod view;
mod words;

use std::{
    fmt,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use cel::{Context, Env, Value, common::types::CelBool, parser::Expression};

pub use self::{
    error::{Error, Position},
    field::fields,
    row::RowFilter,
    scols::{ColumnFilter, ColumnFilterError},
    sighting::{Condition, Sighting, is_taken, rule_fields},
    sorts::Sorts,
    template::Template,
};
use self::{
    guard::Guard,
    kind::Object,
    names::{Names, Row},
    place::Places,
    view::View,
};
use crate::model::Event;

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// A condition on events.
pub struct Filter {
    source: String,
    expr: Expression,
    names: Names,
    /// What an event must be like for it to be evaluated.
    guard: Guard,
    errors: AtomicU64,
}

impl Filter {
    /// Reads and checks an expression, at most 16 KiB long.
    ///
    /// The parser runs in a thread with a stack of its own, which has ended when this returns: do
    /// not call it in a process that is about to enter namespaces that refuse threads.
    pub fn compile(source: &str) -> Result<Self, Error> {
        Self::over(Object::Event, source)
    }

    /// A condition on what has the fields of `root`.
    fn over(root: Object, source: &str) -> Result<Self, Error> {
        let (expr, names, guard) = parse::with_stack(source, || {
            let (mut expr, info) = parse::parse(source)?;
            let guard = Guard::of(&expr);
            let places = Places { source, info };
            let at = places.start(&expr);
            let names = check::check(&mut expr, &places, root)?;
            if guard.sorts().is_empty() {
                return Err(Error::Never { at });
            }
            Ok((expr, names, guard))
        })?;
        Ok(Self { source: source.to_owned(), expr, names, guard, errors: AtomicU64::new(0) })
    }

    /// Whether the condition holds for `event`.
    pub fn matches(&self, event: &Event) -> bool {
        self.guard.admits(event) && self.holds(View::Event(event))
    }

    fn holds(&self, root: View<'_>) -> bool {
        self.result(root).unwrap_or_else(|| {
            self.errors.fetch_add(1, Ordering::Relaxed);
            false
        })
    }

    /// Whether it holds, `None` if that cannot be said.
    fn result(&self, root: View<'_>) -> Option<bool> {
        let row = Row { names: &self.names, root };
        let mut context = Context::with_env(Arc::clone(&ENV));
        context.set_variable_resolver(&row);
        let result = Value::resolve_val(&self.expr, &context);
        let truth = result.as_ref().ok().and_then(|value| value.downcast_ref::<CelBool>());
        truth.map(|truth| *truth.inner())
    }

    /// For how many events there was no result: a field was null or absent, a number did not fit,
    /// an index was outside its list.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// The expression as it was given.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Filter").field(&self.source).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether `source` holds for the sample of that sort, `None` if it has no result.
    fn result(source: &str, sort: &str) -> Option<bool> {
        let filter = Filter::compile(source).unwrap_or_else(|error| panic!("{source}: {error}"));
        let truth = filter.matches(&samples::event(sort));
        (filter.errors() == 0).then_some(truth)
    }

    #[test]
    fn expressions_of_all_sorts_work() {
        for (sort, source) in [
            ("create", r#"event == "create" && ns.type == "net" && process.uid == 1000"#),
            ("create", r#""CLONE_NEWUSER" in flags && !("CLONE_NEWNS" in flags)"#),
            ("create", r#"process.comm.startsWith("run") && process.exe.endsWith("runc")"#),
            ("create", r#"process.args.exists(a, a.contains("x"))"#),
            ("create", "process.args.all(a, size(a) > 1) && process.args.size() == 3"),
            ("create", "process.args[1] == 'create' && flags[0] != flags[1]"),
            ("create", "has(process.exe) && process.ns.mnt.initial && !process.ns.net.initial"),
            ("create", "process['uid'] == 1000 && process.ns['net']['type'] == 'net'"),
            ("create", "ns.owner == process.ns.user && ns.owner != ns.parent"),
            ("create", "ns.owner in [process.ns.user, process.ns.net]"),
            ("create", "(process.uid > 5 ? ns.owner : ns.parent).inode == 1"),
            ("create", "process.comm.matches('^r[a-z]+c$') && !matches(process.comm, 'x')"),
            (
                "create",
                "process.uid + 1 == process.gid && process.uid % 7 == 6 && -process.uid < 0",
            ),
            (
                "create",
                "process.uid == 1000u && process.uid < 1000.5 && process.uid in [1, 1000.0]",
            ),
            ("create", "'uid=' + string(process.uid) == 'uid=1000' && int('7') == process.vpid"),
            ("create", "flags + ['x'] == ['CLONE_NEWNET', 'CLONE_NEWUSER', 'x'] && !(1 in [])"),
            ("create", "flags.map(f, f.size()) == [12, 13] && flags.filter(f, f < 'x') == flags"),
            ("create", "container.id == '3f2a' && container.runtime == 'cri-o' && has(pod.uid)"),
            ("enter", "container == null && pod == null"),
            ("create", "time > '2026' && process.caps.endsWith('fb')"),
            ("enter", r#"changes.exists(c, c.slot == "net" && c.from.initial && c.to.inode == 8)"#),
            ("enter", "changes.exists_one(c, has(c.from)) && changes.exists(c, c.from == null)"),
            ("enter", "changes.map(c, c.to).exists(n, n.type == 'user')"),
            ("enter", "changes.exists(event, event.slot == 'net' && .event == 'enter')"),
            (
                "fail",
                r#"errno in ["EPERM", "EINVAL"] && relation == "host" && target.type == "mnt""#,
            ),
            ("map", "map.file == 'uid_map' && map.lines.exists(l, l.outside == 0 && l.count > 1)"),
            ("exit", "status.code == 3 && !has(status.signal) && status.core == null"),
            ("lost", "lost.by_event.exit == 7 && has(lost.by_event.create)"),
        ] {
            assert_eq!(result(source, sort), Some(true), "{source}");
        }
    }

    #[test]
    fn what_is_not_known_does_not_match_and_is_counted() {
        for source in [
            "process.exe == '/bin/sh'",
            "process.exe != '/bin/sh'",
            "!(process.exe == '/bin/sh')",
            "process.exe.startsWith('/')",
            "process.args.exists(a, a == 'x')",
            "process.ns.net.initial",
            "process.ns.net.id == null",
            "creator.uid == 0",
            "lifetime_ns > 5",
            "has(creator.exe)",
            "relation in ['host', 'other']",
            "process.exe == 'x' || process.uid == 0",
            "target.inode == 1",
            "flags[0] == 'CLONE_NEWNS'",
            "process.uid / 0 == 1",
            "process.uid + 9223372036854775807 > 0",
        ] {
            let filter = Filter::compile(source).unwrap();
            let (event, _) = samples::all().swap_remove(3);
            assert!(!filter.matches(&event) && !filter.matches(&event), "{source}");
            assert_eq!(filter.errors(), 2, "{source}");
        }
    }

    #[test]
    fn what_is_known_decides_whatever_is_not() {
        for (source, truth) in [
            ("process.exe == 'x' || process.uid == 1000", true),
            ("process.uid == 1000 || process.exe == 'x'", true),
            ("process.exe == 'x' && process.uid == 0", false),
            ("has(process.exe) && process.exe == 'x'", false),
            ("process.exe == null && null == process.args && process.ns.net == null", true),
            ("process.exe != null || has(process.exe) || has(process.args_truncated)", false),
            ("process.args_truncated || lossy == false", false),
            ("creator == null && errno != null && flags_raw == null", true),
            ("(process.exe == null ? '?' : process.exe) == '?'", true),
            ("[1, 0].exists(n, 1 / n == 1) && target.ns.exists(n, n.type == 'net')", true),
        ] {
            let filter = Filter::compile(source).unwrap();
            let (event, _) = samples::all().swap_remove(3);
            assert_eq!(filter.matches(&event), truth, "{source}");
            assert_eq!(filter.errors(), 0, "{source}");
        }
    }

    #[test]
    fn every_sort_of_event_can_be_asked() {
        for (event, json) in samples::all() {
            let source = format!("event == {} && seq == {}", json["event"], json["seq"]);
            assert!(Filter::compile(&source).unwrap().matches(&event));
        }
    }
}
