//! YAML as a tree whose every node knows its place.
//!
//! Of YAML 1.2 what rules have a use for: one document of mappings, sequences and scalars. Anchors,
//! aliases and tags are refused, and with them everything that grows when it is read.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use super::file::{File, Place, Problem};

/// How deep a file can nest.
const DEEPEST: usize = 24;

/// A piece of YAML.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) at: Place,
    pub(super) value: Value,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Text; whether it is quoted or a block, and so nothing but text.
    Scalar {
        text: String,
        style: ScalarStyle,
    },
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// Reads a file.
    pub(super) fn parse(file: &File) -> Result<Self, Problem> {
        let mut reader = Reader { file, parser: Parser::new_from_str(&file.text), depth: 0 };
        let Some((first, at)) = reader.next_content()? else {
            return Ok(Self {
                at: Place { line: 1, column: 1, index: 0 },
                value: Value::Map(Vec::new()),
            });
        };
        let root = reader.node(first, at)?;
        match reader.next_content()? {
            None => Ok(root),
            Some((_, at)) => Err(file.problem(at, "a file of rules is one YAML document")),
        }
    }

    /// What it is, for messages.
    pub(super) const fn sort(&self) -> &'static str {
        match self.value {
            Value::Scalar { .. } => "a value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// The place in the file of the character at `offset` in the text of a scalar.
    ///
    /// What a scalar leaves out of the file is white space, and what escapes.
    pub(super) fn place(&self, file: &File, offset: usize) -> Place {
        let Value::Scalar { text, style } = &self.value else { return self.at };
        let mut at = self.at;
        let mut source = file.text.chars().skip(at.index).peekable();
        let mut step = |at: &mut Place| {
            let character = source.next()?;
            let before = *at;
            *at = at.after(character);
            Some((character, before, source.peek().copied()))
        };
        if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded)
            && file.text.chars().nth(at.index).is_some_and(|c| matches!(c, '|' | '>'))
        {
            while step(&mut at).is_some_and(|(character, ..)| character != '\n') {}
        } else if matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted) {
            step(&mut at);
        }
        let (mut last, mut escaped) = (at, false);
        // One more than asked for: an error may be behind the end.
        for wanted in text.chars().take(offset + 1).filter(|wanted| !wanted.is_whitespace()) {
            loop {
                let Some((character, before, next)) = step(&mut at) else { return last };
                let opens = match style {
                    ScalarStyle::SingleQuoted => character == '\'' && next == Some('\''),
                    ScalarStyle::DoubleQuoted => character == '\\',
                    _ => false,
                };
                if opens && !escaped {
                    escaped = true;
                    continue;
                }
                let is_blank = matches!(character, 'n' | 't' | 'r' | '\n');
                if std::mem::take(&mut escaped) && *style == ScalarStyle::DoubleQuoted && is_blank {
                    continue;
                }
                if character == wanted {
                    last = before;
                    break;
                }
            }
        }
        let asked = text.chars().nth(offset);
        match asked {
            Some(character) if !character.is_whitespace() => last,
            // White space, or the end: right behind what is before it.
            _ => last.after(' '),
        }
    }
}

/// Builds the tree from the parser's events.
struct Reader<'f> {
    file: &'f File,
    parser: Parser<'f, saphyr_parser::StrInput<'f>>,
    depth: usize,
}

impl<'f> Reader<'f> {
    /// The next event that is not about the document.
    fn next_content(&mut self) -> Result<Option<(Event<'f>, Place)>, Problem> {
        loop {
            match self.parser.next_event() {
                None | Some(Ok((Event::StreamEnd, _))) => return Ok(None),
                Some(Ok((
                    Event::Nothing
                    | Event::StreamStart
                    | Event::DocumentStart(_)
                    | Event::DocumentEnd,
                    _,
                ))) => {}
                Some(Ok((event, span))) => return Ok(Some((event, place(&span.start)))),
                Some(Err(error)) => {
                    return Err(self.file.problem(place(error.marker()), error.info()));
                }
            }
        }
    }

