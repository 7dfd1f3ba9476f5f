//! The reference of the configuration, in Markdown.

use std::fmt::Write as _;

use super::fresh;
use crate::serve::config::{DIRECTORY, FILE, keys};

fn reference() -> String {
    let mut out = format!(
        "# Configuration of `ns-trace serve`\n\nWritten by `cargo xtask schema` from the program \
         itself.\n\n`{FILE}` is read first, then the files `*.toml` in `{DIRECTORY}` by name: what a \
         later one says counts, and sinks add up. Every key has a default, and no file is needed. \
         `ns-trace serve --check` says all that is wrong, with file, line and column; an unknown key \
         is an error. `ns-trace serve --print-config` prints what is in force.\n\nSizes are numbers \
         of bytes or text such as `\"16MiB\"`, durations numbers of seconds or text such as \
         `\"1h30m\"` or `\"7d\"`.\n"
    );
    for (table, about, keys) in keys::described() {
        writeln!(
            out,
            "\n## `{table}`\n\n{about}\n\n| key | value | default | |\n|---|---|---|---|"
        )
        .unwrap();
        for key in keys {
            let default = key.default.map(|default| format!("`{default}`")).unwrap_or_default();
            let cells = [format!("`{}`", key.name), key.value.to_owned(), default];
            writeln!(out, "| {} | {} |", cells.join(" | "), key.help.replace('|', "\\|")).unwrap();
        }
    }
    out
}

#[test]
fn the_reference_of_the_configuration_is_fresh() {
    fresh("doc/config.md", &reference());
}
