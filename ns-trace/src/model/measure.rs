//! Sizes and durations as people write them.

use std::{fmt, time::Duration};

use jiff::{Span, SpanRelativeTo};

/// A number of bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
        let unit = units.iter().find(|(_, shift)| self.0 != 0 && self.0.is_multiple_of(1 << shift));
        match unit {
            Some((name, shift)) => write!(f, "{}{name}", self.0 >> shift),
            None => write!(f, "{}", self.0),
        }
    }
}

/// Reads `64K`, `16MiB`, `1g` or a plain number of bytes; units are powers of 1024.
///
/// # Errors
///
/// A sentence, if it is none of these.
pub fn parse_bytes(text: &str) -> Result<Bytes, String> {
    let digits = text.trim_end_matches(|last: char| !last.is_ascii_digit());
    let unit = text.strip_prefix(digits).unwrap_or_default().trim().to_ascii_lowercase();
    let shift = match unit.as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return Err(format!("unknown unit `{unit}`; use K, M or G")),
    };
    let number: u64 = digits.parse().or(Err("not a size; try 16M"))?;
    number.checked_mul(1 << shift).map(Bytes).ok_or_else(|| "too large".to_owned())
}

/// Reads `10` (seconds), `1.5`, `500ms`, `1m 30s`, `2h`, `30d`, `1w`; a day has 24 hours.
///
/// # Errors
///
/// A sentence, if it is none of these or not above zero.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration = if let Ok(seconds) = text.parse() {
        Duration::try_from_secs_f64(seconds).ok()
    } else {
        let span: Option<Span> = text.parse().ok();
        let signed =
            span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
        signed.and_then(|signed| Duration::try_from(signed).ok())
    };
    match duration {
        None => Err("not a duration; try 10s, 1m30s, 500ms or 1d".to_owned()),
        Some(Duration::ZERO) => Err("must be longer than 0".to_owned()),
        Some(duration) => Ok(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse_bytes("16MiB"), Ok(Bytes(16 << 20)));
        assert_eq!(parse_bytes("64k"), Ok(Bytes(64 << 10)));
        assert_eq!(parse_bytes("4096"), Ok(Bytes(4096)));
        for wrong in ["", "M", "1.5M", "-1", "12Q", "99999999999G"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Bytes(16 << 20).to_string(), "16MiB");
        assert_eq!(Bytes(4097).to_string(), "4097");
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("10"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_duration("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("1h30m"), Ok(Duration::from_mins(90)));
        assert_eq!(parse_duration("1.5h"), Ok(Duration::from_mins(90)));
        assert_eq!(parse_duration("5000000h"), Ok(Duration::from_hours(5_000_000)));
        for (text, hours) in [
            ("1d", 24),
            ("1 day", 24),
            ("1d 12h", 36),
            ("2 days", 48),
            ("1w1d", 8 * 24),
            ("2 weeks", 14 * 24),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_hours(hours)), "{text}");
        }
        // How long a month is depends on when.
        for wrong in ["1 month", "1y", "1d ago", "-1d"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "-1", "soon", "10 parsecs", "0", "nan", "1e99"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }
}
