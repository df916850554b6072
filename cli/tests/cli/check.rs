//! `stat`, `verify`, `repair`: every byte accounted for, damage found where it is, and what can be mended is.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Place, fields, many};

fn bytes_below(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    entries.map(|e| if e.path().is_dir() { bytes_below(&e.path()) } else { e.metadata().unwrap().len() }).sum()
}

/// A store with three atoms of three bytes each, no two alike.
fn three_atoms() -> Place {
    let place = Place::new();
    for (i, key) in ["a", "b/1", "b/2"].iter().enumerate() {
        place.write("f", [i as u8, 10, 20]);
        place.run(["put", "store", key, "f"]).ok();
    }
    place
}

/// Flips a bit of an atom's payload behind the store's back; returns segment and offset of the payload.
fn damage(place: &Place, key: &str) -> (u64, u64) {
    let query =
        format!("SELECT p.segment, p.offset FROM payloads p JOIN atoms a ON a.digest = p.digest WHERE a.key = '{key}'");
    let row = place.run(["sql", "store", &query, "--json"]).json()[0].clone();
    let (segment, offset) = (row["segment"].as_u64().unwrap(), row["offset"].as_u64().unwrap());
    let name = format!("store/segments/{segment:08}.seg");
    let mut bytes = place.read(&name);
    bytes[offset as usize] ^= 0x10;
    place.write(&name, bytes);
    (segment, offset)
}

#[test]
fn the_parts_of_stat_sum_to_what_the_directory_holds() {
    let place = three_atoms();
    place.write("many.safetensors", many("k", 300));
    place.run(["import", "store", "many.safetensors"]).ok();
    place.run(["rm", "store", "a"]).ok();
    let stat = place.run(["stat", "store", "--json"]).json();
    for field in ["atoms", "payloads", "raw_bytes", "stored_bytes", "disk_bytes", "accounted"] {
        assert!(fields(&stat).contains(&field), "{field}");
    }
    for part in ["live", "history", "dead", "slack", "catalog"] {
        assert!(stat["accounted"][part].is_u64(), "{part}");
    }
    let parts: u64 = stat["accounted"].as_object().unwrap().values().map(|part| part.as_u64().unwrap()).sum();
    assert_eq!(stat["disk_bytes"], parts);
    assert_eq!(stat["disk_bytes"], bytes_below(&place.path("store")));
    assert_eq!(stat["atoms"], 302);
    let text = place.run(["stat", "store"]).ok();
    assert!(text.starts_with("302 atoms (") && text.contains("= disk") && text.contains("100.0 %"), "{text}");
}

#[test]
fn a_sound_store_verifies_with_exit_code_0() {
    let place = three_atoms();
    let report = place.run(["verify", "store", "--json"]).json();
    for field in ["atoms_checked", "chunks_checked", "damaged"] {
        assert!(fields(&report).contains(&field), "{field}");
    }
    assert_eq!((&report["atoms_checked"], &report["damaged"]), (&json!(3), &json!([])));
    assert!(place.run(["verify", "store"]).ok().contains("sound: every checksum and digest matches"));
    assert_eq!(place.run(["verify", "store", "--prefix", "b/", "--json"]).json()["atoms_checked"], 2);
}

#[test]
fn damage_is_exit_code_2_and_exactly_the_damaged_key() {
    let place = three_atoms();
    let (segment, offset) = damage(&place, "b/1");
    let ran = place.run(["verify", "store", "--json"]);
    assert_eq!((ran.code, ran.stderr.len()), (Some(2), 0));
    let report: Value = serde_json::from_str(&ran.printed()).unwrap();
    let found = report["damaged"].as_array().unwrap();
    assert!(!found.is_empty());
    for find in found {
        assert_eq!(fields(find), ["namespace", "key", "lsn", "is_current", "segment", "offset", "what"]);
        assert_eq!((&find["key"], &find["segment"]), (&json!("b/1"), &json!(segment)));
        assert_eq!(find["offset"], offset);
        assert!(!find["what"].as_str().unwrap().is_empty());
    }
    let ran = place.run(["verify", "store"]);
    let text = ran.printed();
    assert_eq!(ran.code, Some(2));
    assert!(text.contains("damage: ") && text.contains(&format!("  b/1 segment {segment} at byte ")), "{text}");
    assert!(!text.contains("sound"), "{text}");
    place.run(["verify", "store", "--prefix", "a"]).ok();
    assert_eq!(place.run(["verify", "store", "--prefix", "b/"]).code, Some(2));
}

