//! SQLite's file layer over [`Volume`]: the catalog's bytes go through the same seam as everything else, so that the
//! same fault injection, power cuts and fork checks reach them, and every page is checksummed.
//!
//! One VFS named [`VFS_NAME`] serves all stores of a process; the first component of a path is the number of a
//! [`Mount`]. Locks are open-file-description locks at SQLite's own byte offsets: unlike the process-wide locks of
//! SQLite's own Unix layer they are not lost when another handle of the file is closed, and a foreign SQLite that reads
//! the catalog still respects them and is respected.

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use rusqlite::ffi;

use crate::error::{Error, Result};
use crate::file::{File, ForkGuard, LockMode, Open, SharedMemory, Volume, read_exact_at};

use super::page::{self, PAGE_BYTES, PAGE_TAIL_BYTES};

/// Name under which SQLite knows this layer.
pub(super) const VFS_NAME: &str = "tensoratom";

/// SQLite's lock bytes (os.h) and the slots of its shared memory (wal.c).
const PENDING: u64 = 0x4000_0000;
const RESERVED: u64 = PENDING + 1;
const SHARED_FIRST: u64 = PENDING + 2;
const SHARED_END: u64 = SHARED_FIRST + 510;
const SHM_SLOTS: u64 = 120;
const SHM_DEAD_MAN: u64 = 128;
/// One region of shared memory, and its header with what is kept of checkpoints (WALINDEX_PGSZ, WALINDEX_HDR_SIZE).
const SHM_REGION_BYTES: u64 = 32 * 1024;
const SHM_HEADER_WORDS: usize = 136 / 4;

/// A volume made known to SQLite, until dropped.
#[derive(Debug)]
pub(super) struct Mount {
    id: u64,
}

#[derive(Debug)]
struct Mounted {
    volume: Arc<dyn Volume>,
    fork: Arc<ForkGuard>,
}

fn mounts() -> &'static Mutex<HashMap<u64, Arc<Mounted>>> {
    static MOUNTS: OnceLock<Mutex<HashMap<u64, Arc<Mounted>>>> = OnceLock::new();
    MOUNTS.get_or_init(Mutex::default)
}

impl Mount {
    /// Makes a volume reachable for SQLite.
    pub(super) fn new(volume: Arc<dyn Volume>, fork: Arc<ForkGuard>) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        register()?;
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        mounts().lock().insert(id, Arc::new(Mounted { volume, fork }));
        Ok(Mount { id })
    }

    /// The path by which SQLite opens a file of the volume.
    pub(super) fn path(&self, name: &str) -> String {
        format!("/{}/{name}", self.id)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        mounts().lock().remove(&self.id);
    }
}

/// Tells SQLite to leave the last bytes of each page to us. Only before the first write to a new database.
pub(super) fn reserve_page_tail(connection: &rusqlite::Connection) -> Result<()> {
    let mut bytes: c_int = PAGE_TAIL_BYTES as c_int;
    // SAFETY: `handle` needs that the pointer is used only while the connection lives: it is, by the borrow.
    let db = unsafe { connection.handle() };
    // SAFETY: `sqlite3_file_control` needs an open connection, a NUL-terminated name, and for RESERVE_BYTES an int.
    // - `db` is open (above); the name is a C string literal; `bytes` is a live local int.
    let code = unsafe {
        ffi::sqlite3_file_control(
            db,
            c"main".as_ptr(),
            ffi::SQLITE_FCNTL_RESERVE_BYTES,
            (&raw mut bytes).cast::<c_void>(),
        )
    };
    if code == ffi::SQLITE_OK { Ok(()) } else { Err(Error::internal(format!("SQLite refused page tails ({code})"))) }
}

fn register() -> Result<()> {
    static OUTCOME: OnceLock<c_int> = OnceLock::new();
    let code = *OUTCOME.get_or_init(|| {
        let vfs = Box::new(ffi::sqlite3_vfs {
            iVersion: 2,
            szOsFile: size_of::<VfsFile>() as c_int,
            mxPathname: 512,
            pNext: ptr::null_mut(),
            zName: c"tensoratom".as_ptr(),
            pAppData: ptr::null_mut(),
            xOpen: Some(x_open),
            xDelete: Some(x_delete),
            xAccess: Some(x_access),
            xFullPathname: Some(x_full_pathname),
            xDlOpen: None,
            xDlError: None,
            xDlSym: None,
            xDlClose: None,
            xRandomness: Some(x_randomness),
            xSleep: Some(x_sleep),
            xCurrentTime: Some(x_current_time),
            xGetLastError: None,
            xCurrentTimeInt64: Some(x_current_time_int64),
            xSetSystemCall: None,
            xGetSystemCall: None,
            xNextSystemCall: None,
        });
        // SAFETY: `sqlite3_vfs_register` needs a structure that stays valid and unmoved for the rest of the process.
        // - It is leaked from a box; `zName` is a literal; the callbacks are functions of this library.
        unsafe { ffi::sqlite3_vfs_register(Box::into_raw(vfs), 0) }
    });
    if code == ffi::SQLITE_OK {
        Ok(())
    } else {
        Err(Error::internal(format!("SQLite refused the file layer ({code})")))
    }
}

