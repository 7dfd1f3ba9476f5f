//! `ns-trace rules check`.

use std::{path::PathBuf, process::ExitCode};

use serde_json::{Value, json};

use super::{Failure, failure, files, print, print_json};
use crate::rule::{self, Problem};

/// Says what is wrong, or how many rules there are.
pub(super) fn run(paths: &[PathBuf], json: bool) -> Result<ExitCode, Failure> {
    let files = files(paths)?;
    let (rules, problems) = match rule::load(&files) {
        Ok(rules) => (rules.rules.len(), Vec::new()),
        Err(problems) => (0, problems),
    };
    if json {
        let problems: Vec<Value> = problems.iter().map(problem).collect();
        let is_fine = problems.is_empty();
        print_json(&json!({"files": files.len(), "rules": rules, "problems": problems}))?;
        return Ok(if is_fine { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    if !problems.is_empty() {
        return Err(failure(&problems));
    }
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let count = files.len();
    print(&format!("{rules} rule{} in {count} file{}: fine\n", plural(rules), plural(count)))?;
    Ok(ExitCode::SUCCESS)
}

fn problem(problem: &Problem) -> Value {
    let Problem { file, line, column, message, excerpt: _ } = problem;
    json!({"file": file, "line": line, "column": column, "message": message})
}
