//! How things look to people.

mod color;
pub mod escape;
pub mod keeper;
pub mod quantity;
pub mod sheet;
mod signal;
mod summary;
pub mod terminal;
pub mod text;

pub use self::{
    escape::{Charset, escape},
    summary::Summary,
    text::{TextOptions, TextWriter},
};
