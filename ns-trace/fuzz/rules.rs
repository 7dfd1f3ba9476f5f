//! Arbitrary text as a file of rules: rules or problems, never a panic, and soon; and what are rules
//! can be shown the events of their own tests.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ns_trace::rule;

fuzz_target!(|text: &str| {
    let file = rule::File::new("fuzz.yaml", text);
    match rule::load(&[file]) {
        Ok(rules) => {
            for rule in &rules.rules {
                for verdict in rule::try_out(rule) {
                    let _ = verdict.is_right();
                }
            }
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in problems {
                assert!(problem.line > 0 && problem.column > 0, "{problem}");
            }
        }
    }
});
