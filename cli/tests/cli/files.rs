//! `import` and `export`: the file that comes out is the file that went in.

use crate::support::{Place, fields, floats, many, npy, safetensors};

/// A file as nobody's library writes it, and still valid: keys out of order, metadata in the middle, spaces as padding,
/// escapes, names beyond ASCII.
fn odd_file() -> Vec<u8> {
    let header = concat!(
        r#"{ "z/\u00e9":{"shape":[2],"dtype":"F32","data_offsets":[0,8]},"#,
        r#" "__metadata__": {"format":"pt", "note":"\u001b[2J é"},"#,
        r#""重み": {"dtype":"I64","data_offsets":[8,16],"shape":[]},   "#,
        r#""a":{"dtype":"BF16","shape":[0,7],"data_offsets":[16,16]} }       "#
    );
    safetensors(header, &[floats(&[1.0, -2.0]), 77_i64.to_le_bytes().to_vec()].concat())
}

#[test]
fn an_exported_file_is_the_imported_one_bit_for_bit() {
    let place = Place::new();
    place.write("odd.safetensors", odd_file());
    place.run(["import", "store", "odd.safetensors", "--prefix", "p/"]).ok();
    assert_eq!(place.keys(), ["p/a", "p/z/é", "p/重み"]);
    let report = place.run(["export", "store", "--prefix", "p/", "-o", "same.safetensors", "--json"]).json();
    assert_eq!(fields(&report), ["atoms", "file_bytes", "header_kept", "seconds"]);
    assert_eq!((&report["atoms"], &report["header_kept"]), (&3.into(), &true.into()));
    assert!(place.read("same.safetensors") == odd_file());
    assert_eq!(place.run(["get", "store", "p/重み", "-o", "-"]).stdout, 77_i64.to_le_bytes());
}

#[test]
fn an_import_reports_what_it_did() {
    let place = Place::new();
    place.write("odd.safetensors", odd_file());
    let report = place.run(["import", "store", "odd.safetensors", "--json"]).json();
    assert_eq!(fields(&report), ["atoms", "file_bytes", "payload_bytes", "new_bytes", "lsn", "seconds"]);
    assert_eq!((&report["atoms"], &report["payload_bytes"], &report["lsn"]), (&3.into(), &16.into(), &1.into()));
    assert_eq!(report["file_bytes"], odd_file().len());
}

