//! How things look to people.

pub mod escape;
pub mod quantity;
mod summary;

pub use self::{
    escape::{Charset, escape},
    summary::Summary,
};