#[test]
fn a_damaged_atom_is_refused_with_its_place_and_the_others_are_served() {
    let place = three_atoms();
    let (segment, _) = damage(&place, "b/1");
    place.write("kept", "old");
    for args in [&["-o", "kept"][..], &["-o", "-"], &["--npy", "kept"], &[]] {
        let message = place.run(["get", "store", "b/1"].iter().chain(args)).stderr;
        let message = String::from_utf8(message).unwrap();
        assert!(message.contains("'b/1'") && message.contains(&format!("segment {segment} at byte")), "{message}");
        assert!(message.contains("verify the store") && message.contains("[Corrupt 40]"), "{message}");
    }
    assert_eq!(place.read("kept"), b"old", "a file is replaced when all of the new one is there");
    assert_eq!(fs::read_dir(place.path("")).unwrap().count(), 3, "store, f, kept: nothing half-written lies about");
    assert_eq!(place.run(["get", "store", "b/2", "-o", "-"]).stdout, [2, 10, 20]);
    place.run(["export", "store", "-o", "all"]).fails(1);
    assert!(!place.path("all").exists());
    place.run(["export", "store", "--prefix", "a", "-o", "all"]).fails(1); // the name would be empty
}

#[test]
fn damage_in_another_namespace_says_whose_it_is() {
    let place = Place::new();
    place.write("f", [1, 2, 3]);
    place.run(["put", "store", "-n", "tenant", "k", "f"]).ok();
    let row = place.run(["sql", "store", "SELECT segment, offset FROM payloads", "--json"]).json()[0].clone();
    let name = format!("store/segments/{:08}.seg", row["segment"].as_u64().unwrap());
    let mut bytes = place.read(&name);
    bytes[row["offset"].as_u64().unwrap() as usize] ^= 1;
    place.write(&name, bytes);
    assert!(place.run(["verify", "store"]).printed().contains("k in namespace tenant"));
    assert_eq!(place.run(["verify", "store", "-n", "tenant"]).code, Some(2));
}

// The exit code is what a script looks at, also when it reads only the first line.
#[test]
fn damage_stays_damage_when_the_reader_leaves_early() {
    let place = three_atoms();
    damage(&place, "a");
    let ran = place.shell("tensoratom verify store | true; exit ${PIPESTATUS[0]}");
    assert_eq!((ran.code, ran.stderr), (Some(2), vec![]));
}

#[test]
fn a_lost_store_json_is_rewritten() {
    let place = three_atoms();
    assert_eq!(place.run(["repair", "store"]).ok(), "nothing to repair\n");
    let before = place.read("store/store.json");
    fs::remove_file(place.path("store/store.json")).unwrap();
    place.run(["ls", "store"]).fails(1);
    assert!(place.run(["repair", "store"]).ok().contains("rewrote store.json"));
    assert_eq!(place.run(["verify", "store", "--json"]).json()["atoms_checked"], 3);
    let id = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap()["uuid"].clone();
    assert_eq!(id(&place.read("store/store.json")), id(&before));
}

#[test]
fn a_lost_catalog_is_rebuilt_from_the_segments() {
    let place = three_atoms();
    place.run(["rm", "store", "a"]).ok();
    place.write("store/catalog.tadb", vec![0xa5; 8192]);
    let message = place.run(["ls", "store"]).fails(1);
    assert!(message.contains("repair") && message.contains("--rebuild-catalog"), "{message}");
    let report = place.run(["repair", "store", "--rebuild-catalog", "--json"]).json();
    assert_eq!((&report["catalog_rebuilt"], &report["atoms"]), (&json!(true), &json!(2)));
    assert_eq!(report["commits_missing"], json!([]));
    assert!(place.path("store/catalog.old.tadb").exists());
    assert_eq!(place.keys(), ["b/1", "b/2"]);
    place.run(["verify", "store"]).ok();
    let text = place.run(["repair", "store", "--rebuild-catalog"]).ok();
    assert!(text.contains("rebuilt the catalog: 4 commits") && text.contains("2 atoms"), "{text}");
}

#[test]
fn bench_measures_and_leaves_nothing() {
    let place = Place::empty();
    let report = place.run(["bench", ".", "--size", "64KiB", "--json"]).json();
    assert_eq!((fields(&report), &report["bytes"]), (vec!["bytes", "results"], &json!(65_536)));
    for (what, figure) in report["results"].as_object().unwrap() {
        assert!(figure["value"].as_f64().unwrap() > 0.0 && figure["unit"].is_string(), "{what}");
    }
    assert!(place.run(["bench", ".", "--size", "1"]).ok().starts_with("WHAT "));
    assert_eq!(fs::read_dir(place.path("")).unwrap().count(), 0);
    place.run(["bench", "nowhere"]).fails(1);
}

// A script that watches for exit code 2 must hear of a damaged catalog as well, not only of damaged payloads.
#[test]
fn a_damaged_catalog_is_damage_found() {
    let place = three_atoms();
    place.write("store/catalog.tadb", [7; 4096]);
    let ran = place.run(["verify", "store", "--json"]);
    assert_eq!(ran.code, Some(2), "{}", String::from_utf8_lossy(&ran.stderr));
    let report: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(report["damaged"].as_array().unwrap().len(), 1);
    assert!(report["damaged"][0]["what"].as_str().unwrap().contains("--rebuild-catalog"));
    assert_eq!(place.run(["verify", "store"]).code, Some(2));
}
