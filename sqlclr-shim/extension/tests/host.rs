//! Stands in for the host: opens sessions, streams chunks of columns, reads results back.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail loudly

mod exthost;

use std::ffi::c_void;
use std::fs;
use std::ptr::{null, null_mut};
use std::sync::OnceLock;

use engine::kernels::{Metric, Rows};
use engine::{DType, Options, Store};
use exthost::*;

const BINARY: i16 = -2;
const CHAR: i16 = 1;
const BIGINT: i16 = -25;

/// Types of fixed width, with it. A NULL of theirs takes its room in both directions.
const FIXED: &[(i16, usize)] =
    &[(-28, 1), (-7, 1), (-15, 2), (-16, 4), (7, 4), (BIGINT, 8), (8, 8), (2, 19), (93, 16), (91, 6), (-11, 16)];

type Cell = Option<Vec<u8>>;

/// Reads memory that the library handed out and that outlives the call.
macro_rules! host {
    ($call:expr) => {
        // SAFETY: addresses and lengths are those that the library gave for its results, which stay until the next call.
        unsafe { $call }
    };
}

fn bytes(values: &[f32]) -> Cell {
    Some(values.iter().flat_map(|v| v.to_le_bytes()).collect())
}

fn text(value: &str) -> Cell {
    Some(value.as_bytes().to_vec())
}

fn guid(number: u32) -> Guid {
    Guid(number, 0, 0, [0; 8])
}

fn begin(number: u32, script: &str, types: &[i16], params: u16) -> i16 {
    let columns = u16::try_from(types.len()).unwrap();
    let (s, n) = (script.as_ptr(), script.len() as u64);
    let mut status = InitSession(guid(number), 0, 1, s, n, columns, params, null(), 0, null(), 0);
    for (index, ctype) in (0..).zip(types) {
        status |= InitColumn(guid(number), 0, index, null(), 0, *ctype, 8000, 0, 1, -1, -1);
    }
    status
}

fn execute(number: u32, columns: &[Vec<Cell>], fixed: &[usize]) -> Option<Vec<Vec<Cell>>> {
    let rows = columns.first().map_or(0, Vec::len);
    let widths = fixed.iter().copied().chain(std::iter::repeat(0));
    let data: Vec<Vec<u8>> = columns
        .iter()
        .zip(widths)
        .map(|(c, width)| c.iter().flat_map(|v| v.clone().unwrap_or_else(|| vec![0; width])).collect())
        .collect();
    let length = |v: &Cell| v.as_ref().map_or(-1, |v| i32::try_from(v.len()).unwrap());
    let lengths: Vec<Vec<i32>> = columns.iter().map(|c| c.iter().map(length).collect()).collect();
    let pointers: Vec<*const c_void> = data.iter().map(|d| d.as_ptr().cast()).collect();
    let indicators: Vec<*const i32> = lengths.iter().map(|l| l.as_ptr()).collect();
    let mut out = 0_u16;
    if Execute(guid(number), 0, rows as u64, pointers.as_ptr(), indicators.as_ptr(), &raw mut out) != 0 {
        return None;
    }
    let (mut rows, mut data, mut lengths) = (0_u64, null_mut(), null_mut());
    assert_eq!(GetResults(guid(number), 0, &raw mut rows, &raw mut data, &raw mut lengths), 0);
    let mut found = Vec::new();
    for index in 0..out {
        let (mut ctype, mut size, mut digits, mut nullable) = (0, 0, 0, 0);
        let types = (&raw mut ctype, &raw mut size, &raw mut digits, &raw mut nullable);
        assert_eq!(GetResultColumn(guid(number), 0, index, types.0, types.1, types.2, types.3), 0);
        let mut values: *const u8 = host!(data.wrapping_add(usize::from(index)).read()).cast();
        let indicators: *mut i32 = host!(lengths.wrapping_add(usize::from(index)).read());
        let mut column = Vec::new();
        for row in 0..usize::try_from(rows).unwrap() {
            let length = host!(indicators.wrapping_add(row).read());
            let fixed = FIXED.iter().find(|(known, _)| *known == ctype).map_or(0, |(_, width)| *width);
            let room = usize::try_from(length).unwrap_or(fixed);
            column.push((length >= 0).then(|| host!(std::slice::from_raw_parts(values, room)).to_vec()));
            values = values.wrapping_add(room);
        }
        found.push(column);
    }
    Some(found)
}

