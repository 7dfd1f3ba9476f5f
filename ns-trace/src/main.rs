//! The command `ns-trace`.

fn main() {}
