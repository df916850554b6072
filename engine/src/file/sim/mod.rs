//! A simulated machine: a disk in memory and a second one for cold data, any number of processes, power cuts at will.
//! A disk keeps what is durable apart from what was only written; see [`persistence`] for the fault model.

pub mod persistence;

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::fault::failure;
use super::shared::HeapRegion;
use super::{Entry, File, Identity, LockMode, Map, Medium, Open, SharedMemory, Volume};
pub use persistence::Device;
use persistence::{Image, Op, Persistence};

/// The machine. Cloning gives another handle to the same one.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

struct State {
    disk: Persistence,
    /// Every operation since recording began.
    trace: Option<Vec<Op>>,
    locks: Vec<Lock>,
    shared: BTreeMap<(u64, u64), Arc<HeapRegion>>,
    main: DeviceState,
    cold: DeviceState,
    medium: Medium,
    read_only: bool,
    now_us: i64,
    random: u64,
    boot_id: u128,
    next_handle: u64,
    next_process: u64,
    /// Counts down to the sync that fails, of whichever disk; 0 for none.
    failing_sync: u64,
    /// What happens while somebody waits for the cold disk.
    meanwhile: Option<Meanwhile>,
}

type Meanwhile = Arc<dyn Fn() + Send + Sync>;

/// How one disk is.
struct DeviceState {
    capacity_bytes: u64,
    is_missing: bool,
}

impl DeviceState {
    fn new() -> Self {
        DeviceState { capacity_bytes: u64::MAX, is_missing: false }
    }
}

struct Lock {
    inode: u64,
    handle: u64,
    process: u64,
    range: Range<u64>,
    mode: LockMode,
}

impl State {
    fn apply(&mut self, op: Op) {
        self.disk.apply(&op);
        if let Some(trace) = &mut self.trace {
            trace.push(op);
        }
    }

    fn device(&self, device: Device) -> &DeviceState {
        match device {
            Device::Main => &self.main,
            Device::Cold => &self.cold,
        }
    }

    fn device_mut(&mut self, device: Device) -> &mut DeviceState {
        match device {
            Device::Main => &mut self.main,
            Device::Cold => &mut self.cold,
        }
    }

    /// Fails as a disk does that was pulled out.
    fn check_there(&self, device: Device) -> io::Result<()> {
        if self.device(device).is_missing { Err(failure(libc::EIO)) } else { Ok(()) }
    }

    /// Fails as a full disk does when a file would grow past the capacity.
    fn check_space(&self, device: Device, inode: u64, end: u64) -> io::Result<()> {
        let grows = end.saturating_sub(self.disk.len(inode));
        let used = self.disk.total_bytes(device);
        if grows > 0 && used.saturating_add(grows) > self.device(device).capacity_bytes {
            return Err(failure(libc::ENOSPC));
        }
        Ok(())
    }

    fn conflicting(&self, inode: u64, handle: u64, range: &Range<u64>, mode: LockMode) -> Option<LockMode> {
        self.locks
            .iter()
            .filter(|l| l.inode == inode && l.handle != handle && overlaps(&l.range, range))
            .filter(|l| mode == LockMode::Exclusive || l.mode == LockMode::Exclusive)
            .map(|l| l.mode)
            .max_by_key(|&m| m == LockMode::Exclusive)
    }

    /// Removes `range` from the locks of one handle, keeping what sticks out on either side.
    fn release(&mut self, inode: u64, handle: u64, range: &Range<u64>) {
        let mut kept = Vec::with_capacity(self.locks.len() + 1);
        for lock in self.locks.drain(..) {
            if lock.inode != inode || lock.handle != handle || !overlaps(&lock.range, range) {
                kept.push(lock);
                continue;
            }
            for part in [lock.range.start..range.start, range.end..lock.range.end] {
                if part.start < part.end {
                    kept.push(Lock { range: part, ..lock });
                }
            }
        }
        self.locks = kept;
    }
}

fn overlaps(a: &Range<u64>, b: &Range<u64>) -> bool {
    a.start < b.end && b.start < a.end
}