fn end(number: u32) {
    assert_eq!(CleanupSession(guid(number), 0), 0);
}

fn run(number: u32, script: &str, types: &[i16], columns: &[Vec<Cell>]) -> Option<Vec<Vec<Cell>>> {
    assert_eq!(begin(number, script, types, 0), 0);
    let found = execute(number, columns, &[]);
    end(number);
    found
}

fn doubles(column: &[Cell]) -> Vec<Option<f64>> {
    column.iter().map(|c| c.as_ref().map(|c| f64::from_le_bytes(c.as_slice().try_into().unwrap()))).collect()
}

fn utf16(text: &str) -> Cell {
    Some(text.encode_utf16().flat_map(u16::to_le_bytes).collect())
}

/// The directory `models` of the configuration.
fn models() -> std::path::PathBuf {
    store().path().unwrap().parent().unwrap().join("files/models")
}

/// Puts a file with one tensor into it.
fn model(name: &str) {
    let from = store();
    from.put("seed/w", &engine::Tensor::from_slice(&[2], &[1.5_f32, -2.0]).unwrap()).unwrap();
    let options = engine::ExportOptions::new().prefix("seed/");
    from.export_file(models().join(name), &options, &engine::Control::new()).unwrap();
}

/// One configuration for the process, as the host has it: the store `default`.
fn store() -> &'static Store {
    static STORE: OnceLock<(Store, tempfile::TempDir)> = OnceLock::new();
    let (store, _) = STORE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let options = Options::new().read_mode(engine::ReadMode::Positioned);
        let store = Store::create(&path, &options).unwrap();
        let file = folder.path().join("sql.conf");
        let files = folder.path().join("files");
        fs::create_dir_all(files.join("models/out")).unwrap();
        let text = format!(
            "# stores\nstore.default = {0}\nfiles.models = {1}\nstore.tenant = {0}\nnamespace.tenant = tenant 7\n\
             store.late = {0}\ndeadline_ms.late = 0\n",
            path.display(),
            files.join("models").display()
        );
        store.create_namespace("tenant 7").unwrap();
        fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap();
        assert_eq!(Init(file.as_ptr(), file.len() as u64, null(), 0, null(), 0, null(), 0), 0);
        (store, folder)
    });
    store
}

// A NULL that shifts the values behind it would pair the wrong vectors, silently.
#[test]
fn pairs_are_aligned_around_nulls_and_over_chunks() {
    assert_eq!(GetInterfaceVersion(), 2);
    assert_eq!(begin(1, "sqeuclidean", &[BINARY, BINARY], 0), 0);
    let a = vec![bytes(&[0.0, 0.0]), None, bytes(&[1.0, 1.0])];
    let b = vec![bytes(&[3.0, 4.0]), bytes(&[9.0, 9.0]), bytes(&[1.0, 3.0])];
    let found = execute(1, &[a, b], &[]).unwrap();
    assert_eq!(doubles(&found[0]), [Some(25.0), None, Some(4.0)]);
    assert_eq!(doubles(&execute(1, &[vec![bytes(&[1.0])], vec![bytes(&[3.0])]], &[]).unwrap()[0]), [Some(4.0)]);
    assert_eq!(execute(1, &[vec![], vec![]], &[]).unwrap(), [Vec::<Cell>::new()]);
    assert!(execute(1, &[vec![bytes(&[1.0])], vec![bytes(&[1.0])]], &[]).is_some());
    assert!(execute(1, &[vec![bytes(&[1.0])], vec![bytes(&[1.0, 2.0])]], &[]).is_none());
    let (mut rows, mut data, mut lengths) = (9, null_mut(), null_mut());
    assert_eq!(GetResults(guid(1), 0, &raw mut rows, &raw mut data, &raw mut lengths), 0);
    assert_eq!(rows, 0, "the rows of the call before, after one that failed");
    end(1);
    assert!(run(1, "dot", &[BINARY, BINARY], &[vec![bytes(&[1.0])], vec![bytes(&[1.0, 2.0])]]).is_none());
}

