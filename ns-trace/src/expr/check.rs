//! The checker: gives every part of an expression its type, and replaces fields by [`Names`].

use cel::{
    common::{
        ast::{ComprehensionExpr, Expr, ListExpr, LiteralValue},
        types::CelList,
        value::CowVal,
    },
    parser::Expression,
};

use super::{
    error::{Error, Position},
    field::Field,
    kind::{Base, Kind, Object},
    names::Names,
    path::unknown,
    place::Places,
    suggest,
};

/// How deep expressions can be. The evaluator recurses; in a build without optimisation it takes
/// 70 KiB for each level, and the threads of tests have 2 MiB.
const DEEPEST: usize = 20;

/// How often the innermost part of macros within each other may be evaluated: some milliseconds.
const OFTENEST: usize = 1 << 14;
/// How many elements lists have that an event brings: arguments, which are cut at 4 KiB, and others.
const ARGUMENTS: usize = 2048;
const OTHERS: usize = 64;

/// Checks an expression, which must be a condition, and makes it ready to be evaluated.
pub(super) fn check(
    expr: &mut Expression,
    places: &Places<'_>,
    root: Object,
) -> Result<Names, Error> {
    let mut checker =
        Checker { places, root, names: Names::default(), scope: Vec::new(), depth: 0, times: 1 };
    checker.condition(expr)?;
    Ok(checker.names)
}

/// What is known while an expression is checked.
pub(super) struct Checker<'s> {
    pub(super) places: &'s Places<'s>,
    /// What the outermost names are fields of.
    pub(super) root: Object,
    pub(super) names: Names,
    /// The variables of the macros around, innermost last.
    scope: Vec<(String, Kind)>,
    depth: usize,
    /// How often what is being checked is evaluated at most.
    times: usize,
}

