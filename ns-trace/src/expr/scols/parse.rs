//! The grammar of the filter language.

use std::iter::Peekable;

use regex::Regex;

use super::{
    ColumnFilterError as Error,
    compare::Value,
    pattern,
    token::{Operator, Token, tokens},
};
use crate::{expr::Position, model::Column};

/// The longest expression in bytes, and in terms.
const LONGEST: usize = 1024;
const LARGEST: usize = 256;

/// A part of an expression.
#[derive(Clone, Debug)]
pub(super) enum Node {
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Not(Box<Self>),
    Compare(Box<Self>, Operator, Box<Self>),
    Matches { subject: Box<Self>, pattern: Regex, wanted: bool },
    Literal(Value),
    Column(Column),
}

/// Reads an expression; `None` is the empty one. Also tells which columns it names.
pub(super) fn parse(source: &str) -> Result<(Option<Node>, Vec<Column>), Error> {
    if source.len() > LONGEST {
        return Err(Error::Limit { limit: LONGEST, unit: "bytes" });
    }
    let words = tokens(source).map_err(|(at, message)| syntax(source, at, message))?;
    if words.len() > LARGEST {
        return Err(Error::Limit { limit: LARGEST, unit: "terms" });
    }
    if words.is_empty() {
        return Ok((None, Vec::new()));
    }
    let mut parser = Parser { source, words: words.into_iter().peekable(), columns: Vec::new() };
    let root = parser.any()?;
    if parser.words.peek().is_some() {
        return Err(parser.unexpected("the end"));
    }
    Ok((Some(root), parser.columns))
}

fn syntax(source: &str, at: usize, message: String) -> Error {
    Error::Syntax { expression: source.to_owned(), message, at: Position::of(source, at) }
}

struct Parser<'s, I: Iterator<Item = (usize, Token)>> {
    source: &'s str,
    words: Peekable<I>,
    columns: Vec<Column>,
}

impl<I: Iterator<Item = (usize, Token)>> Parser<'_, I> {
    /// `all or all or …`
    fn any(&mut self) -> Result<Node, Error> {
        let mut node = self.all()?;
        while self.take(&Token::Or) {
            node = Node::Or(Box::new(node), Box::new(self.all()?));
        }
        Ok(node)
    }

    /// `comparison and comparison and …`
    fn all(&mut self) -> Result<Node, Error> {
        let mut node = self.comparison()?;
        while self.take(&Token::And) {
            node = Node::And(Box::new(node), Box::new(self.comparison()?));
        }
        Ok(node)
    }

    fn comparison(&mut self) -> Result<Node, Error> {
        let mut left = self.operand()?;
        loop {
            let wanted = match self.words.peek() {
                Some((_, Token::Operator(operator))) => {
                    let operator = *operator;
                    self.words.next();
                    let right = self.operand()?;
                    left = Node::Compare(Box::new(left), operator, Box::new(right));
                    continue;
                }
                Some((_, Token::Matches)) => true,
                Some((_, Token::Differs)) => false,
                _ => return Ok(left),
            };
            self.words.next();
            let pattern = self.pattern()?;
            left = Node::Matches { subject: Box::new(left), pattern, wanted };
        }
    }

    fn pattern(&mut self) -> Result<Regex, Error> {
        let Some((at, word)) = self.words.next_if(|(_, word)| matches!(word, Token::Text(_)))
        else {
            return Err(self.unexpected("a pattern as a string"));
        };
        let Token::Text(text) = word else { return Err(self.unexpected("a string")) };
        pattern::compile(&text).map_err(|message| syntax(self.source, at, message))
    }

    fn operand(&mut self) -> Result<Node, Error> {
        if self.take(&Token::Not) {
            return Ok(Node::Not(Box::new(self.operand()?)));
        }
        if self.take(&Token::Open) {
            let inner = self.any()?;
            return if self.take(&Token::Close) { Ok(inner) } else { Err(self.unexpected("`)`")) };
        }
        let is_value = |word: &Token| {
            use Token::{False, Float, Name, Number, Text, True};
            matches!(word, True | False | Text(_) | Number(_) | Float(_) | Name(_))
        };
        let Some((at, word)) = self.words.next_if(|(_, word)| is_value(word)) else {
            return Err(self.unexpected("a column, a value, `not` or `(`"));
        };
        Ok(match word {
            Token::Text(text) => Node::Literal(Value::Text(text)),
            Token::Number(number) => Node::Literal(Value::Number(number)),
            Token::Float(number) => Node::Literal(Value::Float(number)),
            Token::Name(name) => {
                let unknown =
                    |_| Error::Column { at: Position::of(self.source, at), name: name.clone() };
                let column = name.parse().map_err(unknown)?;
                if !self.columns.contains(&column) {
                    self.columns.push(column);
                }
                Node::Column(column)
            }
            other => Node::Literal(Value::Truth(other == Token::True)),
        })
    }

    fn take(&mut self, wanted: &Token) -> bool {
        self.words.next_if(|(_, word)| word == wanted).is_some()
    }

    fn unexpected(&mut self, expected: &str) -> Error {
        let (at, name) = match self.words.peek() {
            Some((at, word)) => (*at, word.name()),
            None => (self.source.len(), "the end"),
        };
        let message = format!("syntax error, unexpected {name}, expecting {expected}");
        syntax(self.source, at, message)
    }
}