/// What SQLite allocates for an open file: its base part, then ours.
#[repr(C)]
struct VfsFile {
    base: ffi::sqlite3_file,
    state: *mut OpenFile,
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(x_close),
    xRead: Some(x_read),
    xWrite: Some(x_write),
    xTruncate: Some(x_truncate),
    xSync: Some(x_sync),
    xFileSize: Some(x_file_size),
    xLock: Some(x_lock),
    xUnlock: Some(x_unlock),
    xCheckReservedLock: Some(x_check_reserved_lock),
    xFileControl: Some(x_file_control),
    xSectorSize: Some(x_sector_size),
    xDeviceCharacteristics: Some(x_device_characteristics),
    xShmMap: Some(x_shm_map),
    xShmLock: Some(x_shm_lock),
    xShmBarrier: Some(x_shm_barrier),
    xShmUnmap: Some(x_shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Database,
    Wal,
    Journal,
}

/// A file SQLite has open. Plain safe code from here on; the C side is at the bottom.
struct OpenFile {
    mounted: Arc<Mounted>,
    kind: Kind,
    name: String,
    /// `None`: a log that does not exist on a read-only medium; it reads as empty.
    file: Option<Arc<dyn File>>,
    /// The name of the file may not be durable yet.
    name_unsynced: bool,
    /// SQLite's lock level (SQLITE_LOCK_*).
    level: c_int,
    shm: Option<Shm>,
}

/// The shared memory of one connection.
struct Shm {
    /// `None` on a read-only medium without one.
    file: Option<Arc<dyn File>>,
    read_only: bool,
    /// The dead-man lock is held, so the contents can be trusted.
    attached: bool,
    regions: Vec<Option<SharedMemory>>,
}

type Code = c_int;

fn is_disk_full(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

fn write_code(e: &io::Error, otherwise: Code) -> Code {
    if is_disk_full(e) { ffi::SQLITE_FULL } else { otherwise }
}

/// Not SQLITE_FULL, which says that the log has nothing of the commit: the index grows after the log is written.
fn shm_code(e: &io::Error, otherwise: Code) -> Code {
    if is_disk_full(e) { ffi::SQLITE_IOERR_SHMSIZE } else { otherwise }
}

/// Empties shared memory of one region without cutting its file.
fn empty_region(file: &dyn File) -> io::Result<Option<SharedMemory>> {
    let region = 0..SHM_REGION_BYTES;
    file.preallocate(region.clone())?; // a file that was copied may have holes, and a hole kills on a full disk
    let memory = file.shared_memory(region, false, true)?;
    if let Some(memory) = &memory {
        memory.clear_u32(SHM_HEADER_WORDS);
    }
    Ok(memory)
}

impl OpenFile {
    fn open(mounted: Arc<Mounted>, name: &str, flags: c_int) -> Result<(Self, bool), Code> {
        if mounted.fork.is_forked() {
            return Err(ffi::SQLITE_CANTOPEN);
        }
        let kind = if flags & ffi::SQLITE_OPEN_MAIN_DB != 0 {
            Kind::Database
        } else if flags & ffi::SQLITE_OPEN_WAL != 0 {
            Kind::Wal
        } else if flags & ffi::SQLITE_OPEN_MAIN_JOURNAL != 0 {
            Kind::Journal
        } else {
            return Err(ffi::SQLITE_CANTOPEN); // temporary files stay in memory (temp_store)
        };
        let volume = &mounted.volume;
        // Whoever may create the file syncs its name with its first sync, even if it finds it there: another connection
        // of ours may have created it for reading, and would never sync it.
        let name_unsynced = flags & ffi::SQLITE_OPEN_CREATE != 0;
        let mut writable = flags & ffi::SQLITE_OPEN_READWRITE != 0 && !volume.is_read_only();
        let mut outcome = volume.open(name, if writable { Open::Write } else { Open::Read });
        if let Err(e) = &outcome {
            if e.kind() == io::ErrorKind::NotFound && writable && flags & ffi::SQLITE_OPEN_CREATE != 0 {
                outcome = volume.open(name, Open::Create);
            } else if writable
                && matches!(e.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
            {
                outcome = volume.open(name, Open::Read);
                writable = false;
            }
        }
        let file = match outcome {
            Ok(file) => Some(file),
            Err(e) if e.kind() == io::ErrorKind::NotFound && kind == Kind::Wal && !writable => None,
            Err(_) => return Err(ffi::SQLITE_CANTOPEN),
        };
        let name = name.to_owned();
        Ok((OpenFile { mounted, kind, name, file, name_unsynced, level: ffi::SQLITE_LOCK_NONE, shm: None }, writable))
    }

    fn file(&self) -> Result<&dyn File, Code> {
        if self.mounted.fork.is_forked() {
            return Err(ffi::SQLITE_IOERR);
        }
        self.file.as_deref().ok_or(ffi::SQLITE_READONLY)
    }

    /// Looks again for a log that was not there: where this process may not write, others may, and make one.
    fn look_again(&mut self) {
        if self.file.is_none() && !self.mounted.fork.is_forked() {
            self.file = self.mounted.volume.open(&self.name, Open::Read).ok();
        }
    }

    fn read(&mut self, buffer: &mut [u8], offset: u64) -> Result<(), Code> {
        self.look_again();
        if self.file.is_none() {
            buffer.fill(0);
            return Err(ffi::SQLITE_IOERR_SHORT_READ);
        }
        let file = self.file()?;
        let got = file.read_at(buffer, offset).map_err(|_| ffi::SQLITE_IOERR_READ)?;
        if got < buffer.len() {
            buffer[got..].fill(0);
            return Err(ffi::SQLITE_IOERR_SHORT_READ);
        }
        let Ok(page) = <&[u8; PAGE_BYTES]>::try_from(&*buffer) else { return Ok(()) };
        let sound = match self.kind {
            Kind::Database if offset.is_multiple_of(PAGE_BYTES as u64) => page::is_sound(page, page_number(offset)),
            Kind::Wal => match page::frame_at(offset) {
                Some(frame) => frame_matches(file, &frame, page)?,
                None => true,
            },
            _ => true,
        };
        if sound { Ok(()) } else { Err(ffi::SQLITE_IOERR_DATA) }
    }

    fn write(&self, bytes: &[u8], offset: u64) -> Result<(), Code> {
        let file = self.file()?;
        let outcome = match <[u8; PAGE_BYTES]>::try_from(bytes) {
            Ok(mut page) if self.kind == Kind::Database && offset.is_multiple_of(PAGE_BYTES as u64) => {
                page::seal(&mut page, page_number(offset));
                file.write_at(&page, offset)
            }
            _ => file.write_at(bytes, offset),
        };
        outcome.map_err(|e| write_code(&e, ffi::SQLITE_IOERR_WRITE))
    }

    fn sync(&mut self) -> Result<(), Code> {
        self.file()?.sync_data().map_err(|_| ffi::SQLITE_IOERR_FSYNC)?;
        if self.name_unsynced {
            self.mounted.volume.sync_dir("").map_err(|_| ffi::SQLITE_IOERR_DIR_FSYNC)?;
            self.name_unsynced = false;
        }
        Ok(())
    }

    fn len(&mut self) -> Result<i64, Code> {
        self.look_again();
        if self.file.is_none() {
            return Ok(0);
        }
        let len = self.file()?.len().map_err(|_| ffi::SQLITE_IOERR_FSTAT)?;
        i64::try_from(len).map_err(|_| ffi::SQLITE_IOERR_FSTAT)
    }

    /// Raises the lock level, in the steps SQLite's own layer takes (os_unix.c, unixLock).
    fn lock(&mut self, level: c_int) -> Result<(), Code> {
        if self.level >= level {
            return Ok(());
        }
        let file = self.file()?;
        let take = |range, mode| match file.try_lock(range, mode) {
            Ok(true) => Ok(()),
            Ok(false) => Err(ffi::SQLITE_BUSY),
            Err(_) => Err(ffi::SQLITE_IOERR_LOCK),
        };
        match level {
            ffi::SQLITE_LOCK_SHARED => {
                take(PENDING..RESERVED, LockMode::Shared)?;
                let outcome = take(SHARED_FIRST..SHARED_END, LockMode::Shared);
                file.unlock(PENDING..RESERVED).map_err(|_| ffi::SQLITE_IOERR_UNLOCK)?;
                outcome?;
            }
            ffi::SQLITE_LOCK_RESERVED => take(RESERVED..SHARED_FIRST, LockMode::Exclusive)?,
            _ => {
                if self.level < ffi::SQLITE_LOCK_PENDING {
                    take(PENDING..RESERVED, LockMode::Exclusive)?;
                }
                if let Err(code) = take(SHARED_FIRST..SHARED_END, LockMode::Exclusive) {
                    self.level = ffi::SQLITE_LOCK_PENDING;
                    return Err(code);
                }
            }
        }
        self.level = level;
        Ok(())
    }

    /// Lowers the lock level to SHARED or NONE.
    fn unlock(&mut self, level: c_int) -> Result<(), Code> {
        if self.level <= level || self.mounted.fork.is_forked() {
            return Ok(()); // in a forked child the locks are the parent's
        }
        let file = self.file()?;
        let failed = |_| ffi::SQLITE_IOERR_UNLOCK;
        if level == ffi::SQLITE_LOCK_SHARED {
            let kept = file.try_lock(SHARED_FIRST..SHARED_END, LockMode::Shared).map_err(failed)?;
            if !kept {
                return Err(ffi::SQLITE_IOERR_RDLOCK);
            }
            file.unlock(PENDING..SHARED_FIRST).map_err(failed)?;
        } else {
            file.unlock(PENDING..SHARED_END).map_err(failed)?;
        }
        self.level = level;
        Ok(())
    }

    fn is_reserved(&self) -> Result<bool, Code> {
        if self.level >= ffi::SQLITE_LOCK_RESERVED {
            return Ok(true);
        }
        let held = self.file()?.probe_lock(RESERVED..SHARED_FIRST);
        Ok(held.map_err(|_| ffi::SQLITE_IOERR_CHECKRESERVEDLOCK)?.is_some())
    }

    /// Opens the shared memory file and attaches to it (os_unix.c, unixOpenSharedMemory).
    fn shm(&mut self) -> Result<&mut Shm, Code> {
        if self.mounted.fork.is_forked() {
            return Err(ffi::SQLITE_IOERR);
        }
        if let Some(shm) = &mut self.shm
            && shm.file.is_none()
        {
            // A writer may have come since.
            shm.file = self.mounted.volume.open(&format!("{}-shm", self.name), Open::Read).ok();
        }
        if self.shm.is_none() {
            let name = format!("{}-shm", self.name);
            let volume = &self.mounted.volume;
            let writable = if volume.is_read_only() { None } else { volume.open(&name, Open::Create).ok() };
            let read_only = writable.is_none();
            let file = match writable {
                Some(file) => Some(file),
                None => volume.open(&name, Open::Read).ok(),
            };
            if file.is_none() && !volume.is_read_only() {
                return Err(ffi::SQLITE_CANTOPEN);
            }
            self.shm = Some(Shm { file, read_only, attached: false, regions: Vec::new() });
        }
        self.shm.as_mut().ok_or(ffi::SQLITE_INTERNAL)
    }

    fn shm_map(&mut self, region: usize, size: usize, extend: bool) -> Result<*mut c_void, (Code, *mut c_void)> {
        let bare = |code| (code, ptr::null_mut());
        let shm = self.shm().map_err(bare)?;
        shm.attach().map_err(bare)?;
        let file = shm.file.as_ref().ok_or(bare(ffi::SQLITE_READONLY_CANTINIT))?;
        if shm.regions.get(region).is_none_or(Option::is_none) {
            let start = region as u64 * size as u64;
            let memory = file
                .shared_memory(start..start + size as u64, extend && !shm.read_only, !shm.read_only)
                .map_err(|e| bare(shm_code(&e, ffi::SQLITE_IOERR_SHMMAP)))?;
            if shm.regions.len() <= region {
                shm.regions.resize_with(region + 1, || None);
            }
            shm.regions[region] = memory;
        }
        let pointer =
            shm.regions[region].as_ref().map_or(ptr::null_mut(), |memory| memory.as_ptr().as_ptr().cast::<c_void>());
        if shm.read_only { Err((ffi::SQLITE_READONLY, pointer)) } else { Ok(pointer) }
    }

    fn shm_lock(&mut self, slot: u64, count: u64, flags: c_int) -> Result<(), Code> {
        let unlock = flags & ffi::SQLITE_SHM_UNLOCK != 0;
        if unlock && self.mounted.fork.is_forked() {
            return Ok(());
        }
        let shm = self.shm()?;
        // Without a file nobody can be writing: the medium is read-only.
        let Some(file) = &shm.file else { return Ok(()) };
        let range = SHM_SLOTS + slot..SHM_SLOTS + slot + count;
        if unlock {
            return file.unlock(range).map_err(|_| ffi::SQLITE_IOERR_SHMLOCK);
        }
        let mode = if flags & ffi::SQLITE_SHM_SHARED != 0 { LockMode::Shared } else { LockMode::Exclusive };
        match file.try_lock(range, mode) {
            Ok(true) => Ok(()),
            Ok(false) => Err(ffi::SQLITE_BUSY),
            Err(_) => Err(ffi::SQLITE_IOERR_SHMLOCK),
        }
    }

    fn shm_unmap(&mut self, delete: bool) -> Result<(), Code> {
        if let Some(shm) = self.shm.take()
            && delete
            && !shm.read_only
            && !self.mounted.fork.is_forked()
        {
            // Somebody may have attached again meanwhile only by opening the same name, which SQLite's own lock on the
            // database file excludes here. A file left behind is emptied by the next that attaches.
            let _ = self.mounted.volume.remove(&format!("{}-shm", self.name));
        }
        Ok(())
    }
}

impl Shm {
    /// Takes the dead-man lock; whoever comes first empties the memory, which may stem from before a crash.
    ///
    /// A file of one region is not cut, which costs milliseconds on a busy ext4: a zeroed header says that nothing behind
    /// it counts (walIndexTryHdr), SQLite builds the index anew, and clears each page of it before its first use
    /// (walIndexAppend).
    fn attach(&mut self) -> Result<(), Code> {
        if self.attached {
            return Ok(());
        }
        let Some(file) = &self.file else { return Err(ffi::SQLITE_READONLY_CANTINIT) };
        let range = SHM_DEAD_MAN..SHM_DEAD_MAN + 1;
        let failed = |_| ffi::SQLITE_IOERR_LOCK;
        match file.probe_lock(range.clone()).map_err(failed)? {
            Some(LockMode::Exclusive) => return Err(ffi::SQLITE_BUSY),
            Some(LockMode::Shared) => {}
            None if self.read_only => return Err(ffi::SQLITE_READONLY_CANTINIT),
            None => {
                if !file.try_lock(range.clone(), LockMode::Exclusive).map_err(failed)? {
                    return Err(ffi::SQLITE_BUSY);
                }
                let emptied = match file.len() {
                    Ok(SHM_REGION_BYTES) => empty_region(&**file).map(|memory| self.regions = vec![memory]),
                    Ok(_) => file.set_len(0),
                    Err(e) => Err(e),
                };
                emptied.map_err(|e| shm_code(&e, ffi::SQLITE_IOERR_SHMOPEN))?;
            }
        }
        if !file.try_lock(range, LockMode::Shared).map_err(failed)? {
            return Err(ffi::SQLITE_BUSY);
        }
        self.attached = true;
        Ok(())
    }
}

/// Number of the page at a file offset; pages count from 1.
fn page_number(offset: u64) -> u32 {
    (offset / PAGE_BYTES as u64) as u32 + 1
}

fn frame_matches(file: &dyn File, frame: &page::Frame, page: &[u8; PAGE_BYTES]) -> Result<bool, Code> {
    let failed = |_| ffi::SQLITE_IOERR_READ;
    let mut magic = [0; 4];
    let mut previous = [0; 8];
    let mut header = [0; 24];
    read_exact_at(file, &mut magic, 0).map_err(failed)?;
    read_exact_at(file, &mut previous, frame.previous_offset).map_err(failed)?;
    read_exact_at(file, &mut header, frame.header_offset).map_err(failed)?;
    Ok(page::frame_is_sound(magic, previous, &header, page))
}

/// Runs a callback's body: a panic becomes an I/O error and never crosses into C.
fn wall(body: impl FnOnce() -> Result<(), Code>) -> c_int {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => ffi::SQLITE_OK,
        Ok(Err(code)) => code,
        Err(_) => ffi::SQLITE_IOERR,
    }
}

/// The open file behind SQLite's pointer.
///
/// # Safety
/// - `file` was filled by [`x_open`] and not closed since.
/// - No other reference to it is in use: SQLite calls the methods of one file from one thread at a time.
unsafe fn open_file<'a>(file: *mut ffi::sqlite3_file) -> &'a mut OpenFile {
    // SAFETY: reading a field through `file` needs a valid `VfsFile`: SQLite allocated `szOsFile` bytes, `x_open` filled
    // them (first duty of the caller).
    let state = unsafe { (*file.cast::<VfsFile>()).state };
    // SAFETY: `state` came from a box in `x_open`, freed only by `x_close`; exclusive by the second duty.
    unsafe { &mut *state }
}

/// The mount and file name in a path made by [`Mount::path`] (plus a suffix of SQLite's).
///
/// # Safety
/// `path` is a NUL-terminated string that outlives the returned slice.
unsafe fn parse_path<'a>(path: *const c_char) -> Result<(Arc<Mounted>, &'a str), Code> {
    if path.is_null() {
        return Err(ffi::SQLITE_CANTOPEN);
    }
    // SAFETY: NUL-terminated and alive, by the duty of the caller; not null (above).
    let text = unsafe { CStr::from_ptr(path) }.to_str().map_err(|_| ffi::SQLITE_CANTOPEN)?;
    let (id, name) = text.strip_prefix('/').and_then(|t| t.split_once('/')).ok_or(ffi::SQLITE_CANTOPEN)?;
    let id: u64 = id.parse().map_err(|_| ffi::SQLITE_CANTOPEN)?;
    let mounted = mounts().lock().get(&id).cloned().ok_or(ffi::SQLITE_CANTOPEN)?;
    Ok((mounted, name))
}

/// Writes a result through one of SQLite's out-pointers.
///
/// # Safety
/// `target` is null or valid for a write of `T`.
unsafe fn put<T>(target: *mut T, value: T) {
    if !target.is_null() {
        // SAFETY: valid for a write by the duty of the caller; not null (above).
        unsafe { target.write(value) };
    }
}

// The callbacks. Each is called by SQLite with the arguments its documentation promises (sqlite3_io_methods and
// sqlite3_vfs objects): that promise is the first line of every proof below.

unsafe extern "C" fn x_open(
    _vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let target = file.cast::<VfsFile>();
    let closed = VfsFile { base: ffi::sqlite3_file { pMethods: ptr::null() }, state: ptr::null_mut() };
    // SAFETY: SQLite passes `szOsFile` writable bytes, the size of `VfsFile`. Null methods say "not open".
    unsafe { target.write(closed) };
    wall(|| {
        // SAFETY: SQLite keeps the name alive and NUL-terminated while the file is open; null is handled.
        let (mounted, name) = unsafe { parse_path(name) }?;
        let (state, writable) = OpenFile::open(mounted, name, flags)?;
        let given = if writable {
            flags
        } else {
            flags & !(ffi::SQLITE_OPEN_READWRITE | ffi::SQLITE_OPEN_CREATE) | ffi::SQLITE_OPEN_READONLY
        };
        // SAFETY: an out-pointer of SQLite's, null or valid.
        unsafe { put(out_flags, given) };
        let opened =
            VfsFile { base: ffi::sqlite3_file { pMethods: &raw const METHODS }, state: Box::into_raw(Box::new(state)) };
        // SAFETY: as for the first write.
        unsafe { target.write(opened) };
        Ok(())
    })
}

unsafe extern "C" fn x_close(file: *mut ffi::sqlite3_file) -> c_int {
    let target = file.cast::<VfsFile>();
    // SAFETY: SQLite closes only what `x_open` filled.
    let state = unsafe { (*target).state };
    let closed = VfsFile { base: ffi::sqlite3_file { pMethods: ptr::null() }, state: ptr::null_mut() };
    // SAFETY: the same bytes, still allocated.
    unsafe { target.write(closed) };
    wall(|| {
        if !state.is_null() {
            // SAFETY: made by `Box::into_raw` in `x_open`; SQLite closes a file once, and the pointer is cleared above.
            drop(unsafe { Box::from_raw(state) });
        }
        Ok(())
    })
}

unsafe extern "C" fn x_read(file: *mut ffi::sqlite3_file, buffer: *mut c_void, amount: c_int, offset: i64) -> c_int {
    wall(|| {
        // SAFETY: an open file of ours, used by one thread.
        let state = unsafe { open_file(file) };
        let len = usize::try_from(amount).map_err(|_| ffi::SQLITE_IOERR_READ)?;
        let offset = u64::try_from(offset).map_err(|_| ffi::SQLITE_IOERR_READ)?;
        // SAFETY: SQLite passes a buffer of `amount` writable bytes that nobody else uses during the call. It may be
        // uninitialised; zeroing it first makes the slice valid.
        unsafe { buffer.cast::<u8>().write_bytes(0, len) };
        // SAFETY: as above, and initialised now.
        let target = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), len) };
        state.read(target, offset)
    })
}

