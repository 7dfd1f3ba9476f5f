//! The patterns of `=~`: POSIX extended regular expressions, unanchored.

use regex::Regex;

/// The longest pattern in bytes, and the largest repetition.
const LONGEST: usize = 256;
const MOST: usize = 1024;

/// Reads a pattern; what libsmartcols refuses is refused here too.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > LONGEST {
        return Err(format!("the pattern is longer than {LONGEST} bytes"));
    }
    if let Some(what) = excess(pattern) {
        return Err(format!("the pattern repeats too much: {what}"));
    }
    Regex::new(pattern).map_err(|error| {
        // The last line says what is wrong, those before show where.
        let text = error.to_string();
        let last = text.lines().last().unwrap_or_default();
        last.trim_start_matches("error: ").to_owned()
    })
}

/// What is repeated beyond measure: `a++`, `(a+)+`, `a{2000}`.
fn excess(pattern: &str) -> Option<&'static str> {
    let mut letters = pattern.chars().peekable();
    // For each group around: whether something in it is repeated.
    let mut groups = vec![false];
    let mut closed = false;
    let mut set = false;
    while let Some(letter) = letters.next() {
        let after_repeating_group = std::mem::take(&mut closed);
        match letter {
            '\\' => drop(letters.next()),
            ']' => set = false,
            _ if set => {}
            '[' => set = true,
            '(' => groups.push(false),
            ')' => {
                closed = groups.pop().unwrap_or(false);
                groups.extend(groups.is_empty().then_some(false));
            }
            '+' | '*' => {
                if after_repeating_group {
                    return Some("a repeated group has a repetition in it");
                }
                if letters.peek() == Some(&letter) {
                    return Some("one repetition follows another");
                }
                groups.fill(true);
            }
            '{' => {
                let bounds: String = letters.clone().take_while(|c| *c != '}').collect();
                let too_many = |bound: &str| bound.trim().parse::<usize>().is_ok_and(|n| n > MOST);
                if bounds.split(',').any(too_many) {
                    return Some("more than 1024 times");
                }
            }
            _ => {}
        }
    }
    None
}
