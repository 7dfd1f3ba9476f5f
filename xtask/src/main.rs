//! The chores around the code.

fn main() {}
