//! For which sorts of event an expression can be true, as far as it says so by itself.
//!
//! Most rules begin with `event == "…"`: whoever has many need not evaluate them all.

use cel::{
    common::ast::{CallExpr, Expr, LiteralValue, operators as op},
    parser::Expression,
};

use crate::model::event::EventKind;

/// A set of sorts of event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sorts(u16);

impl Sorts {
    /// Every sort.
    pub const ALL: Self = Self(u16::MAX);
    const NONE: Self = Self(0);

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `kind` is among them.
    #[must_use]
    pub const fn contains(self, kind: EventKind) -> bool {
        self.0 & 1 << kind as u16 != 0
    }

    fn named(expr: &Expression) -> Option<Self> {
        let Expr::Literal(LiteralValue::String(name)) = &expr.expr else { return None };
        let kind = EventKind::ALL.into_iter().find(|kind| kind.name() == name.inner());
        Some(kind.map_or(Self::NONE, |kind| Self(1 << kind as u16)))
    }
}

/// Those for which a condition can be true.
pub(super) fn sorts(expr: &Expression) -> Sorts {
    let Expr::Call(CallExpr { func_name, target: None, args }) = &expr.expr else {
        return Sorts::ALL;
    };
    let [left, right] = args.as_slice() else { return Sorts::ALL };
    let is_event = |expr: &Expression| matches!(&expr.expr, Expr::Ident(name) if name == "event");
    match func_name.as_str() {
        op::LOGICAL_AND => Sorts(sorts(left).0 & sorts(right).0),
        op::LOGICAL_OR => Sorts(sorts(left).0 | sorts(right).0),
        op::EQUALS if is_event(left) => Sorts::named(right).unwrap_or(Sorts::ALL),
        op::EQUALS if is_event(right) => Sorts::named(left).unwrap_or(Sorts::ALL),
        op::IN if is_event(left) => match &right.expr {
            // One that is kept empty on purpose, as a switch.
            Expr::List(list) if list.elements.is_empty() => Sorts::ALL,
            Expr::List(list) => list.elements.iter().fold(Sorts::NONE, |all, element| {
                Sorts(all.0 | Sorts::named(element).unwrap_or(Sorts::ALL).0)
            }),
            _ => Sorts::ALL,
        },
        _ => Sorts::ALL,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Condition, *};

    fn names(source: &str) -> Vec<&'static str> {
        let sorts = Condition::compile(source).unwrap().sorts();
        EventKind::ALL
            .into_iter()
            .filter(|kind| sorts.contains(*kind))
            .map(EventKind::name)
            .collect()
    }

    #[test]
    fn an_expression_is_about_some_event() {
        for source in [
            "event == 'create' && event == 'enter'",
            "(event == 'fork' || event == 'exec') && event in ['exit', 'fail']",
        ] {
            let error = Condition::compile(source).unwrap_err();
            assert_eq!(error.to_string(), "this holds for no event: each is of one sort only");
        }
    }

    #[test]
    fn an_expression_may_say_which_events_it_is_about() {
        assert_eq!(names("event == 'create' && process.uid == 0"), ["create"]);
        assert_eq!(
            names("process.uid == 0 && (event == 'fork' || 'exec' == event)"),
            ["fork", "exec"]
        );
        assert_eq!(names("event in ['enter', 'fail'] && relation == 'host'"), ["enter", "fail"]);
        for any in [
            "process.uid == 0",
            "event == 'create' || process.uid == 0",
            "!(event == 'create')",
            "event != 'create'",
            "event in []",
            "event in [process.comm]",
            "event == process.comm",
            "(event == 'exec') == false",
        ] {
            assert_eq!(names(any).len(), EventKind::ALL.len(), "{any}");
        }
    }
}
