//! What every [`Volume`] must do, as plain functions; each backend's tests call [`check`].

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{LockMode, Open, Volume, read_exact_at};

/// Runs the whole contract on an empty volume. Panics with the broken promise.
#[allow(clippy::unwrap_used, clippy::panic)] // this is a test body, shared by several backends
pub fn check(volume: &dyn Volume) {
    opening(volume);
    contents(volume);
    names(volume);
    other_directories(volume);
    locks(volume);
    maps(volume);
    shared_memory(volume);
    surroundings(volume);
}

#[allow(clippy::unwrap_used)]
fn opening(v: &dyn Volume) {
    for how in [Open::Read, Open::Write] {
        assert_eq!(v.open("none", how).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
    v.open("a", Open::CreateNew).unwrap();
    assert_eq!(v.open("a", Open::CreateNew).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    v.open("a", Open::Create).unwrap();
    assert!(v.open("a", Open::Read).unwrap().write_at(b"x", 0).is_err(), "a file opened for reading was written");
    assert!(v.open("no/such", Open::Create).is_err(), "a missing directory was made up");
    v.remove("a").unwrap();
}

#[allow(clippy::unwrap_used)]
fn contents(v: &dyn Volume) {
    let f = v.open("f", Open::Create).unwrap();
    assert_eq!(f.len().unwrap(), 0);
    f.write_at(b"hello", 3).unwrap();
    let mut buffer = [9; 10];
    assert_eq!(f.read_at(&mut buffer, 0).unwrap(), 8, "a read is short only at the end");
    assert_eq!(&buffer[..8], b"\0\0\0hello", "the gap before a write reads as zeros");
    assert_eq!(f.read_at(&mut buffer, 100).unwrap(), 0, "past the end there is nothing, and no error");
    assert_eq!(read_exact_at(&*f, &mut buffer, 0).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    let other = v.open("f", Open::Read).unwrap();
    f.write_at(b"HE", 3).unwrap();
    read_exact_at(&*other, &mut buffer[..5], 3).unwrap();
    assert_eq!(&buffer[..5], b"HEllo", "another handle sees a write at once");

    f.preallocate(0..4096).unwrap();
    assert_eq!(f.len().unwrap(), 4096, "preallocation grows the file");
    f.preallocate(0..100).unwrap();
    assert_eq!(f.len().unwrap(), 4096, "and never cuts it");
    read_exact_at(&*f, &mut buffer[..5], 3).unwrap();
    assert_eq!(&buffer[..5], b"HEllo", "preallocation keeps what is there");
    f.set_len(4).unwrap();
    f.set_len(8).unwrap();
    read_exact_at(&*f, &mut buffer[..8], 0).unwrap();
    assert_eq!(&buffer[..8], b"\0\0\0H\0\0\0\0", "what was cut off does not come back");
    f.sync_data().unwrap();
    f.sync_all().unwrap();
    other.sync_data().unwrap(); // whoever only reads may take over what another wrote
    v.remove("f").unwrap();
    assert_eq!(f.read_at(&mut buffer, 3).unwrap(), 5, "an open file outlives its name");
}

#[allow(clippy::unwrap_used)]
fn names(v: &dyn Volume) {
    v.create_dir("d").unwrap();
    v.create_dir("d").unwrap();
    v.open("d/x", Open::CreateNew).unwrap().write_at(b"123", 0).unwrap();
    v.open("y", Open::CreateNew).unwrap();
    assert!(v.exists("d/x").unwrap() && v.exists("d").unwrap() && !v.exists("d/z").unwrap());
    assert!(!v.exists("nodir/z").unwrap());
    let entries = v.list("d").unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!((entries[0].name.as_str(), entries[0].len_bytes, entries[0].is_dir), ("x", 3, false));
    let mut root: Vec<_> = v.list("").unwrap().into_iter().map(|e| (e.name, e.is_dir)).collect();
    root.sort();
    assert_eq!(root, [("d".to_owned(), true), ("y".to_owned(), false)]);
    v.rename("d/x", "y").unwrap();
    assert_eq!(v.open("y", Open::Read).unwrap().len().unwrap(), 3, "a rename replaces its target");
    assert!(!v.exists("d/x").unwrap());
    assert!(v.rename("d/x", "y").is_err());
    v.sync_dir("d").unwrap();
    v.sync_dir("").unwrap();
    v.remove("y").unwrap();
    assert!(v.remove("y").is_err());
}

#[allow(clippy::unwrap_used)]
fn other_directories(v: &dyn Volume) {
    let open = |path: &str, create| v.open_dir(Path::new(path), create);
    assert_eq!(open("e", false).unwrap_err().kind(), io::ErrorKind::NotFound);
    let made = open("e", true).unwrap();
    made.open("x", Open::CreateNew).unwrap().write_at(b"123", 0).unwrap();
    assert_eq!(v.open("e/x", Open::Read).unwrap().len().unwrap(), 3, "a relative path starts in the volume");
    let again = open("e", false).unwrap();
    assert_eq!(again.identity(), made.identity(), "one directory, however it was reached");
    assert_ne!(again.identity(), v.identity());
    again.remove("x").unwrap();
    assert!(made.list("").unwrap().is_empty());
}

#[allow(clippy::unwrap_used)]
fn locks(v: &dyn Volume) {
    let a = v.open("lock", Open::Create).unwrap();
    let b = v.open("lock", Open::Write).unwrap();
    let reader = v.open("lock", Open::Read).unwrap();
    assert!(a.try_lock(0..1, LockMode::Exclusive).unwrap());
    assert!(!b.try_lock(0..1, LockMode::Shared).unwrap(), "handles of one process exclude each other");
    assert!(b.try_lock(1..2, LockMode::Exclusive).unwrap(), "ranges are apart");
    assert_eq!(b.probe_lock(0..1).unwrap(), Some(LockMode::Exclusive));
    assert_eq!(a.probe_lock(0..1).unwrap(), None, "one's own lock is not in the way");
    assert!(a.try_lock(0..1, LockMode::Shared).unwrap(), "a lock can be weakened");
    assert!(b.try_lock(0..1, LockMode::Shared).unwrap());
    assert!(reader.try_lock(0..1, LockMode::Shared).unwrap(), "a shared lock needs no write permission");
    assert_eq!(a.probe_lock(0..1).unwrap(), Some(LockMode::Shared));
    assert!(!a.try_lock(0..1, LockMode::Exclusive).unwrap());
    reader.unlock(0..1).unwrap();
    b.unlock(0..1).unwrap();
    assert!(a.try_lock(0..1, LockMode::Exclusive).unwrap(), "and strengthened when alone");
    let far = 0x4000_0000..0x4000_0200;
    assert!(a.try_lock(far.clone(), LockMode::Shared).unwrap(), "ranges may lie past the end");
    a.unlock(far.start..far.start + 1).unwrap();
    assert!(b.try_lock(far.start..far.start + 1, LockMode::Exclusive).unwrap(), "part of a range can be given back");
    assert!(!b.try_lock(far.clone(), LockMode::Exclusive).unwrap());
    let again = v.open("lock", Open::Read).unwrap();
    drop(again);
    assert!(!b.try_lock(0..1, LockMode::Shared).unwrap(), "closing one handle must not drop the locks of another");
    drop(a);
    assert!(b.try_lock(0..1, LockMode::Exclusive).unwrap(), "closing a handle drops its own");
    v.remove("lock").unwrap();
}

#[allow(clippy::unwrap_used)]
fn maps(v: &dyn Volume) {
    let f = v.open("map", Open::Create).unwrap();
    f.write_at(&[7; 10_000], 0).unwrap();
    let map = Arc::new(f.map(10_000, 1 << 20).unwrap());
    assert!(map.covers(10_000));
    map.populate(5_000, 5_000).unwrap();
    let slice = map.slice(5_000, 5_000).unwrap();
    assert_eq!(&slice[..], &[7; 5_000]);
    assert_eq!(slice.part(4_999, 1).unwrap()[..], [7]);
    assert!(slice.part(4_999, 2).is_none() && slice.part(usize::MAX, 2).is_none());
    assert!(map.slice(u64::MAX, 1).is_err() && map.slice(0, usize::MAX).is_err());
    f.write_at(&[8; 100], 10_000).unwrap();
    if map.covers(10_100) {
        map.populate(10_000, 100).unwrap();
        assert_eq!(map.slice(10_000, 100).unwrap()[..], [8; 100], "bytes committed later are seen through the map");
        let error = map.populate(900_000, 4_096).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "past the end: an error, not a signal");
    }
    drop((map, f));
    v.remove("map").unwrap();
    assert_eq!(slice[0], 7, "a slice keeps its map");
}

#[allow(clippy::unwrap_used)]
fn shared_memory(v: &dyn Volume) {
    let a = v.open("shm", Open::Create).unwrap();
    let b = v.open("shm", Open::Write).unwrap();
    assert!(a.shared_memory(0..4096, false, true).unwrap().is_none());
    let mine = a.shared_memory(0..4096, true, true).unwrap().unwrap();
    let theirs = b.shared_memory(0..4096, false, true).unwrap().unwrap();
    assert_eq!(a.len().unwrap(), 4096);
    assert_eq!((mine.len(), theirs.load_u32(2)), (4096, 0));
    // SAFETY: the region is 4,096 bytes, and word 2 is inside it.
    let word = unsafe { mine.as_ptr().cast::<u32>().add(2) };
    // SAFETY: the region is writable and page aligned; nobody else writes it.
    unsafe { word.write(77) };
    assert_eq!(theirs.load_u32(2), 77);
    assert_eq!(theirs.load_u32(1 << 20), 0, "past the end reads as 0");
    mine.clear_u32(2);
    assert_eq!(theirs.load_u32(2), 77, "only as many words as were named");
    mine.clear_u32(3);
    assert_eq!(theirs.load_u32(2), 0);
    // SAFETY: as above.
    unsafe { word.write(78) };
    if a.set_len(0).is_ok() {
        a.shared_memory(0..4096, true, true).unwrap().unwrap();
        assert_eq!(theirs.load_u32(2), 0, "cutting the file empties the memory");
    } else {
        assert_eq!(std::env::consts::FAMILY, "windows", "only there a file cannot be cut while it is shared");
        drop((mine, theirs));
        a.set_len(0).unwrap();
        let fresh = a.shared_memory(0..4096, true, true).unwrap().unwrap();
        assert_eq!(fresh.load_u32(2), 0, "nor does what was cut come back");
    }
    v.remove("shm").unwrap();
}

#[allow(clippy::unwrap_used)]
fn surroundings(v: &dyn Volume) {
    let mut noise = [[0; 32]; 2];
    for buffer in &mut noise {
        v.random(buffer).unwrap();
    }
    assert_ne!(noise[0], noise[1]);
    assert!(v.now_us() > 1_600_000_000_000_000);
    assert_eq!(v.identity(), v.identity());
    assert!(!v.is_read_only());
    v.medium().unwrap();
}

#[cfg(test)]
mod tests {
    use super::super::fault::FaultVolume;
    use super::super::sim::SimDisk;
    use super::super::{OsVolume, Volume};
    use super::check;

    #[test]
    fn operating_system() {
        let dir = tempfile::tempdir().unwrap();
        check(&OsVolume::open(dir.path()).unwrap());
    }

    #[test]
    fn operating_system_in_memory() {
        if let Ok(dir) = tempfile::tempdir_in("/dev/shm") {
            check(&OsVolume::open(dir.path()).unwrap());
        }
    }

    #[test]
    fn simulated_disk() {
        check(&*SimDisk::new().process());
    }

    #[test]
    fn failing_wrapper_that_does_not_fail() {
        let (volume, _plan) = FaultVolume::new(SimDisk::new().process());
        check(&*volume as &dyn Volume);
    }
}
