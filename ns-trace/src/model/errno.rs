//! Error numbers by name.

mod names;

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An error number of the kernel; in JSON its name, such as `EPERM`.
///
/// Numbers without a name are `ERRNO_<number>`.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Errno(i32);

impl Errno {
    /// The error with this number; the sign does not matter, since the kernel returns `-errno`.
    #[must_use]
    pub const fn from_raw(number: i32) -> Self {
        // Only i32::MIN has no positive counterpart; it stays and has no name.
        Self(number.wrapping_abs())
    }

    /// The error that events call so.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let unnamed = || name.strip_prefix("ERRNO_")?.parse().ok();
        names::number(name).or_else(unnamed).map(Self)
    }

    /// Every name that there is.
    pub fn names() -> impl Iterator<Item = &'static str> {
        names::all()
    }

    /// The number, positive.
    #[must_use]
    pub const fn raw(self) -> i32 {
        self.0
    }

    /// The name, `None` if nobody gave it one.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        names::of(self.0)
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "ERRNO_{}", self.0),
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Errno {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Errno {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::from_name(&text)
            .ok_or_else(|| de::Error::custom(format_args!("`{text}` is no error name")))
    }
}

impl JsonSchema for Errno {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Errno".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_linux() {
        for (number, name) in [
            (1, "EPERM"),
            (11, "EAGAIN"),
            (22, "EINVAL"),
            (28, "ENOSPC"),
            (34, "ERANGE"),
            (35, "EDEADLK"),
            (87, "EUSERS"),
            (95, "EOPNOTSUPP"),
            (116, "ESTALE"),
            (133, "EHWPOISON"),
            (513, "ERESTARTNOINTR"),
        ] {
            assert_eq!(Errno::from_raw(number).to_string(), name);
            assert_eq!(Errno::from_raw(-number).raw(), number);
        }
    }

    #[test]
    fn every_number_comes_back() {
        for number in (0..1000).chain([i32::MAX, i32::MIN]) {
            let errno = Errno::from_raw(number);
            let json = serde_json::to_string(&errno).unwrap();
            assert_eq!(serde_json::from_str::<Errno>(&json).unwrap(), errno);
        }
        assert_eq!(Errno::from_raw(999).to_string(), "ERRNO_999");
        assert_eq!(Errno::from_raw(41).to_string(), "ERRNO_41");
    }

    #[test]
    fn other_words_are_refused() {
        assert!(serde_json::from_str::<Errno>(r#""EPERMANENT""#).is_err());
        assert!(serde_json::from_str::<Errno>(r#""ERRNO_x""#).is_err());
    }
}
