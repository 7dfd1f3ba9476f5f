//! Room tests.

fn main() {}
