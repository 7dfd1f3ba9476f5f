//! Arbitrary bytes as a line to the control socket: a request that is read as it is written, or a
//! sentence that says why it is none. And as an answer from it: a world, or none.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ns_trace::serve::control::{
    pack::{pack, unpack},
    request::Request,
};

fuzz_target!(|line: &[u8]| {
    match Request::parse(line) {
        Ok(request) => {
            let again = serde_json::to_vec(&request).expect("a request can be written");
            assert_eq!(Request::parse(&again), Ok(request));
        }
        Err(why) => assert!(!why.is_empty()),
    }
    if let Some(world) = unpack(line) {
        assert_eq!(unpack(&pack(&world)), Some(world));
    }
});
