//! Numbers of users, signals and flags on the command line.

use crate::{model::MapLine, view::signal};

/// A user and a group.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ids {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// What to map into a user namespace.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Range {
    /// What /etc/subuid or /etc/subgid grants, from 0 on.
    Auto,
    /// What it grants, to itself.
    Subids,
    /// All that this user namespace has, to itself.
    All,
    /// This.
    Line(MapLine),
}

/// Reads `UID:GID`.
pub(super) fn parse_ids(text: &str) -> Result<Ids, String> {
    let ids = text
        .split_once(':')
        .and_then(|(uid, gid)| Some(Ids { uid: uid.parse().ok()?, gid: gid.parse().ok()? }));
    ids.ok_or_else(|| "expected UID:GID, two numbers".to_owned())
}

/// Reads `INSIDE:OUTSIDE:COUNT`, the older `OUTSIDE,INSIDE,COUNT`, or a word.
pub(super) fn parse_range(text: &str) -> Result<Range, String> {
    match text {
        "auto" => return Ok(Range::Auto),
        "subids" => return Ok(Range::Subids),
        "all" => return Ok(Range::All),
        _ => {}
    }
    let numbers = |separator| {
        let numbers: Option<Vec<u32>> =
            text.split(separator).map(|number| number.parse().ok()).collect();
        numbers.and_then(|numbers| <[u32; 3]>::try_from(numbers).ok())
    };
    let line = match (numbers(':'), numbers(',')) {
        (Some([inside, outside, count]), _) | (_, Some([outside, inside, count])) => {
            MapLine { inside, outside, count }
        }
        _ => return Err("expected INSIDE:OUTSIDE:COUNT, auto, subids or all".to_owned()),
    };
    let fits = |first: u32| first.checked_add(line.count).is_some();
    if line.count == 0 {
        Err("a range of 0 numbers".to_owned())
    } else if fits(line.inside) && fits(line.outside) {
        Ok(Range::Line(line))
    } else {
        Err(format!("the last number would be above {}", u32::MAX - 1))
    }
}

/// Reads the name or the number of a signal.
pub(super) fn parse_signal(text: &str) -> Result<i32, String> {
    signal::number(text).map(i32::from).ok_or_else(|| format!("unknown signal `{text}`; try TERM"))
}

/// Reads flags in hexadecimal.
pub(super) fn parse_flags(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    u64::from_str_radix(digits, 16).or(Err("not a hexadecimal number".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_in_both_orders() {
        let line = MapLine { inside: 0, outside: 100_000, count: 10 };
        assert_eq!(parse_range("0:100000:10"), Ok(Range::Line(line)));
        assert_eq!(parse_range("100000,0,10"), Ok(Range::Line(line)));
        assert_eq!(parse_range("auto"), Ok(Range::Auto));
        for bad in ["", "0:0", "0:0:0", "0:0:4294967296", "1:0:4294967295", "a:0:1", "0:1,2"] {
            assert!(parse_range(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn signals_have_names_and_numbers() {
        for text in ["TERM", "SIGTERM", "term", "15"] {
            assert_eq!(parse_signal(text), Ok(15));
        }
        for bad in ["", "SIG", "FOO", "0", "65", "-1"] {
            assert!(parse_signal(bad).is_err(), "{bad}");
        }
    }
}
