//! Streams of the past.

pub mod replay;
