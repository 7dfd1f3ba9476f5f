//! From YAML to rules whose expressions have not been looked at.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    By, Count,
    case::{self, Draft as CaseDraft},
    expand::{Meaning, Text, literal},
    fields::{Fields, Reading},
    file::{File, Place, Problem},
    node::{Node, Value},
};
use crate::model::event::Severity;

/// The largest file.
const LARGEST: usize = 4 << 20;
/// How many alerts a rule raises about one process, if it does not say so.
const RATE: Count = Count { number: 5, within_ns: 60_000_000_000, by: By::Process };

/// The keys of a rule, `tests` excepted.
pub const RULE_KEYS: [&str; 12] = [
    "id",
    "title",
    "description",
    "severity",
    "tags",
    "condition",
    "count",
    "sequence",
    "exceptions",
    "message",
    "rate",
    "enabled",
];

/// What the files say.
#[derive(Debug, Default)]
pub(super) struct Drafts {
    pub(super) rules: Vec<Draft>,
    pub(super) amendments: Vec<Amendment>,
    /// By name, each with the place of its name.
    pub(super) meanings: BTreeMap<String, (Arc<File>, Place, Meaning)>,
}

/// A rule as it was written.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) file: Arc<File>,
    pub(super) at: Place,
    pub(super) id: Text,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) severity: Severity,
    pub(super) tags: Vec<Arc<str>>,
    pub(super) when: Option<WhenDraft>,
    pub(super) exceptions: Vec<ExceptionDraft>,
    pub(super) message: Option<Text>,
    pub(super) rate: Count,
    pub(super) enabled: bool,
    pub(super) tests: Vec<CaseDraft>,
}

/// What is to be different about a rule of another file.
#[derive(Debug)]
pub(super) struct Amendment {
    pub(super) id: Text,
    pub(super) severity: Option<Severity>,
    pub(super) enabled: Option<bool>,
    pub(super) rate: Option<Count>,
    pub(super) exceptions: Vec<ExceptionDraft>,
    pub(super) tests: Vec<CaseDraft>,
}

/// An exception as it was written.
#[derive(Debug)]
pub(super) struct ExceptionDraft {
    pub(super) name: String,
    pub(super) text: Text,
    pub(super) is_added: bool,
}

impl Amendment {
    /// Changes its rule, if that is there.
    pub(super) fn apply(self, rules: &mut [Draft]) -> Result<(), Problem> {
        let id = self.id.as_str();
        let Some(rule) = rules.iter_mut().find(|rule| rule.id.as_str() == id) else {
            return Err(self.id.problem(0, format!("there is no rule `{id}` to amend")));
        };
        rule.severity = self.severity.unwrap_or(rule.severity);
        rule.enabled = self.enabled.unwrap_or(rule.enabled);
        rule.rate = self.rate.unwrap_or(rule.rate);
        rule.exceptions.extend(self.exceptions);
        rule.tests.extend(self.tests);
        Ok(())
    }
}

#[derive(Debug)]
pub(super) enum WhenDraft {
    Condition(Text, Option<Count>),
    Sequence { steps: Vec<Text>, within_ns: u64, by: By },
}

/// Reads a file, and notes what is wrong with it.
pub(super) fn read(file: &Arc<File>, drafts: &mut Drafts, problems: &mut Vec<Problem>) {
    if file.text.len() > LARGEST {
        let start = Place { line: 1, column: 1, index: 0 };
        return problems.push(file.problem(start, "this is larger than 4 MiB: no file of rules"));
    }
    let root = match Node::parse(file) {
        Ok(root) => root,
        Err(problem) => return problems.push(problem),
    };
    let mut reading = Reading { file: Arc::clone(file), problems };
    let Some(mut fields) =
        reading.fields(root, "a file of rules", &["lists", "macros", "rules", "amend"])
    else {
        return;
    };
    if let Some(lists) = fields.take("lists") {
        for (name, at, node) in reading.named(lists, "`lists`") {
            define_list(name, at, node, &mut reading, drafts);
        }
    }
    if let Some(macros) = fields.take("macros") {
        for (name, at, node) in reading.named(macros, "`macros`") {
            if let Some(text) = reading.text(node, "a macro") {
                define(name, at, Meaning::Macro(text), &mut reading, drafts);
            }
        }
    }
    if let Some(rules) = fields.take("rules") {
        for node in reading.list(rules, "`rules`") {
            drafts.rules.extend(rule(node, &mut reading));
        }
    }
    if let Some(amend) = fields.take("amend") {
        for node in reading.list(amend, "`amend`") {
            drafts.amendments.extend(amendment(node, &mut reading));
        }
    }
}

fn define_list(
    name: String,
    at: Place,
    node: Node,
    reading: &mut Reading<'_>,
    drafts: &mut Drafts,
) {
    let Value::List(items) = &node.value else {
        return reading
            .wrong(node.at, format!("the list `{name}` must be a list; this is {}", node.sort()));
    };
    match literal(items) {
        Ok(literal) => {
            let text = Text { file: Arc::clone(&reading.file), node };
            define(name, at, Meaning::List(text, literal), reading, drafts);
        }
        Err(item) => {
            let at = item.at;
            reading.wrong(at, format!("what is in the list `{name}` must be words or numbers"));
        }
    }
}

