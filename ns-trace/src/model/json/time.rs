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
        let mut rest = time.0.rem_euclid(NANOS).unsigned_abs();
        let mut digits = *b"000000000Z";
        for digit in digits.iter_mut().take(9).rev() {
            // A remainder of ten fits a byte.
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        out.extend_from_slice(&digits);
    }
}
