//! CEL over an event and what rules know beside it: `lineage`, `before` and `row`.

use std::sync::Arc;

use super::{
    Error, Filter, Sorts,
    field::{Field, fields_of},
    kind::Object,
    signature,
    view::View,
};
use crate::model::{Ancestor, Event, Origin};

/// An event, and what is known beside it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sighting<'e> {
    /// What happened.
    pub event: &'e Event,
    /// The processes that the event's process descends from, the nearest first.
    pub lineage: &'e [Arc<Ancestor>],
    /// The event's process as it was when it was last heard of before.
    pub before: Option<&'e Arc<Ancestor>>,
    /// The namespace that it is about.
    pub row: Option<&'e Origin>,
}

/// A condition of a rule.
#[derive(Debug)]
pub struct Condition(Filter);

impl Condition {
    /// Reads and checks an expression, as [`Filter::compile`] does.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn compile(source: &str) -> Result<Self, Error> {
        Filter::over(Object::Sighting, source).map(Self)
    }

    /// Whether it holds; it does not where that cannot be said.
    #[must_use]
    pub fn holds(&self, sighting: Sighting<'_>) -> bool {
        self.0.guard.admits(sighting.event) && self.0.result(View::Sighting(sighting)) == Some(true)
    }

    /// The events for which it can hold, as far as the expression says so.
    #[must_use]
    pub const fn sorts(&self) -> Sorts {
        self.0.guard.sorts()
    }

    /// The expression as it was given.
    #[must_use]
    pub fn source(&self) -> &str {
        self.0.source()
    }
}

/// Every field that the conditions of rules can use and filters cannot, with the name of its type.
#[must_use]
pub fn rule_fields() -> Vec<(String, &'static str)> {
    let mut fields = fields_of(Object::Sighting);
    fields.retain(|(path, _)| {
        ["lineage", "before", "row."].iter().any(|root| path.starts_with(root))
    });
    fields
}

/// Whether a name means something in the conditions of rules, or is reserved by the language.
#[must_use]
pub fn is_taken(name: &str) -> bool {
    const RESERVED: [&str; 31] = [
        "as",
        "bool",
        "break",
        "bytes",
        "const",
        "continue",
        "double",
        "dyn",
        "else",
        "false",
        "for",
        "function",
        "if",
        "import",
        "in",
        "int",
        "let",
        "list",
        "loop",
        "map",
        "namespace",
        "null",
        "null_type",
        "package",
        "return",
        "string",
        "true",
        "type",
        "uint",
        "var",
        "void",
    ];
    RESERVED.contains(&name)
        || name == "while"
        || Field::find(Object::Sighting, name).is_some()
        || signature::FUNCTIONS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::{super::samples, *};
    use crate::model::{Container, Creator, Event, event::Body};

    fn holds(source: &str, event: &Event) -> bool {
        let ancestor = |comm: &str| {
            let container = Some(Arc::new(Container { id: "c1".into(), runtime: None }));
            Arc::new(Ancestor {
                pid: 7,
                comm: comm.into(),
                uid: 5,
                container,
                ..Ancestor::default()
            })
        };
        let Body::Create(create) = &event.body else { unreachable!() };
        let creator =
            Creator { pid: 1, tid: 1, start_ns: 2, comm: "maker".into(), exe: None, uid: 1000 };
        let row = Origin {
            ns: create.ns.clone(),
            cause: Some(create.cause),
            creator: Some(Arc::new(creator)),
            container: None,
            members: Some(4),
        };
        let lineage = [ancestor("sh"), ancestor("sshd")];
        let condition = Condition::compile(source).unwrap_or_else(|error| panic!("{error}"));
        condition.holds(Sighting {
            event,
            lineage: &lineage,
            before: Some(&lineage[1]),
            row: Some(&row),
        })
    }

    #[test]
    fn lineage_and_row_are_fields_beside_those_of_the_event() {
        let event = samples::event("create");
        for (source, truth) in [
            ("event == 'create' && process.uid == 1000", true),
            ("lineage.exists(a, a.comm == 'sshd' && a.uid == 5)", true),
            ("lineage[0].comm == 'sh' && lineage[1].pid == 7", true),
            ("lineage.exists(a, a.comm == 'runc')", false),
            ("lineage.all(a, a.container == 'c1')", true),
            ("lineage.exists(a, a.exe == '/bin/sh')", false),
            ("size(lineage) == 2 && lineage.map(a, a.comm) == ['sh', 'sshd']", true),
            ("row.creator.comm == 'maker' && row.members == 4 && row.cause == 'unshare'", true),
            ("row.container == null && row.owner == ns.owner && row.type == 'net'", true),
            ("before.comm == 'sshd' && before.caps == null && before != lineage[0]", true),
            ("has(row.creator.exe) || !has(row.members)", false),
        ] {
            assert_eq!(holds(source, &event), truth, "{source}");
        }
    }

    #[test]
    fn filters_do_not_have_them() {
        assert!(Filter::compile("lineage[0].comm == 'sh'").is_err());
        let error = Condition::compile("uid == 0").unwrap_err();
        assert_eq!(error.to_string(), "unknown field `uid`, did you mean `process.uid`?");
        assert!(Condition::compile("row == null && row.creator == null").is_ok());
    }

    #[test]
    fn they_are_listed() {
        let fields = rule_fields();
        for field in
            [("lineage", "list(ancestor)"), ("lineage[].comm", "string"), ("row.members", "int")]
        {
            assert!(fields.contains(&(field.0.to_owned(), field.1)), "{field:?}");
        }
        assert!(fields.iter().all(|(path, _)| path != "row" && path != "event"));
    }
}
