//! Macros and lists: names that stand for a piece of an expression.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use saphyr_parser::ScalarStyle;

use super::{
    file::{File, Place, Problem},
    node::{Node, Value},
};
use crate::expr::Position;

/// From here on no expression is accepted, so that nothing longer needs to be made.
const LONGEST: usize = 64 << 10;
/// How many macros can stand in each other.
const DEEPEST: usize = 32;

/// An expression or a sentence in a file.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) file: Arc<File>,
    pub(super) node: Node,
}

impl Text {
    pub(super) fn as_str(&self) -> &str {
        match &self.node.value {
            Value::Scalar { text, .. } => text.trim_end(),
            _ => "",
        }
    }

    pub(super) fn place(&self, offset: usize) -> Place {
        self.node.place(&self.file, offset)
    }

    pub(super) fn problem(&self, offset: usize, message: impl Into<String>) -> Problem {
        self.file.problem(self.place(offset), message)
    }

    /// What is wrong at a position of the text.
    pub(super) fn problem_at(&self, at: Position, message: impl Into<String>) -> Problem {
        self.problem(offset(self.as_str(), at), message)
    }
}

/// How many characters of `text` are before a position.
fn offset(text: &str, at: Position) -> usize {
    let lines = text.split('\n').take(at.line.saturating_sub(1));
    lines.map(|line| line.chars().count() + 1).sum::<usize>() + at.column.saturating_sub(1)
}

/// What a name stands for.
#[derive(Clone, Debug)]
pub(super) enum Meaning {
    /// An expression.
    Macro(Text),
    /// A list of words or numbers, as CEL writes it.
    List(Text, String),
}

/// What all files define.
#[derive(Debug, Default)]
pub(super) struct Meanings(pub(super) BTreeMap<String, Meaning>);

/// An expression without names, and where each piece of it is from.
#[derive(Debug)]
pub(super) struct Expanded<'m> {
    pub(super) text: String,
    /// From which character on it is from which text, and from where in that.
    pieces: Vec<(usize, &'m Text, usize)>,
    length: usize,
    /// The names that stood in it.
    pub(super) used: Vec<&'m str>,
}

impl<'m> Expanded<'m> {
    fn push(&mut self, piece: &str, from: &'m Text, at: usize) {
        self.pieces.push((self.length, from, at));
        self.text.push_str(piece);
        self.length += piece.chars().count();
    }

    /// What is wrong at a position of the expanded text, told where that was written.
    pub(super) fn problem_at(&self, at: Position, message: impl Into<String>) -> Option<Problem> {
        let offset = offset(&self.text, at);
        let (start, text, from) = self.pieces.iter().rev().find(|(start, ..)| *start <= offset)?;
        Some(text.problem(from + (offset - start), message))
    }
}

impl Meanings {
    /// Puts in what the names in an expression stand for.
    pub(super) fn expand<'m>(&'m self, text: &'m Text) -> Result<Expanded<'m>, Problem> {
        let (pieces, used) = (Vec::new(), Vec::new());
        let mut out = Expanded { text: String::new(), pieces, length: 0, used };
        self.expand_into(text, &mut Vec::new(), &mut out)?;
        Ok(out)
    }

    fn expand_into<'m>(
        &'m self,
        text: &'m Text,
        around: &mut Vec<&'m str>,
        out: &mut Expanded<'m>,
    ) -> Result<(), Problem> {
        let mut at = 0;
        for token in tokens(text.as_str()) {
            let length = token.text.chars().count();
            let meaning = self.0.get_key_value(token.text).filter(|_| token.is_name);
            match meaning {
                None => out.push(token.text, text, at),
                Some((name, _)) if around.contains(&name.as_str()) => {
                    let mut way: Vec<_> =
                        around.iter().skip_while(|other| **other != name).copied().collect();
                    way.push(name);
                    let way = way.join(" -> ");
                    return Err(
                        text.problem(at, format!("macro `{name}` stands for itself: {way}"))
                    );
                }
                Some((name, Meaning::List(list, literal))) => {
                    out.used.push(name);
                    out.push(literal, list, 0);
                }
                Some((name, Meaning::Macro(inner))) => {
                    out.used.push(name);
                    out.push("(", text, at);
                    around.push(name);
                    self.expand_into(inner, around, out)?;
                    around.pop();
                    out.push(")", text, at);
                }
            }
            if out.text.len() > LONGEST || around.len() > DEEPEST {
                return Err(text.problem(at, "with its macros the expression is too long"));
            }
            at += length;
        }
        Ok(())
    }
}

/// Writes a list of scalars as CEL has it; where it has something else, its place.
pub(super) fn literal(items: &[Node]) -> Result<String, &Node> {
    let mut out = String::from("[");
    for (at, item) in items.iter().enumerate() {
        let Value::Scalar { text, style } = &item.value else { return Err(item) };
        let separator = if at == 0 { "" } else { ", " };
        let number = text.parse::<i64>().ok().filter(|_| *style == ScalarStyle::Plain);
        // Writing to a string cannot fail; JSON's strings are CEL's.
        let _ = match number {
            Some(number) => write!(out, "{separator}{number}"),
            None => write!(out, "{separator}{}", serde_json::Value::from(text.as_str())),
        };
    }
    out.push(']');
    Ok(out)
}