impl Checker<'_> {
    pub(super) fn condition(&mut self, expr: &mut Expression) -> Result<(), Error> {
        let at = self.places.start(expr);
        match self.kind(expr)? {
            Kind::BOOL => Ok(()),
            kind => Err(Error::wanted(kind, "bool", at)),
        }
    }

    pub(super) fn kind(&mut self, expr: &mut Expression) -> Result<Kind, Error> {
        if self.depth == DEEPEST {
            return Err(Error::Limit { what: "deep", at: self.places.start(expr) });
        }
        self.depth += 1;
        let kind = self.kind_here(expr);
        self.depth -= 1;
        kind
    }

    fn kind_here(&mut self, expr: &mut Expression) -> Result<Kind, Error> {
        if let Some(path) = self.path(expr)? {
            return self.field(expr, path);
        }
        let at = self.places.start(expr);
        let unsupported = |what| Err(Error::Unsupported { what, at });
        match &mut expr.expr {
            Expr::Literal(literal) => match literal {
                LiteralValue::Boolean(_) => Ok(Kind::BOOL),
                LiteralValue::Int(_) => Ok(Kind::INT),
                LiteralValue::UInt(_) => Ok(Kind::of(Base::Uint)),
                LiteralValue::Double(_) => Ok(Kind::of(Base::Double)),
                LiteralValue::String(_) => Ok(Kind::TEXT),
                LiteralValue::Null => Err(Error::Null { at }),
                LiteralValue::Bytes(_) => unsupported("bytes"),
            },
            Expr::Ident(name) => self.variable(name).ok_or_else(|| unknown("", name, at)),
            Expr::Select(select) => {
                let operand = self.kind(&mut select.operand)?;
                let at = self.places.field(expr.id, &select.field);
                let Kind { base: Base::Object(object), lists: 0 } = operand else {
                    return Err(unknown("", &select.field, at));
                };
                let field = Field::find(object, &select.field).ok_or_else(|| Error::Field {
                    name: select.field.clone(),
                    suggestion: suggest::field(object, "", &select.field),
                    at,
                })?;
                Ok(if select.test { Kind::BOOL } else { field.kind })
            }
            Expr::Call(_) => self.call(expr),
            Expr::List(list) => {
                let kind = self.list(list)?;
                self.keep_constant(expr);
                Ok(kind)
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::Map(_) => unsupported("a map"),
            Expr::Struct(_) => unsupported("a message"),
            Expr::Unspecified => unsupported("this"),
        }
    }

    pub(super) fn variable(&self, name: &str) -> Option<Kind> {
        let found = self.scope.iter().rev().find(|(other, _)| other == name);
        found.map(|(_, kind)| *kind)
    }

    fn list(&mut self, list: &mut ListExpr) -> Result<Kind, Error> {
        let mut element = Kind::ANY;
        for item in &mut list.elements {
            let at = self.places.start(item);
            let kind = self.kind(item)?;
            // Numbers of different types are one list: `in` compares across types too.
            element = match element.common(kind) {
                Some(common) => common,
                None if element.is_number() && kind.is_number() => Kind::of(Base::Double),
                None => return Err(Error::wanted(kind, element.name(), at)),
            };
        }
        element.list().ok_or(Error::Limit { what: "deep", at: Position { line: 1, column: 1 } })
    }

    /// Makes a list of literals once, not at each evaluation.
    fn keep_constant(&mut self, expr: &mut Expression) {
        let Expr::List(list) = &expr.expr else { return };
        let items: Option<Vec<_>> = list
            .elements
            .iter()
            .map(|item| match &item.expr {
                Expr::Literal(literal) => Some(literal.to_val()),
                _ => None,
            })
            .map(|item| item.map(CowVal::into_owned))
            .collect();
        if let Some(items) = items {
            let list = CelList::from(items);
            expr.expr = Expr::Ident(self.names.constant(Box::new(list)));
        }
    }

    fn comprehension(&mut self, macro_: &mut ComprehensionExpr) -> Result<Kind, Error> {
        let at = self.places.start(&macro_.iter_range);
        let elements = match &macro_.iter_range.expr {
            Expr::List(list) => list.elements.len(),
            Expr::Select(select) if select.field != "args" => OTHERS,
            Expr::Ident(name) if name != "args" => OTHERS,
            _ => ARGUMENTS,
        };
        let range = self.kind(&mut macro_.iter_range)?;
        let element = range.element().ok_or_else(|| Error::wanted(range, "list", at))?;
        let outside_times = self.times;
        self.times = outside_times.saturating_mul(elements.max(1));
        if self.times > OFTENEST {
            return Err(Error::Limit { what: "long to evaluate", at });
        }
        let start = self.kind(&mut macro_.accu_init)?;
        let outside = self.scope.len();
        self.scope.push((macro_.iter_var.clone(), element));
        self.scope.push((macro_.accu_var.clone(), start));
        let kind = self.comprehension_body(macro_, start);
        self.times = outside_times;
        self.scope.truncate(outside);
        kind
    }

    fn comprehension_body(
        &mut self,
        macro_: &mut ComprehensionExpr,
        start: Kind,
    ) -> Result<Kind, Error> {
        self.condition(&mut macro_.loop_cond)?;
        let at = self.places.start(&macro_.loop_step);
        let step = self.kind(&mut macro_.loop_step)?;
        let kind = start.common(step).ok_or_else(|| Error::wanted(step, start.name(), at))?;
        if let Some((_, result)) = self.scope.last_mut() {
            *result = kind;
        }
        self.kind(&mut macro_.result)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Filter;

    /// The message and the column of the error in `source`.
    fn error(source: &str) -> (String, usize) {
        let error = Filter::compile(source).expect_err(source);
        (error.to_string(), error.position().column)
    }

    #[test]
    fn what_takes_too_long_is_refused() {
        let list = |len: usize| format!("[{}]", vec!["1"; len].join(","));
        let nested = |outer: &str, inner: &str| {
            Filter::compile(&format!("{outer}.exists(a, {inner}.exists(b, a == b))"))
                .map_err(|error| (error.to_string(), error.position().column))
        };
        assert!(nested(&list(100), &list(100)).is_ok());
        assert!(nested("process.args", "['a', 'b', 'c']").is_ok());
        assert!(nested("flags", "flags").is_ok());
        let (why, column) = nested("process.args", "process.args").unwrap_err();
        assert_eq!((why.as_str(), column), ("the expression is too long to evaluate", 24));
        assert!(nested(&list(200), &list(200)).is_err());
        let side_by_side = "process.args.exists(a, a == 'x') && process.args.exists(a, a == 'y')";
        assert!(Filter::compile(side_by_side).is_ok());
    }

    #[test]
    fn unknown_names_are_refused_with_a_guess() {
        for (source, message, column) in [
            ("evnet == 'x'", "unknown field `evnet`, did you mean `event`?", 1),
            ("true || uid == 0", "unknown field `uid`, did you mean `process.uid`?", 9),
            (
                "process.pid == 1 && process . uidd == 0",
                "unknown field `process.uidd`, did you mean `process.uid`?",
                31,
            ),
            ("has(process.ex)", "unknown field `process.ex`, did you mean `process.exe`?", 13),
            ("process.pid.x == 0", "unknown field `process.pid.x`", 13),
            (
                "process['pidd'] == 0",
                "unknown field `process.pidd`, did you mean `process.pid`?",
                10,
            ),
            ("changes.exists(c, c.slt == 'net')", "unknown field `slt`, did you mean `slot`?", 21),
            ("changes.exists(c, d.slot == 'net')", "unknown field `d`", 19),
            ("changes.slot == 'net'", "unknown field `changes.slot`", 9),
            ("flags.exists(c, true) && c == 'x'", "unknown field `c`", 26),
            (
                "process.comm.startWith('x')",
                "unknown function `startWith`, did you mean `startsWith`?",
                14,
            ),
            ("lower(event) == 'x'", "unknown function `lower`", 1),
            ("type(event) == string", "unknown function `type`", 1),
        ] {
            assert_eq!(error(source), (message.to_owned(), column), "{source}");
        }
    }

    #[test]
    fn wrong_types_are_refused() {
        for (source, message, column) in [
            ("process.pid == 'x'", "`==` does not work on int and string", 13),
            ("ns.type > 3", "`>` does not work on string and int", 9),
            ("'é' == process.comm && 1 in flags", "`in` does not work on int and list(string)", 26),
            ("process.uid + 1.5 > 0", "`+` does not work on int and double", 13),
            ("process.uid", "this is int, bool is needed", 1),
            ("event == 'map' && process.uid", "this is int, bool is needed", 19),
            ("!event", "this is string, bool is needed", 2),
            ("flags.exists(f, f)", "this is string, bool is needed", 17),
            ("event.exists(f, true)", "this is string, list is needed", 1),
            ("size(process.pid) == 1", "`size` does not work on int", 1),
            ("process.comm.contains(1)", "`contains` does not work on string and int", 14),
            ("contains(process.comm, 'x')", "`contains` does not work on string and string", 1),
            ("(true ? 1 : 'x') == 1", "this is string, int is needed", 13),
            ("event in ['x', 1]", "this is int, string is needed", 16),
            ("ns.owner == process.uid", "`==` does not work on namespace and int", 10),
            ("flags['x'] == 'y'", "unknown field `flags.x`", 8),
            ("flags.map(f, f + 1) == []", "`+` does not work on string and int", 16),
        ] {
            assert_eq!(error(source), (message.to_owned(), column), "{source}");
        }
    }

    #[test]
    fn what_filters_have_no_use_for_is_refused() {
        let object = "`process` is an object: name one of its fields, or compare it with null";
        let null = "null can only be compared with a field, by == or !=";
        for (source, message, column) in [
            ("process == process", object, 1),
            ("event == 'map' && size(process) == 1", object, 24),
            ("event in [null]", null, 11),
            ("1 == null", null, 6),
            ("null == null", null, 1),
            ("b'x' == b'x'", "bytes cannot be used in filters", 1),
            ("{'a': 1}.a == 1", "a map cannot be used in filters", 1),
            ("A{b: 1} == A{}", "a message cannot be used in filters", 2),
            (
                "has(event)",
                "has() takes a field of an object, as in has(process.exe); compare others with null",
                5,
            ),
            ("changes.exists(c)", "`exists` is used as in changes.exists(c, c.slot == 'net')", 9),
            ("process.comm.matches('a(')", "unclosed group", 22),
            ("process.comm.matches(event)", "the pattern of `matches` must be written out", 22),
        ] {
            assert_eq!(error(source), (message.to_owned(), column), "{source}");
        }
    }

    #[test]
    fn depth_is_bounded_and_what_is_allowed_is_evaluated() {
        let event = super::super::samples::event("create");
        let nest = |open: &str, inner: &str, close: &str, n: usize| {
            format!("{}{inner}{}", open.repeat(n), close.repeat(n))
        };
        for (source, deep) in [
            (nest("1 + ", "1 > 0", "", 17), false),
            (nest("1 + ", "1 > 0", "", 5000), true),
            (nest("[1].exists(x, ", "true", ")", 9), false),
            (nest("(", "true", ")", 90), false),
            (nest("(", "true", ")", 8000), true),
            (nest("[", "1", "]", 80), true),
            (nest("true || ", "true", "", 1900), false),
            (nest("true ? true : ", "true", "", 90), true),
            (nest("event.", "x", "", 2000), true),
        ] {
            let start: String = source.chars().take(20).collect();
            match Filter::compile(&source) {
                Ok(filter) => assert!(!deep && filter.matches(&event), "{start}"),
                Err(error) => assert!(deep, "{start}: {error}"),
            }
        }
    }
}
