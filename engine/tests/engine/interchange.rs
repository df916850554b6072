//! Files in and out: bit-exact safetensors, `.npy` of every kind, and files that lie.

use std::fs;
use std::path::{Path, PathBuf};

use tensoratom::testing::oracle::check_integrity;
use tensoratom::testing::random::Random;
use tensoratom::{
    Control, DType, Durability, Encoding, ErrorKind, ExportOptions, FileFormat, ImportOptions, Key, ListOptions,
    Options, PutOptions, Store, Tensor,
};

struct Place {
    dir: tempfile::TempDir,
    store: Store,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(dir.path().join("store"), &Options::new().durability(Durability::Process)).unwrap();
        Place { dir, store }
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn import(&self, path: &Path, prefix: &str) -> tensoratom::Result<tensoratom::ImportReport> {
        self.store.import_file(path, &ImportOptions::new().prefix(prefix), &Control::new())
    }

    fn export(&self, prefix: &str) -> tensoratom::Result<(Vec<u8>, tensoratom::ExportReport)> {
        let path = self.dir.path().join("exported.safetensors");
        let report = self.store.export_file(&path, &ExportOptions::new().prefix(prefix), &Control::new())?;
        Ok((fs::read(path).unwrap(), report))
    }
}

/// A file with this header text, exactly, and so many bytes of data.
fn safetensors(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend(Random::new(data as u64).bytes(data));
    bytes
}

