//! A commit as it is logged in a segment: the new copies and what changed, in a form from which the catalog can be
//! rebuilt. Encoding and decoding only; [`super::apply`] carries it out, live and in a rebuild alike.
#![deny(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

use zerocopy::{FromBytes, IntoBytes};

use crate::digest::Digest;
use crate::dtype::{DType, Encoding, RANK_MAX};
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Codec, CommitCopyBytes, CommitHeaderBytes, FORMAT_VERSION, TEXT_BYTES_MAX, Tier};
use crate::kernels::Metric;
use crate::key::{Key, KeyRef};
use crate::segment::{encoding_from_text, encoding_to_text};

/// Random name of a commit; commits form a chain by naming their predecessor.
pub(crate) type CommitId = [u8; 16];

/// Everything one commit changes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Commit {
    pub(crate) lsn: u64,
    pub(crate) time_us: u64,
    pub(crate) id: CommitId,
    pub(crate) previous_id: CommitId,
    /// First commit that was not known to be durable when this one was made: of this one's group, or, before it, of those
    /// made without full durability. While it is not in the catalog, this one was not acknowledged.
    pub(crate) group_lsn: u64,
    /// Acknowledged only after it was durable, and everything before it.
    pub(crate) durable: bool,
    pub(crate) copies: Vec<NewCopy>,
    pub(crate) operations: Vec<Operation>,
}

/// A copy of a payload that this commit makes known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NewCopy {
    pub(crate) namespace: u32,
    pub(crate) digest: Digest,
    pub(crate) raw_bytes: u64,
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    pub(crate) extent_bytes: u64,
    pub(crate) stored_bytes: u64,
    pub(crate) codec: Codec,
    pub(crate) tier: Tier,
    /// Older copies of the payload were found damaged and are given up.
    pub(crate) replaces: bool,
}

/// One change of the catalog. At most one per key and commit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operation {
    CreateNamespace { id: u32, name: String },
    Put(PutAtom),
    Delete { namespace: u32, key: Key },
    PutManifest(PutManifest),
    DeleteManifest { namespace: u32, prefix: String, name: String },
    CreateVectorSet(VectorSetSpec),
    AppendPart(AppendPart),
    SetTombstones { set: u32, part: u32, bitmap: Digest },
    SetCompanion { set: u32, part: u32, companion: Digest },
    DropPart { set: u32, part: u32 },
    DropVectorSet { set: u32 },
    Forget(Forget),
    CodeAgainst(CodeAgainst),
}

/// History that is given up: versions, manifests, parts and tombstones that ended at or before a commit, except those
/// valid at one of the kept ones. Payloads that nothing uses any more go with them, and so do their copies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Forget {
    /// Moments before this commit can no longer be looked at.
    pub(crate) horizon: u64,
    /// Except these, ascending.
    pub(crate) kept: Vec<u64>,
}

impl Forget {
    /// True when the store can still be seen as it was after this commit.
    pub(crate) fn shows(&self, lsn: u64) -> bool {
        lsn >= self.horizon || self.kept.binary_search(&lsn).is_ok()
    }
}

/// The copy of a payload that the same commit brings is coded against another payload of the namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CodeAgainst {
    pub(crate) namespace: u32,
    pub(crate) payload: Digest,
    pub(crate) base: Digest,
}

/// A set of vectors and its number, which no other set of the store ever had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VectorSetSpec {
    pub(crate) set: u32,
    pub(crate) namespace: u32,
    pub(crate) name: String,
    pub(crate) dim: u32,
    pub(crate) dtype: DType,
    pub(crate) metric: Metric,
}

/// Rows that join a vector set. Says again what set that is, so that they are found even where the record of the
/// set's creation is damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AppendPart {
    pub(crate) spec: VectorSetSpec,
    pub(crate) part: u32,
    pub(crate) rows: u64,
    pub(crate) vectors: Digest,
    pub(crate) ids: Digest,
    pub(crate) companion: Option<Digest>,
}

/// A new version of a key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PutAtom {
    pub(crate) namespace: u32,
    pub(crate) key: Key,
    pub(crate) dtype: DType,
    pub(crate) shape: Vec<u64>,
    pub(crate) encoding: Encoding,
    pub(crate) metadata: Option<String>,
    pub(crate) digest: Digest,
    pub(crate) parents: Vec<(Key, u64)>,
}

/// The layout of an imported file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PutManifest {
    pub(crate) namespace: u32,
    pub(crate) prefix: String,
    pub(crate) name: String,
    pub(crate) format: String,
    pub(crate) header: Digest,
}

