//! Every input that ever broke a fuzz target, and the seeds, replayed. Each find in `fuzz/regressions` has its story in
//! the file beside it.

use std::fs;
use std::path::Path;

use tensoratom::testing::fuzz::TARGETS;

#[test]
fn finds_of_the_fuzzers_stay_fixed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    for (name, target) in TARGETS {
        target(&[]);
        let mut replayed = 0;
        for kind in ["seeds", "regressions"] {
            let Ok(entries) = fs::read_dir(root.join(kind).join(name)) else { continue };
            for entry in entries {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|extension| extension == "md") {
                    continue;
                }
                println!("{}", path.display());
                target(&fs::read(&path).unwrap());
                replayed += 1;
            }
        }
        assert!(replayed > 0, "{name} has neither seeds nor finds");
    }
}

// A target that cannot fail proves nothing: the harness itself is tested with one that must.
#[test]
fn the_canary_dies() {
    let canary = |data: &[u8]| assert_ne!(data, b"canary");
    let outcome = std::panic::catch_unwind(|| canary(b"canary"));
    assert!(outcome.is_err());
}
