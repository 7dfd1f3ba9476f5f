//! Secrets in the arguments of programs: taken out before an event goes anywhere.

use std::{ops::Range, sync::Arc};

use regex::Regex;

use super::{Event, Process, event::Body};

/// What stands in the place of a secret.
pub const MARKER: &str = "[redacted]";

/// Patterns of what nobody may read.
///
/// Each is looked for in the arguments of a process joined by spaces, and in the messages of alerts.
/// What it matches is replaced, or if it has groups, what they match.
#[derive(Clone, Debug, Default)]
pub struct Redaction(Vec<Regex>);

impl PartialEq for Redaction {
    fn eq(&self, other: &Self) -> bool {
        self.sources().eq(other.sources())
    }
}

impl Redaction {
    /// Adds a pattern.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in one line.
    pub fn add(&mut self, pattern: &str) -> Result<(), String> {
        let read = Regex::new(pattern).map_err(|error| {
            let text = error.to_string();
            // The rest shows where in the pattern.
            let last = text.lines().last().unwrap_or_default();
            last.strip_prefix("error: ").unwrap_or(last).to_owned()
        })?;
        if read.is_match("") {
            return Err("matches where there is nothing".to_owned());
        }
        self.0.push(read);
        Ok(())
    }

    /// The patterns as they were written.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(Regex::as_str)
    }

    /// Takes out of an event what matches.
    pub fn apply(&self, event: &mut Event) {
        if self.0.is_empty() {
            return;
        }
        if let Body::Alert(alert) = &mut event.body
            && let Some(cut) = self.cut(std::slice::from_ref(&alert.message))
        {
            alert.message = cut.concat();
        }
        if let Some(process) = process_mut(&mut event.body)
            && let Some(args) = &process.args
            && let Some(cut) = self.cut(args)
        {
            *process = Arc::new(Process { args: Some(cut.into()), ..(**process).clone() });
        }
    }

    /// Takes out of the arguments of a process what matches.
    pub fn arguments(&self, args: &mut Arc<[String]>) {
        if !self.0.is_empty()
            && let Some(cut) = self.cut(args)
        {
            *args = cut.into();
        }
    }

    /// The pieces of a text without what matches; `None` if nothing does.
    fn cut(&self, pieces: &[String]) -> Option<Vec<String>> {
        let text = pieces.join(" ");
        let mut found: Vec<Range<usize>> = Vec::new();
        for pattern in &self.0 {
            for groups in pattern.captures_iter(&text) {
                let mut inner = groups.iter().skip(1).flatten().peekable();
                match inner.peek() {
                    Some(_) => found.extend(inner.map(|one| one.range())),
                    None if pattern.captures_len() > 1 => {}
                    None => found.extend(groups.get(0).map(|one| one.range())),
                }
            }
        }
        found.retain(|range| !range.is_empty());
        if found.is_empty() {
            return None;
        }
        found.sort_by_key(|range| range.start);
        let mut start = 0;
        let cut = pieces.iter().map(|piece| {
            let own = start..start + piece.len();
            start = own.end + 1;
            without(piece, &own, &found)
        });
        Some(cut.collect())
    }
}

/// A piece, which is at `own` of the whole, without what is `found` of the whole.
fn without(piece: &str, own: &Range<usize>, found: &[Range<usize>]) -> String {
    let mut out = String::with_capacity(piece.len());
    let mut kept = own.start;
    for range in found.iter().filter(|range| range.start < own.end && range.end > own.start) {
        let (from, to) = (range.start.max(own.start), range.end.min(own.end));
        if from < kept {
            // It begins within the last one, for which there is a marker.
            kept = kept.max(to);
            continue;
        }
        out.push_str(piece.get(kept - own.start..from - own.start).unwrap_or_default());
        out.push_str(MARKER);
        kept = to;
    }
    out.push_str(piece.get(kept - own.start..).unwrap_or_default());
    out
}

const fn process_mut(body: &mut Body) -> Option<&mut Arc<Process>> {
    match body {
        Body::Create(event) => Some(&mut event.process),
        Body::Enter(event) => Some(&mut event.process),
        Body::Fail(event) => Some(&mut event.process),
        Body::Map(event) => Some(&mut event.process),
        Body::Fork(event) => Some(&mut event.process),
        Body::Exec(event) => Some(&mut event.process),
        Body::Exit(event) => Some(&mut event.process),
        Body::Alert(event) => event.process.as_mut(),
        Body::Destroy(_) | Body::Exist(_) | Body::Lost(_) | Body::Sync(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::arbitrary;

    fn redaction(patterns: &[&str]) -> Redaction {
        let mut redaction = Redaction::default();
        for pattern in patterns {
            redaction.add(pattern).unwrap();
        }
        redaction
    }

    fn cut(patterns: &[&str], args: &[&str]) -> Option<Vec<String>> {
        let args: Vec<_> = args.iter().map(|arg| (*arg).to_owned()).collect();
        redaction(patterns).cut(&args)
    }

    #[test]
    fn what_matches_is_replaced_and_nothing_else() {
        let secret = "(?i)--(?:password|token)[= ]([^ ]+)";
        assert_eq!(
            cut(&[secret], &["curl", "--password=x y", "z"]).unwrap(),
            ["curl", "--password=[redacted] y", "z"]
        );
        assert_eq!(
            cut(&[secret], &["a", "--TOKEN", "hush", "b"]).unwrap(),
            ["a", "--TOKEN", MARKER, "b"]
        );
        assert_eq!(cut(&[secret], &["a", "b"]), None);
        assert_eq!(cut(&["AKIA[0-9A-Z]+"], &["k=AKIA12é", "é"]).unwrap(), ["k=[redacted]é", "é"]);
        // Over several arguments, and twice the same.
        assert_eq!(
            cut(&["b c", "c d", "c"], &["ab", "cd", "d"]).unwrap(),
            ["a[redacted]", "[redacted]d", "d"].map(str::to_owned).to_vec()
        );
        assert_eq!(cut(&["b(x)?c"], &["abc"]), None);
    }

    #[test]
    fn bad_patterns_are_refused() {
        for (pattern, why) in [("(", "unclosed group"), ("a*", "nothing"), ("", "nothing")] {
            let told = Redaction::default().add(pattern).unwrap_err();
            assert!(told.contains(why) && !told.contains('\n'), "{told}");
        }
    }

    proptest! {
        /// What matches is nowhere in what is written.
        #[test]
        fn no_secret_is_written(mut event in arbitrary::event(), at in any::<prop::sample::Index>()) {
            if let Some(process) = process_mut(&mut event.body) {
                let mut args = process.args.as_deref().unwrap_or_default().to_vec();
                args.insert(at.index(args.len() + 1), "--key=s3cr3t".to_owned());
                *process = Arc::new(Process { args: Some(args.into()), ..(**process).clone() });
            }
            if let Body::Alert(alert) = &mut event.body {
                alert.message.push_str(" ran --key=s3cr3t");
            }
            redaction(&["s3cr[0-9]t"]).apply(&mut event);
            prop_assert!(!serde_json::to_string(&event).unwrap().contains("s3cr3t"));
        }
    }
}
