//! The rules that come with ns-trace.

use std::sync::Arc;

use super::File;

/// The files, by the names under which their places are told.
const FILES: [(&str, &str); 4] = [
    ("shipped/names.yaml", include_str!("../../rules/names.yaml")),
    ("shipped/escape.yaml", include_str!("../../rules/escape.yaml")),
    ("shipped/user.yaml", include_str!("../../rules/user.yaml")),
    ("shipped/misuse.yaml", include_str!("../../rules/misuse.yaml")),
];

/// The files of the rules that come with ns-trace.
#[must_use]
pub fn shipped() -> Vec<Arc<File>> {
    FILES.iter().map(|(name, text)| File::new(*name, *text)).collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{load, try_out},
        *,
    };

    #[test]
    fn every_shipped_rule_does_what_its_tests_say() {
        let rules = load(&shipped()).unwrap_or_else(|problems| {
            let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
            panic!("{}", problems.join("\n"))
        });
        assert!(rules.rules.len() >= 20);
        let mut wrong = Vec::new();
        for rule in &rules.rules {
            assert!(!rule.description.is_empty() && !rule.tags.is_empty(), "{}", rule.id);
            for matches in [true, false] {
                let has = rule.tests.iter().any(|case| case.matches == matches);
                assert!(has, "{}: no test of {matches}", rule.id);
            }
            let verdicts = try_out(rule).filter(|verdict| !verdict.is_right());
            wrong.extend(verdicts.map(|verdict| {
                format!(
                    "{} {} {}: {:?}",
                    verdict.case.place, rule.id, verdict.case.number, verdict.alerts
                )
            }));
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
