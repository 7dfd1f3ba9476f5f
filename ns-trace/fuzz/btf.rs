//! Arbitrary bytes as BTF: an error or an answer, never a panic, and soon.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ns_trace::probe::{btf, offsets};

/// One that all kernels have, and one that some have.
const FUNCTIONS: [&str; 2] = ["proc_free_inum", "__ns_tree_add_raw"];

fuzz_target!(|data: &[u8]| {
    if let Ok(btf) = btf::Btf::parse(data, &offsets::STRUCTS, &FUNCTIONS) {
        drop(offsets::resolve(&btf));
        for function in FUNCTIONS {
            let _ = btf.function(function);
        }
    }
});