// Groups that run into each other would be centroids of nothing.
#[test]
fn aggregates_keep_groups_of_every_type_apart() {
    let vectors = vec![bytes(&[1.0, 2.0]), bytes(&[5.0, 5.0]), bytes(&[3.0, 4.0]), None];
    for &(ctype, width) in FIXED {
        let group = |value: u8| Some(vec![value; width]);
        let names = vec![group(1), None, group(1), group(2)];
        assert_eq!(begin(20, "mean group by column 0", &[ctype, BINARY], 0), 0);
        let found = execute(20, &[names, vectors.clone()], &[width]).unwrap();
        end(20);
        assert_eq!(found[2], [bytes(&[5.0, 5.0]), bytes(&[2.0, 3.0])], "type {ctype}");
        assert_eq!(doubles(&found[3]), [Some(1.0), Some(2.0)]);
    }
    let found = run(20, "k_means k=1 seed=7", &[BINARY], &[vectors]).unwrap();
    assert_eq!(found[1], [bytes(&[3.0, 11.0 / 3.0])]);
}

#[test]
fn json_goes_both_ways() {
    let found = run(3, "json_to_bytes", &[CHAR], &[vec![text("[1, 2.5]"), None]]).unwrap();
    assert_eq!(found[0], [bytes(&[1.0, 2.5]), None]);
    let found = run(3, "bytes_to_json", &[BINARY], &[found[0].clone()]).unwrap();
    assert_eq!(found[0], [utf16("[1.0,2.5]"), None]);
}

// A store that T-SQL reaches by a path would be any file the service may read.
#[test]
fn stores_are_reached_by_alias_alone() {
    let store = store();
    let large = vec![7_u8; 100_000];
    let put = [vec![text("a/b"), text("c")], vec![Some(large.clone()), bytes(&[1.0])]];
    assert!(run(4, "put store=default", &[CHAR, BINARY], &put).is_some());
    assert_eq!(run(4, "get", &[CHAR], &[vec![text("a/b"), None]]).unwrap()[0], [Some(large), None]);
    assert!(run(4, "get", &[CHAR], &[vec![text("missing")]]).is_none());
    let set = store.vectors("words", 2, DType::F32, Metric::SqEuclidean).unwrap();
    set.append(&[7, 42], Rows::of(2, &[0.0_f32, 0.0, 3.0, 4.0]).unwrap()).unwrap();
    let found = run(4, "search set=words k=1", &[BINARY], &[vec![None, bytes(&[3.0, 3.0])]]).unwrap();
    assert_eq!(found[1], [Some(42_i64.to_le_bytes().to_vec())]);
    assert_eq!(doubles(&found[2]), [Some(1.0)]);
    assert_eq!(run(4, "list prefix=a/", &[], &[]).unwrap()[0], [utf16("a/b")]);
    assert_eq!(run(4, "stat", &[], &[]).unwrap()[0][1], utf16("atoms"));
    assert_eq!(run(4, "verify", &[], &[]).unwrap()[0], Vec::<Cell>::new());
    for script in ["list store=/etc", "list store=other", "list store=../x", "list prefix=\"a", "drop", "", "list k=1"]
    {
        assert!(run(4, script, &[], &[]).is_none(), "{script}");
    }
}

