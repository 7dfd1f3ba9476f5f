//! Times as people write them.

use jiff::{Timestamp, Zoned, civil, tz::TimeZone};

use crate::model::{Time, parse_duration};

/// The shapes of dates and times, in which `d` is a digit.
const DATE: &str = "dddd-dd-dd";
const TIME: &str = "dd:dd:dd";

/// What can be written.
const EXPECTED: &str =
    "expected RFC 3339, YYYY-MM-DD [HH:MM[:SS]], HH:MM[:SS], a duration such as `2h ago`, or now";

/// Reads a time.
///
/// # Errors
///
/// What is wrong with it, and where.
pub fn parse_moment(text: &str) -> Result<Time, String> {
    read(text, &Zoned::now())
}

fn read(text: &str, now: &Zoned) -> Result<Time, String> {
    let trimmed = text.trim();
    let of = |timestamp: Timestamp| {
        let nanos = i64::try_from(timestamp.as_nanosecond());
        nanos.map(Time).map_err(|_error| "the time is out of range".to_owned())
    };
    if trimmed == "now" {
        return of(now.timestamp());
    }
    let ago = trimmed.strip_suffix("ago").map(str::trim_end);
    // A number alone is more likely a mistake than that many seconds.
    let is_duration = trimmed.ends_with(|letter: char| letter.is_ascii_alphabetic())
        && trimmed.starts_with(|letter: char| letter.is_ascii_digit())
        && !trimmed.contains([':', '-', 'T']);
    if let Some(duration) = ago.or(is_duration.then_some(trimmed)) {
        let before = parse_duration(duration).map_err(|why| format!("`{duration}`: {why}"))?;
        let moment = now.timestamp().checked_sub(before);
        return of(moment.map_err(|_error| "the time is out of range".to_owned())?);
    }
    if let Ok(timestamp) = trimmed.parse::<Timestamp>() {
        return of(timestamp);
    }
    of(local(trimmed, now).map_err(|at| place(text, at))?)
}

/// Reads a local time; what cannot be read begins at the byte that is returned.
fn local(text: &str, now: &Zoned) -> Result<Timestamp, usize> {
    let (date, time, start) = match text.split_once([' ', 'T']) {
        Some((date, time)) => {
            (Some(date), Some(time.trim_start()), text.len() - time.trim_start().len())
        }
        None if text.contains(':') => (None, Some(text), 0),
        None => (Some(text), None, 0),
    };
    let date = match date {
        Some(date) => {
            civil::Date::strptime("%Y-%m-%d", date).map_err(|_error| wrong(date, DATE))?
        }
        None => now.date(),
    };
    let time = match time {
        Some(time) => {
            let read = civil::Time::strptime("%H:%M:%S", time);
            let read = read.or_else(|_| civil::Time::strptime("%H:%M", time));
            read.map_err(|_error| start + wrong(time, TIME))?
        }
        None => civil::Time::midnight(),
    };
    let zone: TimeZone = now.time_zone().clone();
    let zoned = date.to_datetime(time).to_zoned(zone).map_err(|_error| 0_usize)?;
    Ok(zoned.timestamp())
}

/// The first byte that does not fit a shape in which `d` is a digit.
fn wrong(text: &str, shape: &str) -> usize {
    let fits = |(letter, place): (u8, u8)| match place {
        b'd' => letter.is_ascii_digit(),
        other => letter == other,
    };
    let mut pairs = text.bytes().zip(shape.bytes());
    match pairs.position(|pair| !fits(pair)) {
        Some(at) => at,
        // Every digit is one, but the number is none of a calendar or clock.
        None if text.len() == shape.len() || (text.len() == 5 && shape == TIME) => 0,
        None => text.len().min(shape.len()),
    }
}

fn place(text: &str, at: usize) -> String {
    let at = at + (text.len() - text.trim_start().len());
    format!("no time at column {}: {EXPECTED}", at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Result<String, String> {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let now = "2026-11-28T12:30:00Z".parse::<Timestamp>().unwrap().to_zoned(zone);
        read(text, &now).map(Time::to_rfc3339)
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, time) in [
            ("now", "2026-11-28T12:30:00"),
            ("2h ago", "2026-11-28T10:30:00"),
            ("90m", "2026-11-28T11:00:00"),
            ("1m 30s ago", "2026-11-28T12:28:30"),
            ("1d ago", "2026-11-27T12:30:00"),
            ("2 days 12h ago", "2026-11-26T00:30:00"),
            ("1w", "2026-11-21T12:30:00"),
            ("14:00", "2026-11-28T12:00:00"),
            ("14:00:01", "2026-11-28T12:00:01"),
            ("2026-11-27", "2026-11-26T22:00:00"),
            ("2026-11-27 09:15", "2026-11-27T07:15:00"),
            ("2026-11-27T09:15:30", "2026-11-27T07:15:30"),
            ("2026-11-27T09:15:30Z", "2026-11-27T09:15:30"),
            ("2026-11-27T09:15:30+01:00", "2026-11-27T08:15:30"),
        ] {
            assert_eq!(at(text), Ok(format!("{time}.000000000Z")), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_said_with_its_place() {
        for (text, column) in [
            ("2026-1x-27", 7),
            ("2026-11-27 9.15", 13),
            ("25:00", 1),
            ("yesterday", 1),
            ("10", 3),
            ("", 1),
            ("2026-11-27 10:00:00x", 20),
        ] {
            let said = at(text).unwrap_err();
            assert!(said.starts_with(&format!("no time at column {column}:")), "{text}: {said}");
        }
        assert!(at("2 parsecs ago").unwrap_err().starts_with("`2 parsecs`: "));
        assert!(at("99999999h ago").is_err());
    }
}
