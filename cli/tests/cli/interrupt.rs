//! Ctrl-C: long work ends at once with exit code 130 and leaves nothing behind.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::support::Place;

const TENSOR_BYTES: u64 = 1 << 30;
const TENSORS: u64 = 16;

/// A model of 16 GiB in a file that takes next to nothing on disk: no two tensors alike, but mostly holes.
fn write_long_file(place: &Place) {
    let entry = |i: u64| {
        let (start, end) = (i * TENSOR_BYTES, (i + 1) * TENSOR_BYTES);
        format!(r#""t{i}":{{"dtype":"U8","shape":[{TENSOR_BYTES}],"data_offsets":[{start},{end}]}}"#)
    };
    let header = format!("{{{}}}", (0..TENSORS).map(entry).collect::<Vec<_>>().join(","));
    let mut file = fs::File::create(place.path("long.safetensors")).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    let start = 8 + header.len() as u64;
    file.set_len(start + TENSORS * TENSOR_BYTES).unwrap();
    for i in 0..TENSORS {
        file.seek(SeekFrom::Start(start + i * TENSOR_BYTES)).unwrap();
        file.write_all(&[i as u8 + 1]).unwrap();
    }
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        sleep(Duration::from_millis(5));
    }
}

/// Presses Ctrl-C once; returns exit code and message.
fn interrupt(child: Child) -> (Option<i32>, String) {
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// Starts the program and waits until a directory it works in has files.
fn start(place: &Place, args: &[&str]) -> Child {
    place.command(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn entries(place: &Place, directory: &str) -> Vec<String> {
    let entries = fs::read_dir(place.path(directory)).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

// The first tensor alone takes longer than anybody wants to wait; it must be given up in the middle, and nothing of the
// file may be there afterwards.
#[test]
fn an_interrupted_import_imports_nothing() {
    let place = Place::new();
    place.put("before");
    write_long_file(&place);
    let segments = entries(&place, "store/segments").len();
    let child = start(&place, &["import", "store", "long.safetensors"]);
    wait_until("a segment for the first tensor", || entries(&place, "store/segments").len() > segments);
    let (code, message) = interrupt(child);
    assert_eq!((code, message.as_str()), (Some(130), "interrupted: nothing was changed\n"));
    assert_eq!(place.keys(), ["before"]);
    place.run(["verify", "store"]).ok();
    place.put("after");
    let stat = place.run(["stat", "store", "--json"]).json();
    assert_eq!((&stat["atoms"], &stat["lsn"]), (&2.into(), &2.into()));
    assert!(stat["disk_bytes"].as_u64().unwrap() < TENSOR_BYTES, "{stat}");
}

#[test]
fn an_interrupted_bench_removes_its_directory() {
    let place = Place::empty();
    fs::create_dir(place.path("disk")).unwrap();
    let child = start(&place, &["bench", "disk", "--size", "64MiB"]);
    let is_inside = |entry: &String| entries(&place, &format!("disk/{entry}/store")).contains(&"store.json".to_owned());
    wait_until("its store", || entries(&place, "disk").first().is_some_and(is_inside));
    let plain = |entry: &String| entries(&place, &format!("disk/{entry}")).contains(&"plain.bin".to_owned());
    wait_until("its first file", || entries(&place, "disk").first().is_some_and(plain));
    let (code, message) = interrupt(child);
    assert_eq!((code, message.as_str()), (Some(130), "interrupted: nothing was changed\n"));
    assert!(entries(&place, "disk").is_empty());
}