// Payloads that the assembly stored have numbers: looked up as names, none of them is there, and a new one is nobody's.
#[test]
fn integers_of_every_width_are_keys_and_ranges_are_cut_at_the_end() {
    let payload = bytes(&[1.0, 2.0, 3.0]);
    for (ctype, key) in
        [(-28, vec![9]), (-15, vec![9, 0]), (-16, vec![9, 0, 0, 0]), (BIGINT, vec![9, 0, 0, 0, 0, 0, 0, 0])]
    {
        let keys = vec![Some(key.clone())];
        assert_eq!(begin(40, "put dtype=f32", &[ctype, BINARY], 0), 0);
        assert!(execute(40, &[keys.clone(), vec![payload.clone()]], &[key.len()]).is_some());
        end(40);
        assert_eq!(store().get(9_i64).unwrap().bytes().unwrap().as_ref(), payload.as_deref().unwrap());
        for (script, range) in [
            ("get", 0..12),
            ("get offset=4 bytes=4", 4..8),
            ("get offset=8", 8..12),
            ("get offset=11 bytes=9", 11..12),
            ("get offset=99", 12..12),
        ] {
            assert_eq!(begin(40, script, &[ctype], 0), 0);
            let found = execute(40, &[vec![Some(key.clone()), None]], &[key.len()]).unwrap();
            end(40);
            assert_eq!(found[0], [Some(payload.as_ref().unwrap()[range].to_vec()), None], "{script}");
        }
        store().delete(9_i64).unwrap();
    }
    let negative = vec![Some((-9_i64).to_le_bytes().to_vec())];
    assert!(run(40, "put", &[BIGINT, BINARY], &[negative, vec![payload.clone()]]).is_some());
    assert!(store().get(-9_i64).is_ok());
    assert!(run(40, "get", &[CHAR], &[vec![text("-9")]]).is_none(), "a name is no number");
    assert!(run(40, "get", &[BINARY], &[vec![text("-9")]]).is_none(), "bytes are no key");
    assert!(run(40, "get", &[-8], &[vec![Some(vec![65, 0, 66])]]).is_none(), "half a character");
    assert!(run(40, "put", &[CHAR, BINARY], &[vec![text("x"), None], vec![payload.clone(), payload]]).is_none());
    assert!(store().get("x").is_err(), "a call that failed stored its first row");
}

// A set that nobody on this road can fill can be searched by nobody.
#[test]
fn vectors_are_put_under_their_ids_and_found() {
    let id = |id: i64| Some(id.to_le_bytes().to_vec());
    let put = |script: &str, ids: Vec<Cell>, vectors: Vec<Cell>| {
        assert_eq!(begin(41, script, &[BIGINT, BINARY], 0), 0);
        let found = execute(41, &[ids, vectors], &[8]);
        end(41);
        found
    };
    let script = "put_vectors set=planes metric=sqeuclidean";
    assert!(put(script, vec![id(5), id(-6)], vec![bytes(&[0.0, 0.0]), bytes(&[3.0, 4.0])]).is_some());
    assert!(put(script, vec![id(5)], vec![bytes(&[9.0, 9.0])]).is_some(), "an id that is there is replaced");
    let found = run(41, "search set=planes k=9", &[BINARY], &[vec![bytes(&[3.0, 4.0])]]).unwrap();
    assert_eq!((&found[1], doubles(&found[2])), (&vec![id(-6), id(5)], vec![Some(0.0), Some(61.0)]));
    let two = || vec![bytes(&[1.0, 1.0]), bytes(&[1.0])];
    for (ids, vectors) in [
        (vec![id(7), id(8)], two()),
        (vec![id(7), None], two()),
        (vec![id(7)], vec![None]),
        (vec![id(7)], vec![bytes(&[1.0])]),
    ] {
        assert!(put(script, ids, vectors).is_none());
    }
    assert!(
        put("put_vectors set=planes metric=dot", vec![id(7)], vec![bytes(&[1.0, 1.0])]).is_none(),
        "another metric"
    );
    assert_eq!(run(41, "search set=planes k=9", &[BINARY], &[vec![bytes(&[3.0, 4.0])]]).unwrap()[1].len(), 2);
}

// An output parameter of another width than its type writes over what lies behind it in the host.
#[test]
fn parameters_of_every_type_come_back_as_they_went_in() {
    for (ctype, width) in FIXED.iter().copied().chain([(CHAR, 0), (-8, 0), (BINARY, 0)]) {
        for length in [if width == 0 { 10 } else { width }, 0] {
            let value: Vec<u8> = (1..=u8::try_from(length).unwrap()).collect();
            let (is_null, pointer) = (length == 0, value.as_ptr().cast());
            let indicator = if is_null { -1 } else { i32::try_from(length).unwrap() };
            assert_eq!(begin(42, "stat", &[], 2), 0);
            let name = "@kept";
            assert_eq!(InitParam(guid(42), 0, 0, name.as_ptr(), 5, ctype, 20, 0, pointer, indicator, 2), 0);
            let rows = "@rows";
            assert_eq!(InitParam(guid(42), 0, 1, rows.as_ptr(), 5, -16, 4, 0, null(), -1, 2), 0, "NULL goes in");
            assert!(execute(42, &[], &[]).is_some());
            let (mut out, mut told) = (null_mut(), 0);
            assert_eq!(GetOutputParam(guid(42), 0, 0, &raw mut out, &raw mut told), 0);
            assert_eq!(told, indicator, "type {ctype}");
            if !is_null {
                assert_eq!(host!(std::slice::from_raw_parts(out.cast::<u8>(), length)), value, "type {ctype}");
            }
            assert_eq!(GetOutputParam(guid(42), 0, 1, &raw mut out, &raw mut told), 0);
            assert_eq!((host!(*out.cast::<i32>()), told), (7, 4), "the facts of stat");
            end(42);
        }
    }
}

