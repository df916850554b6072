//! Reports as JSON, the same in every interface.

use serde::Serialize;
use serde::ser::{SerializeMap, SerializeStruct, Serializer};

use super::{Accounted, CodecStat, ColdReport, ColdStat, Damage, GcReport, Holder, RepairReport, Stat, VerifyReport};
use crate::catalog::{QueryResult, SqlValue};
use crate::digest::Hex;
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

impl Serialize for ColdStat {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        members!(serializer, self, "ColdStat", [path, disk_bytes, problem], [])
    }
}

impl Serialize for ColdReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        members!(serializer, self, "ColdReport", [segments_copied, bytes_copied, left_behind], [])
    }
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
                findings,
                unavailable
            ],
            []
        )
    }
}

impl Serialize for RepairReport {
    /// `commits_missing` is a list of pairs: first and last LSN of each gap.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        members!(
            serializer,
            self,
            "RepairReport",
            [
                identity_rewritten,
                catalog_rebuilt,
                segments_scanned,
                records_found,
                commits_applied,
                commits_missing,
                payloads_adopted,
                atoms,
                findings
            ],
            []
        )
    }
}

impl Serialize for Stat {
    /// The facts, `accounted`, `codecs`, `holders` and `cold_directory`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        self.facts().iter().try_for_each(|(name, value)| object.serialize_entry(name, value))?;
        object.serialize_entry("accounted", &self.accounted)?;
        object.serialize_entry("codecs", &self.codecs)?;
        object.serialize_entry("holders", &self.holders)?;
        object.serialize_entry("cold_directory", &self.cold_directory)?;
        object.end()
    }
}

impl Serialize for Accounted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.parts())
    }
}

impl Serialize for CodecStat {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("CodecStat", 7)?;
        object.serialize_field("codec", self.codec.name())?;
        object.serialize_field("payloads", &self.stored.payloads)?;
        object.serialize_field("raw_bytes", &self.stored.raw_bytes)?;
        object.serialize_field("stored_bytes", &self.stored.stored_bytes)?;
        object.serialize_field("ratio", &self.stored.ratio())?;
        object.serialize_field("decoded_bytes", &self.decoded_bytes)?;
        object.serialize_field("decode_bytes_per_s", &self.decode_bytes_per_s())?;
        object.end()
    }
}

impl Serialize for Holder {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        members!(serializer, self, "Holder", [process, program, bytes], [])
    }
}

impl Serialize for QueryResult {
    /// `columns` and `rows`, of which each is a list of values.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        members!(serializer, self, "QueryResult", [columns, rows], [])
    }
}

impl Serialize for SqlValue {
    /// Blobs as hexadecimal digits; numbers that JSON has no form for as null.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            SqlValue::Null => serializer.serialize_unit(),
            SqlValue::Integer(number) => serializer.serialize_i64(*number),
            SqlValue::Real(number) => serializer.serialize_f64(*number),
            SqlValue::Text(text) => serializer.serialize_str(text),
            SqlValue::Blob(bytes) => serializer.collect_str(&Hex(bytes)),
        }
    }
}

impl Serialize for VerifyReport {
    /// The members and `is_sound`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        members!(
            serializer,
            self,
            "VerifyReport",
            [
                atoms_checked,
                payloads_checked,
                chunks_checked,
                bytes_checked,
                damaged,
                payloads_unavailable,
                unavailable
            ],
            [is_sound]
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::TierStat;
    use super::*;
    use crate::format::Codec;

    // A speed that was never measured must not look like one of 0.
    #[test]
    fn the_speed_of_a_codec_is_null_until_it_decoded_something() {
        let stored = TierStat { payloads: 2, raw_bytes: 300, stored_bytes: 100 };
        let stat = |decoded_bytes, decode_ns| CodecStat { codec: Codec::Float, stored, decoded_bytes, decode_ns };
        let text = r#"{"codec":"float","payloads":2,"raw_bytes":300,"stored_bytes":100,"ratio":3.0,"decoded_bytes":"#;
        let json = |stat: CodecStat| serde_json::to_string(&stat).unwrap();
        assert_eq!(json(stat(0, 0)), format!(r#"{text}0,"decode_bytes_per_s":null}}"#));
        assert_eq!(json(stat(600, 200)), format!(r#"{text}600,"decode_bytes_per_s":3000000000.0}}"#));
    }

    // A blob that is text in one interface and a list of numbers in another is compared by nobody.
    #[test]
    fn an_answer_of_a_query_has_blobs_as_digits_and_nan_as_null() {
        let values = vec![
            SqlValue::Null,
            SqlValue::Integer(-1),
            SqlValue::Real(0.5),
            SqlValue::Real(f64::NAN),
            SqlValue::Text("a\"".to_owned()),
            SqlValue::Blob(vec![0, 0xfe]),
        ];
        let answer = QueryResult { columns: vec!["x".to_owned()], rows: vec![values] };
        let text = r#"{"columns":["x"],"rows":[[null,-1,0.5,null,"a\"","00fe"]]}"#;
        assert_eq!(serde_json::to_string(&answer).unwrap(), text);
    }

    // Each interface counted lost commits itself, and a gap of one commit was none in one of them.
    #[test]
    fn a_repair_tells_gaps_as_pairs_in_json_and_as_a_count_of_commits_in_facts() {
        let report = RepairReport { commits_missing: vec![(3, 3), (7, 9)], atoms: 2, ..RepairReport::default() };
        let text = serde_json::to_string(&report).unwrap();
        assert!(
            text.contains(r#""commits_missing":[[3,3],[7,9]],"payloads_adopted":0,"atoms":2,"findings":[]"#),
            "{text}"
        );
        assert_eq!(report.facts()[5..], [("commits_missing", 4), ("payloads_adopted", 0), ("atoms", 2)]);
    }

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
            r#""key":-1,"lsn":2,"is_current":true,"segment":null,"offset":null,"what":"a"}],"#,
            r#""payloads_unavailable":0,"unavailable":null,"is_sound":false}"#
        );
        assert_eq!(serde_json::to_string(&report).unwrap(), text);
    }
}
