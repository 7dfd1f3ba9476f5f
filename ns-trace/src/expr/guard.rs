//! What an event must be like for an expression to be true, as far as a quick look tells.
//!
//! To evaluate an expression takes hundreds of nanoseconds. Most begin with a sort of event, and go on
//! with a type of namespace or a relation: an event of another one is not worth it.

use cel::{
    common::ast::{CallExpr, Expr, LiteralValue, operators as op},
    parser::Expression,
};

use super::sorts::{Sorts, sorts};
use crate::model::{
    Event, Kind,
    event::{Body, Enter, Fail, Relation},
};

/// A condition that an expression implies: where it is false, so is the expression, whatever else
/// could not be said.
#[derive(Debug)]
pub(super) struct Guard {
    sorts: Sorts,
    rest: Rest,
}

/// Sets have a bit for each member.
#[derive(Debug)]
enum Rest {
    /// Nothing is known.
    Open,
    /// `ns.type` is one of these.
    Type(u8),
    /// `relation` is one of these.
    Relation(u8),
    Both(Box<[Self; 2]>),
    Either(Box<[Self; 2]>),
}

impl Guard {
    /// That of an expression as it was parsed.
    pub(super) fn of(expr: &Expression) -> Self {
        Self { sorts: sorts(expr), rest: Rest::of(expr) }
    }

    /// The events for which the expression can hold, as far as it says so.
    pub(super) const fn sorts(&self) -> Sorts {
        self.sorts
    }

    /// Whether the expression can be true, or cannot be evaluated.
    pub(super) fn admits(&self, event: &Event) -> bool {
        self.sorts.contains(event.body.kind()) && self.rest.admits(event)
    }
}

impl Rest {
    fn of(expr: &Expression) -> Self {
        let Expr::Call(CallExpr { func_name, target: None, args }) = &expr.expr else {
            return Self::Open;
        };
        let [left, right] = args.as_slice() else { return Self::Open };
        match func_name.as_str() {
            op::LOGICAL_AND => match (Self::of(left), Self::of(right)) {
                (Self::Open, other) | (other, Self::Open) => other,
                (one, other) => Self::Both(Box::new([one, other])),
            },
            op::LOGICAL_OR => match (Self::of(left), Self::of(right)) {
                (Self::Open, _) | (_, Self::Open) => Self::Open,
                (one, other) => Self::Either(Box::new([one, other])),
            },
            op::EQUALS => Self::among(left, std::slice::from_ref(right)),
            op::IN => match &right.expr {
                Expr::List(list) => Self::among(left, &list.elements),
                _ => Self::Open,
            },
            _ => Self::Open,
        }
    }

    /// A field that is one of `values`.
    fn among(field: &Expression, values: &[Expression]) -> Self {
        let set = |bit: &dyn Fn(&str) -> Option<u8>| {
            values.iter().try_fold(0, |set, value| {
                let Expr::Literal(LiteralValue::String(name)) = &value.expr else { return None };
                Some(set | bit(name.inner()).unwrap_or(0))
            })
        };
        let found = match &field.expr {
            Expr::Ident(name) if name == "relation" => {
                let bit = |name: &str| {
                    let relation = Relation::ALL.into_iter().find(|one| one.name() == name)?;
                    Some(1 << relation as u8)
                };
                set(&bit).map(Self::Relation)
            }
            Expr::Select(select)
                if !select.test
                    && select.field == "type"
                    && matches!(&select.operand.expr, Expr::Ident(name) if name == "ns") =>
            {
                let bit = |name: &str| {
                    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name)?;
                    Some(1 << kind as u8)
                };
                set(&bit).map(Self::Type)
            }
            _ => None,
        };
        found.unwrap_or(Self::Open)
    }

    fn admits(&self, event: &Event) -> bool {
        match self {
            Self::Open => true,
            // Without one it cannot be said.
            Self::Type(set) => kind(event).is_none_or(|kind| set & 1 << kind as u8 != 0),
            Self::Relation(set) => relation(event).is_none_or(|one| set & 1 << one as u8 != 0),
            Self::Both(both) => both.iter().all(|one| one.admits(event)),
            Self::Either(either) => either.iter().any(|one| one.admits(event)),
        }
    }
}

fn kind(event: &Event) -> Option<Kind> {
    match &event.body {
        Body::Create(event) => Some(event.ns.kind),
        Body::Destroy(event) => Some(event.ns.kind),
        Body::Map(event) => Some(event.ns.kind),
        Body::Exist(event) => Some(event.ns.kind),
        Body::Alert(event) => event.ns.as_ref().map(|ns| ns.kind),
        _ => None,
    }
}

const fn relation(event: &Event) -> Option<Relation> {
    match &event.body {
        Body::Enter(Enter { relation, .. }) | Body::Fail(Fail { relation, .. }) => *relation,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert_eq, test_runner::TestRunner};

    use super::super::{Filter, View, parse};
    use super::*;
    use crate::model::arbitrary;

    fn guard(source: &str) -> Guard {
        let (expr, _) = parse::parse(source).unwrap();
        Guard::of(&expr)
    }

    const SOURCES: [&str; 8] = [
        "event == 'create' && ns.type == 'ipc'",
        "ns.type in ['ipc', 'net'] || relation == 'host'",
        "relation == 'other' && event in ['enter', 'fail']",
        "ns.type == 'user' || process.uid == 0",
        "(ns.type == 'mnt' || ns.type == 'pid') && ns.level > 0",
        "relation != null && relation == 'own'",
        "!(ns.type == 'net')",
        "has(ns.type) && ns.type == process.comm",
    ];

    #[test]
    fn a_guard_is_as_narrow_as_the_expression_lets_it() {
        for (source, rest) in SOURCES.into_iter().zip([
            "Type(4)",
            "Either([Type(20), Relation(1)])",
            "Relation(4)",
            "Open",
            "Either([Type(1), Type(2)])",
            "Relation(2)",
            "Open",
            "Open",
        ]) {
            assert_eq!(format!("{:?}", guard(source).rest), rest, "{source}");
        }
    }

    /// Whoever is turned away is one for whom the expression is false, not one for whom it has no
    /// result.
    #[test]
    fn nobody_is_turned_away_wrongly() {
        let filters = SOURCES.map(|source| Filter::compile(source).unwrap());
        let checked = TestRunner::default().run(&arbitrary::event(), |event| {
            for filter in filters.iter().filter(|filter| !filter.guard.admits(&event)) {
                let result = filter.result(View::Event(&event));
                prop_assert_eq!(result, Some(false), "{}", filter.source);
            }
            Ok(())
        });
        checked.unwrap();
    }
}