// A number of two digits behind the point that goes out as one without is another number, and a time loses its fractions.
#[test]
fn a_group_keeps_the_digits_and_the_size_of_its_column() {
    for (ctype, width, size, digits) in [(2, 19, 10, 2), (93, 16, 27, 7), (CHAR, 0, 12, 0)] {
        assert_eq!(begin(43, "mean group by column 0", &[ctype, BINARY], 0), 0);
        assert_eq!(InitColumn(guid(43), 0, 0, null(), 0, ctype, size, digits, 1, -1, -1), 0);
        let names = vec![Some(vec![1; width.max(3)])];
        assert!(execute(43, &[names, vec![bytes(&[1.0])]], &[width]).is_some());
        let (mut out, mut bytes, mut told, mut nullable) = (0, 0, -1, 0);
        assert_eq!(GetResultColumn(guid(43), 0, 0, &raw mut out, &raw mut bytes, &raw mut told, &raw mut nullable), 0);
        assert_eq!((out, bytes, told), (ctype, size, digits));
        end(43);
    }
}

// Sessions that share a state would answer one user with the rows of another.
#[test]
fn sessions_interleave_and_foreign_ones_are_refused() {
    assert_eq!((begin(50, "dot", &[BINARY, BINARY], 0), begin(51, "l2", &[BINARY, BINARY], 1)), (0, 0));
    assert_ne!(begin(50, "dot", &[], 0), 0);
    let rows = [vec![bytes(&[1.0, 2.0])], vec![bytes(&[1.0, 2.0])]];
    let name = "@rows";
    let value = 0_i64;
    let (n, v) = (name.as_ptr(), (&raw const value).cast());
    assert_eq!(InitParam(guid(51), 0, 0, n, 5, BIGINT, 8, 0, v, 8, 2), 0);
    assert_eq!(doubles(&execute(51, &rows, &[]).unwrap()[0]), [Some(0.0)]);
    assert_eq!(doubles(&execute(50, &rows, &[]).unwrap()[0]), [Some(-5.0)]);
    let (mut out, mut length) = (null_mut(), 0);
    assert_eq!(GetOutputParam(guid(51), 0, 0, &raw mut out, &raw mut length), 0);
    assert_eq!((host!(*out.cast::<i64>()), length), (1, 8));
    assert_ne!(GetOutputParam(guid(51), 0, 9, &raw mut out, &raw mut length), 0);
    end(50);
    end(51);
    assert!(execute(50, &rows, &[]).is_none());
    assert_ne!(InitColumn(guid(99), 0, 0, null(), 0, BINARY, 1, 0, 1, -1, -1), 0);
    assert_eq!(begin(52, "dot", &[BINARY], 0), 0);
    assert_ne!(InitColumn(guid(52), 0, 0, null(), 0, 12345, 1, 0, 1, -1, -1), 0);
    assert_ne!(Execute(guid(52), 0, 1, null(), null(), null_mut()), 0);
    end(52);
}

