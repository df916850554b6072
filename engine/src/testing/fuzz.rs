//! Bodies of the fuzz targets, one function each: `fuzz/` feeds them, `tests/regressions.rs` replays every find.
//! Each compares with an oracle where there is one; "did not panic" is the last resort.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use zerocopy::{FromBytes, IntoBytes};

use super::crash::small_options;
use super::oracle::{State, Step, commit_steps};
use super::random::Random;
use crate::catalog::Commit;
use crate::file::sim::SimDisk;
use crate::file::sim::persistence::Image;
use crate::file::{Open, Volume};
use crate::format::{RECORD_MAGIC, RecordHeaderBytes, SEGMENT_HEADER_AREA, Tier, names};
use crate::segment::{Record, Scan, SegmentHeader, SegmentReader, read_footer, read_payload};
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
];

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
    let reader = Arc::new(SegmentReader::open(&*process, 1, SALT, 1 << 20).unwrap());
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
