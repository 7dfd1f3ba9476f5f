//! What the terminal can show, as its environment says.

use std::env;

use super::Charset;

/// Whether to use colours, if nobody says otherwise (<https://no-color.org>).
#[must_use]
pub fn has_color(is_terminal: bool) -> bool {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    is_terminal && !is_set("NO_COLOR") && !is_dumb()
}

/// Whether it understands nothing but lines.
#[must_use]
pub fn is_dumb() -> bool {
    env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// What the locale says that the terminal understands (setlocale(3): the first that is set counts).
#[must_use]
pub fn charset() -> Charset {
    let value = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()));
    let value = value.unwrap_or_default().to_ascii_lowercase();
    if value.contains("utf-8") || value.contains("utf8") { Charset::Utf8 } else { Charset::Ascii }
}
