//! Files as the rules see them: the text, and the words of its code without comments and literals.

use super::Violation;

/// A text file of the repository.
pub(super) struct File {
    /// Seen from the root of the repository.
    pub(super) path: String,
    pub(super) text: String,
    /// Empty unless it is Rust.
    pub(super) tokens: Vec<Token>,
}

/// A word or a punctuation mark.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Token {
    /// Counted from 1.
    pub(super) line: usize,
    pub(super) text: String,
}

impl File {
    pub(super) fn new(path: &str, text: String) -> Self {
        let rust = is_rust(path);
        let tokens = if rust { tokens(&text) } else { Vec::new() };
        Self { path: path.to_owned(), text, tokens }
    }

    pub(super) fn is_rust(&self) -> bool {
        is_rust(&self.path)
    }

    /// The name without the directory and `.rs`.
    pub(super) fn stem(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.strip_suffix(".rs").unwrap_or(name)
    }

    /// The tokens up to the tests, which stand at the end of a file.
    pub(super) fn outside_of_tests(&self) -> &[Token] {
        const TESTS: [&str; 8] = ["#", "[", "cfg", "(", "test", ")", "]", "mod"];
        if self.stem() == "tests" {
            return &[];
        }
        let starts = |window: &[Token]| window.iter().map(|token| &token.text).eq(&TESTS);
        let end = self.tokens.windows(TESTS.len()).position(starts);
        self.tokens.get(..end.unwrap_or(self.tokens.len())).unwrap_or_default()
    }

    pub(super) fn violation(&self, line: usize, sentence: impl Into<String>) -> Violation {
        Violation { path: self.path.clone(), line, sentence: sentence.into() }
    }
}

fn is_rust(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, extension)| extension == "rs")
}

/// Words are whole, `::` is one mark, every other mark is one character.
fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let skipped = no_code(rest);
        let length = if skipped > 0 {
            skipped
        } else if is_word(letter) {
            rest.find(|letter| !is_word(letter)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            letter.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        if skipped == 0 && !letter.is_whitespace() {
            tokens.push(Token { line, text: token.to_owned() });
        }
        line += token.matches('\n').count();
        rest = after;
    }
    tokens
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The length of the comment or literal at the start; 0 if it is code.
fn no_code(rest: &str) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    if rest.starts_with('"') {
        return quoted(rest, '"');
    }
    if let Some(literal) = rest.strip_prefix('\'') {
        // 'a' and '\n' are letters, 'a without an end is a lifetime.
        let mut letters = literal.chars();
        let escaped = letters.next() == Some('\\');
        return if escaped || letters.next() == Some('\'') { quoted(rest, '\'') } else { 0 };
    }
    raw_string(rest).unwrap_or(0)
}

/// Up to the end of a comment in which other comments may lie.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut bytes = rest.bytes().enumerate().peekable();
    while let Some((_, byte)) = bytes.next() {
        match (byte, bytes.peek()) {
            (b'/', Some((_, b'*'))) => depth += 1,
            (b'*', Some((_, b'/'))) => depth -= 1,
            _ => continue,
        }
        let end = bytes.next().map_or(rest.len(), |(index, _)| index + 1);
        if depth == 0 {
            return end;
        }
    }
    rest.len()
}

/// Up to the closing quote; a backslash protects what follows it.
fn quoted(rest: &str, quote: char) -> usize {
    let mut letters = rest.char_indices().skip(1);
    while let Some((index, letter)) = letters.next() {
        if letter == '\\' {
            letters.next();
        } else if letter == quote {
            return index + 1;
        }
    }
    rest.len()
}

/// `r"…"`, `br#"…"#` and their like.
fn raw_string(rest: &str) -> Option<usize> {
    let body = ["r", "br", "cr"].iter().find_map(|prefix| rest.strip_prefix(prefix))?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    let body = body.trim_start_matches('#').strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = body.find(&end).map_or(body.len(), |at| at + end.len());
    Some(rest.len() - body.len() + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> String {
        let tokens = tokens(text);
        tokens.iter().map(|token| token.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_and_literals_are_no_code() {
        assert_eq!(words("a // unsafe\nb /* x /* y */ z */ c"), "a b c");
        assert_eq!(words(r#"a("un\"safe", b"x", 'u', '\'', 'l)"#), "a ( , b , , , ' l )");
        assert_eq!(words("a r#\"un\"safe\"# br\"\\\" r#type"), "a r # type");
        assert_eq!(words("'\"' a"), "a");
    }

    #[test]
    fn a_path_is_words_and_double_colons() {
        assert_eq!(words("use crate::{a, b::c};"), "use crate :: { a , b :: c } ;");
    }

    #[test]
    fn lines_are_counted_through_literals() {
        let tokens = tokens("\"a\nb\" c\n\n// d\ne");
        let lines: Vec<_> = tokens.iter().map(|token| (token.text.as_str(), token.line)).collect();
        assert_eq!(lines, [("c", 2), ("e", 5)]);
    }

    #[test]
    fn tests_stand_at_the_end() {
        let text = "#[cfg(test)] use a; fn b() {} #[cfg(test)] mod tests { c }";
        let file = File::new("x.rs", text.to_owned());
        let last = file.outside_of_tests().last().map(|token| token.text.as_str());
        assert_eq!(last, Some("}"));
        assert!(file.outside_of_tests().iter().all(|token| token.text != "c"));
    }
}
