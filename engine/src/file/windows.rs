//! Windows: the volume and its files on the operating system's own calls.

use std::fmt;
use std::fs;
use std::io;
use std::ops::Range;
use std::os::windows::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::os::windows::io::AsRawHandle;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use windows_sys::Win32::Foundation::{ERROR_IO_PENDING, ERROR_LOCK_VIOLATION, HANDLE};
use windows_sys::Win32::Security::Cryptography::{BCRYPT_USE_SYSTEM_PREFERRED_RNG, BCryptGenRandom};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_ATTRIBUTE_REPARSE_POINT, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT,
    GetFileInformationByHandle, LOCKFILE_EXCLUSIVE_LOCK, LOCKFILE_FAIL_IMMEDIATELY, LockFileEx, UnlockFileEx,
};
use windows_sys::Win32::System::IO::OVERLAPPED;

use super::{Entry, File, Identity, LockMode, Map, Medium, Open, SharedMemory, Volume};

/// A directory of the operating system.
pub struct OsVolume {
    root: PathBuf,
    identity: Identity,
}

impl OsVolume {
    /// Opens a directory that exists.
    pub fn open(path: &Path) -> io::Result<Self> {
        let root = fs::canonicalize(path)?;
        let directory = fs::OpenOptions::new().read(true).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(&root)?;
        if !directory.metadata()?.is_dir() {
            return Err(io::Error::new(io::ErrorKind::NotADirectory, "not a directory"));
        }
        let facts = information(&directory)?;
        let index = u64::from(facts.nFileIndexHigh) << 32 | u64::from(facts.nFileIndexLow);
        Ok(OsVolume { root, identity: Identity(u64::from(facts.dwVolumeSerialNumber), index) })
    }

    /// Creates the directory and its parents where they are missing, then opens it.
    pub fn create(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        Self::open(path)
    }

    fn resolve(&self, name: &str) -> io::Result<PathBuf> {
        match name.split_once('/') {
            None => Ok(self.root.join(checked_component(name)?)),
            Some((dir, leaf)) => Ok(self.child(dir)?.join(checked_component(leaf)?)),
        }
    }

    fn child(&self, dir: &str) -> io::Result<PathBuf> {
        let path = self.root.join(checked_component(dir)?);
        if fs::symlink_metadata(&path)?.is_dir() {
            return Ok(path);
        }
        Err(io::Error::new(io::ErrorKind::NotADirectory, "not a directory, or a link to one"))
    }

    fn directory(&self, dir: &str) -> io::Result<PathBuf> {
        if dir.is_empty() { Ok(self.root.clone()) } else { self.child(dir) }
    }
}

/// Refuses what leaves the directory: separators of both kinds, drives and alternate streams.
fn checked_component(name: &str) -> io::Result<&str> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\\', ':', '\0']) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a plain file name"));
    }
    Ok(name)
}

impl fmt::Debug for OsVolume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OsVolume({:?})", self.identity)
    }
}

impl Volume for OsVolume {
    fn open(&self, name: &str, how: Open) -> io::Result<Arc<dyn File>> {
        // std shares for reading, writing and deleting, which is what several processes on one store need.
        let mut options = fs::OpenOptions::new();
        options.read(true).write(how != Open::Read).create(how == Open::Create).create_new(how == Open::CreateNew);
        options.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT);
        OsFile::checked(options.open(self.resolve(name)?)?, how != Open::Read)
    }

    fn create_dir(&self, name: &str) -> io::Result<()> {
        match fs::create_dir(self.root.join(checked_component(name)?)) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    }

    fn list(&self, dir: &str) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(self.directory(dir)?)? {
            let entry = entry?;
            // Asked by name: what the directory remembers of a file that is open may be old.
            let metadata = match fs::symlink_metadata(entry.path()) {
                Ok(metadata) => metadata,
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue, // removed since it was listed
                Err(e) => return Err(e),
            };
            let is_dir = metadata.is_dir();
            let name = entry.file_name().to_string_lossy().into_owned();
            entries.push(Entry { name, len_bytes: if is_dir { 0 } else { metadata.len() }, is_dir });
        }
        Ok(entries)
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        match self.resolve(name).and_then(fs::symlink_metadata) {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.resolve(from)?, self.resolve(to)?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.resolve(name)?)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        // NTFS journals names itself, and a directory handle cannot be flushed without more rights.
        self.directory(dir).map(drop)
    }

    fn medium(&self) -> io::Result<Medium> {
        let is_share = self.root.to_string_lossy().starts_with(r"\\?\UNC\");
        Ok(if is_share { Medium::Network("SMB") } else { Medium::Local })
    }

    fn is_read_only(&self) -> bool {
        fs::metadata(&self.root).map_or(true, |metadata| metadata.permissions().readonly())
    }

    fn is_world_writable(&self) -> io::Result<bool> {
        Ok(false) // access lists, inherited from the parent, say who may write
    }

    fn identity(&self) -> Identity {
        self.identity
    }

    fn boot_id(&self) -> u128 {
        // Unknown, so commits without full durability are not taken back after a power cut here: damage in them is found
        // when it is read.
        0
    }

    fn now_us(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    }

    fn random(&self, buffer: &mut [u8]) -> io::Result<()> {
        random_bytes(buffer)
    }
}

