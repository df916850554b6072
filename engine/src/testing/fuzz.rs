//! Bodies of the fuzz targets, one function each: `fuzz/` feeds them, `tests/regressions.rs` replays every find.
//! Each compares with an oracle where there is one; "did not panic" is the last resort.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use zerocopy::{FromBytes, IntoBytes};

use super::crash::small_options;
use super::oracle::{State, Step, commit_steps};
use super::random::Random;
use crate::aggregate::Aggregate;
use crate::catalog::Commit;
use crate::codec;
use crate::file::sim::SimDisk;
use crate::file::sim::persistence::Image;
use crate::file::{Open, Volume};
use crate::format::{Codec, RECORD_MAGIC, RecordHeaderBytes, SEGMENT_HEADER_AREA, Tier, names};
use crate::kernels::ggml::{BlockLayout, dequantize_blocks, quantize_blocks};
use crate::kernels::json;
use crate::segment::{Record, Scan, SegmentHeader, SegmentKey, SegmentReader, Site, read_footer, read_payload};
use crate::{
    Control, DType, Durability, ErrorKind, FileFormat, ImportOptions, Key, KeyRef, ListOptions, RepairOptions, Store,
};

const SALT: u64 = 0x5a17;

/// A target's name and its body.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("segment_open", segment_open),
    ("catalog_rebuild", catalog_rebuild),
    ("safetensors_import", safetensors_import),
    ("npy_import", npy_import),
    ("commit_record", commit_record),
    ("json_array", json_array),
    ("ggml_blocks", ggml_blocks),
    ("aggregate_state", aggregate_state),
    ("chunk_codecs", chunk_codecs),
];

/// Bytes as a coded chunk of any codec and length, and as a chunk to code.
pub fn chunk_codecs(data: &[u8]) {
    let [number, width, low, high, bytes @ ..] = data else { return };
    let codec = Codec::ALL[usize::from(*number) % Codec::ALL.len()];
    let mut raw = vec![0; usize::from(u16::from_le_bytes([*low, *high]))];
    if let Err(error) = codec::decode(codec, bytes, &mut raw) {
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
    let coded = codec::encode(codec, 1 << (width % 4), bytes).unwrap();
    assert!(coded.len() <= bytes.len() + 1, "{codec:?} let {} bytes grow to {}", bytes.len(), coded.len());
    let mut back = vec![0; bytes.len()];
    codec::decode(codec, &coded, &mut back).unwrap();
    assert!(back == bytes, "{codec:?} gave other bytes back");
}

/// Bytes where records should be, and as a header of a segment.
pub fn segment_open(data: &[u8]) {
    let _ = SegmentHeader::parse(data);
    let header = SegmentHeader {
        store_uuid: [1; 16],
        segment: 1,
        salt: SALT,
        capacity_bytes: 1 << 20,
        created_us: 0,
        chunk_bytes: 4096,
        tier: Tier::Warm,
    };
    let mut bytes = header.build().to_vec();
    bytes.resize(SEGMENT_HEADER_AREA as usize, 0);
    bytes.extend_from_slice(&with_valid_checksum(data));
    let mut image = Image::default();
    image.dirs.insert(names::SEGMENTS.into());
    image.files.insert(names::segment(1), bytes);
    let process = SimDisk::from_image(&image).process();
    let volume: Arc<dyn Volume> = process;
    let key = SegmentKey { id: 1, salt: SALT, capacity_bytes: 1 << 20 };
    let reader = Arc::new(SegmentReader::open(&Site::warm(&volume), key).unwrap());
    let len = reader.len().unwrap();
    let _ = read_footer(reader.file(), SALT);
    for scan in [Scan::strict, Scan::resync] {
        let mut scan = scan(&reader, SEGMENT_HEADER_AREA, len);
        let mut end = SEGMENT_HEADER_AREA;
        while let Some(found) = scan.next().unwrap() {
            let record = &found.record;
            assert!(record.offset >= end && record.end() <= len, "records overlap or reach past the end");
            end = record.end();
            if let Ok(payload) = read_payload(&reader, record.offset) {
                assert_eq!(payload.len() as u64, record.raw_bytes);
                commit_record(&payload);
            }
        }
    }
}

/// Makes the start of the data a record header whose place and checksum are right, where the first bit asks for it: so
/// that the checks behind the checksum are reached.
fn with_valid_checksum(data: &[u8]) -> Vec<u8> {
    let mut bytes = data.to_vec();
    if data.first().is_none_or(|first| first & 1 == 0) || data.len() < RecordHeaderBytes::LEN {
        return bytes;
    }
    let Ok((fixed, _)) = RecordHeaderBytes::mut_from_prefix(&mut bytes) else { return bytes };
    fixed.magic = RECORD_MAGIC;
    fixed.salt = SALT.into();
    fixed.segment = 1.into();
    fixed.record_offset = SEGMENT_HEADER_AREA.into();
    fixed.version = 1;
    if let Some(len) = Record::header_len(fixed.as_bytes()).filter(|&len| len <= data.len()) {
        let crc = crc32fast::hash(&bytes[12..len]);
        bytes[8..12].copy_from_slice(&crc.to_le_bytes());
    }
    bytes
}

/// Bytes where a commit should be: whatever is accepted means the same after it was written again.
pub fn commit_record(data: &[u8]) {
    if let Ok(commit) = Commit::decode(data) {
        let again = Commit::decode(&commit.encode().unwrap()).unwrap();
        assert_eq!(commit, again);
    }
}

/// Bytes where the state of an aggregate should be: whatever is accepted has the same bytes again, takes itself in, and
/// finishes or says why not.
pub fn aggregate_state(data: &[u8]) {
    for bytes in [data.to_vec(), with_aggregate_checksum(data)] {
        if let Ok(mut state) = Aggregate::from_bytes(&bytes) {
            assert_eq!(state.to_bytes().unwrap(), bytes);
            // Large shapes are valid, and slow.
            if state.dim().is_none_or(|dim| dim <= 64) {
                let _ = state.finish();
                state.merge(&state.clone()).unwrap();
                let _ = state.finish();
            }
        }
    }
}

/// The same bytes with the checksum an exported state would have.
pub fn with_aggregate_checksum(data: &[u8]) -> Vec<u8> {
    let mut bytes = data.to_vec();
    if let Some((head, rest)) = bytes.split_first_chunk_mut::<12>() {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&head[..8]);
        hasher.update(rest);
        head[8..].copy_from_slice(&hasher.finalize().to_le_bytes());
    }
    bytes
}

