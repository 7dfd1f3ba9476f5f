//! Flags of the calls that change namespaces.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer, de,
    ser::{SerializeMap as _, SerializeSeq as _},
};

use super::{Kind, NAMESPACE_FLAGS};

/// The flags of clone(2), clone3(2) or unshare(2), or the nstype of setns(2).
///
/// In JSON two fields: `flags`, the names of the namespace bits, and `flags_raw`, all other bits in
/// hexadecimal, absent if there are none. Events flatten it.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Flags {
    bits: u64,
}

impl Flags {
    /// Flags as the call had them.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self { bits }
    }

    /// Flags as the call had them.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.bits
    }

    /// Whether the bit of `kind` is set.
    #[must_use]
    pub const fn contains(self, kind: Kind) -> bool {
        self.bits & kind.flag() != 0
    }

    /// The kinds whose bits are set, in the order of [`Kind::ALL`].
    pub fn kinds(self) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(move |kind| self.contains(*kind))
    }

    /// The names of the namespace bits, such as `CLONE_NEWNET`.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.kinds().map(Kind::flag_name)
    }

    /// All bits that name no namespace.
    #[must_use]
    pub const fn rest(self) -> u64 {
        self.bits & !NAMESPACE_FLAGS
    }
}

impl Serialize for Flags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rest = self.rest();
        let mut map = serializer.serialize_map(Some(1 + usize::from(rest != 0)))?;
        map.serialize_entry("flags", &Names(*self))?;
        if rest != 0 {
            map.serialize_entry("flags_raw", &Hexadecimal(rest))?;
        }
        map.end()
    }
}

/// The names alone.
struct Names(Flags);

impl Serialize for Names {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut names = serializer.serialize_seq(None)?;
        for name in self.0.names() {
            names.serialize_element(name)?;
        }
        names.end()
    }
}

/// A number as `0x…`.
struct Hexadecimal(u64);

impl fmt::Display for Hexadecimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl Serialize for Hexadecimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How flags look in JSON.
#[derive(Deserialize, JsonSchema)]
struct Shape<'a> {
    /// The names of all namespace flags of the call (for setns of its nstype).
    #[serde(borrow)]
    flags: Vec<Cow<'a, str>>,
    /// All other flags, in hexadecimal; absent if there were none.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    flags_raw: Option<Cow<'a, str>>,
}

impl<'de> Deserialize<'de> for Flags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let shape = Shape::deserialize(deserializer)?;
        let mut bits = 0;
        if let Some(raw) = &shape.flags_raw {
            bits = raw
                .strip_prefix("0x")
                .and_then(|digits| u64::from_str_radix(digits, 16).ok())
                .ok_or_else(|| de::Error::custom(format_args!("`{raw}` is no flags_raw")))?;
        }
        for name in &shape.flags {
            bits |= Kind::ALL
                .iter()
                .find(|kind| kind.flag_name() == name)
                .ok_or_else(|| de::Error::custom(format_args!("`{name}` is no namespace flag")))?
                .flag();
        }
        Ok(Self { bits })
    }
}

impl JsonSchema for Flags {
    fn schema_name() -> Cow<'static, str> {
        "Flags".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Shape::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(flags: Flags, json: &str) {
        assert_eq!(serde_json::to_string(&flags).unwrap(), json);
        assert_eq!(serde_json::from_str::<Flags>(json).unwrap(), flags);
    }

    #[test]
    fn namespace_bits_have_names_and_the_rest_is_a_number() {
        round_trip(Flags::from_bits(0), r#"{"flags":[]}"#);
        round_trip(Flags::from_bits(0x5000_0000), r#"{"flags":["CLONE_NEWNET","CLONE_NEWUSER"]}"#);
        round_trip(
            Flags::from_bits(0x0002_0100),
            r#"{"flags":["CLONE_NEWNS"],"flags_raw":"0x100"}"#,
        );
    }

    #[test]
    fn all_64_bits_survive() {
        for bit in 0..64 {
            let flags = Flags::from_bits(1 << bit);
            let json = serde_json::to_string(&flags).unwrap();
            assert_eq!(serde_json::from_str::<Flags>(&json).unwrap(), flags);
        }
    }

    #[test]
    fn unknown_names_are_refused() {
        assert!(serde_json::from_str::<Flags>(r#"{"flags":["CLONE_FS"]}"#).is_err());
        assert!(serde_json::from_str::<Flags>(r#"{"flags":[],"flags_raw":"7"}"#).is_err());
    }
}
