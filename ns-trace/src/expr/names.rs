//! What the expression asks for, by the names that the evaluator sees.
//!
//! Checking replaces each field by one identifier, so that evaluation needs neither the names of
//! fields nor the objects around them. No identifier of the language starts like these.

use cel::{
    common::value::{CowVal, Val},
    context::VariableResolver,
};

use super::{field::Path, view::View};

const VALUE: char = '#';
const PRESENCE: char = '?';
const CONSTANT: char = '=';

/// The fields and constants of one expression.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) paths: Vec<Path>,
    constants: Vec<Box<dyn Val>>,
}

impl Names {
    /// The name of a field's value.
    pub(super) fn value(&mut self, path: Path) -> String {
        self.paths.push(path);
        format!("{VALUE}{}", self.paths.len() - 1)
    }

    /// The name of whether a field has a value.
    pub(super) fn presence(&mut self, path: Path) -> String {
        self.paths.push(path);
        format!("{PRESENCE}{}", self.paths.len() - 1)
    }

    /// The name of a constant.
    pub(super) fn constant(&mut self, value: Box<dyn Val>) -> String {
        self.constants.push(value);
        format!("{CONSTANT}{}", self.constants.len() - 1)
    }
}

/// The names of an expression together with what gives them values: an event or a row.
pub(super) struct Row<'e> {
    pub(super) names: &'e Names,
    pub(super) root: View<'e>,
}

impl VariableResolver for Row<'_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        let mut rest = name.chars();
        let sort = rest.next()?;
        if !matches!(sort, VALUE | PRESENCE | CONSTANT) {
            return None;
        }
        let number: usize = rest.as_str().parse().ok()?;
        if sort == CONSTANT {
            return Some(CowVal::Borrowed(&**self.names.constants.get(number)?));
        }
        let path = self.names.paths.get(number)?;
        let root = self.root.clone();
        if sort == PRESENCE {
            View::Bool(path.present(root)?).into_val()
        } else {
            path.value(root)?.into_val()
        }
    }
}
