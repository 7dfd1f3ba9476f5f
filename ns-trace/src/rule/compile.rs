//! From files to rules: every expression, sentence and test is checked.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    Exception, Rule, Rules, When, Written, case,
    expand::{Meaning, Meanings, Text},
    file::{File, Problem},
    read::{Draft, Drafts, ExceptionDraft, WhenDraft, read},
};
use crate::expr::{Condition, Template};

/// Reads and checks files of rules as one.
///
/// # Errors
///
/// All that is wrong with all of them.
pub fn load(files: &[Arc<File>]) -> Result<Rules, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut drafts = Drafts::default();
    for file in files {
        read(file, &mut drafts, &mut problems);
    }
    let Drafts { rules: mut drafts, amendments, meanings } = drafts;
    for amendment in amendments {
        problems.extend(amendment.apply(&mut drafts).err());
    }
    let meanings = meanings.into_iter().map(|(name, (_, _, meaning))| (name, meaning));
    let mut compiler = Compiler {
        meanings: &Meanings(meanings.collect()),
        broken: BTreeSet::new(),
        problems: &mut problems,
    };
    compiler.macros();
    let mut seen = BTreeMap::new();
    let mut rules = Vec::new();
    for draft in drafts {
        let id = draft.id.as_str().to_owned();
        if let Some(place) = seen.get(&id).filter(|_| !id.is_empty()) {
            let problem = draft.id.problem(0, format!("the rule `{id}` is in {place} too"));
            compiler.problems.push(problem);
        }
        seen.entry(id).or_insert_with(|| format!("{}:{}", draft.file.name, draft.at.line));
        rules.extend(compiler.rule(draft).map(Arc::new));
    }
    if problems.is_empty() {
        return Ok(Rules { rules, ..Rules::default() });
    }
    // As the files have them, whatever the order of the checks.
    let order = |problem: &Problem| {
        let file = files.iter().position(|file| file.name == problem.file);
        (file, problem.line, problem.column)
    };
    problems.sort_by_key(order);
    problems.dedup();
    Err(problems)
}

struct Compiler<'m, 'p> {
    meanings: &'m Meanings,
    /// Macros with something wrong in them: what uses them is not judged.
    broken: BTreeSet<&'m str>,
    problems: &'p mut Vec<Problem>,
}

impl Compiler<'_, '_> {
    fn macros(&mut self) {
        for (name, meaning) in &self.meanings.0 {
            let Meaning::Macro(text) = meaning else { continue };
            if let Err(problem) = condition(self.meanings, text, &BTreeSet::new()) {
                self.broken.insert(name);
                self.problems.extend(problem);
            }
        }
    }

    fn condition(&mut self, text: &Text) -> Option<Written> {
        condition(self.meanings, text, &self.broken)
            .map_err(|problem| self.problems.extend(problem))
            .ok()
    }

    fn rule(&mut self, draft: Draft) -> Option<Rule> {
        let place = format!("{}:{}", draft.file.name, draft.at.line);
        let when = match &draft.when {
            None => None,
            Some(WhenDraft::Condition(text, count)) => {
                let count = *count;
                self.condition(text).map(|condition| When::Condition { condition, count })
            }
            Some(WhenDraft::Sequence { steps, within_ns, by }) => {
                let written: Vec<_> =
                    steps.iter().filter_map(|step| self.condition(step)).collect();
                let is_whole = written.len() == steps.len();
                let (within_ns, by) = (*within_ns, *by);
                is_whole.then_some(When::Sequence { steps: written, within_ns, by })
            }
        };
        let mut exceptions = Vec::new();
        for ExceptionDraft { name, text, is_added } in draft.exceptions {
            let condition = self.condition(&text);
            exceptions.extend(condition.map(|condition| Exception { name, condition, is_added }));
        }
        let message_source = draft.message.as_ref().map_or(draft.title.as_str(), Text::as_str);
        let message_source = message_source.replace('\n', " ");
        let message = match &draft.message {
            // A title is no template.
            None => Template::compile(&message_source.replace('{', "{{").replace('}', "}}")),
            Some(_) => Template::compile(&message_source),
        };
        let message = message.map_err(|error| {
            let text = draft.message.as_ref().unwrap_or(&draft.id);
            self.problems.push(text.problem_at(error.position(), error.to_string()));
        });
        let tests = case::compile(draft.tests, self.problems);
        Some(Rule {
            id: draft.id.as_str().into(),
            title: draft.title,
            description: draft.description,
            severity: draft.severity,
            tags: draft.tags.into(),
            when: when?,
            exceptions,
            message: message.ok()?,
            message_source,
            rate: draft.rate,
            enabled: draft.enabled,
            tests,
            place,
        })
    }
}

/// Expands and checks a condition; an error without a problem is one that was told before.
fn condition<'m>(
    meanings: &'m Meanings,
    text: &'m Text,
    broken: &BTreeSet<&'m str>,
) -> Result<Written, Option<Problem>> {
    let expanded = match meanings.expand(text) {
        Ok(expanded) => expanded,
        Err(problem) => return Err(Some(problem)),
    };
    if expanded.used.iter().any(|name| broken.contains(name)) {
        return Err(None);
    }
    match Condition::compile(&expanded.text) {
        Ok(condition) => Ok(Written { source: text.as_str().to_owned(), condition }),
        Err(error) => Err(expanded.problem_at(error.position(), error.to_string())),
    }
}