impl Default for SimDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl SimDisk {
    /// An empty disk without a size limit.
    pub fn new() -> Self {
        Self::from_image(&Image::default())
    }

    /// A freshly booted machine whose disk holds `image`, all of it durable.
    pub fn from_image(image: &Image) -> Self {
        static BOOTS: AtomicU64 = AtomicU64::new(1);
        let boot = BOOTS.fetch_add(1, Ordering::Relaxed);
        SimDisk {
            state: Arc::new(Mutex::new(State {
                disk: Persistence::from_image(image),
                trace: None,
                locks: Vec::new(),
                shared: BTreeMap::new(),
                main: DeviceState::new(),
                cold: DeviceState::new(),
                medium: Medium::Local,
                read_only: false,
                now_us: 1_700_000_000_000_000,
                random: boot.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
                boot_id: u128::from(boot),
                next_handle: 1,
                next_process: 1,
                failing_sync: 0,
                meanwhile: None,
            })),
        }
    }

    /// A new process on this machine.
    pub fn process(&self) -> Arc<SimProcess> {
        let mut state = self.state.lock();
        let id = state.next_process;
        state.next_process += 1;
        let alive = Arc::new(AtomicBool::new(true));
        Arc::new(SimProcess { state: Arc::clone(&self.state), id, alive, root: String::new() })
    }

    /// Limits the sum of all file lengths on the store's disk.
    pub fn set_capacity(&self, bytes: u64) {
        self.set_capacity_of(Device::Main, bytes);
    }

    /// Limits the sum of all file lengths on a disk.
    pub fn set_capacity_of(&self, device: Device, bytes: u64) {
        self.state.lock().device_mut(device).capacity_bytes = bytes;
    }

    /// Pulls the cold disk out, or puts it back. Meanwhile its directories are not there, and calls to files that are open
    /// fail; what was written stays.
    pub fn set_cold_missing(&self, is_missing: bool) {
        self.state.lock().cold.is_missing = is_missing;
    }

    /// Makes the n-th sync of a file from now fail once, losing what was not durable; later ones lie that all is well.
    pub fn fail_sync(&self, n: u64) {
        self.state.lock().failing_sync = n;
    }

    /// Whether the failing sync is still to come.
    pub fn is_sync_failure_pending(&self) -> bool {
        self.state.lock().failing_sync > 0
    }

    /// Makes the cold disk so slow that this happens during each write and sync there. It must not need that disk itself.
    pub fn set_cold_slow(&self, meanwhile: impl Fn() + Send + Sync + 'static) {
        // Dropped without the lock: what it held may need this disk.
        let before = self.state.lock().meanwhile.replace(Arc::new(meanwhile));
        drop(before);
    }

    /// Sum of all file lengths on the store's disk.
    pub fn used_bytes(&self) -> u64 {
        self.used_bytes_of(Device::Main)
    }

    /// Sum of all file lengths on a disk.
    pub fn used_bytes_of(&self, device: Device) -> u64 {
        self.state.lock().disk.total_bytes(device)
    }

    /// Pretends the disk is of another kind.
    pub fn set_medium(&self, medium: Medium) {
        self.state.lock().medium = medium;
    }

    /// Makes every later open for writing fail.
    pub fn set_read_only(&self, read_only: bool) {
        self.state.lock().read_only = read_only;
    }

    /// Sets the wall clock; it advances by one microsecond per reading.
    pub fn set_now_us(&self, now_us: i64) {
        self.state.lock().now_us = now_us;
    }

    /// Starts recording operations, for the enumeration of crash states.
    pub fn record(&self) {
        self.state.lock().trace = Some(Vec::new());
    }

    /// Puts a mark into the recording, say "commit 3 was acknowledged".
    pub fn mark(&self, label: u64) {
        self.state.lock().apply(Op::Mark(label));
    }

    /// The operations recorded so far.
    pub fn trace(&self) -> Vec<Op> {
        self.state.lock().trace.clone().unwrap_or_default()
    }

