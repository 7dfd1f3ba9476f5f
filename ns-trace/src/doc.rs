//! The generated documentation, and the tests that keep it fresh.
//!
//! `cargo xtask schema` runs these tests with `NS_TRACE_BLESS=1`; then they write what they would
//! otherwise compare.

mod config;
mod coverage;
mod kernels;
mod man;
mod reference;
mod rules;
mod schema;

use std::{env, fs, path::PathBuf};

/// Compares a checked-in file, named from the directory of this package, with what it should be.
fn fresh(path: &str, text: &str) {
    let place = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    if env::var_os("NS_TRACE_BLESS").is_some() {
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        return fs::write(&place, text).unwrap();
    }
    let found = fs::read_to_string(&place).unwrap_or_default();
    let line = found.lines().zip(text.lines()).position(|(found, fresh)| found != fresh);
    let line = line.unwrap_or_else(|| found.lines().count().min(text.lines().count()));
    assert!(found == text, "{path}:{}: stale; run `cargo xtask schema`", line + 1);
}

/// Compares the part of a file between `<!-- name -->` and `<!-- /name -->`.
fn fresh_part(path: &str, name: &str, text: &str) {
    let whole = fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let (start, end) = (format!("<!-- {name} -->"), format!("<!-- /{name} -->"));
    let (before, rest) = whole.split_once(&start).expect("the start mark");
    let (_, after) = rest.split_once(&end).expect("the end mark");
    fresh(path, &format!("{before}{start}\n{text}{end}{after}"));
}