const CREATE_NAMESPACE: u8 = 1;
const PUT: u8 = 2;
const DELETE: u8 = 3;
const PUT_MANIFEST: u8 = 4;
const DELETE_MANIFEST: u8 = 5;
const CREATE_VECTOR_SET: u8 = 6;
const APPEND_PART: u8 = 7;
const SET_TOMBSTONES: u8 = 8;
const SET_COMPANION: u8 = 9;
const DROP_PART: u8 = 10;
const DROP_VECTOR_SET: u8 = 11;
const FORGET: u8 = 16;
const CODE_AGAINST: u8 = 17;

const KEY_INT: u8 = 2;
const KEY_NAME: u8 = 3;

impl Commit {
    /// The payload of the commit record.
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let header = CommitHeaderBytes {
            version: FORMAT_VERSION.into(),
            durable: u32::from(self.durable).into(),
            lsn: self.lsn.into(),
            time_us: self.time_us.into(),
            id: self.id,
            previous_id: self.previous_id,
            copy_count: count(self.copies.len())?.into(),
            operation_count: count(self.operations.len())?.into(),
            group_lsn: self.group_lsn.into(),
            reserved: 0.into(),
        };
        let fixed = self.copies.len().saturating_mul(CommitCopyBytes::LEN).saturating_add(CommitHeaderBytes::LEN);
        let mut out = Vec::with_capacity(fixed);
        out.extend_from_slice(header.as_bytes());
        for copy in &self.copies {
            let row = CommitCopyBytes {
                digest: copy.digest.0,
                raw_bytes: copy.raw_bytes.into(),
                segment: copy.segment.into(),
                offset: copy.offset.into(),
                extent_bytes: copy.extent_bytes.into(),
                stored_bytes: copy.stored_bytes.into(),
                namespace: copy.namespace.into(),
                codec: copy.codec.number(),
                tier: copy.tier.number(),
                replaces: u8::from(copy.replaces),
                reserved: [0; 9],
            };
            out.extend_from_slice(row.as_bytes());
        }
        for operation in &self.operations {
            let (kind, body) = operation.encode()?;
            out.push(kind);
            out.extend_from_slice(&count(body.len())?.to_le_bytes());
            out.extend_from_slice(&body);
        }
        Ok(out)
    }

    /// Parses the payload of a commit record, whose checksums were verified. Bounds every allocation by the input.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let damaged = || Error::corrupt("commit record: its parts do not fit together");
        let (header, rest) = CommitHeaderBytes::ref_from_prefix(bytes).map_err(|_| damaged())?;
        if header.version.get() > FORMAT_VERSION {
            return Err(newer(&format!("commit format {}", header.version.get())));
        }
        let copy_count = usize::try_from(header.copy_count.get()).map_err(|_| damaged())?;
        let (rows, mut rest) =
            <[CommitCopyBytes]>::ref_from_prefix_with_elems(rest, copy_count).map_err(|_| damaged())?;
        let copies = rows
            .iter()
            .map(|row| {
                Ok(NewCopy {
                    namespace: row.namespace.get(),
                    digest: Digest(row.digest),
                    raw_bytes: row.raw_bytes.get(),
                    segment: row.segment.get(),
                    offset: row.offset.get(),
                    extent_bytes: row.extent_bytes.get(),
                    stored_bytes: row.stored_bytes.get(),
                    codec: Codec::from_number(row.codec).ok_or_else(|| newer("an unknown codec"))?,
                    tier: Tier::from_number(row.tier).ok_or_else(|| newer("an unknown tier"))?,
                    replaces: row.replaces == 1,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let mut operations = Vec::new();
        for _ in 0..header.operation_count.get() {
            let (&kind, tail) = rest.split_first().ok_or_else(damaged)?;
            let mut reader = Reader(tail);
            let body = reader.bytes().ok_or_else(damaged)?;
            rest = reader.0;
            operations.push(Operation::decode(kind, body)?.ok_or_else(damaged)?);
        }
        if !rest.is_empty() {
            return Err(damaged());
        }
        Ok(Commit {
            lsn: header.lsn.get(),
            time_us: header.time_us.get(),
            id: header.id,
            previous_id: header.previous_id,
            group_lsn: header.group_lsn.get(),
            durable: header.durable.get() == 1,
            copies,
            operations,
        })
    }
}

fn newer(what: &str) -> Error {
    Error::new(ErrorKind::NewerFormat, format!("{what} is newer than this library")).hint("use a newer version")
}

fn count(n: usize) -> Result<u32> {
    u32::try_from(n).map_err(|_| Error::new(ErrorKind::InvalidArgument, "the commit is too large; split it"))
}

impl Operation {
    fn encode(&self) -> Result<(u8, Vec<u8>)> {
        let mut w = Writer(Vec::new());
        let kind = match self {
            Operation::CreateNamespace { id, name } => {
                w.u32(*id);
                w.bytes(name.as_bytes())?;
                CREATE_NAMESPACE
            }
            Operation::Put(put) => {
                w.u32(put.namespace);
                w.key(&put.key)?;
                w.0.push(put.dtype.number());
                w.u32(count(put.shape.len())?);
                put.shape.iter().for_each(|&dim| w.u64(dim));
                w.bytes(encoding_to_text(&put.encoding)?.as_bytes())?;
                w.0.push(u8::from(put.metadata.is_some()));
                w.bytes(put.metadata.as_deref().unwrap_or_default().as_bytes())?;
                w.0.extend_from_slice(&put.digest.0);
                w.u32(count(put.parents.len())?);
                for (key, lsn) in &put.parents {
                    w.key(key)?;
                    w.u64(*lsn);
                }
                PUT
            }
            Operation::Delete { namespace, key } => {
                w.u32(*namespace);
                w.key(key)?;
                DELETE
            }
            Operation::PutManifest(put) => {
                w.u32(put.namespace);
                for text in [&put.prefix, &put.name, &put.format] {
                    w.bytes(text.as_bytes())?;
                }
                w.0.extend_from_slice(&put.header.0);
                PUT_MANIFEST
            }
            Operation::DeleteManifest { namespace, prefix, name } => {
                w.u32(*namespace);
                w.bytes(prefix.as_bytes())?;
                w.bytes(name.as_bytes())?;
                DELETE_MANIFEST
            }
            Operation::CreateVectorSet(spec) => {
                w.spec(spec)?;
                CREATE_VECTOR_SET
            }
            Operation::AppendPart(append) => {
                w.spec(&append.spec)?;
                w.u32(append.part);
                w.u64(append.rows);
                w.0.extend_from_slice(&append.vectors.0);
                w.0.extend_from_slice(&append.ids.0);
                w.0.push(u8::from(append.companion.is_some()));
                w.0.extend_from_slice(&append.companion.unwrap_or(Digest([0; 32])).0);
                APPEND_PART
            }
            Operation::SetTombstones { set, part, bitmap: payload }
            | Operation::SetCompanion { set, part, companion: payload } => {
                w.u32(*set);
                w.u32(*part);
                w.0.extend_from_slice(&payload.0);
                if matches!(self, Operation::SetTombstones { .. }) { SET_TOMBSTONES } else { SET_COMPANION }
            }
            Operation::DropPart { set, part } => {
                w.u32(*set);
                w.u32(*part);
                DROP_PART
            }
            Operation::DropVectorSet { set } => {
                w.u32(*set);
                DROP_VECTOR_SET
            }
            Operation::Forget(forget) => {
                w.u64(forget.horizon);
                w.u32(count(forget.kept.len())?);
                forget.kept.iter().for_each(|&lsn| w.u64(lsn));
                FORGET
            }
            Operation::CodeAgainst(CodeAgainst { namespace, payload, base }) => {
                w.u32(*namespace);
                w.0.extend_from_slice(&payload.0);
                w.0.extend_from_slice(&base.0);
                CODE_AGAINST
            }
        };
        Ok((kind, w.0))
    }

    /// `None` when the body is malformed.
    fn decode(kind: u8, body: &[u8]) -> Result<Option<Self>> {
        let mut r = Reader(body);
        let operation = match kind {
            CREATE_NAMESPACE => Self::decode_namespace(&mut r),
            PUT => return Ok(Self::decode_put(&mut r)?.filter(|_| r.0.is_empty())),
            DELETE => Self::decode_delete(&mut r),
            PUT_MANIFEST => Self::decode_put_manifest(&mut r),
            DELETE_MANIFEST => Self::decode_delete_manifest(&mut r),
            CREATE_VECTOR_SET => r.spec().map(Operation::CreateVectorSet),
            APPEND_PART => Self::decode_append_part(&mut r),
            SET_TOMBSTONES => {
                Self::decode_part_payload(&mut r, |set, part, bitmap| Operation::SetTombstones { set, part, bitmap })
            }
            SET_COMPANION => Self::decode_part_payload(&mut r, |set, part, companion| Operation::SetCompanion {
                set,
                part,
                companion,
            }),
            DROP_PART => Self::decode_drop_part(&mut r),
            DROP_VECTOR_SET => r.u32().map(|set| Operation::DropVectorSet { set }),
            FORGET => Self::decode_forget(&mut r),
            CODE_AGAINST => Self::decode_code_against(&mut r),
            other => return Err(newer(&format!("operation {other}"))),
        };
        Ok(operation.filter(|_| r.0.is_empty()))
    }

    fn decode_code_against(r: &mut Reader<'_>) -> Option<Self> {
        let (namespace, payload, base) = (r.u32()?, Digest(r.array()?), Digest(r.array()?));
        (payload != base).then_some(Operation::CodeAgainst(CodeAgainst { namespace, payload, base }))
    }

    fn decode_namespace(r: &mut Reader<'_>) -> Option<Self> {
        Some(Operation::CreateNamespace { id: r.u32()?, name: r.text()? })
    }

    fn decode_put(r: &mut Reader<'_>) -> Result<Option<Self>> {
        let Some((namespace, key, dtype)) = (|| Some((r.u32()?, r.key()?, DType::from_number(r.u8()?)?)))() else {
            return Ok(None);
        };
        let mut tail = || -> Option<_> {
            let rank = usize::try_from(r.u32()?).ok().filter(|&rank| rank <= RANK_MAX)?;
            let shape = (0..rank).map(|_| r.u64()).collect::<Option<Vec<u64>>>()?;
            let encoding = r.text()?;
            let has_metadata = r.u8()?;
            let metadata = Some(r.text()?).filter(|_| has_metadata == 1);
            let digest = Digest(r.array()?);
            let parent_count = r.u32()?;
            let mut parents = Vec::new();
            for _ in 0..parent_count {
                parents.push((r.key()?, r.u64()?));
            }
            Some((shape, encoding, metadata, digest, parents))
        };
        let Some((shape, encoding, metadata, digest, parents)) = tail() else { return Ok(None) };
        let encoding = encoding_from_text(&encoding)?;
        Ok(Some(Operation::Put(PutAtom { namespace, key, dtype, shape, encoding, metadata, digest, parents })))
    }

    fn decode_delete(r: &mut Reader<'_>) -> Option<Self> {
        Some(Operation::Delete { namespace: r.u32()?, key: r.key()? })
    }

    fn decode_put_manifest(r: &mut Reader<'_>) -> Option<Self> {
        Some(Operation::PutManifest(PutManifest {
            namespace: r.u32()?,
            prefix: r.text()?,
            name: r.text()?,
            format: r.text()?,
            header: Digest(r.array()?),
        }))
    }

    fn decode_delete_manifest(r: &mut Reader<'_>) -> Option<Self> {
        Some(Operation::DeleteManifest { namespace: r.u32()?, prefix: r.text()?, name: r.text()? })
    }

    fn decode_append_part(r: &mut Reader<'_>) -> Option<Self> {
        let (spec, part, rows) = (r.spec()?, r.u32()?, r.u64()?);
        let (vectors, ids) = (Digest(r.array()?), Digest(r.array()?));
        let (has_companion, companion) = (r.flag()?, Digest(r.array()?));
        let companion = Some(companion).filter(|_| has_companion);
        Some(Operation::AppendPart(AppendPart { spec, part, rows, vectors, ids, companion }))
    }

    fn decode_part_payload(r: &mut Reader<'_>, make: fn(u32, u32, Digest) -> Self) -> Option<Self> {
        Some(make(r.u32()?, r.u32()?, Digest(r.array()?)))
    }

    fn decode_drop_part(r: &mut Reader<'_>) -> Option<Self> {
        Some(Operation::DropPart { set: r.u32()?, part: r.u32()? })
    }

    fn decode_forget(r: &mut Reader<'_>) -> Option<Self> {
        let horizon = r.u64()?;
        let mut kept = Vec::new();
        for _ in 0..r.u32()? {
            kept.push(r.u64()?);
        }
        Some(Operation::Forget(Forget { horizon, kept }))
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn u32(&mut self, n: u32) {
        self.0.extend_from_slice(&n.to_le_bytes());
    }

    fn u64(&mut self, n: u64) {
        self.0.extend_from_slice(&n.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.u32(count(bytes.len())?);
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn spec(&mut self, spec: &VectorSetSpec) -> Result<()> {
        self.u32(spec.set);
        self.u32(spec.namespace);
        self.bytes(spec.name.as_bytes())?;
        self.u32(spec.dim);
        self.0.push(spec.dtype.number());
        self.0.push(spec.metric.number());
        Ok(())
    }

    fn key(&mut self, key: &Key) -> Result<()> {
        match key {
            Key::Int(n) => {
                self.0.push(KEY_INT);
                self.0.extend_from_slice(&n.to_le_bytes());
                Ok(())
            }
            Key::Name(name) => {
                self.0.push(KEY_NAME);
                self.bytes(name.as_bytes())
            }
        }
    }
}

/// What is left to read. Every method takes from the front or says `None`.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(len)?;
        self.0 = tail;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.u32()?).ok()?;
        self.take(len)
    }

    fn text(&mut self) -> Option<String> {
        let bytes = self.bytes().filter(|bytes| bytes.len() <= TEXT_BYTES_MAX)?;
        std::str::from_utf8(bytes).ok().map(str::to_owned)
    }

    fn flag(&mut self) -> Option<bool> {
        self.u8().map(|byte| byte == 1)
    }

    fn spec(&mut self) -> Option<VectorSetSpec> {
        Some(VectorSetSpec {
            set: self.u32()?,
            namespace: self.u32()?,
            name: self.text().filter(|name| KeyRef::Name(name).check().is_ok())?,
            dim: self.u32()?,
            dtype: DType::from_number(self.u8()?)?,
            metric: Metric::from_number(self.u8()?)?,
        })
    }

    fn key(&mut self) -> Option<Key> {
        match self.u8()? {
            KEY_INT => self.array().map(i64::from_le_bytes).map(Key::Int),
            KEY_NAME => {
                let name = std::str::from_utf8(self.bytes()?).ok()?;
                KeyRef::Name(name).check().ok()?;
                Some(Key::Name(name.into()))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> VectorSetSpec {
        let (dtype, metric) = (DType::F16, Metric::Cosine);
        VectorSetSpec { set: 7, namespace: 1, name: "vectors".into(), dim: 3, dtype, metric }
    }

    fn sample() -> Commit {
        Commit {
            lsn: 9,
            time_us: 8,
            id: [7; 16],
            previous_id: [6; 16],
            group_lsn: 8,
            durable: true,
            copies: vec![NewCopy {
                namespace: 1,
                digest: Digest([5; 32]),
                raw_bytes: 4,
                segment: 3,
                offset: 65_536,
                extent_bytes: 512,
                stored_bytes: 4,
                codec: Codec::Raw,
                tier: Tier::Warm,
                replaces: true,
            }],
            operations: vec![
                Operation::CreateNamespace { id: 1, name: "tenant".into() },
                Operation::Put(PutAtom {
                    namespace: 1,
                    key: "a/b".into(),
                    dtype: DType::F32,
                    shape: vec![1],
                    encoding: Encoding::Plain,
                    metadata: Some("{}".into()),
                    digest: Digest([5; 32]),
                    parents: vec![(Key::Int(4), 2)],
                }),
                Operation::Delete { namespace: 0, key: Key::Int(-1) },
                Operation::PutManifest(PutManifest {
                    namespace: 1,
                    prefix: "m/".into(),
                    name: "x.safetensors".into(),
                    format: "safetensors".into(),
                    header: Digest([1; 32]),
                }),
                Operation::DeleteManifest { namespace: 1, prefix: String::new(), name: "y".into() },
                Operation::CreateVectorSet(spec()),
                Operation::AppendPart(AppendPart {
                    spec: spec(),
                    part: 3,
                    rows: 9,
                    vectors: Digest([2; 32]),
                    ids: Digest([3; 32]),
                    companion: Some(Digest([4; 32])),
                }),
                Operation::SetTombstones { set: 7, part: 3, bitmap: Digest([6; 32]) },
                Operation::SetCompanion { set: 7, part: 3, companion: Digest([7; 32]) },
                Operation::DropPart { set: 7, part: 3 },
                Operation::DropVectorSet { set: 7 },
                Operation::Forget(Forget { horizon: 6, kept: vec![2, 4] }),
            ],
        }
    }

    #[test]
    fn round_trip() {
        assert_eq!(Commit::decode(&sample().encode().unwrap()).unwrap(), sample());
    }

    // A commit record is replayed into the catalog: nonsense must be refused whole, in bounded memory, without panic.
    #[test]
    fn truncated_and_altered_bytes_never_panic() {
        let bytes = sample().encode().unwrap();
        for len in 0..bytes.len() {
            assert!(Commit::decode(&bytes[..len]).is_err(), "{len} bytes");
        }
        for at in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut altered = bytes.clone();
                altered[at] = value;
                let _ = Commit::decode(&altered);
            }
        }
        let mut longer = bytes;
        longer.push(0);
        assert!(Commit::decode(&longer).is_err(), "trailing bytes");
    }
}
