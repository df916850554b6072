//! safetensors: every tensor an atom, the header kept as it was, so that the file can be written again bit for bit.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::control::{Control, Progress};
use crate::dtype::{DType, Encoding, byte_len};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::file::{File, Replacement};
use crate::key::Key;
use crate::store::{Address, AtomInfo, ListOptions, Payload, PutOptions, Snapshot, WriteTxn};

use super::source::{BLOCK_BYTES, Source};
use super::{ExportOptions, ExportReport, ImportOptions, ImportReport, bad_file, prefixed, raw};

/// Name of the format in manifests.
const FORMAT: &str = "safetensors";
/// Largest header, as in the reference implementation.
const HEADER_BYTES_MAX: u64 = 100_000_000;
/// Length of the number in front of the header.
const LENGTH_BYTES: u64 = 8;

/// A header that was checked: tensors in order of their offsets, without gap or overlap, each as long as type and
/// shape say.
pub(crate) struct Layout {
    tensors: Vec<(String, TensorInfo)>,
    data_bytes: u64,
}

impl Layout {
    /// Parses the JSON of a header.
    pub(crate) fn parse(json: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(json).map_err(|_| bad_file("the header is not UTF-8"))?;
        check_names(text)?;
        let metadata: Metadata =
            serde_json::from_str(text).map_err(|e| bad_file("the header is not valid").source_box(e.into()))?;
        let names = metadata.offset_keys();
        let infos = names.iter().filter_map(|name| metadata.info(name).cloned());
        let tensors: Vec<(String, TensorInfo)> = names.iter().cloned().zip(infos).collect();
        Ok(Layout { data_bytes: metadata.data_len() as u64, tensors })
    }
}

/// Fails when a name occurs twice: the JSON parser would keep the last and the file would mean two things.
fn check_names(text: &str) -> Result<()> {
    struct Names;
    impl<'de> Visitor<'de> for Names {
        type Value = ();
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object with one entry per tensor")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            let mut seen = HashSet::new();
            while let Some(name) = map.next_key::<String>()? {
                map.next_value::<IgnoredAny>()?;
                if seen.contains(&name) {
                    return Err(serde::de::Error::custom(format!("the name '{}' occurs twice", name.escape_debug())));
                }
                seen.insert(name);
            }
            Ok(())
        }
    }
    let mut json = serde_json::Deserializer::from_str(text);
    json.deserialize_map(Names)
        .and_then(|()| json.end())
        .map_err(|e| bad_file("the header is not valid").source_box(e.into()))
}

/// What a safetensors type is here. Types of which elements are no plain numbers become blocks named after the type.
fn from_file_type(dtype: Dtype) -> Result<(DType, Encoding)> {
    let blocks = |elements: u32, bytes: u32| {
        let layout = dtype.to_string();
        Ok((DType::Opaque, Encoding::Blocks { layout, elements, bytes }))
    };
    let plain = match dtype {
        Dtype::F64 => DType::F64,
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::Bf16,
        Dtype::F8_E4M3 => DType::F8E4M3,
        Dtype::F8_E5M2 => DType::F8E5M2,
        Dtype::I64 => DType::I64,
        Dtype::I32 => DType::I32,
        Dtype::I16 => DType::I16,
        Dtype::I8 => DType::I8,
        Dtype::U64 => DType::U64,
        Dtype::U32 => DType::U32,
        Dtype::U16 => DType::U16,
        Dtype::U8 => DType::U8,
        Dtype::BOOL => DType::Bool,
        Dtype::F4 => return blocks(2, 1),
        Dtype::F6_E2M3 | Dtype::F6_E3M2 => return blocks(4, 3),
        Dtype::F8_E8M0 | Dtype::F8_E4M3FNUZ | Dtype::F8_E5M2FNUZ => return blocks(1, 1),
        Dtype::C64 => return blocks(1, 8),
        other => {
            return Err(Error::new(ErrorKind::Unsupported, format!("tensors of type {other} are not known here")));
        }
    };
    Ok((plain, Encoding::Plain))
}

