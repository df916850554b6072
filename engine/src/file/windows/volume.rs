//! Windows: directories and files of the operating system behind the traits of this folder.

use std::fmt;
use std::fs;
use std::io;
use std::ops::Range;
use std::os::windows::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_CALL_NOT_IMPLEMENTED, ERROR_INVALID_FUNCTION, ERROR_INVALID_HANDLE,
    ERROR_INVALID_PARAMETER, ERROR_NOT_SUPPORTED, ERROR_SHARING_VIOLATION, ERROR_TOO_MANY_OPEN_FILES, GENERIC_WRITE,
};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_ADD_FILE, FILE_ATTRIBUTE_REPARSE_POINT, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT,
    FILE_SHARE_READ, FILE_SHARE_WRITE,
};

use super::locks::Locks;
use super::mapping::Mapping;
use super::system;
use crate::file::{Entry, File, Identity, LockMode, Map, Medium, Open, SharedMemory, Volume};

/// Files that were removed while somebody had them open or mapped are called so until they are gone.
const REMOVED: &str = ".removed-";

/// A directory of the operating system. Names are resolved by its path, which stays while it is held: nobody can rename
/// or remove a directory that is open without leave to.
pub struct OsVolume {
    root: PathBuf,
    identity: Identity,
    boot_id: u128,
    _directory: fs::File,
}

impl OsVolume {
    /// Opens a directory that exists.
    pub fn open(path: &Path) -> io::Result<Self> {
        let root = fs::canonicalize(path)?;
        let mut options = fs::OpenOptions::new();
        options.read(true).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE);
        let directory = options.open(&root)?;
        if !directory.metadata()?.is_dir() {
            return Err(io::Error::new(io::ErrorKind::NotADirectory, "not a directory"));
        }
        let facts = system::information(&directory)?;
        let index = u64::from(facts.nFileIndexHigh) << 32 | u64::from(facts.nFileIndexLow);
        let identity = Identity(u64::from(facts.dwVolumeSerialNumber), index);
        Ok(OsVolume { root, identity, boot_id: system::boot_id(), _directory: directory })
    }

    /// Creates the directory and its parents where they are missing, then opens it.
    pub fn create(path: &Path) -> io::Result<Self> {
        let missing: Vec<&Path> =
            path.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.is_dir()).collect();
        fs::create_dir_all(path)?;
        // Each new name must survive power loss together with what is put inside.
        for dir in missing {
            sync_names(dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
        }
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
    fn open_dir(&self, path: &Path, create: bool) -> io::Result<Arc<dyn Volume>> {
        let path = self.root.join(path); // an absolute path stays what it is
        Ok(Arc::new(if create { Self::create(&path)? } else { Self::open(&path)? }))
    }

    fn open(&self, name: &str, how: Open) -> io::Result<Arc<dyn File>> {
        // std shares for reading, writing and deleting, which is what several processes on one store need.
        let mut options = fs::OpenOptions::new();
        options.read(true).write(how != Open::Read).create(how == Open::Create).create_new(how == Open::CreateNew);
        options.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT);
        let path = self.resolve(name)?;
        OsFile::checked(patiently(|| options.open(&path))?, path, how != Open::Read)
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
            if entry.file_name().to_string_lossy().starts_with(REMOVED) {
                let _ = fs::remove_file(entry.path()); // succeeds once nobody has it mapped
                continue;
            }
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
        rename(&self.resolve(from)?, &self.resolve(to)?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        // A name stays until all who have the file open close it, and a mapped file is not removed at all: it gets another
        // name first, so that this one is free at once.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let path = self.resolve(name)?;
        if !fs::symlink_metadata(&path)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let aside = path.with_file_name(format!("{REMOVED}{}-{number}", std::process::id()));
        patiently(|| fs::rename(&path, &aside))?;
        let _ = fs::remove_file(&aside); // what is mapped goes with a later listing
        Ok(())
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        sync_names(&self.directory(dir)?)
    }

    fn medium(&self) -> io::Result<Medium> {
        let is_share = self.root.to_string_lossy().starts_with(r"\\?\UNC\");
        Ok(if is_share { Medium::Network("SMB") } else { Medium::Local })
    }

    fn is_read_only(&self) -> bool {
        let mut options = fs::OpenOptions::new();
        options.access_mode(FILE_ADD_FILE).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(&self.root).is_err()
    }

    fn is_world_writable(&self) -> io::Result<bool> {
        Ok(false) // access lists, inherited from the parent, say who may write
    }

    fn identity(&self) -> Identity {
        self.identity
    }

    fn boot_id(&self) -> u128 {
        self.boot_id
    }

    fn now_us(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    }

    fn random(&self, buffer: &mut [u8]) -> io::Result<()> {
        system::random_bytes(buffer)
    }
}

/// Makes the names in a directory durable, where that is a call of its own.
fn sync_names(directory: &Path) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.access_mode(GENERIC_WRITE).custom_flags(FILE_FLAG_BACKUP_SEMANTICS);
    match options.open(directory).and_then(|directory| directory.sync_all()) {
        // Where directories cannot be synced the file system keeps a journal of names, which the sync of a file writes
        // out, and renames are written through.
        Err(e) if is_one_of(&e, &NO_SUCH_CALL) || is_one_of(&e, &[ERROR_ACCESS_DENIED, ERROR_INVALID_HANDLE]) => Ok(()),
        other => other,
    }
}

