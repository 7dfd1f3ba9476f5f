//! Arbitrary bytes as BTF: an error or an answer, never a panic, and soon.
//!
//! Compiles the two files that are fuzzed, and no more: the rest of ns-trace takes a compiler that
//! instruments everything very long.
#![no_main]
#![allow(dead_code, reason = "the rest of ns-trace uses it")]

#[path = "../src/probe/btf.rs"]
mod btf;
#[path = "../src/probe/offsets.rs"]
mod offsets;

use libfuzzer_sys::fuzz_target;

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
