//! The time of day, with the second kept as text.

use std::fmt;

use jiff::Timestamp;

use super::TextOptions;
use crate::model::Time;

const NANOS: i64 = 1_000_000_000;

/// Remembers the second that it wrote last: time zones are slow to look up.
#[derive(Debug, Default)]
pub(super) struct Clock {
    second: i64,
    text: String,
}

impl Clock {
    /// A moment to the millisecond, not rounded.
    pub(super) fn text(&mut self, time: Time, options: &TextOptions) -> impl fmt::Display {
        let second = time.0.div_euclid(NANOS);
        if second != self.second || self.text.is_empty() {
            // i64 nanoseconds end in 2262, well inside what Timestamp can hold.
            let moment = Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
            let format = if options.dates { "%F %T" } else { "%T" };
            let zoned = moment.to_zoned(options.zone.clone());
            self.text = zoned.strftime(format).to_string();
            self.second = second;
        }
        let millis = time.0.rem_euclid(NANOS) / 1_000_000;
        let second = &self.text;
        fmt::from_fn(move |f| write!(f, "{second}.{millis:03}"))
    }
}
