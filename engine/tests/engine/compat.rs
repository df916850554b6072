//! Stores written by earlier versions of this library: opened, read, changed, repaired, as if written today.

use std::fs;
use std::path::{Path, PathBuf};

use tensoratom::testing::golden;
use tensoratom::testing::oracle::check_integrity;
use tensoratom::testing::random::Random;
use tensoratom::{Control, Options, ReadMode, RepairOptions, SqlValue, Store, Tensor, Tier, repair};

/// A copy of the fixture of a format version, to be changed at will.
fn fixture(version: &str) -> (tempfile::TempDir, PathBuf) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(version);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    copy(&source, &path);
    (dir, path)
}

fn copy(source: &Path, target: &Path) {
    fs::create_dir(target).unwrap();
    for entry in fs::read_dir(source).unwrap() {
        let entry = entry.unwrap();
        let to = target.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// The folders of fixtures. What is cold in one was written by the codecs of its day, deltas among them.
const VERSIONS: [&str; 2] = ["v1", "v1-cold"];

/// A store that was only opened has everything of its fixture.
fn check(version: &str, store: &Store) {
    let checked = if version == "v1-cold" {
        golden::check_cold(store).and_then(|()| golden::check_codecs(store))
    } else {
        golden::check(store)
    };
    checked.unwrap_or_else(|e| panic!("{version}: {e}"));
}

// A reader of today that reads yesterday's bytes differently loses what people stored, and no test on fresh stores
// would notice: both sides would have changed.
#[test]
fn stores_of_every_version_are_read_and_verified() {
    for version in VERSIONS {
        for mode in [ReadMode::Mapped, ReadMode::Positioned] {
            for read_only in [true, false] {
                let (_dir, path) = fixture(version);
                let options = Options::new().read_mode(mode).read_only(read_only);
                let store = Store::open(&path, &options).unwrap();
                check(version, &store);
                check_integrity(&store).unwrap_or_else(|what| panic!("{version}: {what}"));
            }
        }
    }
}

// A store of version 1 was made before there were codecs but raw: its views named none of the others. Queries for reading
// alone go on with what is there; the first writer brings the views up to date, for good.
#[test]
fn a_writer_renews_the_public_views_of_every_version() {
    let codecs = |store: &Store| {
        let sql = "SELECT count(*), count(codec) FROM payloads WHERE tier = 'cold'";
        store.query(sql, 1).unwrap().rows.remove(0)
    };
    for version in VERSIONS {
        let (_dir, path) = fixture(version);
        let read_only = Options::new().read_only(true);
        codecs(&Store::open(&path, &read_only).unwrap());
        let store = Store::open(&path, &Options::new()).unwrap();
        store.move_to_tier(None, "", Tier::Cold, &Control::new()).unwrap();
        let [SqlValue::Integer(all), SqlValue::Integer(named)] = codecs(&store)[..] else { panic!("not two numbers") };
        assert!(all > 0 && named == all, "{version}: {named} of {all} codecs have a name");
        check(version, &store);
        drop(store);
        let made = |path: &Path| {
            let store = Store::open(path, &read_only).unwrap();
            store.query("SELECT name, sql FROM sqlite_schema WHERE type = 'view' ORDER BY name", 100).unwrap()
        };
        let today = path.with_file_name("today");
        golden::write(&today).unwrap();
        assert_eq!(made(&path), made(&today), "{version}");
    }
}

#[test]
fn stores_of_every_version_can_be_written_to() {
    for version in VERSIONS {
        let (_dir, path) = fixture(version);
        let store = Store::open(&path, &Options::new()).unwrap();
        store.put("new", &Tensor::from_slice(&[2], &[1.0_f32, 2.0]).unwrap()).unwrap();
        // The first payload that is coded against another changes the catalog's schema.
        let mut bytes = Random::new(1).bytes(9_000);
        for change in [0, 1] {
            bytes[0] ^= change;
            store.put("new", &Tensor::from_slice(&[9_000], &bytes).unwrap()).unwrap();
        }
        let moved = store.move_to_tier(None, "new", Tier::Cold, &Control::new()).unwrap();
        let sql = "SELECT base FROM payloads WHERE codec = 'delta' AND base IS NOT NULL AND namespace = ''";
        assert_eq!((moved.deltas, store.query(sql, 9).unwrap().rows.len()), (1, 1), "{version}");
        assert_eq!(*store.get("new").unwrap().bytes().unwrap(), *bytes, "{version}");
        store.delete("new").unwrap();
        drop(store);
        let store = Store::open(&path, &Options::new()).unwrap();
        check(version, &store);
        check_integrity(&store).unwrap_or_else(|what| panic!("{version}: {what}"));
    }
}

#[test]
fn catalogs_of_every_version_can_be_rebuilt_from_the_segments() {
    for version in VERSIONS {
        let (_dir, path) = fixture(version);
        fs::remove_file(path.join("catalog.tadb")).unwrap();
        let report = repair(&path, &RepairOptions::new().rebuild_catalog(true), &Control::new()).unwrap();
        assert!(report.commits_missing.is_empty() && report.findings.is_empty(), "{version}: {report:?}");
        let store = Store::open(&path, &Options::new()).unwrap();
        check(version, &store);
        check_integrity(&store).unwrap_or_else(|what| panic!("{version}: {what}"));
    }
}

// The fixture tells something only as long as what is written today is checked the same way.
#[test]
fn the_golden_store_written_today_is_what_the_fixture_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    golden::write_cold(&path).unwrap();
    let store = Store::open(&path, &Options::new()).unwrap();
    check("v1-cold", &store);
    store.put("scalar", &Tensor::from_slice(&[], &[1.0_f64]).unwrap()).unwrap();
    assert!(golden::check(&store).is_err(), "a changed atom must be noticed");
}