// A path that climbs, or a link that leads elsewhere, would let a script read and write what the service account can.
#[test]
fn files_are_read_and_written_below_registered_directories_alone() {
    model("one.safetensors");
    let found = run(7, "import path=models/one.safetensors prefix=in/", &[], &[]).unwrap();
    assert_eq!(found[0], [Some(1_i64.to_le_bytes().to_vec())]);
    assert!(run(7, "export path=models/out/two.safetensors prefix=in/", &[], &[]).is_some());
    let (one, two) = (models().join("one.safetensors"), models().join("out/two.safetensors"));
    let stored = |path| fs::read(path).unwrap().windows(8).any(|at| at == bytes(&[1.5, -2.0]).unwrap());
    assert!(stored(&one) && stored(&two));
    assert!(run(7, "export path=models/out/two.safetensors", &[], &[]).is_none(), "a file was written over");

    let outside = models().parent().unwrap().join("outside");
    fs::create_dir_all(&outside).unwrap();
    fs::copy(&one, outside.join("secret.safetensors")).unwrap();
    #[cfg(unix)] // elsewhere links need a privilege, and what they would lead to is refused for being missing
    for (to, link) in
        [(&outside, "link"), (&one, "alias.safetensors"), (&outside.join("new.safetensors"), "dangling.safetensors")]
    {
        std::os::unix::fs::symlink(to, models().join(link)).unwrap();
    }
    for path in [
        "models/../outside/secret.safetensors",
        "models/out/../../outside/secret.safetensors",
        "models/link/secret.safetensors",
        "models/alias.safetensors",
        "models//etc/passwd",
        "models/",
        "models",
        "models/out",
        "/etc/passwd",
        "other/one.safetensors",
        "../models/one.safetensors",
        "default/store.json",
        "models\\one.safetensors",
        "models/missing.safetensors",
        "",
    ] {
        assert!(run(7, &format!("import path=\"{path}\""), &[], &[]).is_none(), "{path}");
    }
    let linked = if cfg!(unix) { "models/dangling.safetensors" } else { "models/link/dangling.safetensors" };
    for path in ["models/link/new.safetensors", linked, "models/../outside/x", "models/none/x"] {
        assert!(run(7, &format!("export path=\"{path}\""), &[], &[]).is_none(), "{path}");
    }
    assert!(!outside.join("new.safetensors").exists() && !outside.join("x").exists());
}

// An alias whose namespace one command does not heed shows one tenant the tensors of another; a command without an end holds a
// process of the host for as long as it likes.
#[test]
fn an_alias_keeps_to_its_namespace_and_to_its_deadline() {
    let space = store().namespace("tenant 7").unwrap();
    let put = [vec![text("only")], vec![bytes(&[1.5, -2.0])]];
    assert!(run(8, "put store=tenant dtype=f32", &[CHAR, BINARY], &put).is_some());
    assert_eq!(run(8, "get store=tenant", &[CHAR], &[vec![text("only")]]).unwrap()[0], put[1]);
    assert!(run(8, "get", &[CHAR], &[vec![text("only")]]).is_none());
    assert!(run(8, "export store=tenant path=models/out/tenant.safetensors", &[], &[]).is_some());
    assert!(run(8, "import store=tenant path=models/out/tenant.safetensors prefix=again/", &[], &[]).is_some());
    assert_eq!(run(8, "list store=tenant", &[], &[]).unwrap()[0], [utf16("again/only"), utf16("only")]);
    assert_eq!(run(8, "list prefix=again/", &[], &[]).unwrap()[0], Vec::<Cell>::new());
    let set = store().vectors(space.key("own"), 1, DType::F32, Metric::SqEuclidean).unwrap();
    set.append(&[5], Rows::of(1, &[0.0_f32]).unwrap()).unwrap();
    let search = |store: &str| run(8, &format!("search set=own {store}"), &[BINARY], &[vec![bytes(&[3.0])]]);
    assert_eq!(doubles(&search("store=tenant").unwrap()[2]), [Some(9.0)]);
    assert!(search("store=default").is_none());
    assert_eq!(run(8, "verify store=tenant", &[], &[]).unwrap()[0], Vec::<Cell>::new());

    let late = [
        ("put store=late", 2),
        ("stat store=late", 0),
        ("verify store=late", 0),
        ("import store=late path=models/out/tenant.safetensors", 0),
        ("export store=late path=models/out/late.safetensors", 0),
    ];
    for (script, columns) in late {
        let (types, rows) = (&[CHAR, BINARY][..columns], &put[..columns]);
        assert!(run(8, script, types, rows).is_none(), "{script}");
        assert!(run(8, &format!("{script} deadline_ms=600000"), types, rows).is_some(), "{script}");
    }
    assert!(search("store=tenant deadline_ms=0").is_none());
}