#[derive(Debug)]
struct OsFile {
    file: fs::File,
    /// What this file has locked: the system unlocks only exactly what was locked, and never changes a lock's mode.
    held: Mutex<Vec<(Range<u64>, LockMode)>>,
}

impl OsFile {
    fn checked(file: fs::File, writable: bool) -> io::Result<Arc<dyn File>> {
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.file_attributes() & FILE_ATTRIBUTE_REPARSE_POINT != 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        if writable && information(&file)?.nNumberOfLinks > 1 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the file has other hard links; copy it instead"));
        }
        Ok(Arc::new(OsFile { file, held: Mutex::new(Vec::new()) }))
    }

    fn handle(&self) -> HANDLE {
        self.file.as_raw_handle()
    }

    /// One attempt; false when another handle is in the way.
    fn lock_once(&self, range: &Range<u64>, mode: LockMode) -> io::Result<bool> {
        let (mut at, low, high) = place(range)?;
        let exclusive = if mode == LockMode::Exclusive { LOCKFILE_EXCLUSIVE_LOCK } else { 0 };
        // SAFETY: `LockFileEx` needs an open file and an `OVERLAPPED` that lives until it answers.
        // - `self.file` is open; its handle is synchronous, so the call has ended with `at` when it returns.
        let done =
            unsafe { LockFileEx(self.handle(), exclusive | LOCKFILE_FAIL_IMMEDIATELY, 0, low, high, &raw mut at) };
        if done != 0 {
            return Ok(true);
        }
        let error = io::Error::last_os_error();
        let code = error.raw_os_error().map(i32::cast_unsigned);
        if matches!(code, Some(ERROR_LOCK_VIOLATION | ERROR_IO_PENDING)) { Ok(false) } else { Err(error) }
    }

    fn unlock_once(&self, range: &Range<u64>) -> io::Result<()> {
        let (mut at, low, high) = place(range)?;
        // SAFETY: `UnlockFileEx` needs an open file and an `OVERLAPPED` that lives until it answers.
        // - `self.file` is open; its handle is synchronous, so the call has ended with `at` when it returns.
        let done = unsafe { UnlockFileEx(self.handle(), 0, low, high, &raw mut at) };
        if done == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

impl File for OsFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.seek_read(&mut buffer[filled..], offset.saturating_add(filled as u64))? {
                0 => break,
                n => filled += n,
            }
        }
        Ok(filled)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut written = 0;
        while written < bytes.len() {
            match self.file.seek_write(&bytes[written..], offset.saturating_add(written as u64))? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                n => written += n,
            }
        }
        Ok(())
    }

    fn preallocate(&self, range: Range<u64>) -> io::Result<()> {
        // NTFS gives a file that is not sparse its clusters when the end moves, and fails when there are none.
        if self.len()? < range.end { self.file.set_len(range.end) } else { Ok(()) }
    }

    fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        self.file.set_len(len_bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn try_lock(&self, range: Range<u64>, mode: LockMode) -> io::Result<bool> {
        let mut held = self.held.lock();
        let before = held.iter().position(|(other, _)| *other == range);
        let Some(before) = before else {
            let locked = self.lock_once(&range, mode)?;
            if locked {
                held.push((range, mode));
            }
            return Ok(locked);
        };
        let (_, old) = held[before];
        if old == mode {
            return Ok(true);
        }
        self.unlock_once(&range)?;
        held.swap_remove(before);
        let locked = self.lock_once(&range, mode)?;
        let now = if locked { mode } else { old };
        if !locked && !self.lock_once(&range, old)? {
            return Err(io::Error::other("a lock was lost to another process while its mode changed"));
        }
        held.push((range, now));
        Ok(locked)
    }

    fn unlock(&self, range: Range<u64>) -> io::Result<()> {
        let mut held = self.held.lock();
        while let Some(i) = held.iter().position(|(r, _)| range.start <= r.start && r.end <= range.end) {
            let (inner, _) = held.swap_remove(i);
            self.unlock_once(&inner)?;
        }
        Ok(())
    }

    fn probe_lock(&self, range: Range<u64>) -> io::Result<Option<LockMode>> {
        let _held = self.held.lock();
        for (mode, found) in [(LockMode::Exclusive, None), (LockMode::Shared, Some(LockMode::Shared))] {
            if self.lock_once(&range, mode)? {
                self.unlock_once(&range)?;
                return Ok(found);
            }
        }
        Ok(Some(LockMode::Exclusive))
    }

    fn map(&self, committed: u64, reserve: u64) -> io::Result<Map> {
        // A read-only map cannot reach past the end of the file here.
        let len = committed.max(reserve.min(self.len()?));
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
        memmap2::MmapOptions::new().len(len).map_raw_read_only(&self.file).map(Map::from_os)
    }

    fn shared_memory(&self, range: Range<u64>, grow: bool, writable: bool) -> io::Result<Option<SharedMemory>> {
        if self.len()? < range.end {
            if !grow {
                return Ok(None);
            }
            self.preallocate(range.clone())?;
        }
        let len = usize::try_from(range.end.saturating_sub(range.start)).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let mut options = memmap2::MmapOptions::new();
        options.offset(range.start).len(len);
        let raw = if writable { options.map_raw(&self.file)? } else { options.map_raw_read_only(&self.file)? };
        Ok(Some(SharedMemory::from_os(raw)))
    }
}

