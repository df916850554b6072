//! A volume whose n-th call fails: once or from then on, with a chosen error, after half a write, or as a killed process.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::sim::SimProcess;
use super::{Entry, File, Identity, LockHolder, LockMode, Map, Medium, Open, SharedMemory, Volume};

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The call does nothing and returns the error of this number, as Linux counts them.
    Error(i32),
    /// A write is carried out by half, then returns this error number. Other calls behave as [`FaultKind::Error`].
    ShortWrite(i32),
    /// The process is killed instead of making the call ([`FaultPlan::kill_with`]).
    Kill,
}

/// When and how calls fail.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// The call that fails first, counted from 1 since [`FaultPlan::arm`].
    pub at: u64,
    /// True: every later call fails as well.
    pub sticky: bool,
    /// How.
    pub kind: FaultKind,
}

/// Which calls count. Sweeps usually leave reads out or take only syncs.
pub type CallFilter = fn(&'static str) -> bool;

/// Shared by a volume and all its files.
#[derive(Debug, Default)]
pub struct FaultPlan {
    calls: AtomicU64,
    armed: Mutex<Option<(Fault, CallFilter)>>,
    hit: Mutex<Option<&'static str>>,
    victim: Mutex<Option<Arc<SimProcess>>>,
}

impl FaultPlan {
    /// Starts counting anew and fails as told.
    pub fn arm(&self, fault: Fault, filter: CallFilter) {
        self.calls.store(0, Ordering::SeqCst);
        *self.hit.lock() = None;
        *self.armed.lock() = Some((fault, filter));
    }

    /// The simulated process that [`FaultKind::Kill`] kills.
    pub fn kill_with(&self, victim: Arc<SimProcess>) {
        *self.victim.lock() = Some(victim);
    }

    /// Stops failing.
    pub fn disarm(&self) {
        *self.armed.lock() = None;
    }

    /// The first call that failed since [`FaultPlan::arm`]; `None` means the sweep is past the end.
    pub fn hit(&self) -> Option<&'static str> {
        *self.hit.lock()
    }

    fn check(&self, call: &'static str) -> Result<(), FaultKind> {
        let armed = self.armed.lock();
        let Some((fault, filter)) = *armed else { return Ok(()) };
        if !filter(call) {
            return Ok(());
        }
        let n = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        if n == fault.at || (fault.sticky && n > fault.at) {
            self.hit.lock().get_or_insert(call);
            if let (FaultKind::Kill, Some(victim)) = (fault.kind, &*self.victim.lock()) {
                victim.kill();
            }
            return Err(fault.kind);
        }
        Ok(())
    }

    fn pass(&self, call: &'static str) -> io::Result<()> {
        self.check(call).map_err(|kind| match kind {
            FaultKind::Error(errno) | FaultKind::ShortWrite(errno) => failure(errno),
            FaultKind::Kill => failure(libc::EIO),
        })
    }
}

/// Number of the error of a used-up quota, which `libc` does not name on every system.
pub const EDQUOT: i32 = 122;

/// The error that the system this runs on has for what Linux calls `errno`.
pub(super) fn failure(errno: i32) -> io::Error {
    #[cfg(windows)]
    let errno = {
        use windows_sys::Win32::Foundation as code;
        let code = match errno {
            libc::ENOSPC => code::ERROR_DISK_FULL,
            EDQUOT => code::ERROR_DISK_QUOTA_EXCEEDED,
            libc::EROFS => code::ERROR_WRITE_PROTECT,
            libc::EBADF => code::ERROR_ACCESS_DENIED,
            _ => code::ERROR_IO_DEVICE,
        };
        code.cast_signed()
    };
    io::Error::from_raw_os_error(errno)
}

/// A volume that passes everything on, except what its plan says.
#[derive(Debug)]
pub struct FaultVolume {
    inner: Arc<dyn Volume>,
    plan: Arc<FaultPlan>,
    /// For directories reached through this one.
    elsewhere: Arc<FaultPlan>,
}

impl FaultVolume {
    /// Wraps a volume and the directories reached through it. The plan starts disarmed.
    pub fn new(inner: Arc<dyn Volume>) -> (Arc<Self>, Arc<FaultPlan>) {
        let plan = Arc::<FaultPlan>::default();
        (Arc::new(FaultVolume { inner, plan: Arc::clone(&plan), elsewhere: Arc::clone(&plan) }), plan)
    }