unsafe extern "C" fn x_write(file: *mut ffi::sqlite3_file, buffer: *const c_void, amount: c_int, offset: i64) -> c_int {
    wall(|| {
        // SAFETY: an open file of ours, used by one thread.
        let state = unsafe { open_file(file) };
        let len = usize::try_from(amount).map_err(|_| ffi::SQLITE_IOERR_WRITE)?;
        let offset = u64::try_from(offset).map_err(|_| ffi::SQLITE_IOERR_WRITE)?;
        // SAFETY: SQLite passes `amount` readable, initialised bytes that stay unchanged during the call.
        let source = unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), len) };
        state.write(source, offset)
    })
}

unsafe extern "C" fn x_truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    wall(|| {
        // SAFETY: an open file of ours, used by one thread.
        let state = unsafe { open_file(file) };
        let size = u64::try_from(size).map_err(|_| ffi::SQLITE_IOERR_TRUNCATE)?;
        state.file()?.set_len(size).map_err(|_| ffi::SQLITE_IOERR_TRUNCATE)
    })
}

unsafe extern "C" fn x_sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    wall(|| {
        // SAFETY: an open file of ours, used by one thread.
        unsafe { open_file(file) }.sync()
    })
}

unsafe extern "C" fn x_file_size(file: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
    wall(|| {
        // SAFETY: an open file of ours, used by one thread.
        let len = unsafe { open_file(file) }.len()?;
        // SAFETY: an out-pointer of SQLite's.
        unsafe { put(size, len) };
        Ok(())
    })
}

