//! Standard output.

use std::io;

use super::{Lines, Target};

/// Standard output, without the buffer that std puts before it.
#[derive(Debug)]
pub struct Stdout;

impl Target for Stdout {
    fn deliver(&mut self, lines: &Lines) -> io::Result<()> {
        let mut rest = lines.bytes();
        while !rest.is_empty() {
            match rustix::io::write(rustix::stdio::stdout(), rest) {
                Ok(len) => rest = rest.get(len..).unwrap_or_default(),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