/// Inverse of [`from_file_type`].
fn to_file_type(info: &AtomInfo) -> Result<Dtype> {
    Ok(match (info.dtype, &info.encoding) {
        (DType::F64, _) => Dtype::F64,
        (DType::F32, _) => Dtype::F32,
        (DType::F16, _) => Dtype::F16,
        (DType::Bf16, _) => Dtype::BF16,
        (DType::F8E4M3, _) => Dtype::F8_E4M3,
        (DType::F8E5M2, _) => Dtype::F8_E5M2,
        (DType::I64, _) => Dtype::I64,
        (DType::I32, _) => Dtype::I32,
        (DType::I16, _) => Dtype::I16,
        (DType::I8, _) => Dtype::I8,
        (DType::U64, _) => Dtype::U64,
        (DType::U32, _) => Dtype::U32,
        (DType::U16, _) => Dtype::U16,
        (DType::U8, _) => Dtype::U8,
        (DType::Bool, _) => Dtype::BOOL,
        (_, Encoding::Blocks { layout, .. }) => {
            let named = serde_json::from_value(serde_json::Value::String(layout.clone()));
            named.map_err(|_| unsupported(info, &format!("blocks of layout '{layout}'")))?
        }
        (dtype, _) => return Err(unsupported(info, dtype.name())),
    })
}

fn unsupported(info: &AtomInfo, what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("safetensors cannot hold {what}")).key(&info.key)
}

pub(super) fn import(
    txn: &mut WriteTxn,
    source: &Source,
    options: &ImportOptions,
    control: &Control<'_>,
) -> Result<ImportReport> {
    let (header, layout) = read_header(source)?;
    let data_start = header.len() as u64;
    // Everything that can be refused is refused before the first tensor is stored.
    let mut plan = Vec::with_capacity(layout.tensors.len());
    for (name, info) in &layout.tensors {
        let key = prefixed(&options.prefix, name)?;
        let (dtype, encoding) = from_file_type(info.dtype).map_err(|e| e.key(&key))?;
        let shape: Vec<u64> = info.shape.iter().map(|&dim| dim as u64).collect();
        let len = byte_len(dtype, &shape, &encoding).map_err(|e| e.key(&key))?;
        if len != (info.data_offsets.1 - info.data_offsets.0) as u64 {
            return Err(bad_file(format!("{dtype} with shape {shape:?} has another length in the file")).key(&key));
        }
        plan.push((key, dtype, shape, encoding, info.data_offsets.0 as u64, len));
    }
    txn.expect_bytes(source.len);
    let mut report = ImportReport { file_bytes: source.len, ..ImportReport::default() };
    let before = txn.new_payload_bytes();
    for (key, dtype, shape, encoding, offset, len) in plan {
        let address = Address { namespace: options.namespace, key: key.as_ref() };
        let put = PutOptions::new();
        let step = |done: u64| {
            control.report(Progress {
                bytes_done: report.payload_bytes + done,
                bytes_total: layout.data_bytes,
                items_done: report.atoms + u64::from(done == len),
                items_total: layout.tensors.len() as u64,
            });
            control.check()
        };
        raw::put_range(txn, address, source, data_start + offset, dtype, &shape, &encoding, &put, step)?;
        report.atoms += 1;
        report.payload_bytes += len;
    }
    txn.put_manifest(options.namespace, &options.prefix, &source.name, FORMAT, &header)?;
    report.new_bytes = txn.new_payload_bytes() - before;
    Ok(report)
}

