//! Standard output.

use std::io;

use super::{Failure, Piece, Target};

/// Standard output, without the buffer that std puts before it.
#[derive(Debug)]
pub struct Stdout;

impl Target for Stdout {
    fn deliver(&mut self, lines: Piece<'_>) -> Result<(), Failure> {
        let mut rest = lines.bytes();
        while !rest.is_empty() {
            match rustix::io::write(rustix::stdio::stdout(), rest) {
                Ok(len) => rest = rest.get(len..).unwrap_or_default(),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(io::Error::from(error).into()),
            }
        }
        Ok(())
    }
}