fn workload() -> Vec<Vec<Step>> {
    let put = |key: &str, len: usize| Step::Put(Key::from(key), Random::new(len as u64).bytes(len), None);
    vec![
        vec![put("a", 100), put("b", 9_000)],
        vec![put("a", 200), Step::Rename("b".into(), "c".into())],
        vec![put("d", 40_000), Step::Delete("a".into())],
    ]
}

/// A small store, closed in order, and what it holds.
fn base() -> &'static (Image, State) {
    static BASE: OnceLock<(Image, State)> = OnceLock::new();
    BASE.get_or_init(|| {
        let disk = SimDisk::new();
        let store = Store::open_on(disk.process(), &small_options(Durability::Full), true).unwrap();
        let mut state = State::default();
        for steps in workload() {
            commit_steps(&store, &steps).unwrap();
            steps.iter().for_each(|step| state.apply(step));
        }
        drop(store);
        (disk.image(), state)
    })
}

/// A list of changes to the files of a store, then a rebuild: what is served afterwards is what was stored once, under
/// its own key, or an error.
pub fn catalog_rebuild(data: &[u8]) {
    let (image, state) = base();
    let mut image = image.clone();
    let files: Vec<String> = image.files.keys().filter(|name| *name != names::BALLAST).cloned().collect();
    for change in data.chunks_exact(6).take(32) {
        let bytes = image.files.get_mut(&files[change[0] as usize % files.len()]).unwrap();
        let at = usize::from(change[1]) << 16 | usize::from(change[2]) << 8 | usize::from(change[3]);
        if bytes.is_empty() {
            continue;
        }
        let at = at % bytes.len();
        match change[4] % 4 {
            0 => bytes[at] ^= 1 << (change[5] % 8),
            1 => bytes[at] = change[5],
            2 => bytes.truncate(at),
            _ => {
                let end = (at + usize::from(change[5]) * 64).min(bytes.len());
                bytes[at..end].fill(0);
            }
        }
    }
    let disk = SimDisk::from_image(&image);
    let rebuild = RepairOptions::new().rebuild_catalog(true);
    if super::repair_on(disk.process(), &rebuild, &Control::new()).is_err() {
        return;
    }
    let Ok(store) = Store::open_on(disk.process(), &small_options(Durability::Full), false) else { return };
    let Ok(listed) = store.list(&ListOptions::new()) else { return };
    // Every payload a key ever had, for commits whose records are lost may take a key back in time.
    let mut history = vec![state.clone()];
    let mut at = State::default();
    for steps in workload() {
        for step in &steps {
            at.apply(step);
            history.push(at.clone());
        }
    }
    for info in listed {
        if let Ok(bytes) = store.get(&info.key).and_then(|payload| payload.bytes()) {
            let known = history.iter().filter_map(|state| state.0.get(&info.key)).any(|e| *e.bytes == *bytes);
            assert!(known, "'{}' has bytes that never were its own", info.key);
        }
    }
}

