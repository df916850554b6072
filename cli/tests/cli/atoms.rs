//! `ls`, `get`, `put`, `rm`: what goes in comes out, and only that.

use serde_json::{Value, json};

use crate::support::{Place, fields, floats, many, npy};

// Scripts read these fields by name; a renamed one would break them silently.
#[test]
fn ls_prints_the_promised_json() {
    let place = Place::new();
    place.write("m.npy", npy("<f4", "(2, 3)", &floats(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0])));
    place.run(["put", "store", "m", "m.npy"]).ok();
    let list = place.run(["ls", "store", "--json"]).json();
    assert_eq!(list.as_array().unwrap().len(), 1);
    let atom = &list[0];
    assert_eq!(fields(atom), ["key", "dtype", "shape", "bytes", "digest", "tier", "lsn"]);
    assert_eq!((&atom["key"], &atom["dtype"], &atom["bytes"]), (&json!("m"), &json!("f32"), &json!(24)));
    assert_eq!((&atom["shape"], &atom["lsn"]), (&json!([2, 3]), &json!(1)));
    assert!(atom["digest"].as_str().unwrap().len() >= 32 && atom["tier"].is_string());
}

#[test]
fn an_empty_listing_is_an_empty_list() {
    let place = Place::new();
    assert_eq!(place.run(["ls", "store", "--json"]).json(), json!([]));
    assert!(place.run(["ls", "store"]).ok().contains("0 atoms"));
}

// A listing is read from the catalog in pages; at their seams nothing may be lost, doubled or out of order.
#[test]
fn a_listing_of_several_pages_holds_each_key_once() {
    let place = Place::new();
    place.write("many.safetensors", many("k", 2_500));
    place.run(["import", "store", "many.safetensors"]).ok();
    place.write("one", [1]);
    place.run(["put", "store", "--int", "7", "one"]).ok();
    let expected: Vec<Value> = [json!(7)].into_iter().chain((0..2_500).map(|i| json!(format!("k{i:05}")))).collect();
    assert_eq!(place.keys(), expected);
    let text = place.run(["ls", "store"]).ok();
    assert_eq!(text.lines().count(), 1 + 2_501 + 1);
    assert_eq!(text.lines().last().unwrap(), "2,501 atoms, 2.4 KiB");
    let some = place.run(["ls", "store", "k0", "--after", "k00998", "--limit", "1002", "--json"]).json();
    assert_eq!(some.as_array().unwrap().len(), 1_002);
    assert_eq!((&some[0]["key"], &some[1_001]["key"]), (&json!("k00999"), &json!("k02000")));
    let behind = place.run(["ls", "store", "--after", "7", "--int", "--limit", "1", "--json"]).json();
    assert_eq!(behind[0]["key"], "k00000");
    assert_eq!(place.run(["ls", "store", "--limit", "0", "--json"]).json(), json!([]));
}

#[test]
fn columns_are_aligned() {
    let place = Place::new();
    for key in ["a", "a/much/longer/key", "重み"] {
        place.put(key);
    }
    let text = place.run(["ls", "store"]).ok();
    let lines: Vec<&str> = text.lines().collect();
    let column = lines[0].find("DTYPE").unwrap();
    assert!(lines[1..3].iter().all(|line| line[column..].starts_with("u8 ")), "{text}");
    assert!(lines[3].starts_with(&format!("重み{}u8 ", " ".repeat(column - 4))), "two columns a character: {text}");
}

#[test]
fn raw_bytes_come_back_whole_and_by_rows() {
    let place = Place::new();
    let bytes: Vec<u8> = (0..=255).collect();
    place.write("in.bin", &bytes);
    place.run(["put", "store", "k", "in.bin", "--dtype", "int16", "--shape", "32,4"]).ok();
    assert_eq!(place.run(["get", "store", "k", "-o", "-"]).stdout, bytes);
    place.run(["get", "store", "k", "-o", "out.bin"]).ok();
    assert_eq!(place.read("out.bin"), bytes);
    assert_eq!(place.run(["get", "store", "k", "--rows", "3:5", "-o", "-"]).stdout, bytes[24..40]);
    assert_eq!(place.run(["get", "store", "k", "--rows", "32:32", "-o", "-"]).stdout, b"");
    let message = place.run(["get", "store", "k", "--rows", "3:33", "-o", "never"]).fails(1);
    assert!(message.contains("'k'") && message.contains("33"), "{message}");
    assert!(!place.path("never").exists(), "a refused read leaves no file");
    place.run(["get", "store", "k", "--rows", "3:33"]).fails(1); // and shows nothing either
}