// A value read with the width of another type shifts all that follow; a NULL where the host keeps no room does as well.
#[test]
fn every_type_comes_back_with_every_pattern_of_nulls() {
    for (ctype, width) in FIXED.iter().copied().chain([(CHAR, 0), (-8, 0), (BINARY, 0)]) {
        for pattern in 0..16_u8 {
            // Four groups, those with a bit set NULL; a group's vector tells which row it came from.
            let name = |row: u8| Some(vec![row + 1; if width == 0 { 2 * usize::from(row + 1) } else { width }]);
            let names: Vec<Cell> = (0..4).map(|row| if pattern >> row & 1 == 1 { None } else { name(row) }).collect();
            let vectors = (0..4_u8).map(|row| bytes(&[f32::from(row)])).collect();
            assert_eq!(begin(30, "sum group by column 0", &[ctype, BINARY], 0), 0);
            let found = execute(30, &[names.clone(), vectors], &[width]).unwrap();
            end(30);
            for (group, value) in found[0].iter().zip(&found[2]) {
                let rows = (0..4_u8).filter(|row| names[usize::from(*row)] == *group);
                assert_eq!(*value, bytes(&[rows.map(f32::from).sum()]), "type {ctype}, NULLs {pattern:04b}");
            }
            let groups = 4 - pattern.count_ones() as usize + usize::from(pattern != 0);
            assert_eq!(found[0].len(), groups, "type {ctype}, NULLs {pattern:04b}");
        }
    }
}

// Partitions that leak into one another give each the centroid of all; a large object cut at 8,000 bytes is another vector.
#[test]
fn partitions_are_answered_alone_and_large_objects_whole() {
    let large: Vec<f32> = (0..3_000_000).map(|at| at as f32).collect();
    assert_eq!(begin(60, "centroid group by column 0", &[BIGINT, BINARY], 0), 0);
    for partition in 0..3_i64 {
        let name = Some(partition.to_le_bytes().to_vec());
        let found = execute(60, &[vec![name.clone()], vec![bytes(&large[..8 << partition])]], &[8]).unwrap();
        assert_eq!((&found[0], &found[2]), (&vec![name], &vec![bytes(&large[..8 << partition])]));
    }
    let found = execute(60, &[vec![None], vec![bytes(&large)]], &[8]).unwrap();
    assert_eq!(found[2], [bytes(&large)]);
    end(60);
}

// Threads of the host share the library: a session that another one ends, or finds, belongs to nobody any more.
#[test]
fn sessions_of_many_threads_are_opened_used_and_ended_at_once() {
    std::thread::scope(|scope| {
        for thread in 0..8_u16 {
            scope.spawn(move || {
                for round in 0..50_u16 {
                    let number = 1000 + u32::from(thread) * 100 + u32::from(round);
                    let rows = [vec![bytes(&[f32::from(thread)])], vec![bytes(&[f32::from(round)])]];
                    assert_eq!(begin(number, "euclidean", &[BINARY, BINARY], 0), 0);
                    let distance = f64::from(thread.abs_diff(round));
                    assert_eq!(doubles(&execute(number, &rows, &[]).unwrap()[0]), [Some(distance)]);
                    end(number);
                    end(number); // a second end is no error
                    assert!(execute(number, &rows, &[]).is_none());
                }
            });
        }
    });
}

// A host that is confused, or lies, must get a status and not a crash.
#[test]
fn nonsense_of_the_host_is_a_status() {
    assert_ne!(CleanupSession(guid(4242), 0), 1);
    for task in [0, 1, u16::MAX] {
        assert_ne!(Execute(guid(4242), task, 1, null(), null(), null_mut()), 0);
        assert_ne!(GetResults(guid(4242), task, null_mut(), null_mut(), null_mut()), 0);
    }
    assert_ne!(InitSession(guid(70), 0, 1, null(), 5, 0, 0, null(), 0, null(), 0), 0, "a text at NULL");
    let bad = [0xFF_u8, 0xFE];
    assert_ne!(InitSession(guid(70), 0, 1, bad.as_ptr(), 2, 0, 0, null(), 0, null(), 0), 0, "no Unicode");
    assert_ne!(InitSession(guid(70), 0, 1, bad.as_ptr(), u64::MAX, 0, 0, null(), 0, null(), 0), 0, "no length");
    assert_eq!(begin(71, "dot", &[BINARY, BINARY], 0), 0);
    let (data, lengths) = ([bad.as_ptr().cast::<c_void>(); 2], [-7_i32]);
    let lengths = [lengths.as_ptr(); 2];
    let mut out = 0;
    assert_ne!(Execute(guid(71), 0, 1, data.as_ptr(), lengths.as_ptr(), &raw mut out), 0, "a negative length");
    assert_ne!(Execute(guid(71), 0, u64::MAX, data.as_ptr(), lengths.as_ptr(), &raw mut out), 0, "too many rows");
    assert_ne!(Execute(guid(71), 0, 1, data.as_ptr(), null(), &raw mut out), 0, "no lengths");
    assert_ne!(GetResultColumn(guid(71), 0, 9, null_mut(), null_mut(), null_mut(), null_mut()), 0);
    end(71);
    let types = vec![BINARY; 3];
    assert_eq!(begin(72, "list", &types, 2), 0);
    assert_ne!(InitColumn(guid(72), 0, 3, null(), 0, BINARY, 1, 0, 1, -1, -1), 0, "a column too many");
    assert_ne!(InitParam(guid(72), 0, 2, null(), 0, BIGINT, 8, 0, null(), 8, 2), 0, "a parameter too many");
    end(72);
}