/// A regular file.
#[derive(Debug)]
pub(super) struct OsFile {
    file: fs::File,
    path: PathBuf,
    locks: Locks,
}

impl Drop for OsFile {
    fn drop(&mut self) {
        // A map of the file has the same file open, and would keep the locks. Best effort: they end with the map as well.
        let _ = self.locks.unlock(&self.file, &(0..u64::MAX));
    }
}

impl OsFile {
    /// Accepts regular files only; for writing, only such that no other directory entry shares.
    pub(super) fn checked(file: fs::File, path: PathBuf, writable: bool) -> io::Result<Arc<dyn File>> {
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.file_attributes() & FILE_ATTRIBUTE_REPARSE_POINT != 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        if writable && system::information(&file)?.nNumberOfLinks > 1 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the file has other hard links; copy it instead"));
        }
        Ok(Arc::new(OsFile { file, path, locks: Locks::default() }))
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
        if self.len()? >= range.end {
            return Ok(());
        }
        match system::allocate(&self.file, range.end) {
            // Moving the end allocates as well, in a file that is not sparse.
            Err(e) if is_one_of(&e, &NO_SUCH_CALL) => {}
            other => other?,
        }
        self.file.set_len(range.end)
    }

    fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        self.file.set_len(len_bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync_all()
    }

    fn sync_all(&self) -> io::Result<()> {
        match self.file.sync_all() {
            // Only who may write may sync here. Nothing was tried, so nothing was lost.
            Err(e) if is_one_of(&e, &[ERROR_ACCESS_DENIED]) => {
                fs::OpenOptions::new().write(true).open(&self.path)?.sync_all()
            }
            other => other,
        }
    }

    fn try_lock(&self, range: Range<u64>, mode: LockMode) -> io::Result<bool> {
        self.locks.try_lock(&self.file, range, mode)
    }

    fn unlock(&self, range: Range<u64>) -> io::Result<()> {
        self.locks.unlock(&self.file, &range)
    }

    fn probe_lock(&self, range: Range<u64>) -> io::Result<Option<LockMode>> {
        self.locks.probe(&self.file, &range)
    }

    fn map(&self, committed: u64, reserve: u64) -> io::Result<Map> {
        let len = usize::try_from(committed.max(reserve)).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let is_growing = reserve > committed;
        let mapping = if is_growing { Mapping::of_growing } else { Mapping::of_finished }(&self.file, len)?;
        Ok(Map::from_os(mapping))
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

/// Codes by which a file system says that it has no such call.
const NO_SUCH_CALL: [u32; 4] =
    [ERROR_CALL_NOT_IMPLEMENTED, ERROR_INVALID_FUNCTION, ERROR_INVALID_PARAMETER, ERROR_NOT_SUPPORTED];

fn is_one_of(error: &io::Error, codes: &[u32]) -> bool {
    error.raw_os_error().is_some_and(|code| codes.contains(&code.cast_unsigned()))
}

/// Repeats a call for a second while somebody has the file open without sharing it, as virus scanners do for a moment.
fn patiently<T>(call: impl Fn() -> io::Result<T>) -> io::Result<T> {
    let mut pause = Duration::from_millis(1);
    loop {
        match call() {
            Err(e) if is_one_of(&e, &[ERROR_SHARING_VIOLATION]) && pause < Duration::from_secs(1) => {
                std::thread::sleep(pause);
                pause *= 2;
            }
            other => return other,
        }
    }
}

/// Renames over what is there. The change is on the device when the call returns.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match patiently(|| system::move_through(from, to)) {
        // Something open is replaced by the other call only, which writes nothing through: the file's sync does.
        Err(e) if is_one_of(&e, &[ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION]) => {
            fs::rename(from, to)?;
            fs::OpenOptions::new().write(true).open(to)?.sync_all()
        }
        other => other,
    }
}