    /// What an orderly shutdown would leave: everything written.
    pub fn image(&self) -> Image {
        self.state.lock().disk.current_image()
    }

    /// What a power cut may leave now: for each choice point `choose(versions)` picks one version, 0 the oldest.
    pub fn power_cut(&self, choose: impl FnMut(usize) -> usize) -> Image {
        self.state.lock().disk.crash_image(choose)
    }

    /// Changes the bytes of a file behind the engine's back.
    pub fn tamper(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        self.state.lock().disk.tamper(name, change);
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimDisk({} bytes)", self.used_bytes())
    }
}

/// One process of a [`SimDisk`]; the volume the engine is given.
pub struct SimProcess {
    state: Arc<Mutex<State>>,
    id: u64,
    alive: Arc<AtomicBool>,
    /// The directory it looks at; empty for the store's.
    root: String,
}

impl SimProcess {
    /// Kills the process: its locks are gone, its later calls fail, what it wrote stays in the page cache.
    pub fn kill(&self) {
        self.alive.store(false, Ordering::SeqCst);
        let mut state = self.state.lock();
        let id = self.id;
        state.locks.retain(|l| l.process != id);
    }

    fn check_alive(&self) -> io::Result<()> {
        if !self.alive.load(Ordering::SeqCst) {
            return Err(killed());
        }
        self.state.lock().check_there(Device::of(&self.root))
    }

    /// A name here as the machine knows it.
    fn full(&self, name: &str) -> String {
        match (&*self.root, name) {
            ("", name) => name.to_owned(),
            (root, "") => root.to_owned(),
            (root, name) => format!("{root}/{name}"),
        }
    }
}

fn killed() -> io::Error {
    io::Error::other("the simulated process was killed")
}

impl fmt::Debug for SimProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimProcess({})", self.id)
    }
}

fn directory_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(dir, _)| dir)
}

