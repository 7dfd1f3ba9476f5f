//! Fields in expressions: which one is meant, and whether it is there.

use cel::{
    common::ast::{CallExpr, Expr, LiteralValue, operators as op},
    parser::Expression,
};

use super::{
    check::Checker,
    error::{Error, Position},
    field::{Field, Path},
    kind::{Base, Kind},
    suggest,
};

impl Checker<'_> {
    /// The field of the event that an expression names, `None` if it is something else.
    pub(super) fn path(&self, expr: &Expression) -> Result<Option<Path>, Error> {
        let mut segments = Vec::new();
        let mut node = expr;
        let root = loop {
            match &node.expr {
                Expr::Select(select) if !select.test || std::ptr::eq(node, expr) => {
                    segments.push((select.field.as_str(), node.id));
                    node = &select.operand;
                }
                Expr::Call(CallExpr { func_name, target: None, args })
                    if func_name == op::INDEX =>
                {
                    match args.as_slice() {
                        [object, index] => {
                            let Expr::Literal(LiteralValue::String(name)) = &index.expr else {
                                return Ok(None);
                            };
                            segments.push((name.inner(), index.id));
                            node = object;
                        }
                        _ => return Ok(None),
                    }
                }
                Expr::Ident(name) => break name.as_str(),
                _ => return Ok(None),
            }
        };
        if self.variable(root).is_some() {
            return Ok(None);
        }
        // A leading dot means: not a variable of a macro.
        segments.push((root.trim_start_matches('.'), node.id));
        segments.reverse();

        let mut path = Path::default();
        let mut prefix = String::new();
        let mut object = Some(self.root);
        for (name, id) in segments {
            let at = self.places.field(id, name);
            let Some(inside) = object else {
                return Err(unknown(&prefix, name, at));
            };
            let field = Field::find(inside, name).ok_or_else(|| Error::Field {
                name: format!("{prefix}{name}"),
                suggestion: suggest::field(inside, &prefix, name),
                at,
            })?;
            path.0.push(field);
            prefix.push_str(name);
            prefix.push('.');
            object = match field.kind {
                Kind { base: Base::Object(object), lists: 0 } => Some(object),
                _ => None,
            };
        }
        Ok(Some(path))
    }

    pub(super) fn field(&mut self, expr: &mut Expression, path: Path) -> Result<Kind, Error> {
        if let Expr::Select(select) = &expr.expr
            && select.test
        {
            expr.expr = Expr::Ident(self.names.presence(path));
            return Ok(Kind::BOOL);
        }
        let kind = path.0.last().map_or(Kind::ANY, |field| field.kind);
        if let Base::Object(object) = kind.base
            && kind.lists == 0
            && !object.is_value()
        {
            let names: Vec<_> = path.0.iter().map(|field| field.name).collect();
            return Err(Error::Object { name: names.join("."), at: self.places.start(expr) });
        }
        expr.expr = Expr::Ident(self.names.value(path));
        Ok(kind)
    }

    /// `field == null` and `field != null` ask for the field's presence.
    pub(super) fn null_check(&mut self, expr: &mut Expression) -> Result<Kind, Error> {
        let Expr::Call(call) = &mut expr.expr else {
            return Ok(Kind::ANY);
        };
        let absent = call.func_name == op::EQUALS;
        let at_null = call.args.iter().position(is_null).unwrap_or_default();
        let at = self.places.start(&call.args.swap_remove(at_null));
        let Some(mut field) = call.args.pop().filter(|other| !is_null(other)) else {
            return Err(Error::Null { at });
        };
        if let Some(path) = self.path(&field)? {
            field.expr = Expr::Ident(self.names.presence(path));
        } else if let Expr::Select(select) = &mut field.expr
            && !select.test
        {
            select.test = true;
            self.kind(&mut field)?;
        } else {
            return Err(Error::Null { at });
        }
        if absent {
            call.args.push(field);
            op::LOGICAL_NOT.clone_into(&mut call.func_name);
        } else {
            *expr = field;
        }
        Ok(Kind::BOOL)
    }
}

pub(super) fn unknown(prefix: &str, name: &str, at: Position) -> Error {
    Error::Field { name: format!("{prefix}{name}"), suggestion: None, at }
}

pub(super) fn is_null(expr: &Expression) -> bool {
    matches!(expr.expr, Expr::Literal(LiteralValue::Null))
}
