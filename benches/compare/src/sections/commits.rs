//! Small durable commits: how long one takes, and how many syncs many share.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tensoratom::file::{Entry, File, Identity, LockMode, Map, Medium, Open, OsVolume, SharedMemory, Volume};
use tensoratom::{Options, Store, Tensor};
use tensoratom_benches::key;

use super::{scratch, timed};
use crate::Settings;
use crate::engines;
use crate::report::Report;

pub fn run(settings: &Settings, report: &mut Report) {
    let commits = if settings.quick { 20 } else { 300 };
    report.section("small durable commits, disk");
    let dir = scratch(&settings.disk);
    for engine in engines::all(dir.path(), 1 << 30) {
        let commit = |n: usize| engine.put_all(&mut [(key(n), [n as u8; 64].as_slice())].into_iter());
        (0..10).for_each(commit);
        let (time, ()) = timed(|| (0..commits).for_each(commit));
        report.row("one after the other, each", engine.name(), time.as_secs_f64() * 1e3 / commits as f64, "ms");
    }
    group_commit(settings, report);
}

fn group_commit(settings: &Settings, report: &mut Report) {
    let dir = scratch(&settings.disk);
    let syncs = Arc::new(AtomicU64::new(0));
    let catalog_syncs = Arc::new(AtomicU64::new(0));
    let volume = Counting {
        inner: OsVolume::create(&dir.path().join("store")).unwrap(),
        syncs: Arc::clone(&syncs),
        catalog_syncs: Arc::clone(&catalog_syncs),
    };
    let store = Store::open_on(Arc::new(volume), &Options::new(), true).unwrap();
    let put = |n: i64| {
        store.put(n, &Tensor::from_slice(&[1], &[n]).unwrap()).unwrap();
    };
    (0..10).for_each(put);
    syncs.store(0, Ordering::SeqCst);
    catalog_syncs.store(0, Ordering::SeqCst);
    let put = &put;
    let (time, ()) = timed(|| {
        std::thread::scope(|scope| {
            for thread in 0..8_i64 {
                scope.spawn(move || (0..8).for_each(|n| put(1000 + thread * 8 + n)));
            }
        });
    });
    let who = "tensoratom (verified)";
    report.row("64 commits from 8 threads: catalog syncs", who, catalog_syncs.load(Ordering::SeqCst) as f64, "syncs");
    report.row("64 commits from 8 threads: all syncs", who, syncs.load(Ordering::SeqCst) as f64, "syncs");
    report.row("64 commits from 8 threads: time", who, time.as_secs_f64() * 1e3, "ms");
}

/// A volume that counts syncs.
#[derive(Debug)]
struct Counting {
    inner: OsVolume,
    syncs: Arc<AtomicU64>,
    catalog_syncs: Arc<AtomicU64>,
}

#[derive(Debug)]
struct CountingFile {
    inner: Arc<dyn File>,
    syncs: Arc<AtomicU64>,
    catalog_syncs: Option<Arc<AtomicU64>>,
}

impl Volume for Counting {
    fn open(&self, name: &str, how: Open) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(CountingFile {
            inner: self.inner.open(name, how)?,
            syncs: Arc::clone(&self.syncs),
            catalog_syncs: name.starts_with("catalog").then(|| Arc::clone(&self.catalog_syncs)),
        }))
    }
    fn create_dir(&self, name: &str) -> io::Result<()> {
        self.inner.create_dir(name)
    }
    fn list(&self, dir: &str) -> io::Result<Vec<Entry>> {
        self.inner.list(dir)
    }
    fn exists(&self, name: &str) -> io::Result<bool> {
        self.inner.exists(name)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }
    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::SeqCst);
        self.inner.sync_dir(dir)
    }
    fn medium(&self) -> io::Result<Medium> {
        self.inner.medium()
    }
    fn is_read_only(&self) -> bool {
        self.inner.is_read_only()
    }
    fn is_world_writable(&self) -> io::Result<bool> {
        self.inner.is_world_writable()
    }
    fn identity(&self) -> Identity {
        self.inner.identity()
    }
    fn boot_id(&self) -> u128 {
        self.inner.boot_id()
    }
    fn now_us(&self) -> i64 {
        self.inner.now_us()
    }
    fn random(&self, buffer: &mut [u8]) -> io::Result<()> {
        self.inner.random(buffer)
    }
}

impl CountingFile {
    fn count(&self) {
        self.syncs.fetch_add(1, Ordering::SeqCst);
        if let Some(count) = &self.catalog_syncs {
            count.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl File for CountingFile {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buffer, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.inner.write_at(bytes, offset)
    }
    fn preallocate(&self, range: Range<u64>) -> io::Result<()> {
        self.inner.preallocate(range)
    }
    fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        self.inner.set_len(len_bytes)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.count();
        self.inner.sync_data()
    }
    fn sync_all(&self) -> io::Result<()> {
        self.count();
        self.inner.sync_all()
    }
    fn try_lock(&self, range: Range<u64>, mode: LockMode) -> io::Result<bool> {
        self.inner.try_lock(range, mode)
    }
    fn unlock(&self, range: Range<u64>) -> io::Result<()> {
        self.inner.unlock(range)
    }
    fn probe_lock(&self, range: Range<u64>) -> io::Result<Option<LockMode>> {
        self.inner.probe_lock(range)
    }
    fn map(&self, committed: u64, reserve: u64) -> io::Result<Map> {
        self.inner.map(committed, reserve)
    }
    fn shared_memory(&self, range: Range<u64>, grow: bool, writable: bool) -> io::Result<Option<SharedMemory>> {
        self.inner.shared_memory(range, grow, writable)
    }
}