fn information(file: &fs::File) -> io::Result<BY_HANDLE_FILE_INFORMATION> {
    let mut facts = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the call needs an open handle and room for the answer; `file` is open and `facts` is a live value.
    let done = unsafe { GetFileInformationByHandle(file.as_raw_handle(), &raw mut facts) };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(facts) }
}

/// A range as lock calls want it: its start, then the low and the high half of its length.
fn place(range: &Range<u64>) -> io::Result<(OVERLAPPED, u32, u32)> {
    let len = range.end.checked_sub(range.start);
    let len = len.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "lock range"))?;
    let mut at = OVERLAPPED::default();
    at.Anonymous.Anonymous.Offset = range.start as u32;
    at.Anonymous.Anonymous.OffsetHigh = (range.start >> 32) as u32;
    Ok((at, len as u32, (len >> 32) as u32))
}

/// Fills `buffer` from the operating system's generator.
pub(crate) fn random_bytes(buffer: &mut [u8]) -> io::Result<()> {
    for part in buffer.chunks_mut(1 << 20) {
        let len = part.len() as u32;
        // SAFETY: with this flag the algorithm handle is null; `part` is `len` writable bytes, borrowed for the call.
        let status =
            unsafe { BCryptGenRandom(std::ptr::null_mut(), part.as_mut_ptr(), len, BCRYPT_USE_SYSTEM_PREFERRED_RNG) };
        if status != 0 {
            return Err(io::Error::other(format!("the system's random generator failed with status {status:#x}")));
        }
    }
    Ok(())
}

/// Handles are bounded by memory alone.
pub fn open_files_limit() -> Option<u64> {
    None
}

/// Opens any file of the user for reading, links followed.
pub fn open_source(path: &Path) -> io::Result<Arc<dyn File>> {
    OsFile::checked(fs::File::open(path)?, false)
}

/// A file that appears under its name complete, or not at all.
#[derive(Debug)]
pub struct Replacement {
    temporary: PathBuf,
    target: PathBuf,
    file: Option<Arc<dyn File>>,
}

impl Replacement {
    /// Starts a file that will replace `target`.
    pub fn create(target: &Path) -> io::Result<Self> {
        let target = match fs::metadata(target) {
            Ok(there) if there.is_file() => fs::canonicalize(target)?,
            Ok(_) => {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is something that is no regular file"));
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => target.to_owned(),
            Err(e) => return Err(e),
        };
        if target.file_name().is_none() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file name"));
        }
        loop {
            static NEXT: AtomicU64 = AtomicU64::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let temporary = target.with_file_name(format!(".tensoratom-{}-{number}.partial", std::process::id()));
            match fs::OpenOptions::new().read(true).write(true).create_new(true).open(&temporary) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {} // left behind by a process that was killed
                Err(e) => return Err(e),
                Ok(file) => return Ok(Replacement { temporary, target, file: Some(OsFile::checked(file, true)?) }),
            }
        }
    }

    /// Where the bytes go.
    pub fn file(&self) -> io::Result<&dyn File> {
        self.file.as_deref().ok_or_else(|| io::Error::other("already finished"))
    }

    /// Syncs the bytes and puts the file in its place.
    pub fn finish(mut self) -> io::Result<()> {
        self.file()?.sync_all()?;
        self.file = None; // an open file could not be renamed over another
        fs::rename(&self.temporary, &self.target)?;
        self.temporary = PathBuf::new();
        Ok(())
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        self.file = None;
        if !self.temporary.as_os_str().is_empty() {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}
