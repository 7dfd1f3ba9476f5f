//! Namespaces as events name them.

use std::{borrow::Cow, fmt, sync::Arc};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeMap as _};

use super::{Kind, SLOTS, Slot};

/// Which namespace: the one shape used wherever an event points at a namespace.
#[derive(
    Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema,
)]
pub struct NsRef {
    /// The type, spelled as in `/proc/self/ns`.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The inode number in nsfs; reused as soon as the namespace is gone.
    pub inode: u32,
    /// The kernel's 64-bit id: `NS_GET_ID` from 6.18 on; before that the mount namespace's `seq`
    /// and the network namespace's cookie, null for the other types. Never reused.
    pub id: Option<u64>,
    /// Whether it is the one that the system booted with.
    pub initial: bool,
}

impl fmt::Display for NsRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.name(), self.inode)
    }
}

/// A namespace with its place in the hierarchy.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NsInfo {
    /// The type, spelled as in `/proc/self/ns`.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The inode number in nsfs; reused as soon as the namespace is gone.
    pub inode: u32,
    /// The kernel's 64-bit id, see [`NsRef::id`].
    pub id: Option<u64>,
    /// Whether it is the one that the system booted with.
    pub initial: bool,
    /// When it was made: nanoseconds of the boot clock, null if before the tracer.
    pub born: Option<u64>,
    /// The user namespace that owns it (`NS_GET_USERNS`); null for the initial user namespace.
    pub owner: Option<NsRef>,
    /// The parent (`NS_GET_PARENT`), of pid and user namespaces only.
    pub parent: Option<NsRef>,
    /// How deep it lies below the initial namespace, whose level is 0; of pid and user namespaces
    /// only.
    pub level: Option<u32>,
}

impl NsInfo {
    /// The short form.
    #[must_use]
    pub const fn to_ref(&self) -> NsRef {
        NsRef { kind: self.kind, inode: self.inode, id: self.id, initial: self.initial }
    }
}

/// The ten namespaces of a task, named as in `/proc/<pid>/ns`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Slots(pub Arc<[Option<NsRef>; SLOTS]>);

impl Slots {
    /// The namespace in `slot`, `None` if unknown.
    #[must_use]
    pub fn get(&self, slot: Slot) -> Option<&NsRef> {
        self.0[slot as usize].as_ref()
    }

    /// Whether nothing is known of any.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }
}

impl Serialize for Slots {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(SLOTS))?;
        for slot in Slot::ALL {
            map.serialize_entry(slot.name(), &self.get(slot))?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Slots {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Slots;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with an entry for each of the ten namespace slots")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Slots, A::Error> {
                let mut slots = [None; SLOTS];
                while let Some((slot, ns)) = map.next_entry::<Slot, Option<NsRef>>()? {
                    slots[slot as usize] = ns;
                }
                Ok(Slots(Arc::new(slots)))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

impl JsonSchema for Slots {
    fn schema_name() -> Cow<'static, str> {
        "Slots".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let ns = generator.subschema_for::<Option<NsRef>>();
        let properties: serde_json::Map<_, _> =
            Slot::ALL.iter().map(|slot| (slot.name().to_owned(), ns.clone().to_value())).collect();
        let names: Vec<_> = Slot::ALL.iter().map(|slot| slot.name()).collect();
        json_schema!({
            "type": "object",
            "description": "The ten namespaces of a task, named as in /proc/<pid>/ns; null is unknown.",
            "properties": properties,
            "required": names,
        })
    }
}