    fn node(&mut self, first: Event<'f>, at: Place) -> Result<Node, Problem> {
        let refuse =
            |what: &str| Err(self.file.problem(at, format!("{what} cannot be used in rules")));
        let value = match first {
            Event::Alias(_) => return refuse("a YAML alias"),
            Event::Scalar(_, _, anchor, _)
            | Event::SequenceStart(anchor, _)
            | Event::MappingStart(anchor, _)
                if anchor != 0 =>
            {
                return refuse("a YAML anchor");
            }
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => return refuse("a YAML tag"),
            Event::Scalar(text, style, ..) => Value::Scalar { text: text.into_owned(), style },
            Event::SequenceStart(..) => {
                let mut items = Vec::new();
                self.inside(at, |reader, event, at| {
                    items.push(reader.node(event, at)?);
                    Ok(())
                })?;
                Value::List(items)
            }
            Event::MappingStart(..) => {
                let mut entries = Vec::new();
                self.inside(at, |reader, event, at| {
                    let key = reader.node(event, at)?;
                    let Some((event, at)) = reader.next_content()? else { return Ok(()) };
                    entries.push((key, reader.node(event, at)?));
                    Ok(())
                })?;
                Value::Map(entries)
            }
            _ => Value::List(Vec::new()),
        };
        Ok(Node { at, value })
    }

    /// Calls `each` with what begins a node, until the end of what is around it.
    fn inside(
        &mut self,
        at: Place,
        mut each: impl FnMut(&mut Self, Event<'f>, Place) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        if self.depth == DEEPEST {
            return Err(self.file.problem(at, "this nests too deep"));
        }
        self.depth += 1;
        while let Some((event, at)) = self.next_content()? {
            if matches!(event, Event::SequenceEnd | Event::MappingEnd) {
                break;
            }
            each(self, event, at)?;
        }
        self.depth -= 1;
        Ok(())
    }
}

/// The parser counts columns from 0.
fn place(marker: &Marker) -> Place {
    Place { line: marker.line(), column: marker.col() + 1, index: marker.index() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The places of `needle` in the first scalar of a list, in every style of YAML.
    #[test]
    fn every_character_of_a_scalar_has_its_place() {
        for (source, needle, line, column) in [
            ("- abc def", "def", 1, 7),
            ("- 'it''s def'", "def", 1, 10),
            (r#"- "a \"b\" def""#, "def", 1, 12),
            ("- |\n  abc\n    def ghi\n", "ghi", 3, 9),
            ("- |-\n  abc\n\n  def", "def", 4, 3),
            ("- >\n  abc\n  def ghi\n", "ghi", 3, 7),
            ("- abc\n    def", "def", 2, 5),
            ("- \u{e9}\u{e9} def", "def", 1, 6),
        ] {
            let file = File::new("x", source);
            let node = Node::parse(&file).unwrap();
            let Value::List(items) = &node.value else { panic!("{source}") };
            let Value::Scalar { text, .. } = &items[0].value else { panic!("{source}") };
            let offset = text.split(needle).next().unwrap().chars().count();
            let at = items[0].place(&file, offset);
            assert_eq!((at.line, at.column), (line, column), "{source:?}");
        }
    }

    #[test]
    fn what_grows_when_it_is_read_is_refused() {
        for (source, message, line, column) in [
            ("a: &x 1", "a YAML anchor cannot be used in rules", 1, 4),
            ("a: !!str 1", "a YAML tag cannot be used in rules", 1, 4),
            ("a: 1\n---\nb: 2", "a file of rules is one YAML document", 3, 1),
            (&"[".repeat(99), "this nests too deep", 1, 25),
        ] {
            let problem = Node::parse(&File::new("x", source)).unwrap_err();
            assert_eq!(
                (problem.message.as_str(), problem.line, problem.column),
                (message, line, column),
                "{source:?}"
            );
        }
        assert!(Node::parse(&File::new("x", "a: [1\nb: 2")).is_err());
        assert!(Node::parse(&File::new("x", "# nothing\n")).is_ok());
    }
}
