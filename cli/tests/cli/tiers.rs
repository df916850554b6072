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

// Two checkpoints that share most of their bits must not take twice the space, and the bytes must be the second one's.
#[test]
fn a_checkpoint_is_frozen_as_what_differs_from_another() {
    let place = Place::new();
    let mut state = 1_u32;
    let mut random = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let mut bytes: Vec<u8> = (0..60_000).map(|_| random()).collect();
    for (name, first) in [("base/a", 1), ("tuned/a", 2), ("tuned/b", 3)] {
        bytes[0] = first;
        place.write("f", &bytes);
        place.run(["put", "store", name, "f"]).ok();
    }
    let moved = place.run(["tier", "store", "tuned/", "--to", "cold", "--base", "base/", "--json"]).json();
    assert_eq!((moved["payloads_moved"].as_u64(), moved["deltas"].as_u64()), (Some(2), Some(1)), "{moved}");
    place.run(["rm", "store", "base/a"]).ok();
    place.run(["gc", "store", "--keep", "0s"]).ok();
    let text = place.run(["stat", "store"]).ok();
    assert!(text.contains("of these deltas") && text.contains("bases"), "{text}");
    place.run(["get", "store", "tuned/b", "-o", "back"]).ok();
    assert_eq!(place.read("back"), bytes);
    place.run(["verify", "store"]).ok();
    let refused = place.run(["tier", "store", "--plan", "--base", "base/"]);
    assert_eq!(refused.code, Some(64));
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

// An operator sets a policy and walks away: what it does must be what it said it would, and pins must hold.
#[test]
fn a_policy_is_set_planned_and_applied_and_pins_hold() {
    let place = Place::new();
    let bytes = [1_u8, 2, 3, 4].repeat(20_000);
    for (name, first) in [("a", 1), ("b", 2), ("c", 3)] {
        place.write("f", [&[first][..], &bytes].concat());
        place.run(["put", "store", &format!("m/{name}"), "f"]).ok();
    }
    place.write("policy.json", r#"{"rules": [{"prefix": "m/", "tier": "cold", "codec": "zstd:9"}]}"#);
    let changed = |arguments: &[&str]| place.run([&["tier", "store", "--json"], arguments].concat()).json();
    assert_eq!(changed(&["--policy", "policy.json"])["changed"], true);
    assert_eq!(changed(&["--pin", "m/a", "--exact"])["changed"], true);
    assert_eq!(changed(&["--pin", "m/a", "--exact"])["changed"], false);
    let shown = place.run(["tier", "store", "--policy", "show"]).json();
    assert_eq!((&shown["pins"][0]["prefix"], &shown["warm_days"]), (&"m/a".into(), &90.0.into()));

    let plan = place.run(["tier", "store", "--plan", "--json"]).json();
    let names: Vec<_> = plan["moves"].as_array().unwrap().iter().map(|m| m["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["m/b", "m/c"]);
    let text = place.run(["tier", "store", "--plan"]).ok();
    assert!(text.contains("warm to cold") && text.contains("rule") && text.contains("2 payloads of"), "{text}");
    let done = place.run(["tier", "store", "--apply", "--json"]).json();
    assert_eq!([&done["planned"], &done["payloads_moved"], &done["skipped"], &done["damaged"]], [2, 2, 0, 0]);
    assert!(place.run(["tier", "store", "--plan"]).ok().contains("nothing to move"));

    let stat = place.run(["stat", "store", "--json"]).json();
    assert_eq!([&stat["cold_payloads"], &stat["hot_payloads"]], [2, 1]);
    assert!(stat["cold_stored_bytes"].as_u64().unwrap() < stat["cold_raw_bytes"].as_u64().unwrap() / 10);
    let codecs: Vec<_> = stat["codecs"].as_array().unwrap().iter().map(|codec| &codec["codec"]).collect();
    assert_eq!(codecs, ["raw", "zstd"], "the policy names the codec");
    assert!(stat["codecs"][1]["ratio"].as_f64().unwrap() > 10.0 && stat["codecs"][1]["decode_bytes_per_s"].is_null());
    let text = place.run(["stat", "store"]).ok();
    assert!(text.contains("CODEC") && text.contains("zstd"), "{text}");
    assert!(text.contains("RATIO") && text.contains("1 payload of") && text.contains("hot (pinned)"), "{text}");
    let listed = place.run(["ls", "store", "--json"]).json();
    let tiers: Vec<_> = listed.as_array().unwrap().iter().map(|atom| atom["tier"].as_str().unwrap()).collect();
    assert_eq!(tiers, ["hot", "cold", "cold"]);
    assert_eq!(changed(&["--unpin", "m/a", "--exact"])["changed"], true);
    assert_eq!(changed(&["--pin=-7", "--int"])["changed"], true);
    assert_eq!(changed(&["--unpin=-7", "--int"])["changed"], true);
    assert_eq!(place.run(["tier", "store", "--pin", "seven", "--int"]).code, Some(1));
    place.run(["tier", "store", "--to", "warm"]).ok();
    place.run(["get", "store", "m/c", "-o", "back"]).ok();
    assert_eq!(place.read("back"), [&[3][..], &bytes].concat());
}

#[test]
fn a_wrong_policy_is_refused_and_changes_nothing() {
    let place = Place::new();
    place.write("policy.json", r#"{"warm_day": 3}"#);
    let outcome = place.run(["tier", "store", "--policy", "policy.json"]);
    assert_eq!(outcome.code, Some(1));
    assert!(String::from_utf8_lossy(&outcome.stderr).contains("warm_day"));
    assert_eq!(place.run(["tier", "store", "--policy", "show"]).json()["warm_days"], 90.0);
    for wrong in [["--plan", "--apply"], ["--plan", "--exact"], ["m/", "--plan"]] {
        assert_eq!(place.run([&["tier", "store"][..], &wrong[..]].concat()).code, Some(64), "{wrong:?}");
    }
}

// A disk that is not mounted must be named as such: taken for damage, it sends an operator to repair a store that is sound.
#[test]
fn the_cold_tier_has_a_directory_of_its_own_and_its_absence_is_no_damage() {
    let place = Place::empty();
    let bytes = [1_u8, 2, 3, 4].repeat(20_000);
    place.write("f", &bytes);
    place.run(["init", "store", "--cold", "disk/first"]).ok();
    place.run(["put", "store", "m/a", "f"]).ok();
    place.run(["tier", "store", "--to", "cold"]).ok();
    let moved = place.run(["tier", "store", "--cold", "disk/second", "--json"]).json();
    assert_eq!((moved["segments_copied"].as_u64(), moved["left_behind"].is_null()), (Some(1), true), "{moved}");
    assert_eq!(std::fs::read_dir(place.path("disk/first")).unwrap().count(), 0);
    let stat = place.run(["stat", "store", "--json"]).json();
    let cold = &stat["cold_directory"];
    assert!(cold["path"].as_str().unwrap().ends_with("disk/second") && cold["problem"].is_null(), "{cold}");
    assert_eq!(cold["disk_bytes"], stat["cold_disk_bytes"]);
    place.run(["verify", "store"]).ok();
    std::fs::rename(place.path("disk"), place.path("away")).unwrap();
    let message = place.run(["get", "store", "m/a", "-o", "back"]).fails(1);
    assert!(message.contains("disk/second: ") && message.contains("[ColdUnavailable 64]"), "{message}");
    let unseen = place.run(["verify", "store"]);
    assert!(unseen.code == Some(1) && unseen.printed().contains("1 payload could not be read"), "{}", unseen.printed());
    assert_eq!(place.run(["gc", "store"]).code, Some(1));
    assert!(place.run(["stat", "store"]).ok().contains("away"));
    assert!(place.run(["repair", "store", "--rebuild-catalog"]).fails(1).contains("[ColdUnavailable 64]"));
    place.run(["put", "store", "m/b", "f"]).ok();
    std::fs::rename(place.path("away"), place.path("disk")).unwrap();
    place.run(["get", "store", "m/a", "-o", "back"]).ok();
    assert_eq!(place.read("back"), bytes);
    place.run(["verify", "store"]).ok();
}
