//! Everything a caller, a file system or a stranger can get wrong: a typed error that says what to do, and nothing lost.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)] // tests fail loudly

use std::fs;
#[cfg(unix)]
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use tensoratom::testing::crash::small_options;
use tensoratom::testing::oracle::{State, Step, check_integrity, commit_steps};
use tensoratom::testing::random::Random;
use tensoratom::testing::{Medium, SimDisk};
use tensoratom::{
    DType, Durability, Encoding, Error, ErrorKind, Key, NAME_BYTES_MAX, Options, ReadMode, Store, Tensor, byte_len,
};

fn tensor() -> Tensor<'static> {
    Tensor::from_slice(&[3], &[1_u8, 2, 3]).unwrap()
}

fn kind_of(outcome: Result<Store, Error>) -> ErrorKind {
    outcome.unwrap_err().kind()
}

#[test]
fn what_is_no_store_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let open = |path: &Path| Store::open(path, &Options::new());
    assert_eq!(kind_of(open(&dir.path().join("missing"))), ErrorKind::NotAStore);
    assert_eq!(kind_of(open(dir.path())), ErrorKind::NotAStore, "an empty directory");
    let file = dir.path().join("file");
    fs::write(&file, "x").unwrap();
    assert_eq!(kind_of(open(&file)), ErrorKind::NotAStore, "a file");
    assert_eq!(kind_of(Store::create(dir.path(), &Options::new())), ErrorKind::NotAStore, "other people's files");
    assert_eq!(fs::read(&file).unwrap(), b"x");
    let store = dir.path().join("store");
    drop(Store::create(&store, &Options::new()).unwrap());
    assert_eq!(kind_of(Store::create(&store, &Options::new())), ErrorKind::AlreadyExists);
}

#[test]
fn a_creation_that_was_cut_short_is_named_and_can_be_completed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    drop(Store::create(&path, &Options::new()).unwrap());
    fs::remove_file(path.join("store.json")).unwrap();
    let error = Store::open(&path, &Options::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotAStore);
    assert!(error.to_string().contains("not finished"), "{error}");
    drop(Store::create(&path, &Options::new()).unwrap());
}

#[test]
fn a_store_of_a_newer_format_is_refused_as_such() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    drop(Store::create(&path, &Options::new()).unwrap());
    let text = fs::read_to_string(path.join("store.json")).unwrap().replace("\"version\": 1", "\"version\": 2");
    fs::write(path.join("store.json"), text).unwrap();
    assert_eq!(kind_of(Store::open(&path, &Options::new())), ErrorKind::NewerFormat);
}

#[test]
fn a_catalog_of_another_store_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    for path in [&a, &b] {
        Store::create(path, &Options::new()).unwrap().put("k", &tensor()).unwrap();
    }
    fs::copy(a.join("catalog.tadb"), b.join("catalog.tadb")).unwrap();
    assert_eq!(kind_of(Store::open(&b, &Options::new())), ErrorKind::CatalogCorrupt);
}

// An operator restores last week's catalog beside today's segments: today's commits must not be cut away as leftovers.
#[test]
fn an_old_catalog_is_brought_up_to_date_or_refused_never_believed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let options = small_options(Durability::Full);
    let store = Store::create(&path, &options).unwrap();
    store.put("first", &tensor()).unwrap();
    drop(store);
    let old = fs::read(path.join("catalog.tadb")).unwrap();
    let store = Store::open(&path, &options).unwrap();
    for n in 0..30_i64 {
        let bytes = Random::new(n as u64).bytes(20_000);
        store.put(n, &Tensor::new(DType::U8, &[20_000], &bytes).unwrap()).unwrap();
    }
    drop(store);
    let segments = fs::read_dir(path.join("segments")).unwrap().count();
    fs::write(path.join("catalog.tadb"), old).unwrap();
    match Store::open(&path, &options) {
        Ok(store) => assert_eq!(store.stat().unwrap().atoms, 31, "rolled forward"),
        Err(e) => {
            assert_eq!(e.kind(), ErrorKind::CatalogCorrupt, "{e:?}");
            assert_eq!(fs::read_dir(path.join("segments")).unwrap().count(), segments, "nothing was removed");
            let rebuild = tensoratom::RepairOptions::new().rebuild_catalog(true);
            tensoratom::repair(&path, &rebuild, &tensoratom::Control::new()).unwrap();
            assert_eq!(Store::open(&path, &options).unwrap().stat().unwrap().atoms, 31);
        }
    }
}