// What nobody thought of, many times: whatever script meets whatever columns, the host gets a status, and results that it can read.
#[test]
fn any_script_over_any_columns_ends_in_a_status() {
    let words = [
        "dot",
        "cosine",
        "hamming",
        "mean",
        "count",
        "k_means",
        "geometric_median",
        "random_projection",
        "json_to_bytes",
        "bytes_to_json",
        "search",
        "get",
        "put",
        "put_vectors",
        "list",
        "stat",
        "verify",
        "import",
        "k=2",
        "k=99999999",
        "set=random",
        "dtype=f16",
        "dtype=b1",
        "dtype=opaque",
        "metric=dot",
        "metric=jaccard",
        "group by column 0",
        "group by column 9",
        "offset=18446744073709551615",
        "bytes=3",
        "prefix=a",
        "path=models/none",
        "axes=2 seed=1",
        "ddof=1",
        "store=default",
        "deadline_ms=100000",
        "\"",
        "=",
        "\u{e9}",
    ];
    let types: Vec<(i16, usize)> =
        FIXED.iter().copied().chain([(CHAR, 0), (-8, 0), (BINARY, 0), (BINARY, 0)]).collect();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut below = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 11).unwrap() % bound
    };
    let effort: usize =
        std::env::var("TENSORATOM_TEST_EFFORT").ok().and_then(|effort| effort.parse().ok()).unwrap_or(1);
    let mut good = 0;
    store();
    for _ in 0..600 * effort {
        let script: Vec<&str> =
            (0..=below(3)).map(|at| words[if at == 0 { below(18) } else { below(words.len()) }]).collect();
        let columns: Vec<(i16, usize)> = (0..below(4)).map(|_| types[below(types.len())]).collect();
        let rows = below(4);
        let cell = |width: usize, below: &mut dyn FnMut(usize) -> usize| -> Cell {
            let length = if width == 0 { 4 * below(4) } else { width };
            (below(5) != 0).then(|| (0..length).map(|_| u8::try_from(below(128)).unwrap()).collect())
        };
        let data: Vec<Vec<Cell>> =
            columns.iter().map(|(_, width)| (0..rows).map(|_| cell(*width, &mut below)).collect()).collect();
        let (types, widths): (Vec<i16>, Vec<usize>) = columns.into_iter().unzip();
        assert_eq!(begin(80, &script.join(" "), &types, 0), 0);
        good += usize::from(execute(80, &data, &widths).is_some());
        end(80);
    }
    assert!(good > 20, "only {good} of the scripts ran");
}

// A documented command that is refused costs its reader the afternoon.
#[test]
fn the_readme_shows_commands_that_run() {
    store().vectors("words", 2, DType::F32, Metric::SqEuclidean).unwrap();
    let readme = include_str!("../README.md");
    let rows = readme.lines().filter(|line| line.starts_with("| `"));
    let cells: Vec<&str> = rows.filter_map(|line| line.split('|').nth(1)).collect();
    let scripts: Vec<&str> = cells.iter().flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert_eq!(scripts.len(), 31);
    model("bert.safetensors");
    for script in scripts {
        assert!(run(6, script, &[BINARY, BINARY], &[vec![], vec![]]).is_some(), "{script}");
    }
}