impl Volume for SimProcess {
    fn open_dir(&self, path: &Path, create: bool) -> io::Result<Arc<dyn Volume>> {
        if !self.alive.load(Ordering::SeqCst) {
            return Err(killed());
        }
        let path = path.to_str().ok_or(io::ErrorKind::InvalidInput)?;
        let root = if path.starts_with('/') { path.to_owned() } else { self.full(path) };
        let mut state = self.state.lock();
        if state.device(Device::of(&root)).is_missing || !(create || state.disk.has_dir(&root)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if !state.disk.has_dir(&root) {
            state.apply(Op::CreateDir { name: root.clone() });
            state.apply(Op::SyncDir { dir: directory_of(&root).to_owned() });
        }
        let (state, alive) = (Arc::clone(&self.state), Arc::clone(&self.alive));
        Ok(Arc::new(SimProcess { state, id: self.id, alive, root }))
    }

    fn open(&self, name: &str, how: Open) -> io::Result<Arc<dyn File>> {
        self.check_alive()?;
        let name = &*self.full(name);
        let mut state = self.state.lock();
        if state.read_only && how != Open::Read {
            return Err(failure(libc::EROFS));
        }
        let found = state.disk.lookup(name);
        let inode = match (found, how) {
            (Some(_), Open::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Some(inode), _) => inode,
            (None, Open::Read | Open::Write) => return Err(io::ErrorKind::NotFound.into()),
            (None, Open::Create | Open::CreateNew) => {
                if !state.disk.has_dir(directory_of(name)) {
                    return Err(io::ErrorKind::NotFound.into());
                }
                let inode = state.disk.fresh_inode();
                state.apply(Op::Create { name: name.to_owned(), inode });
                inode
            }
        };
        let handle = state.next_handle;
        state.next_handle += 1;
        Ok(Arc::new(SimFile {
            state: Arc::clone(&self.state),
            alive: Arc::clone(&self.alive),
            process: self.id,
            device: Device::of(name),
            handle,
            inode,
            writable: how != Open::Read,
        }))
    }

    fn create_dir(&self, name: &str) -> io::Result<()> {
        self.check_alive()?;
        let name = self.full(name);
        let mut state = self.state.lock();
        if state.read_only {
            return Err(failure(libc::EROFS));
        }
        if !state.disk.has_dir(&name) {
            state.apply(Op::CreateDir { name });
        }
        Ok(())
    }

    fn list(&self, dir: &str) -> io::Result<Vec<Entry>> {
        self.check_alive()?;
        self.state.lock().disk.list(&self.full(dir))
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        self.check_alive()?;
        let name = &*self.full(name);
        let state = self.state.lock();
        Ok(state.disk.lookup(name).is_some() || state.disk.has_dir(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.check_alive()?;
        let (from, to) = (self.full(from), self.full(to));
        let mut state = self.state.lock();
        if state.disk.lookup(&from).is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.apply(Op::Rename { from, to });
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.check_alive()?;
        let name = self.full(name);
        let mut state = self.state.lock();
        if state.disk.lookup(&name).is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.apply(Op::Remove { name });
        Ok(())
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.check_alive()?;
        self.state.lock().apply(Op::SyncDir { dir: self.full(dir) });
        Ok(())
    }

    fn medium(&self) -> io::Result<Medium> {
        self.check_alive()?;
        Ok(self.state.lock().medium.clone())
    }

    fn is_read_only(&self) -> bool {
        self.state.lock().read_only
    }

    fn is_world_writable(&self) -> io::Result<bool> {
        Ok(false)
    }

    fn identity(&self) -> Identity {
        let mut place = DefaultHasher::new();
        (Arc::as_ptr(&self.state) as usize, &self.root).hash(&mut place);
        Identity(place.finish(), self.id)
    }

    fn boot_id(&self) -> u128 {
        self.state.lock().boot_id
    }

    fn now_us(&self) -> i64 {
        let mut state = self.state.lock();
        state.now_us += 1;
        state.now_us
    }

    fn random(&self, buffer: &mut [u8]) -> io::Result<()> {
        let mut state = self.state.lock();
        for byte in buffer {
            // xorshift64 (Marsaglia 2003): repeatable, and good enough for identifiers in a simulation.
            state.random ^= state.random << 13;
            state.random ^= state.random >> 7;
            state.random ^= state.random << 17;
            *byte = (state.random >> 32) as u8;
        }
        Ok(())
    }
}

struct SimFile {
    state: Arc<Mutex<State>>,
    alive: Arc<AtomicBool>,
    process: u64,
    device: Device,
    handle: u64,
    inode: u64,
    writable: bool,
}

impl SimFile {
    fn reading(&self) -> io::Result<()> {
        if !self.alive.load(Ordering::SeqCst) {
            return Err(killed());
        }
        self.state.lock().check_there(self.device)
    }

    /// Waits for the disk, as long as it takes.
    fn wait(&self) {
        let meanwhile = self.state.lock().meanwhile.clone();
        if let Some(meanwhile) = meanwhile.filter(|_| self.device == Device::Cold) {
            meanwhile();
        }
    }

    fn writing(&self) -> io::Result<()> {
        self.wait();
        self.reading()?;
        if self.writable { Ok(()) } else { Err(failure(libc::EBADF)) }
    }
}

impl fmt::Debug for SimFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimFile(inode {}, process {})", self.inode, self.process)
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let handle = self.handle;
        self.state.lock().locks.retain(|l| l.handle != handle);
    }
}

impl File for SimFile {
    fn len(&self) -> io::Result<u64> {
        self.reading()?;
        Ok(self.state.lock().disk.len(self.inode))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.reading()?;
        Ok(self.state.lock().disk.read(self.inode, buffer, offset))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.writing()?;
        let mut state = self.state.lock();
        state.check_space(self.device, self.inode, offset + bytes.len() as u64)?;
        state.apply(Op::Write { inode: self.inode, offset, bytes: bytes.into() });
        Ok(())
    }