#[test]
fn network_file_systems_are_refused_for_writing_with_the_reason() {
    let disk = SimDisk::new();
    drop(Store::open_on(disk.process(), &Options::new(), true).unwrap());
    disk.set_medium(Medium::Network("NFS"));
    let error = Store::open_on(disk.process(), &Options::new(), false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NetworkFileSystem);
    assert!(error.to_string().contains("NFS"), "{error}");
    Store::open_on(disk.process(), &Options::new().read_only(true), false).unwrap();
}

#[test]
fn a_read_only_medium_is_served_and_not_written() {
    let disk = SimDisk::new();
    let store = Store::open_on(disk.process(), &small_options(Durability::Full), true).unwrap();
    store.put("a", &tensor()).unwrap();
    drop(store);
    disk.set_read_only(true);
    for mode in [ReadMode::Mapped, ReadMode::Positioned] {
        let options = small_options(Durability::Full).read_mode(mode);
        let store = Store::open_on(disk.process(), &options, false).unwrap();
        assert_eq!(*store.get("a").unwrap().bytes().unwrap(), [1, 2, 3]);
        assert_eq!(store.put("b", &tensor()).unwrap_err().kind(), ErrorKind::ReadOnly);
        check_integrity(&store).unwrap();
    }
    assert_eq!(
        kind_of(Store::open_on(SimDisk::new().process(), &Options::new().read_only(true), true)),
        ErrorKind::NotAStore
    );
}

// As root permissions do not bind, so this test drops to the user `nobody` in a process of its own.
#[cfg(unix)]
#[test]
fn permissions_are_errors_and_world_writable_stores_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = dir.path().join("store");
    drop(Store::create(&path, &Options::new()).unwrap());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700, "for its owner alone");
    assert_eq!(mode(&path.join("catalog.tadb")), 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(kind_of(Store::open(&path, &Options::new())), ErrorKind::PermissionDenied);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    let root = Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout == b"0\n");
    let setpriv = Command::new("setpriv").arg("--version").output().is_ok();
    if root && setpriv {
        let exe = dir.path().join("test");
        fs::copy(std::env::current_exe().unwrap(), &exe).unwrap();
        fs::set_permissions(&exe, fs::Permissions::from_mode(0o755)).unwrap();
        let status = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&exe)
            .args(["--exact", "as_nobody", "--nocapture"])
            .env("TENSORATOM_TEST_STORE", &path)
            .status()
            .unwrap();
        assert!(status.success());
    }
}

/// Run as another user by the test above.
#[test]
fn as_nobody() {
    let Ok(path) = std::env::var("TENSORATOM_TEST_STORE") else { return };
    assert_eq!(kind_of(Store::open(&path, &Options::new())), ErrorKind::PermissionDenied);
    let inside = Path::new(&path).parent().unwrap().join("new");
    assert_eq!(kind_of(Store::create(inside, &Options::new())), ErrorKind::PermissionDenied);
}