    /// Wraps a volume; the second plan is for the directories reached through it, which may be on another disk.
    pub fn of_two_disks(inner: Arc<dyn Volume>) -> (Arc<Self>, Arc<FaultPlan>, Arc<FaultPlan>) {
        let (plan, elsewhere) = (Arc::<FaultPlan>::default(), Arc::<FaultPlan>::default());
        let volume = FaultVolume { inner, plan: Arc::clone(&plan), elsewhere: Arc::clone(&elsewhere) };
        (Arc::new(volume), plan, elsewhere)
    }
}

impl Volume for FaultVolume {
    fn open_dir(&self, path: &Path, create: bool) -> io::Result<Arc<dyn Volume>> {
        self.elsewhere.pass("open_dir")?;
        let (inner, plan) = (self.inner.open_dir(path, create)?, &self.elsewhere);
        Ok(Arc::new(FaultVolume { inner, plan: Arc::clone(plan), elsewhere: Arc::clone(plan) }))
    }
    fn open(&self, name: &str, how: Open) -> io::Result<Arc<dyn File>> {
        self.plan.pass("open")?;
        let inner = self.inner.open(name, how)?;
        Ok(Arc::new(FaultFile { inner, plan: Arc::clone(&self.plan) }))
    }
    fn create_dir(&self, name: &str) -> io::Result<()> {
        self.plan.pass("create_dir")?;
        self.inner.create_dir(name)
    }
    fn list(&self, dir: &str) -> io::Result<Vec<Entry>> {
        self.plan.pass("list")?;
        self.inner.list(dir)
    }
    fn exists(&self, name: &str) -> io::Result<bool> {
        self.plan.pass("exists")?;
        self.inner.exists(name)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.plan.pass("rename")?;
        self.inner.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.plan.pass("remove")?;
        self.inner.remove(name)
    }
    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.plan.pass("sync_dir")?;
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
        self.plan.pass("random")?;
        self.inner.random(buffer)
    }
}

#[derive(Debug)]
struct FaultFile {
    inner: Arc<dyn File>,
    plan: Arc<FaultPlan>,
}

impl File for FaultFile {
    fn len(&self) -> io::Result<u64> {
        self.plan.pass("len")?;
        self.inner.len()
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.plan.pass("read_at")?;
        self.inner.read_at(buffer, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        match self.plan.check("write_at") {
            Ok(()) => self.inner.write_at(bytes, offset),
            Err(FaultKind::Error(errno)) => Err(failure(errno)),
            Err(FaultKind::Kill) => Err(failure(libc::EIO)),
            Err(FaultKind::ShortWrite(errno)) => {
                self.inner.write_at(&bytes[..bytes.len() / 2], offset)?;
                Err(failure(errno))
            }
        }
    }
    fn preallocate(&self, range: Range<u64>) -> io::Result<()> {
        self.plan.pass("preallocate")?;
        self.inner.preallocate(range)
    }
    fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        self.plan.pass("set_len")?;
        self.inner.set_len(len_bytes)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.plan.pass("sync_data")?;
        self.inner.sync_data()
    }
    fn sync_all(&self) -> io::Result<()> {
        self.plan.pass("sync_all")?;
        self.inner.sync_all()
    }
    fn try_lock(&self, range: Range<u64>, mode: LockMode) -> io::Result<bool> {
        self.plan.pass("try_lock")?;
        self.inner.try_lock(range, mode)
    }
    fn unlock(&self, range: Range<u64>) -> io::Result<()> {
        // Never fails: the operating system's does not either while the handle is open.
        self.inner.unlock(range)
    }
    fn probe_lock(&self, range: Range<u64>) -> io::Result<Option<LockMode>> {
        self.plan.pass("probe_lock")?;
        self.inner.probe_lock(range)
    }
    fn lock_holders(&self, range: Range<u64>) -> io::Result<Vec<LockHolder>> {
        self.inner.lock_holders(range)
    }

    fn map(&self, committed: u64, reserve: u64) -> io::Result<Map> {
        self.plan.pass("map")?;
        self.inner.map(committed, reserve)
    }
    fn shared_memory(&self, range: Range<u64>, grow: bool, writable: bool) -> io::Result<Option<SharedMemory>> {
        self.plan.pass("shared_memory")?;
        self.inner.shared_memory(range, grow, writable)
    }
}
