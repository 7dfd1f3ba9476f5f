//! One look at what exists now.

use std::io;

use crate::{
    discover,
    model::{Want, World},
};

/// Finds out what is wanted.
///
/// # Errors
///
/// If /proc cannot be listed.
pub fn look(want: &Want) -> io::Result<World> {
    discover::look(want)
}
