//! RFC 3339 times with the second kept as text.

use super::super::Time;

const NANOS: i64 = 1_000_000_000;
/// The length of `2026-11-23T10:00:00.`
const SECOND_LEN: usize = 20;

/// Remembers the second that it wrote last: most events share it with the one before.
#[derive(Debug, Default)]
pub(super) struct Clock {
    second: i64,
    text: Vec<u8>,
}

impl Clock {
    /// Appends what [`Time::to_rfc3339`] returns.
    pub(super) fn write(&mut self, time: Time, out: &mut Vec<u8>) {
        let second = time.0.div_euclid(NANOS);
        if second != self.second || self.text.is_empty() {
            self.text = time.to_rfc3339().into_bytes();
            self.text.truncate(SECOND_LEN);
            self.second = second;
        }
        out.extend_from_slice(&self.text);
        // One second more makes it ten digits, of which the first is not wanted.
        let nanos = NANOS + time.0.rem_euclid(NANOS);
        out.extend_from_slice(&itoa::Buffer::new().format(nanos).as_bytes()[1..]);
        out.push(b'Z');
    }
}
