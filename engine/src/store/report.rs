//! Reports as JSON, the same in every interface.

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

use super::{Damage, GcReport, VerifyReport};
use crate::key::Key;

impl Serialize for Key {
    /// A string or a number.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Key::Int(number) => serializer.serialize_i64(*number),
            Key::Name(name) => serializer.serialize_str(name),
        }
    }
}

/// Writes the members named, in this order, and then those computed.
macro_rules! members {
    ($serializer:ident, $self:ident, $name:literal, [$($member:ident),*], [$($computed:ident),*]) => {{
        let count = [$(stringify!($member),)* $(stringify!($computed),)*].len();
        let mut object = $serializer.serialize_struct($name, count)?;
        $(object.serialize_field(stringify!($member), &$self.$member)?;)*
        $(object.serialize_field(stringify!($computed), &$self.$computed())?;)*
        object.end()
    }};
}

impl Serialize for Damage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        members!(serializer, self, "Damage", [namespace, key, lsn, is_current, segment, offset, what], [])
    }
}

impl Serialize for GcReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        members!(
            serializer,
            self,
            "GcReport",
            [
                horizon,
                forgotten,
                segments_condemned,
                segments_deleted,
                segments_held,
                segments_busy,
                payloads_moved,
                bytes_moved,
                bytes_freed,
                findings
            ],
            []
        )
    }
}

impl Serialize for VerifyReport {
    /// The members and `is_sound`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        members!(
            serializer,
            self,
            "VerifyReport",
            [atoms_checked, payloads_checked, chunks_checked, bytes_checked, damaged],
            [is_sound]
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Tools that watch for damage would look for a member that one interface calls otherwise.
    #[test]
    fn a_report_of_damage_has_these_members() {
        let damage = Damage {
            namespace: String::new(),
            key: Some(Key::Int(-1)),
            lsn: Some(2),
            is_current: true,
            segment: None,
            offset: None,
            what: "a".to_owned(),
        };
        let report = VerifyReport { atoms_checked: 1, damaged: vec![damage], ..VerifyReport::default() };
        let text = concat!(
            r#"{"atoms_checked":1,"payloads_checked":0,"chunks_checked":0,"bytes_checked":0,"damaged":[{"namespace":"","#,
            r#""key":-1,"lsn":2,"is_current":true,"segment":null,"offset":null,"what":"a"}],"is_sound":false}"#
        );
        assert_eq!(serde_json::to_string(&report).unwrap(), text);
    }
}