/// The bytes in front of the data, checked against each other and against the file's length.
fn read_header(source: &Source) -> Result<(Vec<u8>, Layout)> {
    let mut length = [0; LENGTH_BYTES as usize];
    if source.len < LENGTH_BYTES {
        return Err(bad_file("shorter than the length of a header"));
    }
    source.read_exact(&mut length, 0)?;
    let json_bytes = u64::from_le_bytes(length);
    if json_bytes > HEADER_BYTES_MAX {
        return Err(bad_file(format!("claims a header of {json_bytes} bytes; {HEADER_BYTES_MAX} are allowed")));
    }
    let data_start = LENGTH_BYTES + json_bytes;
    if data_start > source.len {
        return Err(bad_file(format!("claims a header of {json_bytes} bytes and has {} in all", source.len)));
    }
    let header = source.read(0, data_start)?.as_slice().to_vec();
    let layout = Layout::parse(&header[LENGTH_BYTES as usize..])?;
    if data_start + layout.data_bytes != source.len {
        return Err(bad_file(format!(
            "the header describes {} bytes of data, the file has {}",
            layout.data_bytes,
            source.len - data_start
        )));
    }
    Ok((header, layout))
}

/// What an export is going to write.
struct Plan {
    header: Vec<u8>,
    payloads: Vec<Payload>,
    header_kept: bool,
}

pub(super) fn export(
    snapshot: &Snapshot,
    path: &Path,
    options: &ExportOptions,
    control: &Control<'_>,
) -> Result<ExportReport> {
    let plan = match kept_plan(snapshot, options)? {
        Some(plan) => plan,
        None => made_plan(snapshot, options)?,
    };
    let bytes_total: u64 = plan.payloads.iter().map(Payload::len).sum();
    let file_bytes = plan.header.len() as u64 + bytes_total;
    let target = Replacement::create(path).doing("creating the file")?;
    let file = target.file().doing("creating the file")?;
    let io = |e| Error::io("writing the file", e);
    file.write_at(&plan.header, 0).map_err(io)?;
    let mut at = plan.header.len() as u64;
    let mut buffer = vec![0; BLOCK_BYTES];
    for (done, payload) in plan.payloads.iter().enumerate() {
        write_payload(file, &mut at, payload, &mut buffer, control)?;
        control.report(Progress {
            bytes_done: at - plan.header.len() as u64,
            bytes_total,
            items_done: done as u64 + 1,
            items_total: plan.payloads.len() as u64,
        });
    }
    target.finish().doing("finishing the file")?;
    Ok(ExportReport { atoms: plan.payloads.len() as u64, file_bytes, header_kept: plan.header_kept })
}

fn write_payload(
    file: &dyn File,
    at: &mut u64,
    payload: &Payload,
    buffer: &mut [u8],
    control: &Control<'_>,
) -> Result<()> {
    let mut offset = 0;
    while offset < payload.len() {
        control.check()?;
        let step = usize::try_from(payload.len() - offset).unwrap_or(usize::MAX).min(buffer.len());
        let block = &mut buffer[..step];
        payload.read_into(offset, block)?;
        file.write_at(block, *at).map_err(|e| Error::io("writing the file", e))?;
        offset += step as u64;
        *at += step as u64;
    }
    Ok(())
}