/// Headers as various writers make them: order of offsets, names, spaces, escapes, metadata, odd types.
fn lawful() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("empty", safetensors("{}", 0)),
        ("one", safetensors(r#"{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}"#, 24)),
        ("padding", safetensors(&format!("{:<100}", r#"{"a":{"dtype":"U8","shape":[7],"data_offsets":[0,7]}}"#), 7)),
        (
            "metadata, spaces, names out of order",
            safetensors(
                "{ \"__metadata__\": {\"format\": \"pt\", \"note\": \"\\u00e9\"},\n \"z\": {\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]},\n \"a\": {\"shape\":[4],\"dtype\":\"BF16\",\"data_offsets\":[8,16]} }  ",
                16,
            ),
        ),
        (
            "types that are blocks here",
            safetensors(
                r#"{"f4":{"dtype":"F4","shape":[4],"data_offsets":[0,2]},"e8":{"dtype":"F8_E8M0","shape":[3],"data_offsets":[2,5]},"c":{"dtype":"C64","shape":[2],"data_offsets":[5,21]},"b":{"dtype":"BOOL","shape":[3],"data_offsets":[21,24]}}"#,
                24,
            ),
        ),
        (
            "scalars and empty tensors",
            safetensors(
                r#"{"s":{"dtype":"F64","shape":[],"data_offsets":[0,8]},"e":{"dtype":"F16","shape":[0,5],"data_offsets":[8,8]}}"#,
                8,
            ),
        ),
        (
            "large",
            safetensors(
                r#"{"x":{"dtype":"F32","shape":[1000,2500],"data_offsets":[0,10000000]},"y":{"dtype":"U8","shape":[3],"data_offsets":[10000000,10000003]}}"#,
                10_000_003,
            ),
        ),
        (
            "larger than what is read whole",
            safetensors(r#"{"x":{"dtype":"U8","shape":[40000000],"data_offsets":[0,40000000]}}"#, 40_000_000),
        ),
    ]
}

#[test]
fn an_imported_file_comes_out_bit_for_bit() {
    let place = Place::new();
    for (name, bytes) in lawful() {
        let path = place.file(&format!("{name}.safetensors"), &bytes);
        let prefix = format!("{name}/");
        let report = place.import(&path, &prefix).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        assert_eq!(report.file_bytes, bytes.len() as u64);
        let (exported, report) = place.export(&prefix).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        assert!(exported == bytes && report.header_kept, "{name}");
    }
    check_integrity(&place.store).unwrap();
}

#[test]
fn importing_twice_takes_no_space_and_one_payload_changed_takes_one() {
    let place = Place::new();
    let header = r#"{"a":{"dtype":"U8","shape":[50000],"data_offsets":[0,50000]},"b":{"dtype":"U8","shape":[50000],"data_offsets":[50000,100000]}}"#;
    let mut bytes = safetensors(header, 100_000);
    let path = place.file("m.safetensors", &bytes);
    assert!(place.import(&path, "one/").unwrap().new_bytes >= 100_000);
    let again = place.import(&path, "two/").unwrap();
    assert_eq!((again.atoms, again.new_bytes), (2, 0));
    *bytes.last_mut().unwrap() ^= 1;
    let path = place.file("tuned.safetensors", &bytes);
    assert_eq!(place.import(&path, "tuned/").unwrap().new_bytes, 50_000);
}

#[test]
fn a_changed_tensor_is_exported_with_the_old_header_and_a_reshaped_one_with_a_new_one() {
    let place = Place::new();
    let bytes = safetensors(
        r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}"#,
        8,
    );
    place.import(&place.file("m.safetensors", &bytes), "m/").unwrap();
    place.store.put("m/a", &Tensor::from_slice(&[4], &[9_u8; 4]).unwrap()).unwrap();
    let (exported, report) = place.export("m/").unwrap();
    assert!(report.header_kept);
    assert_eq!(
        (&exported[..exported.len() - 8], &exported[exported.len() - 8..exported.len() - 4]),
        (&bytes[..bytes.len() - 8], &[9; 4][..])
    );
    place.store.put("m/added", &Tensor::from_slice(&[1], &[1.0_f32]).unwrap()).unwrap();
    let (exported, report) = place.export("m/").unwrap();
    assert_eq!((report.atoms, report.header_kept), (3, false));
    let parsed = safetensors::SafeTensors::deserialize(&exported).unwrap();
    assert_eq!(parsed.names().len(), 3);
    assert_eq!(parsed.tensor("a").unwrap().data(), [9; 4]);
    assert_eq!(parsed.tensor("added").unwrap().data(), 1.0_f32.to_le_bytes());
    place.store.delete("m/added").unwrap();
    place.store.delete("m/b").unwrap();
    assert!(!place.export("m/").unwrap().1.header_kept, "a tensor of the file is gone");
}

#[test]
fn what_was_never_imported_is_exported_as_the_reference_writer_would() {
    let place = Place::new();
    let floats = [1.5_f32, -2.0];
    place.store.put("b", &Tensor::from_slice(&[2], &floats).unwrap()).unwrap();
    place.store.put("a", &Tensor::from_slice(&[3], &[1_u8, 2, 3]).unwrap()).unwrap();
    place.store.put("c", &Tensor::from_slice(&[], &[7_i64]).unwrap()).unwrap();
    let (exported, report) = place.export("").unwrap();
    assert!(!report.header_kept);
    let view =
        |dtype, shape: &[usize], data| safetensors::tensor::TensorView::new(dtype, shape.to_vec(), data).unwrap();
    let (float_bytes, int_bytes) = (floats.map(f32::to_le_bytes).concat(), 7_i64.to_le_bytes());
    let tensors = [
        ("a", view(safetensors::Dtype::U8, &[3], &[1, 2, 3])),
        ("b", view(safetensors::Dtype::F32, &[2], &float_bytes)),
        ("c", view(safetensors::Dtype::I64, &[], &int_bytes)),
    ];
    assert_eq!(exported, safetensors::serialize(tensors, None).unwrap());
    assert_eq!(place.export("nothing/").unwrap_err().kind(), ErrorKind::NotFound);
    place.store.put("bits", &Tensor::new(DType::B1, &[8], &[1]).unwrap()).unwrap();
    assert_eq!(place.export("").unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn shards_are_one_commit_and_each_is_exported_by_its_name() {
    let place = Place::new();
    let one = safetensors(r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#, 4);
    let two = safetensors(r#"{"b":{"dtype":"U8","shape":[5],"data_offsets":[0,5]}}"#, 5);
    let paths = [place.file("m-1.safetensors", &one), place.file("m-2.safetensors", &two)];
    let report = place.store.import_files(&paths, &ImportOptions::new().prefix("m/"), &Control::new()).unwrap();
    assert_eq!((report.atoms, report.lsn), (2, 1));
    assert_eq!(place.export("m/").unwrap_err().kind(), ErrorKind::InvalidArgument, "which of the two?");
    for (name, bytes) in [("m-1.safetensors", &one), ("m-2.safetensors", &two)] {
        let path = place.dir.path().join("out");
        let options = ExportOptions::new().prefix("m/").file_name(name);
        place.store.export_file(&path, &options, &Control::new()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), *bytes);
    }
    // One bad shard, and nothing of the others is there.
    let bad = place.file("bad.safetensors", b"nonsense");
    let paths = [paths[0].clone(), bad];
    let error = place.store.import_files(&paths, &ImportOptions::new().prefix("x/"), &Control::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadFile);
    assert!(place.store.list(&ListOptions::new().prefix("x/")).unwrap().is_empty());
}

/// Files that lie, and what each would do to a trusting reader.
fn lies() -> Vec<(&'static str, Vec<u8>)> {
    let header = |text: &str, data: usize| safetensors(text, data);
    let huge = |length: u64| {
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend_from_slice(b"{}");
        bytes
    };
    vec![
        ("no bytes at all", vec![]),
        ("shorter than a length", vec![1, 0, 0]),
        ("header of 100 GB", huge(100 << 30)),
        ("header of 2^64 - 1 bytes", huge(u64::MAX)),
        ("header longer than the file", huge(90_000_000)),
        ("no JSON", header("hello", 0)),
        ("a JSON list", header("[]", 0)),
        ("not UTF-8", {
            let mut bytes = 2_u64.to_le_bytes().to_vec();
            bytes.extend([0xff, 0xfe]);
            bytes
        }),
        ("data missing", header(r#"{"a":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}}"#, 8)),
        ("data left over", header(r#"{"a":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}}"#, 10)),
        (
            "a hole",
            header(
                r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}}"#,
                6,
            ),
        ),
        (
            "an overlap",
            header(
                r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}"#,
                6,
            ),
        ),
        ("does not start at 0", header(r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#, 3)),
        ("offsets backwards", header(r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[2,0]}}"#, 2)),
        ("length unlike shape", header(r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, 4)),
        (
            "shape overflows",
            header(r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,0]}}"#, 0),
        ),
        ("negative shape", header(r#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, 4)),
        (
            "a name twice",
            header(
                r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#,
                2,
            ),
        ),
        (
            "an empty name twice over",
            header(
                r#"{"e":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"e":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#,
                0,
            ),
        ),
        ("unknown type", header(r#"{"a":{"dtype":"F128","shape":[1],"data_offsets":[0,16]}}"#, 16)),
        ("half a block", header(r#"{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}}"#, 2)),
        ("nested too deeply", header(&"[".repeat(100_000), 0)),
        ("metadata that is no map of text", header(r#"{"__metadata__":{"a":3}}"#, 0)),
        ("two values", header("{} {}", 0)),
    ]
}

#[test]
fn files_that_lie_are_refused_before_anything_is_written() {
    let place = Place::new();
    place.store.put("innocent", &Tensor::from_slice(&[1], &[1_u8]).unwrap()).unwrap();
    let before = place.store.stat().unwrap();
    for (name, bytes) in lies() {
        let path = place.file("lie.safetensors", &bytes);
        let error = place.import(&path, "x/").err().unwrap_or_else(|| panic!("{name} was accepted"));
        assert_eq!(error.kind(), ErrorKind::BadFile, "{name}: {error:?}");
    }
    let unnamable = safetensors("{\"\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2);
    assert_eq!(place.import(&place.file("u.safetensors", &unnamable), "").unwrap_err().kind(), ErrorKind::InvalidKey);
    assert_eq!(place.import(&place.file("u.safetensors", &unnamable), "prefix").unwrap().atoms, 1);
    place.store.delete("prefix").unwrap();
    let after = place.store.stat().unwrap();
    assert_eq!((after.atoms, before.atoms), (1, 1));
    check_integrity(&place.store).unwrap();
}

#[test]
fn other_bad_sources() {
    let place = Place::new();
    let missing = place.import(&place.dir.path().join("missing.safetensors"), "").unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Io);
    assert!(missing.path().unwrap().ends_with("missing.safetensors"));
    assert_eq!(place.import(place.dir.path(), "").unwrap_err().kind(), ErrorKind::Io, "a directory");
    let unknown = place.file("model.bin", b"x");
    assert_eq!(place.import(&unknown, "").unwrap_err().kind(), ErrorKind::InvalidArgument);
    let named_otherwise = place.file("model.bin", &safetensors("{}", 0));
    let options = ImportOptions::new().format(FileFormat::Safetensors);
    place.store.import_file(&named_otherwise, &options, &Control::new()).unwrap();
    let nowhere = place.store.export_file("/nowhere/at/all.safetensors", &ExportOptions::new(), &Control::new());
    assert!(nowhere.is_err());
}

#[test]
fn a_cancelled_import_leaves_nothing_and_a_failed_export_no_file() {
    let place = Place::new();
    let bytes = safetensors(r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#, 4);
    let path = place.file("m.safetensors", &bytes);
    let cancel = std::sync::atomic::AtomicBool::new(true);
    let control = Control::new().cancel(&cancel);
    let error = place.store.import_file(&path, &ImportOptions::new(), &control).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(place.store.stat().unwrap().atoms, 0);
    place.import(&path, "").unwrap();
    let target = place.dir.path().join("out.safetensors");
    fs::write(&target, "old").unwrap();
    let error = place.store.export_file(&target, &ExportOptions::new(), &control).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(fs::read(&target).unwrap(), b"old", "what was there stays");
    let left: Vec<_> = fs::read_dir(place.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("partial")), "{left:?}");
}

/// An `.npy` file of version 1 with this dictionary.
fn npy(dictionary: &str, data: &[u8]) -> Vec<u8> {
    let mut text = dictionary.as_bytes().to_vec();
    text.push(b'\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&(text.len() as u16).to_le_bytes());
    bytes.extend_from_slice(&text);
    bytes.extend_from_slice(data);
    bytes
}

fn put_npy(place: &Place, bytes: &[u8]) -> tensoratom::Result<tensoratom::Payload> {
    let path = place.file("a.npy", bytes);
    let mut txn = place.store.begin()?;
    txn.put_npy_file("a", path, &PutOptions::new())?;
    txn.commit()?;
    place.store.get("a")
}

#[test]
fn npy_arrays_of_every_order_arrive_in_c_order_little_endian() {
    let place = Place::new();
    let little = |values: &[i16]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    type Case = (&'static str, Vec<u8>, &'static [u64], Vec<i16>);
    let cases: Vec<Case> = vec![
        (
            "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3), }",
            little(&[1, 2, 3, 4, 5, 6]),
            &[2, 3],
            vec![1, 2, 3, 4, 5, 6],
        ),
        (
            "{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3), }",
            little(&[1, 4, 2, 5, 3, 6]),
            &[2, 3],
            vec![1, 2, 3, 4, 5, 6],
        ),
        ("{'descr': '>i2', 'fortran_order': False, 'shape': (3,), }", vec![0, 1, 0, 2, 1, 0], &[3], vec![1, 2, 256]),
        (
            "{'descr': '<i2', 'fortran_order': True, 'shape': (2, 2, 2), }",
            little(&[0, 4, 2, 6, 1, 5, 3, 7]),
            &[2, 2, 2],
            (0..8).collect(),
        ),
        ("{'descr': '<i2', 'fortran_order': False, 'shape': (), }", little(&[9]), &[], vec![9]),
        ("{'descr': '<i2', 'fortran_order': True, 'shape': (0, 4), }", vec![], &[0, 4], vec![]),
    ];
    for (dictionary, data, shape, values) in cases {
        let payload = put_npy(&place, &npy(dictionary, &data)).unwrap_or_else(|e| panic!("{dictionary}: {e:?}"));
        let view = payload.view::<i16>().unwrap();
        assert_eq!((view.shape(), &view[..]), (shape, &values[..]), "{dictionary}");
    }
}

#[test]
fn npy_files_go_round() {
    let place = Place::new();
    let types = [
        DType::F64,
        DType::F32,
        DType::F16,
        DType::I64,
        DType::I32,
        DType::I16,
        DType::I8,
        DType::U64,
        DType::U32,
        DType::U16,
        DType::U8,
        DType::Bool,
    ];
    for dtype in types {
        let bytes = vec![1; 12 * dtype.bits() as usize / 8];
        place.store.put("x", &Tensor::new(dtype, &[3, 4], &bytes).unwrap()).unwrap();
        let path = place.dir.path().join("x.npy");
        place.store.snapshot().unwrap().export_npy("x", &path).unwrap();
        let report = place.import(&path, "again/").unwrap();
        assert_eq!(report.atoms, 1);
        let info = place.store.info("again/x").unwrap();
        assert_eq!((info.dtype, &info.shape[..]), (dtype, &[3, 4][..]));
        assert_eq!(*place.store.get("again/x").unwrap().bytes().unwrap(), *bytes);
    }
    place.store.put("bf16", &Tensor::new(DType::Bf16, &[1], &[0x80, 0x3f]).unwrap()).unwrap();
    place.store.snapshot().unwrap().export_npy("bf16", place.dir.path().join("b.npy")).unwrap();
    place.store.put("bits", &Tensor::new(DType::B1, &[8], &[1]).unwrap()).unwrap();
    let error = place.store.snapshot().unwrap().export_npy("bits", place.dir.path().join("c.npy")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn npy_files_that_lie_are_refused() {
    let place = Place::new();
    let mut huge = b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec();
    huge.extend_from_slice(b"{}");
    let deep = format!("{{'descr': {}", "(".repeat(20_000));
    let cases: Vec<(&str, Vec<u8>, ErrorKind)> = vec![
        ("empty", vec![], ErrorKind::BadFile),
        ("other magic", b"PK\x03\x04 and so on".to_vec(), ErrorKind::BadFile),
        ("header of 4 GB", huge, ErrorKind::BadFile),
        ("version 9", b"\x93NUMPY\x09\x00\x10\x00".to_vec(), ErrorKind::BadFile),
        ("nested", npy(&deep, &[]), ErrorKind::BadFile),
        ("no dictionary", npy("hello", &[]), ErrorKind::BadFile),
        ("short data", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", &[0; 11]), ErrorKind::BadFile),
        ("long data", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", &[0; 13]), ErrorKind::BadFile),
        (
            "overflow",
            npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 16), }", &[]),
            ErrorKind::BadFile,
        ),
        ("negative", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", &[]), ErrorKind::BadFile),
        (
            "pickled objects",
            npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", &[0; 8]),
            ErrorKind::Unsupported,
        ),
        (
            "records",
            npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", &[0; 4]),
            ErrorKind::Unsupported,
        ),
        ("complex", npy("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", &[0; 8]), ErrorKind::Unsupported),
    ];
    for (name, bytes, kind) in cases {
        let error = put_npy(&place, &bytes).err().unwrap_or_else(|| panic!("{name} was accepted"));
        assert_eq!(error.kind(), kind, "{name}: {error:?}");
    }
}

#[test]
fn raw_files_take_their_meaning_from_the_caller() {
    let place = Place::new();
    let path = place.file("raw.bin", &[1, 2, 3, 4, 5, 6, 7, 8]);
    let put = |dtype: DType, shape: &[u64]| -> tensoratom::Result<()> {
        let mut txn = place.store.begin()?;
        txn.put_raw_file("r", &path, dtype, shape, &Encoding::Plain, &PutOptions::new())?;
        txn.commit().map(drop)
    };
    put(DType::Bf16, &[2, 2]).unwrap();
    assert_eq!(place.store.info("r").unwrap().dtype, DType::Bf16);
    assert_eq!(put(DType::F32, &[3]).unwrap_err().kind(), ErrorKind::BadFile);
    let keys: Vec<Key> = place.store.list(&ListOptions::new()).unwrap().into_iter().map(|info| info.key).collect();
    assert_eq!(keys, [Key::from("r")]);
}
