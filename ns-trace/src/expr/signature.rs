//! Operators and functions: which types they take, and what they give.

use cel::common::ast::operators as op;

use super::{
    kind::{Base, Kind},
    words::Words,
};

/// Every function and macro that filters can use.
pub(super) const FUNCTIONS: [&str; 16] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "int",
    "uint",
    "double",
    "string",
    "bool",
    "has",
    "exists",
    "all",
    "exists_one",
    "map",
    "filter",
];

/// How a macro is used, if `name` is one; the parser leaves those with other arguments as calls.
pub(super) fn usage(name: &str) -> Option<&'static str> {
    Some(match name {
        "has" => "has(process.exe)",
        "exists" => "changes.exists(c, c.slot == 'net')",
        "all" => "flags.all(f, f != 'CLONE_NEWNET')",
        "exists_one" | "existsOne" => "changes.exists_one(c, c.slot == 'net')",
        "map" => "changes.map(c, c.slot)",
        "filter" => "flags.filter(f, f != 'CLONE_NEWNET')",
        _ => return None,
    })
}

/// How an operator is written, or the function's name.
pub(super) fn spelling(name: &str) -> &str {
    match name {
        op::IN => "in",
        op::INDEX => "[]",
        op::CONDITIONAL => "?:",
        _ => name.trim_matches('_'),
    }
}

/// The type of the result, `None` if the operator or function does not take these operands.
///
/// What a method is called on is the first operand. What decides by bools alone (`&&`, `!`, `?:`)
/// is not here: its operands have better messages.
pub(super) fn result(name: &str, method: bool, operands: &[Kind]) -> Option<Kind> {
    match operands {
        [one] => unary(name, method, *one),
        [left, right] => binary(name, method, *left, *right),
        _ => None,
    }
}

fn unary(name: &str, method: bool, kind: Kind) -> Option<Kind> {
    let text = kind.is_text();
    let boolean = kind == Kind::BOOL;
    let (fits, result) = match (name, method) {
        ("size", _) => (text || kind.lists > 0, Base::Int),
        (op::NEGATE, false) => (kind == Kind::INT || kind == Kind::of(Base::Double), kind.base),
        ("int", false) => (kind.is_number() || text, Base::Int),
        ("uint", false) => (kind.is_number() || text, Base::Uint),
        ("double", false) => (kind.is_number() || text, Base::Double),
        ("string", false) => (kind.is_number() || text || boolean, Base::Text(Words::Any)),
        ("bool", false) => (text || boolean, Base::Bool),
        _ => return None,
    };
    fits.then_some(Kind::of(result))
}

fn binary(name: &str, method: bool, left: Kind, right: Kind) -> Option<Kind> {
    let texts = left.is_text() && right.is_text();
    let same_numbers = left == right && left.is_number();
    if method {
        return match name {
            "contains" | "startsWith" | "endsWith" | "matches" => texts.then_some(Kind::BOOL),
            _ => None,
        };
    }
    match name {
        op::EQUALS | op::NOT_EQUALS => left.equates(right).then_some(Kind::BOOL),
        op::LESS | op::LESS_EQUALS | op::GREATER | op::GREATER_EQUALS => {
            left.orders(right).then_some(Kind::BOOL)
        }
        op::IN => right.element()?.equates(left).then_some(Kind::BOOL),
        op::INDEX => right.is_number().then(|| left.element())?,
        op::ADD if left.lists > 0 => left.common(right),
        op::ADD if texts => Some(Kind::TEXT),
        op::ADD | op::SUBSTRACT | op::MULTIPLY | op::DIVIDE => same_numbers.then_some(left),
        op::MODULO => (same_numbers && left.base != Base::Double).then_some(left),
        "matches" => texts.then_some(Kind::BOOL),
        _ => None,
    }
}