#[test]
fn get_shows_the_descriptor_and_first_values() {
    let place = Place::new();
    place.write("m.bin", floats(&(0..40).map(|i| i as f32 / 2.0).collect::<Vec<_>>()));
    place.run(["put", "store", "m", "m.bin", "--dtype", "f32", "--shape", "5,8", "--metadata", r#"{"a": [1]}"#]).ok();
    let text = place.run(["get", "store", "m"]).ok();
    for expected in ["m\n", "f32", "160 (160 B)", r#"{"a":"#, "row 3  [12.000000, ", "5 rows in all"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let text = place.run(["get", "store", "m", "--rows", "4:5"]).ok();
    assert!(text.contains("row 4  [16.000000") && !text.contains("row 3"), "{text}");
    let value = place.run(["get", "store", "m", "--json"]).json();
    assert_eq!(fields(&value), ["key", "dtype", "shape", "bytes", "digest", "tier", "lsn", "metadata", "created_us"]);
    assert_eq!(value["metadata"], json!({"a": [1]}));
}

#[test]
fn an_npy_file_comes_back_as_numpy_would_write_it() {
    let place = Place::new();
    let file = npy("<f4", "(2, 3)", &floats(&[0.0, -1.0, 2.5, 3.0, 4.0, 5.0]));
    place.write("in.npy", &file);
    place.run(["put", "store", "m", "in.npy"]).ok();
    assert!(place.run(["get", "store", "m", "--npy", "out.npy"]).ok().contains("out.npy"));
    let written = place.read("out.npy");
    assert_eq!((&written[..6], written.len() % 8), (&b"\x93NUMPY"[..], 0));
    assert!(written.ends_with(&file[file.len() - 24..]));
    place.run(["put", "store", "again", "out.npy"]).ok();
    let list = place.run(["ls", "store", "--json"]).json();
    assert_eq!((&list[0]["digest"], &list[0]["shape"]), (&list[1]["digest"], &list[1]["shape"]));
}

#[test]
fn scalars_and_empty_tensors_are_tensors() {
    let place = Place::new();
    place.write("four", floats(&[2.5]));
    place.write("none", []);
    place.run(["put", "store", "scalar", "four", "--dtype", "f32", "--shape", ""]).ok();
    place.run(["put", "store", "empty", "none", "--dtype", "f64", "--shape", "0,3"]).ok();
    place.run(["put", "store", "bytes", "none"]).ok();
    place.write("scalar.npy", npy("<f8", "()", &2.5_f64.to_le_bytes()));
    place.run(["put", "store", "numpy", "scalar.npy"]).ok();
    let shapes: Vec<Value> = place
        .run(["ls", "store", "--json"])
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|atom| atom["shape"].clone())
        .collect();
    assert_eq!(shapes, [json!([0]), json!([0, 3]), json!([]), json!([])]);
    assert!(place.run(["get", "store", "scalar"]).ok().contains("[2.500000]"));
    assert!(place.run(["get", "store", "empty"]).ok().contains("0 (0 B)"));
    assert_eq!(place.run(["get", "store", "empty", "-o", "-"]).stdout, b"");
}

// Without --dtype, bytes are bytes; with a type alone, the length says the shape, in packed bits as well.
#[test]
fn the_shape_of_raw_bytes_follows_from_their_length() {
    let place = Place::new();
    place.write("six", [0, 1, 2, 3, 4, 5]);
    for (key, dtype, shape) in [("a", "u8", 6), ("b", "i16", 3), ("c", "b1", 48)] {
        place.run(["put", "store", key, "six", "--dtype", dtype]).ok();
        assert_eq!(place.run(["get", "store", key, "--json"]).json()["shape"], json!([shape]), "{dtype}");
    }
    let message = place.run(["put", "store", "d", "six", "--dtype", "f32"]).fails(1);
    assert!(message.contains("'d'") && message.contains("6"), "{message}");
    let message = place.run(["put", "store", "d", "six", "--dtype", "u8", "--shape", "7"]).fails(1);
    assert!(message.contains("takes 7 bytes, the file has 6"), "{message}");
    place.run(["put", "store", "d", "six", "--dtype", "u8", "--shape", "4294967296,4294967296"]).fails(1);
    assert_eq!(place.keys().len(), 3);
}

// `42` may be a name or a number; they are two keys, and only --int means the number.
#[test]
fn integer_keys_need_int_and_are_other_keys() {
    let place = Place::new();
    place.write("name", [1]);
    place.write("number", [2, 2]);
    place.run(["put", "store", "42", "name"]).ok();
    place.run(["put", "store", "--int", "42", "number"]).ok();
    place.run(["put", "store", "--int", "-9223372036854775808", "number"]).ok();
    assert_eq!(place.keys(), [json!(i64::MIN), json!(42), json!("42")]);
    assert_eq!(place.run(["get", "store", "42", "-o", "-"]).stdout, [1]);
    assert_eq!(place.run(["get", "store", "42", "--int", "-o", "-"]).stdout, [2, 2]);
    for wrong in ["x", "9223372036854775808", "1.5", ""] {
        let message = place.run(["get", "store", "--int", wrong]).fails(1);
        assert!(message.contains("is no integer key"), "{message}");
    }
    place.run(["rm", "store", "--int", "42", "-9223372036854775808"]).ok();
    assert_eq!(place.keys(), [json!("42")]);
}

// A missing integer key is most often a missing --int; the message must say so.
#[test]
fn a_missing_key_is_named_with_what_to_do() {
    let place = Place::new();
    let message = place.run(["get", "store", "no/such"]).fails(1);
    assert!(
        message.contains("get 'no/such': no such atom") && message.contains("a listing shows the keys"),
        "{message}"
    );
    assert!(place.run(["get", "store", "42"]).fails(1).contains("--int"));
}

#[test]
fn namespaces_do_not_see_each_other() {
    let place = Place::new();
    place.put("k");
    place.write("other", [9]);
    place.run(["put", "store", "-n", "tenant", "k", "other"]).ok();
    assert_eq!(place.run(["get", "store", "k", "-o", "-"]).stdout, [1, 2, 3]);
    assert_eq!(place.run(["get", "store", "-n", "tenant", "k", "-o", "-"]).stdout, [9]);
    assert_eq!(place.run(["ls", "store", "-n", "tenant", "--json"]).json().as_array().unwrap().len(), 1);
    place.run(["get", "store", "-n", "tenant", "k", "--npy", "tenant.npy"]).ok();
    assert_eq!(place.read("tenant.npy").last(), Some(&9));
    place.run(["rm", "store", "-n", "tenant", "k"]).ok();
    assert_eq!(place.keys(), [json!("k")]);
    let message = place.run(["ls", "store", "-n", "nobody"]).fails(1);
    assert!(message.contains("no namespace 'nobody'"), "{message}");
}

#[test]
fn conditional_puts_fail_when_the_condition_does() {
    let place = Place::new();
    place.write("f", [1]);
    let first = place.run(["put", "store", "k", "f", "--if-absent", "--json"]).json();
    assert_eq!(first, json!({"lsn": 1}));
    let message = place.run(["put", "store", "k", "f", "--if-absent"]).fails(1);
    assert!(message.contains("'k'") && message.contains("[AlreadyExists 2]"), "{message}");
    place.run(["put", "store", "k", "f", "--if-version", "1"]).ok();
    assert!(place.run(["put", "store", "k", "f", "--if-version", "1"]).fails(1).contains("[Conflict 3]"));
    place.run(["put", "store", "k", "f", "--if-absent", "--if-version", "1"]).fails(64);
}

#[test]
fn rm_deletes_all_it_names_or_nothing() {
    let place = Place::new();
    for key in ["a/1", "a/2", "b"] {
        place.put(key);
    }
    let message = place.run(["rm", "store", "b", "nowhere"]).fails(1);
    assert!(message.contains("'nowhere'"), "{message}");
    assert_eq!(place.keys().len(), 3);
    assert_eq!(place.run(["rm", "store", "b", "b", "--json"]).json()["deleted"], 1);
    assert!(place.run(["rm", "store", "--prefix", "a/"]).ok().contains("deleted 2 atoms"));
    assert_eq!(place.run(["rm", "store", "--prefix", "a/", "--json"]).json(), json!({"deleted": 0, "lsn": null}));
    assert!(place.keys().is_empty());
    place.run(["rm", "store"]).fails(64);
    place.run(["rm", "store", "x", "--prefix", "a/"]).fails(64);
}

// Keys are names, never paths: nothing of them may reach the file system.
#[test]
fn keys_that_look_like_paths_are_only_names() {
    let place = Place::new();
    let keys = ["..", "../outside", "/etc/passwd", r"C:\x", "CON", "-dash", "a b", "é", &"x".repeat(1024)];
    for key in keys {
        place.put(key);
        assert_eq!(place.run(["get", "store", "-o", "-", "--", key]).stdout, [1, 2, 3], "{key}");
    }
    assert_eq!(place.keys().len(), keys.len());
    assert!(!place.path("outside").exists());
}

#[test]
fn keys_that_are_none_are_refused_by_name() {
    let place = Place::new();
    place.write("f", [1]);
    for (key, why) in [("", "at least one byte"), (&*"x".repeat(1025), "1025 bytes"), (&*"é".repeat(513), "1026 bytes")]
    {
        let message = place.run(["put", "store", key, "f"]).fails(1);
        assert!(message.contains(why) && message.contains("[InvalidKey 5]"), "{message}");
    }
    assert!(place.keys().is_empty());
}

#[test]
fn metadata_that_is_no_object_is_refused() {
    let place = Place::new();
    place.write("f", [1]);
    for wrong in ["[1]", "{", "1", "{} {}"] {
        let message = place.run(["put", "store", "k", "f", "--metadata", wrong]).fails(1);
        assert!(message.contains("'k'") && message.contains("[InvalidMetadata 7]"), "{message}");
    }
    assert!(place.keys().is_empty());
}
