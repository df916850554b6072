//! `tier`: there and back, and what it says of it.

use crate::support::Place;

// A move that reports success and leaves another tensor behind is the worst a storage command can do.
#[test]
fn an_atom_goes_to_cold_and_back_with_the_same_bytes() {
    let place = Place::new();
    let bytes = [1_u8, 2, 3, 4].repeat(20_000);
    place.write("f", &bytes);
    place.run(["put", "store", "m/a", "f"]).ok();
    place.run(["put", "store", "other", "f"]).ok();
    let there = place.run(["tier", "store", "m/", "--to", "cold", "--json"]).json();
    assert_eq!((there["payloads_moved"].as_u64(), there["raw_bytes"].as_u64()), (Some(1), Some(80_000)));
    assert!(there["stored_bytes_after"].as_u64().unwrap() < 8_000, "{there}");
    place.run(["get", "store", "m/a", "-o", "cold"]).ok();
    assert_eq!(place.read("cold"), bytes);
    assert!(place.run(["tier", "store", "--to", "cold"]).ok().contains("(1 there already)"));
    assert!(place.run(["tier", "store", "--to", "warm"]).ok().contains("moved 1 payload of"));
    place.run(["get", "store", "m/a", "-o", "warm"]).ok();
    assert_eq!(place.read("warm"), bytes);
    place.run(["verify", "store"]).ok();
}

// An operator who reclaims space wants to know beforehand what goes, and afterwards that nothing else did.
#[test]
fn gc_says_what_it_would_free_and_then_frees_it() {
    let place = Place::new();
    let bytes = [1_u8, 2, 3, 4].repeat(20_000);
    place.write("f", &bytes);
    place.run(["put", "store", "m/a", "f"]).ok();
    place.run(["tier", "store", "--to", "cold"]).ok();
    let foreseen = place.run(["gc", "store", "--dry-run", "--json"]).json();
    assert!(foreseen["bytes_freed"].as_u64().unwrap() > 80_000, "{foreseen}");
    assert!(place.run(["gc", "store", "--keep", "7d"]).ok().contains("freed"));
    assert_eq!(place.run(["gc", "store", "--json"]).json()["segments_condemned"].as_u64(), Some(0));
    place.run(["get", "store", "m/a", "-o", "cold"]).ok();
    assert_eq!(place.read("cold"), bytes);
    place.run(["verify", "store"]).ok();
    assert_eq!(place.run(["gc", "store", "--keep", "soon"]).code, Some(64));
}

#[test]
fn a_tier_must_be_named() {
    let place = Place::new();
    assert_eq!(place.run(["tier", "store"]).code, Some(64));
    assert_eq!(place.run(["tier", "store", "--to", "hot"]).code, Some(64));
}