#[test]
fn keys_at_and_over_their_limits() {
    let store = Store::open_on(SimDisk::new().process(), &small_options(Durability::Process), true).unwrap();
    let longest = "k".repeat(NAME_BYTES_MAX);
    for name in [
        longest.as_str(),
        "..",
        "../../../etc/passwd",
        "C:\\",
        "CON",
        "a/b//c",
        "\u{202e}x",
        "\n",
        "'; DROP TABLE atoms",
    ] {
        store.put(name, &tensor()).unwrap();
        assert_eq!(*store.get(name).unwrap().bytes().unwrap(), [1, 2, 3], "{name:?}");
    }
    let too_long = "k".repeat(NAME_BYTES_MAX + 1);
    for name in ["", "nul\0inside", too_long.as_str()] {
        assert_eq!(store.put(name, &tensor()).unwrap_err().kind(), ErrorKind::InvalidKey, "{name:.20?}");
        assert_eq!(store.get(name).unwrap_err().kind(), ErrorKind::InvalidKey);
        assert_eq!(store.delete(name).unwrap_err().kind(), ErrorKind::InvalidKey);
    }
    for n in [i64::MIN, -1, 0, i64::MAX] {
        store.put(n, &tensor()).unwrap();
        assert!(store.exists(n).unwrap());
    }
    assert_eq!(store.get("0").unwrap_err().kind(), ErrorKind::NotFound, "a number is not a name");
    check_integrity(&store).unwrap();
}

#[test]
fn shapes_that_do_not_fit() {
    let wrong = |dtype: DType, shape: &[u64], len: usize| Tensor::new(dtype, shape, &vec![0; len]).unwrap_err().kind();
    assert_eq!(wrong(DType::F32, &[3], 11), ErrorKind::InvalidShape);
    assert_eq!(wrong(DType::F32, &[u64::MAX, u64::MAX], 0), ErrorKind::InvalidShape);
    assert_eq!(wrong(DType::F32, &[1 << 62], 0), ErrorKind::InvalidShape);
    assert_eq!(wrong(DType::Opaque, &[3], 3), ErrorKind::InvalidShape);
    assert_eq!(byte_len(DType::U8, &[1; 65], &Encoding::Plain).unwrap_err().kind(), ErrorKind::InvalidShape);
    assert_eq!(byte_len(DType::U8, &[(1 << 48) + 1], &Encoding::Plain).unwrap_err().kind(), ErrorKind::InvalidShape);
}

