//! Where in the source the parts of an expression are.

use cel::{
    common::ast::{Expr, SourceInfo, operators as op},
    parser::Expression,
};

use super::error::Position;

/// The places of the parts of one expression.
pub(super) struct Places<'s> {
    pub(super) source: &'s str,
    pub(super) info: SourceInfo,
}

impl Places<'_> {
    /// The first character of an expression.
    pub(super) fn start(&self, expr: &Expression) -> Position {
        let mut node = expr;
        loop {
            node = match &node.expr {
                Expr::Select(select) => &select.operand,
                Expr::Comprehension(comprehension) => &comprehension.iter_range,
                Expr::Call(call) => match (&call.target, call.args.first()) {
                    (Some(target), _) => target,
                    (None, Some(left)) if call.func_name.starts_with('_') => left,
                    (None, Some(left)) if call.func_name == op::IN => left,
                    _ => return self.call(node),
                },
                _ => return Position::of(self.source, self.offset(node.id)),
            };
        }
    }

    /// The name of a function in a call of it; the operator if it is one.
    pub(super) fn call(&self, expr: &Expression) -> Position {
        let mut offset = self.offset(expr.id);
        if let Expr::Call(call) = &expr.expr
            && let Some(before) = self.source.get(..offset)
            && call.func_name.starts_with(|c: char| c.is_ascii_alphabetic())
        {
            // The parser gives the place of the parenthesis.
            offset = before.rfind(&call.func_name).unwrap_or(offset);
        }
        Position::of(self.source, offset)
    }

    /// The name of the field `name` in the selection (of which the parser gives the place of the
    /// dot), name or string `id`.
    pub(super) fn field(&self, id: u64, name: &str) -> Position {
        let offset = self.offset(id);
        let after = self.source.get(offset..).unwrap_or_default();
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let found = after.match_indices(name).find(|(at, _)| {
            let end = at + name.len();
            !after.get(..*at).unwrap_or_default().ends_with(is_name)
                && !after.get(end..).unwrap_or_default().starts_with(is_name)
        });
        Position::of(self.source, offset + found.map_or(0, |(at, _)| at))
    }

    fn offset(&self, id: u64) -> usize {
        let (start, _) = self.info.offset_for(id).unwrap_or_default();
        usize::try_from(start).unwrap_or_default()
    }
}
