//! Arbitrary text as a file of rules: rules or problems, never a panic, and soon; and what are rules
//! can be shown the events of their own tests.
//!
//! Compiles the three rooms that rules are made of, and no more.
#![no_main]
#![allow(dead_code, unused_imports, reason = "the rest of ns-trace uses it")]
#![allow(unfulfilled_lint_expectations, reason = "they are about lints of the workspace")]

#[path = "../src"]
mod rooms {
    pub mod expr;
    pub mod model;
    pub mod rule;
}

use libfuzzer_sys::fuzz_target;

use self::rooms::{expr, model, rule};

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
