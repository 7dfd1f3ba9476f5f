//! How things look to people.

mod color;
pub mod escape;
pub mod keeper;
pub mod quantity;
pub mod sheet;
pub(crate) mod signal;
mod summary;
pub mod table;
pub mod terminal;
pub mod text;
pub mod top;

pub use self::{
    escape::{Charset, escape},
    summary::Summary,
    text::{TextOptions, TextWriter},
};
