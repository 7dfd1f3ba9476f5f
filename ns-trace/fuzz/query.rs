//! Arbitrary text as the parameters of a request: understood, or a sentence that says why not.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ns_trace::serve::http::{PATHS, check};

fuzz_target!(|query: &str| {
    for path in PATHS {
        if let Err(why) = check(path, query) {
            assert!(!why.is_empty());
        }
    }
});