    fn preallocate(&self, range: Range<u64>) -> io::Result<()> {
        self.writing()?;
        let mut state = self.state.lock();
        state.check_space(self.device, self.inode, range.end)?;
        if range.end > state.disk.len(self.inode) {
            state.apply(Op::SetLen { inode: self.inode, len: range.end });
        }
        Ok(())
    }

    fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        self.writing()?;
        let mut state = self.state.lock();
        state.check_space(self.device, self.inode, len_bytes)?;
        state.apply(Op::SetLen { inode: self.inode, len: len_bytes });
        // Cutting a file empties the memory shared through it, for everyone who has it mapped.
        for ((_, start), region) in state.shared.iter().filter(|((inode, _), _)| *inode == self.inode) {
            if *start >= len_bytes {
                region.0.iter().for_each(|word| word.store(0, Ordering::SeqCst));
            }
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.wait();
        self.reading()?;
        let mut state = self.state.lock();
        if state.failing_sync > 0 {
            state.failing_sync -= 1;
            if state.failing_sync == 0 {
                state.apply(Op::FailedSync { inode: self.inode });
                return Err(failure(libc::EIO));
            }
        }
        state.apply(Op::Sync { inode: self.inode });
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn try_lock(&self, range: Range<u64>, mode: LockMode) -> io::Result<bool> {
        self.reading()?;
        let mut state = self.state.lock();
        if state.conflicting(self.inode, self.handle, &range, mode).is_some() {
            return Ok(false);
        }
        state.release(self.inode, self.handle, &range);
        state.locks.push(Lock { inode: self.inode, handle: self.handle, process: self.process, range, mode });
        Ok(true)
    }

    fn unlock(&self, range: Range<u64>) -> io::Result<()> {
        self.reading()?;
        self.state.lock().release(self.inode, self.handle, &range);
        Ok(())
    }

    fn probe_lock(&self, range: Range<u64>) -> io::Result<Option<LockMode>> {
        self.reading()?;
        Ok(self.state.lock().conflicting(self.inode, self.handle, &range, LockMode::Exclusive))
    }

    fn map(&self, committed: u64, _reserve: u64) -> io::Result<Map> {
        self.reading()?;
        let len = usize::try_from(committed).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let mut bytes = vec![0; len];
        self.state.lock().disk.read(self.inode, &mut bytes, 0);
        Ok(Map::from_copy(bytes))
    }

    fn shared_memory(&self, range: Range<u64>, grow: bool, _writable: bool) -> io::Result<Option<SharedMemory>> {
        self.reading()?;
        if self.len()? < range.end {
            if !grow {
                return Ok(None);
            }
            self.preallocate(range.clone())?;
        }
        let words = usize::try_from((range.end - range.start) / 8).unwrap_or(0);
        let mut state = self.state.lock();
        let region = state
            .shared
            .entry((self.inode, range.start))
            .or_insert_with(|| Arc::new(HeapRegion((0..words).map(|_| AtomicU64::new(0)).collect())));
        Ok(Some(SharedMemory::from_heap(Arc::clone(region))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_process_loses_its_locks_and_its_voice() {
        let disk = SimDisk::new();
        let (a, b) = (disk.process(), disk.process());
        let file_a = a.open("x", Open::Create).unwrap();
        let file_b = b.open("x", Open::Write).unwrap();
        assert!(file_a.try_lock(0..1, LockMode::Exclusive).unwrap());
        assert!(!file_b.try_lock(0..1, LockMode::Shared).unwrap());
        a.kill();
        assert!(file_a.write_at(b"late", 0).is_err());
        assert!(file_b.try_lock(0..1, LockMode::Exclusive).unwrap());
    }

    #[test]
    fn a_full_disk_refuses_growth_and_allows_overwriting() {
        let disk = SimDisk::new();
        disk.set_capacity(10);
        let file = disk.process().open("x", Open::Create).unwrap();
        file.write_at(&[1; 10], 0).unwrap();
        assert_eq!(file.write_at(&[1; 1], 10).unwrap_err().kind(), io::ErrorKind::StorageFull);
        file.write_at(&[2; 10], 0).unwrap();
    }
}