unsafe extern "C" fn x_lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    wall(|| {
        // SAFETY: an open file of ours, used by one thread.
        unsafe { open_file(file) }.lock(level)
    })
}

unsafe extern "C" fn x_unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    wall(|| {
        // SAFETY: an open file of ours, used by one thread.
        unsafe { open_file(file) }.unlock(level)
    })
}

unsafe extern "C" fn x_check_reserved_lock(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    wall(|| {
        // SAFETY: an open file of ours, used by one thread.
        let held = unsafe { open_file(file) }.is_reserved()?;
        // SAFETY: an out-pointer of SQLite's.
        unsafe { put(out, c_int::from(held)) };
        Ok(())
    })
}

unsafe extern "C" fn x_file_control(_file: *mut ffi::sqlite3_file, _op: c_int, _arg: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn x_sector_size(_file: *mut ffi::sqlite3_file) -> c_int {
    512
}

unsafe extern "C" fn x_device_characteristics(_file: *mut ffi::sqlite3_file) -> c_int {
    // A write does not damage the bytes around it, at power loss neither: sectors are written whole.
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn x_shm_map(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    wall(|| {
        // SAFETY: an open file of ours, used by one thread.
        let state = unsafe { open_file(file) };
        let region = usize::try_from(region).map_err(|_| ffi::SQLITE_IOERR_SHMMAP)?;
        let size = usize::try_from(size).map_err(|_| ffi::SQLITE_IOERR_SHMMAP)?;
        let (code, pointer) = match state.shm_map(region, size, extend != 0) {
            Ok(pointer) => (Ok(()), pointer),
            Err((code, pointer)) => (Err(code), pointer),
        };
        // SAFETY: an out-pointer of SQLite's. The region behind the value stays mapped until `x_shm_unmap`.
        unsafe { put(out, pointer) };
        code
    })
}

unsafe extern "C" fn x_shm_lock(file: *mut ffi::sqlite3_file, slot: c_int, count: c_int, flags: c_int) -> c_int {
    wall(|| {
        // SAFETY: an open file of ours, used by one thread.
        let state = unsafe { open_file(file) };
        let slot = u64::try_from(slot).map_err(|_| ffi::SQLITE_IOERR_SHMLOCK)?;
        let count = u64::try_from(count).map_err(|_| ffi::SQLITE_IOERR_SHMLOCK)?;
        state.shm_lock(slot, count, flags)
    })
}

unsafe extern "C" fn x_shm_barrier(_file: *mut ffi::sqlite3_file) {
    fence(Ordering::SeqCst);
}

unsafe extern "C" fn x_shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    wall(|| {
        // SAFETY: an open file of ours, used by one thread.
        unsafe { open_file(file) }.shm_unmap(delete != 0)
    })
}

unsafe extern "C" fn x_delete(_vfs: *mut ffi::sqlite3_vfs, name: *const c_char, sync_dir: c_int) -> c_int {
    wall(|| {
        // SAFETY: SQLite passes a NUL-terminated name, alive during the call.
        let (mounted, name) = unsafe { parse_path(name) }?;
        if mounted.fork.is_forked() {
            return Err(ffi::SQLITE_IOERR_DELETE);
        }
        mounted.volume.remove(name).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => ffi::SQLITE_IOERR_DELETE_NOENT,
            _ => ffi::SQLITE_IOERR_DELETE,
        })?;
        if sync_dir != 0 {
            mounted.volume.sync_dir("").map_err(|_| ffi::SQLITE_IOERR_DIR_FSYNC)?;
        }
        Ok(())
    })
}

