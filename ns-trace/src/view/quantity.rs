//! Numbers and durations as people say them.

use std::fmt;

/// A number with a comma between thousands: `1,234`.
#[derive(Clone, Copy, Debug)]
pub struct Grouped(pub u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut text = String::with_capacity(digits.len() + digits.len() / 3);
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        f.pad(&text)
    }
}

/// A number and what it counts, in the singular if it is one: `1 task`, `2 tasks`.
#[derive(Clone, Copy, Debug)]
pub struct Count<'a>(pub u64, pub &'a str);

impl fmt::Display for Count<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(number, noun) = self;
        let ending = match (number, noun.ends_with('s')) {
            (1, _) => "",
            (_, true) => "es",
            (_, false) => "s",
        };
        write!(f, "{} {noun}{ending}", Grouped(*number))
    }
}

/// Nanoseconds in the two largest units that matter: `850 ns`, `1.2 ms`, `3 min 20 s`, `2 d 5 h`.
#[derive(Clone, Copy, Debug)]
pub struct Lasting(pub u64);

impl fmt::Display for Lasting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SECOND: u64 = 1_000_000_000;
        const MINUTE: u64 = 60 * SECOND;
        const HOUR: u64 = 60 * MINUTE;
        const DAY: u64 = 24 * HOUR;
        let nanos = self.0;
        match nanos {
            0..1_000 => write!(f, "{nanos} ns"),
            1_000..1_000_000 => tenths(nanos / 100, "us", f),
            1_000_000..SECOND => tenths(nanos / 100_000, "ms", f),
            SECOND..MINUTE => tenths(nanos / 100_000_000, "s", f),
            MINUTE..HOUR => write!(f, "{} min {} s", nanos / MINUTE, nanos % MINUTE / SECOND),
            HOUR..DAY => write!(f, "{} h {} min", nanos / HOUR, nanos % HOUR / MINUTE),
            DAY.. => write!(f, "{} d {} h", nanos / DAY, nanos % DAY / HOUR),
        }
    }
}

/// One decimal below ten, none from there on: nobody needs 123.4 ms.
fn tenths(tenths: u64, unit: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if tenths < 100 {
        write!(f, "{}.{} {unit}", tenths / 10, tenths % 10)
    } else {
        write!(f, "{} {unit}", tenths / 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(Grouped(number).to_string(), text);
        }
        assert_eq!(Count(1, "task").to_string(), "1 task");
        assert_eq!(Count(2_000, "task").to_string(), "2,000 tasks");
    }

    #[test]
    fn durations_have_the_unit_that_fits() {
        for (nanos, text) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_500, "1.5 us"),
            (999_999, "999 us"),
            (1_234_567, "1.2 ms"),
            (123_456_789, "123 ms"),
            (1_200_000_000, "1.2 s"),
            (59_999_999_999, "59 s"),
            (200_000_000_000, "3 min 20 s"),
            (7_500_000_000_000, "2 h 5 min"),
            (190_800_000_000_000, "2 d 5 h"),
        ] {
            assert_eq!(Lasting(nanos).to_string(), text);
        }
    }
}
