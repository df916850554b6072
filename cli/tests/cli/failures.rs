//! What cannot be done: exit codes, and messages that say what to do next.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::support::{Place, fields};

#[test]
fn init_makes_a_store_once() {
    let place = Place::empty();
    let made = place.run(["init", "store", "--json", "--segment-size", "16MiB", "--chunk-size", "64KiB"]).json();
    assert_eq!(fields(&made), ["uuid", "segment_bytes", "chunk_bytes"]);
    assert_eq!((&made["segment_bytes"], &made["chunk_bytes"]), (&(16 << 20).into(), &(64 << 10).into()));
    place.put("k");
    let message = place.run(["init", "store"]).fails(1);
    assert!(message.starts_with("error: store: ") && message.contains("[AlreadyExists 2]"), "{message}");
    assert_eq!(place.keys(), ["k"]);
    for wrong in [["--chunk-size", "100000"], ["--segment-size", "1KiB"], ["--chunk-size", "8GiB"]] {
        assert!(place.run(["init", "other"].iter().chain(&wrong)).fails(1).contains("[InvalidArgument 4]"));
    }
    assert!(!place.path("other").exists());
}

#[test]
fn init_wants_a_directory_without_other_files() {
    let place = Place::empty();
    fs::create_dir(place.path("photos")).unwrap();
    place.write("photos/cat.jpg", "cat");
    let message = place.run(["init", "photos"]).fails(1);
    assert!(message.contains("photos: ") && message.contains("other files"), "{message}");
    assert_eq!(fs::read_dir(place.path("photos")).unwrap().count(), 1);
}

#[test]
fn every_command_names_the_store_that_is_none() {
    let place = Place::empty();
    fs::create_dir(place.path("empty")).unwrap();
    place.write("file", "x");
    for store in ["missing", "empty", "file"] {
        let commands: [&[&str]; 10] = [
            &["ls", store],
            &["stat", store],
            &["verify", store],
            &["get", store, "k"],
            &["put", store, "k", "file"],
            &["rm", store, "k"],
            &["sql", store, "SELECT 1"],
            &["import", store, "m.safetensors"],
            &["export", store, "-o", "out"],
            &["repair", store],
        ];
        for args in commands {
            let message = place.run(args).fails(1);
            assert!(message.starts_with(&format!("error: {store}: ")), "{args:?}: {message}");
            assert!(message.contains("[NotAStore 20]"), "{args:?}: {message}");
            assert!(
                message.contains("create a store there first") || message.contains("segment"),
                "{args:?}: {message}"
            );
        }
    }
    assert!(!place.path("missing").exists());
    assert_eq!(fs::read_dir(place.path("empty")).unwrap().count(), 0);
}

#[test]
fn a_store_of_a_newer_format_is_left_alone() {
    let place = Place::new();
    let mut text: Value = serde_json::from_slice(&place.read("store/store.json")).unwrap();
    text["version"] = 99.into();
    place.write("store/store.json", text.to_string());
    for args in [&["ls", "store"][..], &["rm", "store", "k"], &["init", "store"], &["repair", "store"]] {
        let message = place.run(args).fails(1);
        assert!(message.contains("[NewerFormat 21]") && message.contains("format 99"), "{message}");
    }
}

#[test]
fn a_half_created_store_is_completed_by_init() {
    let place = Place::new();
    fs::remove_file(place.path("store/store.json")).unwrap();
    let message = place.run(["ls", "store"]).fails(1);
    assert!(message.contains("not finished") && message.contains("create it again"), "{message}");
    place.run(["init", "store"]).ok();
    place.put("k");
    place.run(["verify", "store"]).ok();
}

#[test]
fn a_store_that_everybody_may_write_is_only_read() {
    let place = Place::new();
    place.put("k");
    fs::set_permissions(place.path("store"), fs::Permissions::from_mode(0o777)).unwrap();
    let message = place.run(["put", "store", "k", "three.bin"]).fails(1);
    assert!(message.contains("[PermissionDenied 24]") && message.contains("chmod o-w"), "{message}");
    assert_eq!(place.run(["get", "store", "k", "-o", "-"]).stdout, [1, 2, 3]);
}

#[test]
fn wrong_usage_is_exit_code_64() {
    let place = Place::new();
    let cases: [&[&str]; 13] = [
        &[],
        &["frobnicate"],
        &["ls"],
        &["ls", "store", "--frobnicate"],
        &["get", "store"],
        &["get", "store", "k", "--rows", "5"],
        &["get", "store", "k", "--rows", "5:1"],
        &["get", "store", "k", "--rows", "0:1", "--npy", "x"],
        &["get", "store", "k", "-o", "x", "--json"],
        &["put", "store", "k", "f", "--dtype", "f31"],
        &["put", "store", "k", "f", "--shape", "2,x"],
        &["init", "other", "--segment-size", "7parsecs"],
        &["rm", "store"],
    ];
    for args in cases {
        let message = place.run(args).fails(64);
        assert!(message.contains("Usage: tensoratom") || message.contains("--help"), "{args:?}: {message}");
    }
    let not_utf8 = std::ffi::OsStr::from_bytes(b"k\xff");
    place.run(["get".as_ref(), "store".as_ref(), not_utf8]).fails(64);
}

// A full disk or a closed output is a failure that is told, not a panic and not a success.
#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let place = Place::new();
    place.put("k");
    for command in ["ls store", "ls store --json", "stat store", "get store k", "get store k -o -", "completions bash"]
    {
        let message = place.shell(&format!("tensoratom {command} > /dev/full")).fails(1);
        assert!(message.contains("writing") && message.contains("[DiskFull 61]"), "{command}: {message}");
        let ran = place.shell(&format!("tensoratom {command} 2>&- | true; exit ${{PIPESTATUS[0]}}"));
        assert_eq!(ran.code, Some(0), "{command}");
    }
    assert_eq!(place.shell("tensoratom ls nowhere 2> /dev/full").code, Some(1));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let place = Place::new();
    for args in [
        &["put", "store", "k", "nowhere.bin"][..],
        &["put", "store", "k", "nowhere.npy"],
        &["put", "store", "k", "nowhere.bin", "--shape", "1"],
    ] {
        let message = place.run(args).fails(1);
        assert!(message.contains("nowhere.") && message.contains("No such file"), "{message}");
    }
    place.put("k");
    let message = place.run(["get", "store", "k", "-o", "no/such/directory/file"]).fails(1);
    assert!(message.contains("no/such/directory/file"), "{message}");
}
