//! Calls in expressions: operators, functions and what macros leave of themselves.

use cel::{
    common::ast::{CallExpr, Expr, LiteralValue, operators as op},
    parser::Expression,
};

use super::{
    check::Checker, error::Error, kind::Kind, path::is_null, pattern::Pattern, signature, suggest,
};

impl Checker<'_> {
    pub(super) fn call(&mut self, expr: &mut Expression) -> Result<Kind, Error> {
        let Expr::Call(call) = &mut expr.expr else {
            return Ok(Kind::ANY);
        };
        let operator = call.target.is_none();
        match (call.func_name.as_str(), call.args.as_mut_slice()) {
            (op::LOGICAL_AND | op::LOGICAL_OR | op::LOGICAL_NOT | op::NOT_STRICTLY_FALSE, args)
                if operator =>
            {
                for arg in args {
                    self.condition(arg)?;
                }
                return Ok(Kind::BOOL);
            }
            (op::CONDITIONAL, [condition, yes, no]) if operator => {
                self.condition(condition)?;
                let at = self.places.start(no);
                let (yes, no) = (self.kind(yes)?, self.kind(no)?);
                return yes.common(no).ok_or_else(|| Error::wanted(no, yes.name(), at));
            }
            (op::EQUALS | op::NOT_EQUALS, [left, right])
                if operator && (is_null(left) || is_null(right)) =>
            {
                return self.null_check(expr);
            }
            _ => {}
        }
        self.function(expr)
    }

    fn function(&mut self, expr: &mut Expression) -> Result<Kind, Error> {
        let at = self.places.call(expr);
        let Expr::Call(call) = &mut expr.expr else {
            return Ok(Kind::ANY);
        };
        let name = call.func_name.clone();
        let method = call.target.is_some();
        let written = name.starts_with(|c: char| c.is_ascii_alphabetic());
        if written && let Some(usage) = signature::usage(&name) {
            return Err(Error::Syntax { message: format!("`{name}` is used as in {usage}"), at });
        }
        if written && !signature::FUNCTIONS.contains(&name.as_str()) {
            return Err(Error::Function {
                suggestion: suggest::function(&name, &signature::FUNCTIONS),
                name,
                at,
            });
        }
        // For each operand what is written out in the other; once checked, lists are so no more.
        let written = match (name.as_str(), call.args.as_slice()) {
            (op::EQUALS | op::NOT_EQUALS | op::IN, [left, right]) => {
                [self.written(right), self.written(left)]
            }
            _ => [const { Vec::new() }; 2],
        };
        let mut kinds = Vec::with_capacity(2);
        for operand in call.target.as_deref_mut().into_iter().chain(&mut call.args) {
            kinds.push(self.kind(operand)?);
        }
        let kind = signature::result(&name, method, &kinds).ok_or_else(|| Error::Operands {
            name: signature::spelling(&name).to_owned(),
            types: kinds.iter().map(|kind| kind.name()).collect(),
            at,
        })?;
        for (kind, written) in kinds.iter().zip(written) {
            kind.words().check(written)?;
        }
        if name == "matches" {
            self.keep_pattern(call)?;
        }
        Ok(kind)
    }

    /// Turns `text.matches(pattern)` and `matches(text, pattern)` into `text in Pattern`.
    fn keep_pattern(&mut self, call: &mut CallExpr) -> Result<(), Error> {
        let Some(pattern) = call.args.last_mut() else {
            return Ok(());
        };
        let at = self.places.start(pattern);
        let Expr::Literal(LiteralValue::String(text)) = &pattern.expr else {
            let message = "the pattern of `matches` must be written out".to_owned();
            return Err(Error::Pattern { message, at });
        };
        let value = Pattern::new(text.inner()).map_err(|message| Error::Pattern { message, at })?;
        pattern.expr = Expr::Ident(self.names.constant(Box::new(value)));
        if let Some(text) = call.target.take() {
            call.args.insert(0, *text);
        }
        op::IN.clone_into(&mut call.func_name);
        Ok(())
    }
}
