//! The name of an entry of a directory in serde: one component of a path, or none at all. Whoever is told it joins it to
//! a path.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserializer, Serializer};

pub(crate) fn serialize<S: Serializer>(name: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(name)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    struct Component;

    impl Visitor<'_> for Component {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the name of an entry")
        }

        fn visit_bytes<E: de::Error>(self, name: &[u8]) -> Result<Vec<u8>, E> {
            let is_component =
                !matches!(name, b"" | b"." | b"..") && memchr::memchr2(b'/', 0, name).is_none();
            match is_component {
                true => Ok(name.to_vec()),
                false => Err(E::custom("a name is no component of a path")),
            }
        }
    }

    deserializer.deserialize_bytes(Component)
}