#[test]
fn duplicates_take_no_space() {
    let place = Place::new();
    let data: Vec<u8> = (0..600_000_u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let header = format!(r#"{{"w":{{"dtype":"U8","shape":[{0}],"data_offsets":[0,{0}]}}}}"#, data.len());
    place.write("big.safetensors", safetensors(&header, &data));
    place.run(["import", "store", "big.safetensors", "--prefix", "a/"]).ok();
    let before = place.run(["stat", "store", "--json"]).json();
    let text = place.run(["import", "store", "big.safetensors", "--prefix", "b/"]).ok();
    assert!(text.contains("new in the store: 0 B") || text.contains("held already: 2.3 MiB"), "{text}");
    let after = place.run(["stat", "store", "--json"]).json();
    assert_eq!(before["stored_bytes"], after["stored_bytes"]);
    assert_eq!(after["atoms"], 2);
}

#[test]
fn several_files_are_one_commit_and_exported_by_name() {
    let place = Place::new();
    place.write("1.safetensors", many("one/", 3));
    place.write("2.safetensors", many("two/", 2));
    place.write("array.npy", npy("<f4", "(1,)", &floats(&[1.0])));
    place.run(["import", "store", "1.safetensors", "2.safetensors", "array.npy", "--prefix", "p/"]).ok();
    assert_eq!(place.run(["sql", "store", "SELECT count(*) AS n FROM commits", "--json"]).json()[0]["n"], 1);
    assert!(place.keys().contains(&"p/array".into()));
    let message = place.run(["export", "store", "--prefix", "p/", "-o", "x"]).fails(1);
    assert!(message.contains("1.safetensors") && message.contains("--file-name"), "{message}");
    place.run(["export", "store", "--prefix", "p/", "-o", "x", "--file-name", "2.safetensors"]).ok();
    assert!(place.read("x") == many("two/", 2));
    place.run(["export", "store", "--prefix", "p/", "-o", "y", "--file-name", "3.safetensors"]).fails(1);
    place.run(["export", "store", "--prefix", "nothing/", "-o", "y"]).fails(1);
    assert!(!place.path("y").exists());
}

#[test]
fn import_creates_the_store_only_when_told_to() {
    let place = Place::empty();
    place.write("m.safetensors", many("k", 1));
    let message = place.run(["import", "store", "m.safetensors"]).fails(1);
    assert!(
        message.contains("store: ") && message.contains("[NotAStore 20]") && message.contains("create a store"),
        "{message}"
    );
    assert!(!place.path("store").exists());
    for _ in 0..2 {
        place.run(["import", "store", "m.safetensors", "--create"]).ok();
    }
    assert_eq!(place.keys(), ["k00000"]);
}

#[test]
fn namespaces_are_imported_and_exported_apart() {
    let place = Place::new();
    place.write("1.safetensors", many("k", 1));
    place.write("2.safetensors", many("k", 2));
    place.run(["import", "store", "1.safetensors"]).ok();
    place.run(["import", "store", "2.safetensors", "-n", "tenant"]).ok();
    place.run(["export", "store", "-o", "one"]).ok();
    place.run(["export", "store", "-n", "tenant", "-o", "two"]).ok();
    assert!(place.read("one") == many("k", 1) && place.read("two") == many("k", 2));
}

// A file that lies must be refused as a whole, before anything of it is stored.
#[test]
fn files_that_contradict_themselves_are_refused_whole() {
    let place = Place::new();
    let good = r#""a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}"#;
    let cases: [(&str, Vec<u8>); 9] = [
        ("empty", vec![]),
        ("a header of 100 GB", 100_000_000_000_u64.to_le_bytes().to_vec()),
        ("not JSON", safetensors("{", &[])),
        ("too much data", safetensors(&format!("{{{good}}}"), &[1, 2])),
        ("too little", safetensors(&format!("{{{good}}}"), &[])),
        ("one name twice", safetensors(&format!("{{{good},{good}}}"), &[1])),
        ("overlap", safetensors(&format!("{{{good},{}}}", good.replace("\"a\"", "\"b\"")), &[1])),
        ("a hole", safetensors(&format!("{{{}}}", good.replace("[0,1]", "[1,2]")), &[1, 2])),
        ("a shape that does not fit", safetensors(&format!("{{{}}}", good.replace("\"U8\"", "\"F64\"")), &[1])),
    ];
    for (what, bytes) in cases {
        place.write("bad.safetensors", bytes);
        let message = place.run(["import", "store", "bad.safetensors"]).fails(1);
        assert!(message.contains("bad.safetensors: import: "), "{what}: {message}");
        assert!(message.contains("[BadFile 42]") && message.contains("nothing was stored"), "{what}: {message}");
    }
    let with_nul = good.replace("\"a\"", r#""a\u0000b""#);
    place.write("nul.safetensors", safetensors(&format!("{{{with_nul}}}"), &[1]));
    assert!(place.run(["import", "store", "nul.safetensors"]).fails(1).contains("[InvalidKey 5]"));
    place.write("good.safetensors", many("k", 1));
    place.run(["import", "store", "good.safetensors", "nul.safetensors"]).fails(1);
    assert!(place.keys().is_empty());
    assert_eq!(place.run(["stat", "store", "--json"]).json()["lsn"], 0);
}

#[test]
fn a_file_of_unknown_kind_is_refused_with_advice() {
    let place = Place::new();
    place.write("model.bin", [1]);
    let message = place.run(["import", "store", "model.bin"]).fails(1);
    assert!(message.contains(".safetensors") && message.contains("put the raw bytes"), "{message}");
    place.run(["import", "store", "missing.safetensors"]).fails(1);
    place.run(["import", "store", "."]).fails(1);
}

// As root, an export to a device renamed a file over it.
#[test]
fn only_regular_files_are_replaced() {
    let place = Place::new();
    place.write("m.safetensors", many("k", 1));
    place.run(["import", "store", "m.safetensors"]).ok();
    std::fs::create_dir(place.path("directory")).unwrap();
    std::os::unix::net::UnixListener::bind(place.path("socket")).unwrap();
    for target in ["directory", "socket"] {
        place.run(["export", "store", "-o", target]).fails(1);
        place.run(["get", "store", "k00000", "--npy", target]).fails(1);
        place.run(["get", "store", "k00000", "-o", target]).fails(1);
    }
    place.run(["get", "store", "k00000", "-o", "/dev/null"]).ok();
    place.write("real", []);
    std::os::unix::fs::symlink("real", place.path("link")).unwrap();
    place.run(["export", "store", "-o", "link"]).ok();
    assert!(place.read("real") == many("k", 1) && place.path("link").is_symlink());
    place.run(["get", "store", "k00000", "-o", "link"]).ok();
    assert!(place.read("real") == [7] && place.path("link").is_symlink());
}