#[test]
fn options_out_of_range() {
    let dir = tempfile::tempdir().unwrap();
    for options in [
        Options::new().segment_bytes(0),
        Options::new().segment_bytes(u64::MAX),
        Options::new().chunk_bytes(0),
        Options::new().chunk_bytes(5000),
        Options::new().chunk_bytes(1 << 31),
    ] {
        let error = Store::create(dir.path().join("s"), &options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    }
}

// "Delete to make room" is what an operator does first; it must work with not one byte left.
#[test]
fn on_a_full_disk_reading_and_deleting_work() {
    let base: Vec<Step> =
        (0..6_u64).map(|i| Step::Put(Key::Int(i as i64), Random::new(i).bytes(20_000), None)).collect();
    let mut refused = 0;
    for spare in (0..400_000).step_by(6_000) {
        let disk = SimDisk::new();
        let options = small_options(Durability::Full);
        let mut state = State::default();
        {
            let store = Store::open_on(disk.process(), &options, true).unwrap();
            commit_steps(&store, &base).unwrap();
            base.iter().for_each(|step| state.apply(step));
        }
        disk.set_capacity(disk.used_bytes() + spare);
        let Ok(store) = Store::open_on(disk.process(), &options, false) else {
            // Opening needs the shared memory of the catalog's log, a few pages.
            assert!(spare < 100_000, "opening with {spare} bytes to spare");
            continue;
        };
        let mut filled = 0;
        let full = loop {
            let step = Step::Put(Key::from(format!("fill/{filled}")), Random::new(filled).bytes(30_000), None);
            match commit_steps(&store, std::slice::from_ref(&step)) {
                Ok(_) => state.apply(&step),
                Err(e) => break e,
            }
            filled += 1;
        };
        assert_eq!(full.kind(), ErrorKind::DiskFull, "{spare} bytes to spare: {full:?}");
        state.compare(&store).unwrap_or_else(|what| panic!("{spare} bytes to spare: {what}"));
        for key in [Key::Int(0), Key::Int(1), Key::Int(2)] {
            store.delete(&key).unwrap_or_else(|e| panic!("{spare} bytes to spare, deleting: {e:?}"));
            state.apply(&Step::Delete(key));
        }
        refused += 1;
        drop(store);
        disk.set_capacity(u64::MAX);
        let store = Store::open_on(disk.process(), &options, false).unwrap();
        state.compare(&store).unwrap_or_else(|what| panic!("{spare} bytes to spare, room again: {what}"));
        check_integrity(&store).unwrap_or_else(|what| panic!("{spare} bytes to spare: {what}"));
        store.put("room again", &tensor()).unwrap();
    }
    assert!(refused > 40);
}

// A real file system that is really full, where one may be mounted: a small tmpfs in a mount namespace of its own.
#[test]
fn a_real_full_file_system_gives_errors_not_signals() {
    let dir = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=4m none \"$0\" && exec \"$1\" --exact on_small_disk --nocapture";
    let status = Command::new("unshare")
        .args(["--mount", "sh", "-c", script])
        .arg(dir.path())
        .arg(std::env::current_exe().unwrap())
        .env("TENSORATOM_TEST_SMALL_DISK", dir.path())
        .status();
    match status {
        Ok(status) => assert!(status.success() || status.code() == Some(1) || status.code() == Some(32), "{status}"),
        Err(_) => println!("unshare is not installed; the simulated disk covers the same"),
    }
}

/// Run on a small disk by the test above.
#[test]
fn on_small_disk() {
    let Ok(path) = std::env::var("TENSORATOM_TEST_SMALL_DISK") else { return };
    let path = Path::new(&path).join("store");
    let store = Store::create(&path, &small_options(Durability::Full)).unwrap();
    let mut stored = 0;
    let full = loop {
        let bytes = Random::new(stored as u64).bytes(50_000);
        match store.put(stored, &Tensor::new(DType::U8, &[50_000], &bytes).unwrap()) {
            Ok(_) => stored += 1,
            Err(e) => break e,
        }
    };
    assert_eq!(full.kind(), ErrorKind::DiskFull, "{full:?}");
    assert!(stored > 10);
    for n in 0..stored {
        assert_eq!(*store.get(n).unwrap().bytes().unwrap(), *Random::new(n as u64).bytes(50_000));
    }
    assert!(store.delete(0).unwrap());
    check_integrity(&store).unwrap();
    println!("{stored} payloads fitted");
}

// Past RLIMIT_FSIZE the kernel's signal would kill the host by default.
#[cfg(unix)]
#[test]
fn a_file_size_limit_is_an_error_not_a_signal() {
    let dir = tempfile::tempdir().unwrap();
    let status = Command::new("sh")
        .args(["-c", "ulimit -f 3000 && exec \"$0\" --exact under_size_limit --nocapture"])
        .arg(std::env::current_exe().unwrap())
        .env("TENSORATOM_TEST_LIMIT", dir.path())
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
}

/// Run under a file size limit of 1.5 MB (or 3 MB, as the shell counts) by the test above.
#[test]
fn under_size_limit() {
    let Ok(path) = std::env::var("TENSORATOM_TEST_LIMIT") else { return };
    let store = Store::create(Path::new(&path).join("store"), &Options::new()).unwrap();
    store.put("small", &tensor()).unwrap();
    let bytes = vec![1; 8 << 20];
    let error = store.put("large", &Tensor::new(DType::U8, &[8 << 20], &bytes).unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DiskFull, "{error:?}");
    store.put("small again", &tensor()).unwrap();
    check_integrity(&store).unwrap();
}

#[cfg(unix)]
#[test]
fn links_planted_in_a_store_are_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let outside = dir.path().join("outside");
    fs::write(&outside, "precious").unwrap();
    let store = Store::create(&path, &Options::new()).unwrap();
    drop(store);
    fs::remove_file(path.join("ballast")).unwrap();
    for name in ["ballast", "segments/00000001.seg", "segments/00000001.lease", "store.json.tmp"] {
        std::os::unix::fs::symlink(&outside, path.join(name)).unwrap();
    }
    if let Ok(store) = Store::open(&path, &Options::new()) {
        let _ = store.put("a", &tensor());
    }
    assert_eq!(fs::read_to_string(&outside).unwrap(), "precious");
}
