//! Arbitrary text as a configuration: one or problems with their places, never a panic, and soon; and
//! what is one is read as it is printed.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use ns_trace::serve::config::{Config, Problems, keys};

fuzz_target!(|text: &str| {
    let (mut config, mut problems) = (Config::default(), Problems::default());
    config.read(Path::new("fuzz.toml"), text, &mut problems);
    if problems.is_empty() {
        let mut again = Config::default();
        again.read(Path::new("again.toml"), &keys::print(&config), &mut problems);
        assert!(problems.is_empty() && again == config, "{problems}");
    } else {
        assert!(problems.to_string().starts_with("fuzz.toml:"), "{problems}");
    }
});