/// The plan of a file imported before whose tensors all still have their types and shapes; `None` if there is none.
fn kept_plan(snapshot: &Snapshot, options: &ExportOptions) -> Result<Option<Plan>> {
    let manifests = snapshot.manifests(&options.prefix, FORMAT)?;
    let chosen: Vec<_> = match &options.file_name {
        Some(name) => manifests.into_iter().filter(|manifest| manifest.name == *name).collect(),
        None => manifests,
    };
    let manifest = match chosen.as_slice() {
        [] if options.file_name.is_some() => {
            return Err(Error::new(ErrorKind::NotFound, "no file of that name was imported under the prefix"));
        }
        [] => return Ok(None),
        [only] => only,
        several => {
            let names: Vec<&str> = several.iter().map(|manifest| manifest.name.as_str()).collect();
            let what = format!("several files were imported under the prefix: {}", names.join(", "));
            return Err(Error::new(ErrorKind::InvalidArgument, what).hint("say which one by its name"));
        }
    };
    let header = manifest.header.bytes()?.to_vec();
    let layout = Layout::parse(header.get(LENGTH_BYTES as usize..).unwrap_or_default())?;
    let mut payloads = Vec::with_capacity(layout.tensors.len());
    for (name, info) in &layout.tensors {
        let key = prefixed(&options.prefix, name)?;
        let payload = match snapshot.get(&key) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let (dtype, encoding) = from_file_type(info.dtype)?;
        let atom = payload.info();
        let same_shape = atom.shape.iter().copied().eq(info.shape.iter().map(|&dim| dim as u64));
        if (atom.dtype, &atom.encoding) != (dtype, &encoding) || !same_shape {
            return Ok(None);
        }
        payloads.push(payload);
    }
    // Atoms that came later under the prefix would be left out silently, unless the prefix holds several files.
    let listed = snapshot.list(&ListOptions::new().prefix(&options.prefix).limit(payloads.len() + 1))?;
    let additions = listed.len() > payloads.len() && options.file_name.is_none();
    Ok((!additions).then_some(Plan { header, payloads, header_kept: true }))
}

/// A plan with a new header, tensors ordered as the reference implementation does: by descending alignment, then name.
fn made_plan(snapshot: &Snapshot, options: &ExportOptions) -> Result<Plan> {
    let mut atoms = Vec::new();
    for info in snapshot.list(&ListOptions::new().prefix(&options.prefix))? {
        let name = match &info.key {
            Key::Name(name) => name.strip_prefix(options.prefix.as_str()).unwrap_or(name).to_owned(),
            Key::Int(number) => number.to_string(),
        };
        if name.is_empty() || name == "__metadata__" {
            return Err(Error::new(ErrorKind::InvalidKey, "safetensors cannot hold this name").key(&info.key));
        }
        atoms.push((to_file_type(&info)?, name, info));
    }
    if atoms.is_empty() {
        return Err(Error::new(ErrorKind::NotFound, "no atoms under the prefix"));
    }
    // The integer 5 and the name "5" are two keys and would be one name.
    let mut names: HashSet<&str> = HashSet::with_capacity(atoms.len());
    if let Some((_, _, info)) = atoms.iter().find(|(_, name, _)| !names.insert(name.as_str())) {
        return Err(Error::new(ErrorKind::InvalidKey, "another atom would have the same name").key(&info.key));
    }
    atoms.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let mut end = 0_usize;
    let mut tensors = Vec::with_capacity(atoms.len());
    let mut payloads = Vec::with_capacity(atoms.len());
    for (dtype, name, info) in atoms {
        let too_big = || Error::new(ErrorKind::Unsupported, "the file would be larger than the address space");
        let len = usize::try_from(info.bytes).map_err(|_| too_big())?;
        let start = end;
        end = end.checked_add(len).ok_or_else(too_big)?;
        let shape = info.shape.iter().map(|&dim| usize::try_from(dim).map_err(|_| too_big())).collect::<Result<_>>()?;
        tensors.push((name, TensorInfo { dtype, shape, data_offsets: (start, end) }));
        payloads.push(snapshot.get(&info.key)?);
    }
    let invalid = |e: &dyn fmt::Display| Error::internal(format!("a header that is not valid: {e}"));
    let metadata = Metadata::new(None, tensors).map_err(|e| invalid(&e))?;
    let mut json = serde_json::to_vec(&metadata).map_err(|e| invalid(&e))?;
    // Padding aligns the data, as the format recommends.
    json.resize(json.len().next_multiple_of(8), b' ');
    let mut header = (json.len() as u64).to_le_bytes().to_vec();
    header.extend_from_slice(&json);
    Ok(Plan { header, payloads, header_kept: false })
}