unsafe extern "C" fn x_access(
    _vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    wall(|| {
        // SAFETY: SQLite passes a NUL-terminated name, alive during the call.
        let (mounted, name) = unsafe { parse_path(name) }?;
        let answer = if flags == ffi::SQLITE_ACCESS_EXISTS {
            // An empty file counts as missing, as in SQLite's own layers: an empty journal is no journal.
            mounted.volume.open(name, Open::Read).and_then(|f| f.len()).is_ok_and(|len| len > 0)
        } else {
            !mounted.volume.is_read_only()
        };
        // SAFETY: an out-pointer of SQLite's.
        unsafe { put(out, c_int::from(answer)) };
        Ok(())
    })
}

unsafe extern "C" fn x_full_pathname(
    _vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    out_len: c_int,
    out: *mut c_char,
) -> c_int {
    wall(|| {
        // SAFETY: SQLite passes a NUL-terminated name, alive during the call.
        let name = unsafe { CStr::from_ptr(name) }.to_bytes_with_nul();
        if usize::try_from(out_len).map_or(true, |room| room < name.len()) {
            return Err(ffi::SQLITE_CANTOPEN);
        }
        // SAFETY: SQLite passes `out_len` writable bytes apart from `name`; the length was compared above.
        unsafe { ptr::copy_nonoverlapping(name.as_ptr().cast::<c_char>(), out, name.len()) };
        Ok(())
    })
}

