//! From text to the syntax tree of CEL.

use std::thread;

use cel::{
    common::ast::SourceInfo,
    parser::{Expression, ParseErrors, Parser},
};

use super::error::{Error, Position};

/// The longest expression, in bytes.
pub(super) const LONGEST: usize = 16 << 10;

/// What the parser needs for [`LONGEST`] bytes of the worst kind, a build without optimisation
/// included (it takes 150 KiB for each pair of parentheses). Only what it touches is used.
const STACK: usize = 64 << 20;

/// Runs `work`, which parses, where there is stack enough for it.
///
/// The thread has ended when this returns. If it cannot be started, this one does the work.
pub(super) fn with_stack<T: Send>(
    source: &str,
    work: impl Fn() -> Result<T, Error> + Send + Sync,
) -> Result<T, Error> {
    thread::scope(|scope| {
        match thread::Builder::new().stack_size(STACK).spawn_scoped(scope, &work) {
            Ok(worker) => {
                worker.join().unwrap_or_else(|_| Err(syntax(source, "the parser gave up", 0)))
            }
            Err(_) => work(),
        }
    })
}

/// Reads an expression; of several errors the first is told.
pub(super) fn parse(source: &str) -> Result<(Expression, SourceInfo), Error> {
    if source.len() > LONGEST {
        return Err(Error::Limit { what: "long", at: Position::of(source, LONGEST) });
    }
    if source.trim().is_empty() {
        return Err(syntax(source, "the expression is empty", 0));
    }
    Parser::new().parse_with_source_info(source).map_err(|errors| first(source, &errors))
}

fn syntax(source: &str, message: &str, offset: usize) -> Error {
    Error::Syntax { message: message.to_owned(), at: Position::of(source, offset) }
}

fn first(source: &str, errors: &ParseErrors) -> Error {
    let Some(error) = errors.errors.first() else {
        return syntax(source, "the parser gave up", 0);
    };
    let at = match (usize::try_from(error.pos.0), usize::try_from(error.pos.1)) {
        (Ok(line), Ok(column)) if line > 0 && column > 0 => Position { line, column },
        _ => Position::of(source, 0),
    };
    if error.msg.contains("Recursion limit") {
        return Error::Limit { what: "deep", at };
    }
    Error::Syntax { message: plain(&error.msg), at }
}

/// Says what the parser generator says in words for people.
fn plain(message: &str) -> String {
    let message = message.trim_start_matches("Syntax error: ");
    let quoted = |prefix: &str| {
        let (text, _) = message.strip_prefix(prefix)?.rsplit_once('\'')?;
        Some(text.trim())
    };
    if let Some(name) = message.strip_prefix("reserved identifier: ") {
        return format!("`{name}` is a reserved word of CEL");
    }
    if message.starts_with("invalid argument to has()") {
        return "has() takes a field of an object, as in has(process.exe); compare others with null"
            .to_owned();
    }
    // The list of all that could stand there helps nobody.
    let message_end = message.find(" expecting ").unwrap_or(message.len());
    let head = message.get(..message_end).unwrap_or(message);
    if head.contains("'<EOF>'") && !head.starts_with("missing") {
        return "the expression ends too early".to_owned();
    }
    match quoted("token recognition error at: '") {
        Some("=") => return "unexpected `=`; `==` compares".to_owned(),
        Some(text) if text.starts_with(['"', '\'']) => {
            return "a string without end, or with an unknown escape".to_owned();
        }
        Some(text) => return format!("unexpected `{text}`"),
        None => {}
    }
    for prefix in ["extraneous input '", "mismatched input '"] {
        if let Some(text) = head.strip_prefix(prefix) {
            return format!("unexpected `{}`", text.trim_end_matches('\''));
        }
    }
    if let Some(text) = head.strip_suffix(" at '<EOF>'") {
        return format!("{text} at the end");
    }
    head.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(source: &str) -> (String, usize) {
        let error = parse(source).unwrap_err();
        (error.to_string(), error.position().column)
    }

    #[test]
    fn errors_are_said_in_words() {
        for (source, message, column) in [
            ("", "the expression is empty", 1),
            ("event == ", "the expression ends too early", 10),
            ("process.uid = 3", "unexpected `=`; `==` compares", 13),
            ("namespace == 1", "`namespace` is a reserved word of CEL", 1),
            ("a b", "unexpected `b`", 3),
            ("a && @", "unexpected `@`", 6),
            ("event == 'abc", "a string without end, or with an unknown escape", 10),
            ("(a == 1", "missing ')' at the end", 8),
            ("9223372036854775808 > 1", "invalid int literal", 1),
            ("a.?b", "unsupported syntax '.?'", 2),
        ] {
            assert_eq!(error(source), (message.to_owned(), column), "{source}");
        }
    }

    #[test]
    fn length_is_bounded() {
        let source = "1+".repeat(LONGEST / 2) + "1";
        assert_eq!(parse(&source).unwrap_err().to_string(), "the expression is too long");
    }
}