fn define(
    name: String,
    at: Place,
    meaning: Meaning,
    reading: &mut Reading<'_>,
    drafts: &mut Drafts,
) {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !name.chars().all(is_word)
        || name.starts_with(|c: char| c.is_ascii_digit())
        || name.len() < 2
    {
        return reading.wrong(
            at,
            format!("`{name}` is no name for a macro or list: a-z, 0-9 and _, two or more, no digit first"),
        );
    }
    if crate::expr::is_taken(&name) {
        return reading.wrong(at, format!("`{name}` has a meaning in expressions already"));
    }
    if let Some((file, other, _)) = drafts.meanings.get(&name) {
        let (file, line) = (&file.name, other.line);
        return reading.wrong(at, format!("`{name}` is defined in {file}:{line} too"));
    }
    drafts.meanings.insert(name, (Arc::clone(&reading.file), at, meaning));
}

fn rule(node: Node, reading: &mut Reading<'_>) -> Option<Draft> {
    let keys: Vec<_> = RULE_KEYS.into_iter().chain(["tests"]).collect();
    let mut fields = reading.fields(node, "a rule", &keys)?;
    // Every part is read whatever the others are, so that all that is wrong is told at once.
    let at = fields.at;
    let nameless =
        Text { file: Arc::clone(&reading.file), node: Node { at, value: Value::List(Vec::new()) } };
    let id = fields.need("id", "the rule", reading).and_then(|node| id(node, reading));
    let what =
        id.as_ref().map_or("the rule".to_owned(), |id| format!("the rule `{}`", id.as_str()));
    let title =
        fields.need("title", &what, reading).and_then(|node| reading.word(&node, "`title`"));
    let description =
        fields.take("description").and_then(|node| reading.word(&node, "`description`"));
    if !fields.has("severity") {
        reading.wrong(fields.at, format!("{what} has no `severity`"));
    }
    let severity = severity(&mut fields, reading);
    let tags = fields.take("tags").map(|node| tags(node, reading)).unwrap_or_default();
    let when = when(&mut fields, &what, reading);
    let exceptions = exceptions(&mut fields, false, reading);
    let message = fields.take("message").map(|node| reading.text(node, "`message`"));
    let rate = fields.take("rate").map(|node| count(node, "`rate`", "at_most", RATE, reading));
    let enabled = fields.take("enabled").map(|node| reading.flag(&node, "`enabled`"));
    let tests = tests(&mut fields, false, reading);
    Some(Draft {
        file: Arc::clone(&reading.file),
        at: fields.at,
        // What is missing was told; the rest is checked all the same.
        id: id.unwrap_or(nameless),
        title: title.unwrap_or_default(),
        description: description.unwrap_or_default(),
        severity: severity.unwrap_or(Severity::Info),
        tags,
        when,
        exceptions,
        message: message.unwrap_or_default(),
        rate: rate.flatten().unwrap_or(RATE),
        enabled: enabled.flatten().unwrap_or(true),
        tests,
    })
}

fn amendment(node: Node, reading: &mut Reading<'_>) -> Option<Amendment> {
    let known = ["id", "severity", "enabled", "rate", "exceptions", "tests"];
    let mut fields = reading.fields(node, "an amendment", &known)?;
    let id = fields.need("id", "the amendment", reading);
    let id = id.and_then(|node| reading.text(node, "`id`"));
    let severity = severity(&mut fields, reading);
    let enabled = fields.take("enabled").and_then(|node| reading.flag(&node, "`enabled`"));
    let rate = fields.take("rate").and_then(|node| count(node, "`rate`", "at_most", RATE, reading));
    let exceptions = exceptions(&mut fields, true, reading);
    let tests = tests(&mut fields, true, reading);
    Some(Amendment { id: id?, severity, enabled, rate, exceptions, tests })
}

fn severity(fields: &mut Fields, reading: &mut Reading<'_>) -> Option<Severity> {
    let severities = Severity::ALL.map(|severity| (severity.name(), severity));
    fields.take("severity").and_then(|node| reading.choice(&node, "`severity`", &severities))
}

fn exceptions(
    fields: &mut Fields,
    is_added: bool,
    reading: &mut Reading<'_>,
) -> Vec<ExceptionDraft> {
    let mut exceptions = Vec::new();
    if let Some(node) = fields.take("exceptions") {
        for (name, _, node) in reading.named(node, "`exceptions`") {
            let text = reading.text(node, "an exception");
            exceptions.extend(text.map(|text| ExceptionDraft { name, text, is_added }));
        }
    }
    exceptions
}

fn tests(fields: &mut Fields, is_added: bool, reading: &mut Reading<'_>) -> Vec<CaseDraft> {
    let node = fields.take("tests");
    node.map(|node| case::read(node, is_added, reading)).unwrap_or_default()
}