/// Imports a file that is in memory only, reads every atom back, and gives the transaction up.
fn import(data: &[u8], name: &str, format: FileFormat, check: impl FnOnce(&mut crate::WriteTxn, &[Key])) -> bool {
    // One store for all inputs: nothing is ever committed to it.
    static STORE: OnceLock<Store> = OnceLock::new();
    let open = || Store::open_on(SimDisk::new().process(), &small_options(Durability::Process), true).unwrap();
    let mut txn = STORE.get_or_init(open).begin().unwrap();
    let process = SimDisk::new().process();
    let file = process.open(name, Open::Create).unwrap();
    file.write_at(data, 0).unwrap();
    let options = ImportOptions::new().format(format);
    match txn.import_open_file(file, Path::new(name), &options) {
        Ok(report) => {
            assert_eq!(report.file_bytes, data.len() as u64);
            let keys: Vec<Key> = txn.staged_names();
            assert_eq!(report.atoms, keys.len() as u64);
            check(&mut txn, &keys);
            true
        }
        Err(e) => {
            let expected = [ErrorKind::BadFile, ErrorKind::InvalidKey, ErrorKind::Unsupported, ErrorKind::InvalidShape];
            assert!(expected.contains(&e.kind()), "{e:?}");
            false
        }
    }
}

/// What we accept, the reference implementation accepts, and sees the same tensors in it.
pub fn safetensors_import(data: &[u8]) {
    if data.len() > 1 << 20 {
        return;
    }
    import(data, "x.safetensors", FileFormat::Safetensors, |txn, keys| {
        let reference = safetensors::SafeTensors::deserialize(data).expect("the reference refuses the file");
        assert_eq!(reference.len(), keys.len());
        for key in keys {
            let KeyRef::Name(name) = key.as_ref() else { panic!("a number") };
            let tensor = reference.tensor(name).expect("the reference has no such tensor");
            let payload = txn.get(key).unwrap();
            assert_eq!(&*payload.bytes().unwrap(), tensor.data());
            let shape: Vec<u64> = tensor.shape().iter().map(|&dim| dim as u64).collect();
            assert_eq!(payload.info().shape, shape);
        }
    });
}

/// An accepted array is as long as its shape says.
pub fn npy_import(data: &[u8]) {
    if data.len() > 1 << 20 {
        return;
    }
    import(data, "x.npy", FileFormat::Npy, |txn, keys| {
        let payload = txn.get(&keys[0]).unwrap();
        let info = payload.info();
        assert_ne!(info.dtype, DType::Opaque);
        assert_eq!(
            crate::byte_len(info.dtype, &info.shape, &info.encoding).unwrap(),
            payload.bytes().unwrap().len() as u64
        );
    });
}

/// serde_json decides whether a text is an array of numbers, the standard library which f32 each number is; what was read
/// is written and read again.
pub fn json_array(data: &[u8]) {
    if data.len() > 1 << 16 {
        return;
    }
    let mut values = Vec::new();
    let read = json::parse(data, 1 << 16, &mut values);
    let Ok(()) = read.as_ref().map(drop) else {
        assert!(values.is_empty());
        assert!(read.unwrap_err().byte_offset().unwrap() <= data.len() as u64);
        // The one difference: what is finite as f64 may be beyond f32.
        if let Ok(wide) = serde_json::from_slice::<Vec<f64>>(data) {
            assert!(wide.iter().any(|&value| (value as f32).is_infinite()), "a valid array was refused");
        }
        return;
    };
    assert!(serde_json::from_slice::<Vec<f64>>(data).is_ok(), "an invalid array was accepted");
    let text = std::str::from_utf8(data).unwrap().trim().trim_start_matches('[').trim_end_matches(']');
    let tokens: Vec<&str> = text.split(',').map(str::trim).filter(|token| !token.is_empty()).collect();
    assert_eq!(tokens.len(), values.len());
    for (token, value) in tokens.iter().zip(&values) {
        assert_eq!(token.parse::<f32>().unwrap().to_bits(), value.to_bits(), "{token}");
    }
    let (mut again, mut text) = (Vec::new(), String::new());
    json::write(&values, json::NonFinite::Refuse, &mut text).unwrap();
    json::parse(text.as_bytes(), values.len(), &mut again).unwrap();
    assert!(values.as_bytes() == again.as_bytes(), "{text}");
}