/// A piece of an expression.
struct Token<'t> {
    text: &'t str,
    /// Whether it is a name by itself: no field of something, no function, nothing in a string.
    is_name: bool,
}

/// Cuts CEL into names, strings and what is between them.
fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = source;
    let mut before = '\0';
    while let Some(first) = rest.chars().next() {
        let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (length, mut is_name) = match first {
            '"' | '\'' => (string(rest, first), false),
            '/' if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), false),
            _ if is_letter(first) => {
                let end = rest.find(|c| !is_letter(c)).unwrap_or(rest.len());
                (end, !first.is_ascii_digit() && before != '.')
            }
            _ => (first.len_utf8(), false),
        };
        let (token, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        is_name &= !after.trim_start().starts_with('(');
        tokens.push(Token { text: token, is_name });
        before = token.trim_end().chars().next_back().unwrap_or(before);
        rest = after;
    }
    tokens
}

/// How long the string at the start of `rest` is, its quotes included.
fn string(rest: &str, quote: char) -> usize {
    let triple = String::from_iter([quote; 3]);
    let (open, close) = if rest.starts_with(&triple) { (3, triple) } else { (1, quote.into()) };
    let mut at = open;
    while let Some(left) = rest.get(at..).filter(|left| !left.is_empty()) {
        if left.starts_with(&close) {
            return at + close.len();
        }
        let escaped = left.starts_with('\\');
        at += left.chars().take(if escaped { 2 } else { 1 }).map(char::len_utf8).sum::<usize>();
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(source: &str) -> Text {
        let file = File::new("x", source);
        let node = Node::parse(&file).unwrap();
        Text { file, node }
    }

    fn meanings(macros: &[(&str, &str)]) -> Meanings {
        let macros = macros.iter();
        Meanings(
            macros.map(|(name, body)| ((*name).to_owned(), Meaning::Macro(text(body)))).collect(),
        )
    }

    #[test]
    fn names_are_replaced_where_they_stand_alone() {
        let meanings = meanings(&[("shell", "process.comm == 'sh'"), ("twice", "shell || shell")]);
        for (source, expanded) in [
            ("shell && true", "(process.comm == 'sh') && true"),
            ("!twice", "!((process.comm == 'sh') || (process.comm == 'sh'))"),
            ("process.shell == a . shell", "process.shell == a . shell"),
            ("'shell' == \"shell\\\" shell\"", "'shell' == \"shell\\\" shell\""),
            ("shell(1) && shells", "shell(1) && shells"),
            ("a // shell", "a // shell"),
            ("'''it's shell''' == x", "'''it's shell''' == x"),
        ] {
            assert_eq!(meanings.expand(&text(&format!("|\n  {source}"))).unwrap().text, expanded);
        }
    }

    #[test]
    fn cycles_and_growth_end() {
        let circle = meanings(&[("a1", "b1"), ("b1", "true && c1"), ("c1", "b1")]);
        let problem = circle.expand(&text("a1")).unwrap_err();
        assert_eq!(problem.message, "macro `b1` stands for itself: b1 -> c1 -> b1");
        let mut doubling = vec![("m0".to_owned(), "process.uid == 0".to_owned())];
        for level in 1..40 {
            doubling.push((format!("m{level}"), format!("m{0} || m{0}", level - 1)));
        }
        let doubling: Vec<_> = doubling.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        let doubling = meanings(&doubling);
        assert!(doubling.expand(&text("m39")).unwrap_err().message.contains("too long"));
    }

    #[test]
    fn lists_are_written_as_cel_has_them() {
        let list = |source| {
            let Value::List(items) = Node::parse(&File::new("x", source)).unwrap().value else {
                panic!()
            };
            literal(&items).ok()
        };
        assert_eq!(list("[a, 'b\"', 7, '7', é]").as_deref(), Some(r#"["a", "b\"", 7, "7", "é"]"#));
        assert_eq!(list("[a, [b]]"), None);
        assert_eq!(list("[]").as_deref(), Some("[]"));
    }

    #[test]
    fn what_is_wrong_is_told_where_it_was_written() {
        let meanings = meanings(&[("shell", "process.com == 'sh'")]);
        let source = text("true && shell && x");
        let expanded = meanings.expand(&source).unwrap();
        let at = |column| expanded.problem_at(Position { line: 1, column }, "").unwrap();
        assert_eq!(at(1).excerpt, "true && shell && x");
        assert_eq!((at(18).excerpt.as_str(), at(18).column), ("process.com == 'sh'", 9));
        assert_eq!((at(34).excerpt.as_str(), at(34).column), ("true && shell && x", 18));
    }
}