fn id(node: Node, reading: &mut Reading<'_>) -> Option<Text> {
    let text = reading.text(node, "`id`")?;
    let id = text.as_str();
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if id.chars().all(fits) && id.len() <= 64 {
        return Some(text);
    }
    let at = text.node.at;
    reading.wrong(at, format!("`{id}` is no id: a-z, 0-9 and -, at most 64 of them"));
    None
}

/// Tags that look like numbers of ATT&CK must be such; others are words.
fn tags(node: Node, reading: &mut Reading<'_>) -> Vec<Arc<str>> {
    let mut tags = Vec::new();
    for node in reading.list(node, "`tags`") {
        let Some(tag) = reading.word(&node, "a tag") else { continue };
        let is_word = tag.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if is_word || is_attack(&tag) {
            tags.push(tag.into());
        } else {
            reading.wrong(
                node.at,
                format!(
                    "the tag `{tag}` is neither a number of MITRE ATT&CK (T1611, T1548.001, TA0004) \
                     nor a word of a-z, 0-9 and -"
                ),
            );
        }
    }
    tags
}

fn is_attack(tag: &str) -> bool {
    let digits =
        |text: &str, count| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    if let Some(tactic) = tag.strip_prefix("TA") {
        return digits(tactic, 4);
    }
    let Some(technique) = tag.strip_prefix('T') else { return false };
    match technique.split_once('.') {
        Some((technique, part)) => digits(technique, 4) && digits(part, 3),
        None => digits(technique, 4),
    }
}

fn when(fields: &mut Fields, what: &str, reading: &mut Reading<'_>) -> Option<WhenDraft> {
    let count_of = Count { number: 1, within_ns: 0, by: By::Process };
    let count = fields
        .take("count")
        .map(|node| (node.at, count(node, "`count`", "at_least", count_of, reading)));
    match (fields.take("condition"), fields.take("sequence")) {
        (Some(node), None) => {
            let text = reading.text(node, "`condition`")?;
            let count = match count {
                Some((_, count)) => Some(count?),
                None => None,
            };
            Some(WhenDraft::Condition(text, count))
        }
        (None, Some(node)) => {
            if let Some((at, _)) = count {
                reading.wrong(at, "`count` goes with `condition`, not with `sequence`");
            }
            sequence(node, reading)
        }
        (Some(_), Some(node)) => {
            reading.wrong(node.at, "a rule has either a `condition` or a `sequence`");
            None
        }
        (None, None) => {
            reading.wrong(fields.at, format!("{what} has no `condition` and no `sequence`"));
            None
        }
    }
}

fn sequence(node: Node, reading: &mut Reading<'_>) -> Option<WhenDraft> {
    let mut fields = reading.fields(node, "`sequence`", &["within", "by", "steps"])?;
    let within = fields.need("within", "`sequence`", reading);
    let within_ns = within.and_then(|node| reading.duration(&node, "`within`"));
    let by = fields.take("by").map(|node| by(&node, reading));
    let at = fields.at;
    let nodes = fields.need("steps", "`sequence`", reading)?;
    let nodes = reading.list(nodes, "`steps`");
    if !(2..=8).contains(&nodes.len()) {
        reading.wrong(at, "a sequence has 2 to 8 steps");
        return None;
    }
    let count = nodes.len();
    let steps: Vec<_> = nodes.into_iter().filter_map(|node| reading.text(node, "a step")).collect();
    let by = by.unwrap_or(Some(By::Lineage))?;
    (steps.len() == count).then_some(WhenDraft::Sequence { steps, within_ns: within_ns?, by })
}

fn by(node: &Node, reading: &mut Reading<'_>) -> Option<By> {
    reading.choice(node, "`by`", &By::ALL.map(|by| (by.name(), by)))
}

/// So many in so long; `number` is the key of how many.
fn count(
    node: Node,
    what: &str,
    number: &'static str,
    default: Count,
    reading: &mut Reading<'_>,
) -> Option<Count> {
    /// What one window can count.
    const MOST: u64 = 100_000;
    let mut fields = reading.fields(node, what, &[number, "within", "by"])?;
    let how_many = fields.need(number, what, reading);
    let how_many = how_many.and_then(|node| {
        let count = reading.number(&node, &format!("`{number}`"))?;
        if count > MOST {
            reading.wrong(node.at, format!("`{number}` must be at most {MOST}"));
        }
        Some(count)
    });
    let within = fields.need("within", what, reading);
    let within_ns = within.and_then(|node| reading.duration(&node, "`within`"));
    let by = match fields.take("by") {
        None => default.by,
        Some(node) => {
            let by = by(&node, reading)?;
            if by.is_of_two() {
                let sentence =
                    format!("`by: {}` goes with `sequence`; here it can be parent", by.name());
                reading.wrong(node.at, sentence);
                return None;
            }
            by
        }
    };
    Some(Count { number: how_many?, within_ns: within_ns?, by })
}