/// The first byte picks a layout, the rest is blocks. Every element is found again by its formula, one at a time.
pub fn ggml_blocks(data: &[u8]) {
    let Some((&choice, blocks)) = data.split_first() else { return };
    let layout = BlockLayout::ALL[usize::from(choice) % BlockLayout::ALL.len()];
    let mut values = vec![0.0; blocks.len().min(1 << 16) / layout.bytes() * layout.elements()];
    if let Err(error) = dequantize_blocks(layout, blocks, &mut values) {
        assert_eq!(error.kind(), ErrorKind::InvalidShape);
        assert!(!blocks.len().is_multiple_of(layout.bytes()) || blocks.len() > 1 << 16, "whole blocks were refused");
        return;
    }
    for (block, values) in blocks.chunks(layout.bytes()).zip(values.chunks(layout.elements())) {
        for (i, &value) in values.iter().enumerate() {
            let expected = ggml_element(layout, block, i);
            let same = value.to_bits() == expected.to_bits() || (value.is_nan() && expected.is_nan());
            assert!(same, "{} element {i}: {value} instead of {expected}", layout.name());
        }
    }
    // What was dequantised can be quantised, if it is finite and its scale is.
    for layout in [BlockLayout::Q8_0, BlockLayout::Q4_0] {
        let mut target = vec![0; values.len() / layout.elements() * layout.bytes()];
        let small = values.iter().all(|value| value.abs() < 65_504.0);
        assert!(quantize_blocks(layout, &values, &mut target).is_ok() || !small, "finite numbers were refused");
    }
}

/// Element `i` of a block, written down as the layouts are described: which bits, which scale, which minimum.
fn ggml_element(layout: BlockLayout, block: &[u8], i: usize) -> f32 {
    let half = |at: usize| half::f16::from_le_bytes([block[at], block[at + 1]]).to_f32();
    let bits = |at: usize, shift: usize, count: u32| i32::from(block[at] >> shift) & ((1 << count) - 1);
    // 32 elements: low nibbles are the first half. The fifth bits are one after the other.
    let nibble = |at: usize| bits(at + i % 16, i / 16 * 4, 4);
    let fifth = |at: usize| bits(at + i / 8, i % 8, 1) << 4;
    // 256 elements: which 128, which 64, which 32, and the place there.
    let (n128, n64, n32, at) = (i / 128, i / 64, i / 32, i % 32);
    let k_scale = |j: usize| if j < 4 { bits(4 + j, 0, 6) } else { bits(8 + j, 0, 4) | bits(j, 6, 2) << 4 };
    let k_min = |j: usize| if j < 4 { bits(8 + j, 0, 6) } else { bits(8 + j, 4, 4) | bits(4 + j, 6, 2) << 4 };
    let k_nibble = |codes: usize| bits(codes + n64 * 32 + at, n32 % 2 * 4, 4);
    let pair = |codes: usize| bits(codes + n128 * 32 + at, n32 % 4 * 2, 2);
    let product = |scale: f32, code: i32| scale * code as f32;
    match layout {
        BlockLayout::Q4_0 => product(half(0), nibble(2) - 8),
        BlockLayout::Q4_1 => product(half(0), nibble(4)) + half(2),
        BlockLayout::Q5_0 => product(half(0), (nibble(6) | fifth(2)) - 16),
        BlockLayout::Q5_1 => product(half(0), nibble(8) | fifth(4)) + half(2),
        BlockLayout::Q8_0 => product(half(0), i32::from(block[2 + i] as i8)),
        BlockLayout::Q2_K => {
            let (scale, min) = (product(half(80), bits(i / 16, 0, 4)), product(half(82), bits(i / 16, 4, 4)));
            product(scale, pair(16)) - min
        }
        BlockLayout::Q3_K => {
            let j = i / 16;
            let scale = (bits(96 + j % 8, j / 8 * 4, 4) | bits(104 + j % 4, j / 4 * 2, 2) << 4) - 32;
            product(product(half(108), scale), pair(32) - 4 * (1 - bits(at, n32, 1)))
        }
        BlockLayout::Q4_K => product(product(half(0), k_scale(n32)), k_nibble(16)) - product(half(2), k_min(n32)),
        BlockLayout::Q5_K => {
            let code = k_nibble(48) | bits(16 + at, n32, 1) << 4;
            product(product(half(0), k_scale(n32)), code) - product(half(2), k_min(n32))
        }
        BlockLayout::Q6_K => {
            let low = bits(n128 * 64 + n32 % 2 * 32 + at, n32 % 4 / 2 * 4, 4);
            let code = low | bits(128 + n128 * 32 + at, n32 % 4 * 2, 2) << 4;
            product(product(half(208), i32::from(block[192 + i / 16] as i8)), code - 32)
        }
    }
}