/// True for the error number of a process or machine that can open no further file.
pub(crate) fn is_out_of_handles(code: i32) -> bool {
    code.cast_unsigned() == ERROR_TOO_MANY_OPEN_FILES
}

/// Handles are bounded by memory alone.
pub fn open_files_limit() -> Option<u64> {
    None
}

/// Opens any file of the user for reading, links followed.
pub fn open_source(path: &Path) -> io::Result<Arc<dyn File>> {
    // Opening a directory fails as what one may not read does.
    if fs::metadata(path)?.is_dir() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    OsFile::checked(fs::File::open(path)?, path.to_owned(), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_paths_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let volume = OsVolume::open(dir.path()).unwrap();
        for name in ["", ".", "..", "..\\x", "a/../b", "C:\\x", "C:x", "a/b/c", "x\0y", "file:stream", "\\\\?\\x"] {
            assert!(volume.open(name, Open::Create).is_err(), "{name:?}");
        }
    }

    // A second name would let somebody write what the engine believes to be its own; a link leads out of the store.
    #[test]
    fn hard_links_are_refused_for_writing() {
        let dir = tempfile::tempdir().unwrap();
        let volume = OsVolume::open(dir.path()).unwrap();
        fs::write(dir.path().join("real"), b"x").unwrap();
        fs::hard_link(dir.path().join("real"), dir.path().join("hard")).unwrap();
        assert!(volume.open("hard", Open::Write).is_err());
        assert!(volume.open("hard", Open::Read).is_ok());
        assert!(open_source(dir.path()).is_err());
    }

    // A name that stays until the last reader closes would make the next segment of that number impossible.
    #[test]
    fn a_removed_name_is_free_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let volume = OsVolume::open(dir.path()).unwrap();
        let open = volume.open("a", Open::Create).unwrap();
        open.write_at(b"old", 0).unwrap();
        let map = Arc::new(open.map(3, 3).unwrap());
        volume.remove("a").unwrap();
        assert!(!volume.exists("a").unwrap() && volume.list("").unwrap().is_empty());
        volume.open("a", Open::CreateNew).unwrap().write_at(b"new", 0).unwrap();
        assert_eq!(&map.slice(0, 3).unwrap()[..], b"old");
        drop((map, open));
        volume.list("").unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "what was removed is still there");
    }

    // The kinds that decide what a caller hears: a full disk is no device failure, and a file in use is worth a retry.
    #[test]
    fn codes_of_the_system_become_kinds_of_the_engine() {
        use crate::ErrorKind;
        use windows_sys::Win32::Foundation::{
            ERROR_COMMITMENT_LIMIT, ERROR_CRC, ERROR_DISK_FULL, ERROR_DISK_QUOTA_EXCEEDED, ERROR_HANDLE_DISK_FULL,
            ERROR_LOCK_VIOLATION, ERROR_NOT_ENOUGH_MEMORY, ERROR_USER_MAPPED_FILE, ERROR_WRITE_PROTECT,
        };
        for (code, kind) in [
            (ERROR_DISK_FULL, ErrorKind::DiskFull),
            (ERROR_HANDLE_DISK_FULL, ErrorKind::DiskFull),
            (ERROR_DISK_QUOTA_EXCEEDED, ErrorKind::DiskFull),
            (ERROR_SHARING_VIOLATION, ErrorKind::Busy),
            (ERROR_LOCK_VIOLATION, ErrorKind::Busy),
            (ERROR_USER_MAPPED_FILE, ErrorKind::Busy),
            (ERROR_ACCESS_DENIED, ErrorKind::PermissionDenied),
            (ERROR_WRITE_PROTECT, ErrorKind::ReadOnly),
            (ERROR_NOT_ENOUGH_MEMORY, ErrorKind::OutOfMemory),
            (ERROR_COMMITMENT_LIMIT, ErrorKind::OutOfMemory),
            (ERROR_CRC, ErrorKind::Io),
        ] {
            let error = crate::Error::from_io("writing", io::Error::from_raw_os_error(code.cast_signed()));
            assert_eq!(error.kind(), kind, "{code}");
        }
    }
}