unsafe extern "C" fn x_randomness(_vfs: *mut ffi::sqlite3_vfs, len: c_int, out: *mut c_char) -> c_int {
    let len = usize::try_from(len).unwrap_or(0);
    let mut noise = vec![0_u8; len];
    let filled = if crate::file::random_bytes(&mut noise).is_ok() { len } else { 0 };
    // SAFETY: SQLite passes `len` writable bytes; `noise` has as many.
    unsafe { ptr::copy_nonoverlapping(noise.as_ptr().cast::<c_char>(), out, len) };
    c_int::try_from(filled).unwrap_or(0)
}

unsafe extern "C" fn x_sleep(_vfs: *mut ffi::sqlite3_vfs, microseconds: c_int) -> c_int {
    std::thread::sleep(std::time::Duration::from_micros(u64::try_from(microseconds).unwrap_or(0)));
    microseconds
}

/// Milliseconds since noon in Greenwich on 24 November 4714 BC, as SQLite wants its time.
fn julian_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    210_866_760_000_000 + i64::try_from(since.as_millis()).unwrap_or(0)
}

unsafe extern "C" fn x_current_time(_vfs: *mut ffi::sqlite3_vfs, out: *mut f64) -> c_int {
    // SAFETY: an out-pointer of SQLite's.
    unsafe { put(out, julian_ms() as f64 / 86_400_000.0) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn x_current_time_int64(_vfs: *mut ffi::sqlite3_vfs, out: *mut i64) -> c_int {
    // SAFETY: an out-pointer of SQLite's.
    unsafe { put(out, julian_ms()) };
    ffi::SQLITE_OK
}

#[cfg(test)]
mod tests {
    use rusqlite::{Connection, OpenFlags};

    use super::*;
    use crate::file::sim::SimDisk;

    fn connect(mount: &Mount) -> Connection {
        let connection =
            Connection::open_with_flags_and_vfs(mount.path("t.db"), OpenFlags::default(), c"tensoratom").unwrap();
        connection.busy_timeout(std::time::Duration::from_secs(20)).unwrap();
        connection
    }

    fn create(mount: &Mount) -> Connection {
        let connection = connect(mount);
        reserve_page_tail(&connection).unwrap();
        connection.execute_batch("PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY; PRAGMA cache_spill = OFF; CREATE TABLE t(k INTEGER PRIMARY KEY, v BLOB);").unwrap();
        connection
    }

    fn mount(volume: Arc<dyn Volume>) -> Mount {
        Mount::new(volume, Arc::new(ForkGuard::new().unwrap())).unwrap()
    }

    // Locks of our own making must serialise writers exactly as SQLite's own do: a lost update here is a lost commit.
    #[test]
    fn concurrent_connections_lose_no_update() {
        let dir = tempfile::tempdir().unwrap();
        let volumes: [Arc<dyn Volume>; 2] =
            [SimDisk::new().process(), Arc::new(crate::file::OsVolume::open(dir.path()).unwrap())];
        for volume in volumes {
            let mount = mount(volume);
            let first = create(&mount);
            first.execute("INSERT INTO t VALUES (1, 0)", []).unwrap();
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        let connection = connect(&mount);
                        for _ in 0..50 {
                            connection.execute_batch("BEGIN IMMEDIATE; UPDATE t SET v = v + 1; COMMIT").unwrap();
                            let _: i64 = connection.query_row("SELECT v FROM t", [], |r| r.get(0)).unwrap();
                        }
                    });
                }
            });
            assert_eq!(first.query_row("SELECT v FROM t", [], |r| r.get::<_, i64>(0)).unwrap(), 200);
            assert_eq!(first.query_row("PRAGMA integrity_check", [], |r| r.get::<_, String>(0)).unwrap(), "ok");
        }
    }

    // SQLite itself returns a flipped bit as good data (84 % of trials); our layer must not, in file nor log.
    #[test]
    fn a_flipped_bit_in_database_or_log_is_an_error() {
        for (file, keep_open) in [("t.db", false), ("t.db-wal", true)] {
            let mut noticed = 0;
            let mut harmless = 0;
            for trial in 0..200_usize {
                let disk = SimDisk::new();
                let process = disk.process();
                let writer_mount = mount(Arc::clone(&process) as Arc<dyn Volume>);
                let writer = create(&writer_mount);
                writer.execute("INSERT INTO t VALUES (1, zeroblob(6000))", []).unwrap();
                let _kept = if keep_open {
                    Some(writer)
                } else {
                    writer.close().unwrap();
                    None
                };
                disk.tamper(file, |bytes| {
                    let bit = (trial * 7919) % (bytes.len() * 8);
                    bytes[bit / 8] ^= 1 << (bit % 8);
                });
                let reader_mount = mount(disk.process());
                let reader = connect(&reader_mount);
                let got = reader.query_row("SELECT v FROM t WHERE k = 1", [], |r| r.get::<_, Vec<u8>>(0));
                match got {
                    Ok(v) => {
                        assert_eq!(v, vec![0; 6000], "trial {trial} of {file}: damaged bytes came back as good");
                        harmless += 1;
                    }
                    Err(_) => noticed += 1,
                }
            }
            assert!(noticed > 20, "{file}: {noticed} noticed, {harmless} harmless");
        }
    }

    #[test]
    fn a_read_only_medium_is_readable_without_shared_memory() {
        let disk = SimDisk::new();
        let writer_mount = mount(disk.process());
        let writer = create(&writer_mount);
        writer.execute("INSERT INTO t VALUES (1, 5)", []).unwrap();
        writer.close().unwrap();
        disk.set_read_only(true);
        let reader_mount = mount(disk.process());
        let reader = Connection::open_with_flags_and_vfs(
            reader_mount.path("t.db"),
            OpenFlags::SQLITE_OPEN_READ_ONLY,
            c"tensoratom",
        )
        .unwrap();
        assert_eq!(reader.query_row("SELECT v FROM t", [], |r| r.get::<_, i64>(0)).unwrap(), 5);
        assert!(reader.execute("INSERT INTO t VALUES (2, 2)", []).is_err());
    }

    #[test]
    fn a_killed_writer_leaves_the_last_commit() {
        let disk = SimDisk::new();
        let victim = disk.process();
        let victim_mount = mount(Arc::clone(&victim) as Arc<dyn Volume>);
        let writer = create(&victim_mount);
        writer.execute("INSERT INTO t VALUES (1, 1)", []).unwrap();
        writer.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (2, 2)").unwrap();
        victim.kill();
        let next_mount = mount(disk.process());
        let next = connect(&next_mount);
        next.execute("INSERT INTO t VALUES (3, 3)", []).unwrap();
        let keys: Vec<i64> =
            next.prepare("SELECT k FROM t").unwrap().query_map([], |r| r.get(0)).unwrap().map(|k| k.unwrap()).collect();
        assert_eq!(keys, [1, 3]);
    }

    // The log was cut behind a dead process: an index that still lists its frames would send readers past its end.
    #[test]
    fn shared_memory_of_the_dead_is_not_believed() {
        let disk = SimDisk::new();
        let victim = disk.process();
        let victim_mount = mount(Arc::clone(&victim) as Arc<dyn Volume>);
        let writer = create(&victim_mount);
        writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        writer.execute("INSERT INTO t VALUES (1, 1)", []).unwrap();
        victim.kill();
        disk.tamper("t.db-wal", Vec::clear);
        let next_mount = mount(disk.process());
        let next = connect(&next_mount);
        let rows = || next.query_row("SELECT count(*) FROM t", [], |r| r.get::<_, i64>(0)).unwrap();
        assert_eq!(rows(), 0);
        next.execute("INSERT INTO t VALUES (2, 2)", []).unwrap();
        assert_eq!(rows(), 1);
    }
}
