//! Regular expressions, made once when the filter is compiled.

use cel::{
    ExecutionError,
    common::{
        traits::Container,
        types::{CelString, DYN_TYPE, Type},
        value::Val,
    },
};
use regex::Regex;

/// The set of all strings that a regular expression matches.
///
/// CEL's own `matches` makes the expression anew at each call; `text in pattern` does not.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Regex);

impl Pattern {
    /// Reads a pattern; the error says in one line what is wrong with it.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        match Regex::new(text) {
            Ok(regex) => Ok(Self(regex)),
            // The last line has the reason, those before it repeat the pattern.
            Err(error) => Err(error
                .to_string()
                .lines()
                .last()
                .unwrap_or_default()
                .trim_start_matches("error: ")
                .to_owned()),
        }
    }
}

impl Val for Pattern {
    fn get_type(&self) -> &Type {
        Self::cel_type()
    }

    fn cel_type() -> &'static Type {
        &DYN_TYPE
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(self.clone())
    }
}

impl Container for Pattern {
    fn contains(&self, text: &dyn Val) -> Result<bool, ExecutionError> {
        let text = text
            .downcast_ref::<CelString>()
            .ok_or_else(|| ExecutionError::no_such_overload("matches", Vec::new()))?;
        Ok(self.0.is_match(text.inner()))
    }
}
