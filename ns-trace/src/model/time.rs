//! Wall-clock moments.

use std::borrow::Cow;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A moment: nanoseconds since 1970-01-01 UTC; in JSON RFC 3339 with nine decimals.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Time(pub i64);

impl Time {
    /// The RFC 3339 text, always 30 bytes for years 0 to 9999.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        // i64 nanoseconds end in 2262, well inside what Timestamp can hold.
        let moment =
            Timestamp::from_nanosecond(i128::from(self.0)).unwrap_or(Timestamp::UNIX_EPOCH);
        format!("{moment:.9}")
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_rfc3339())
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let moment: Timestamp = text.parse().map_err(de::Error::custom)?;
        i64::try_from(moment.as_nanosecond()).map(Self).map_err(de::Error::custom)
    }
}

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "date-time",
            "description": "A moment: RFC 3339 in UTC with nine decimals.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_nine_decimals_and_comes_back() {
        let time = Time(1_763_892_000_120_000_000);
        assert_eq!(time.to_rfc3339(), "2025-11-23T10:00:00.120000000Z");
        let json = serde_json::to_string(&time).unwrap();
        assert_eq!(serde_json::from_str::<Time>(&json).unwrap(), time);
    }
}
