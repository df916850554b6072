//! The operating system's files: Linux calls behind the traits of this folder.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use rustix::fs::{AtFlags, FallocateFlags, FileType, Mode, OFlags, fstat, openat, statat};

use super::{Entry, File, Identity, LockHolder, LockMode, Map, Mapping, Medium, Open, SharedMemory, Volume};

/// A directory of the operating system, held open; names are resolved relative to it, so that renaming or replacing
/// a parent directory cannot redirect the store.
pub struct OsVolume {
    root: OwnedFd,
    /// Subdirectories held open, by name.
    children: Mutex<HashMap<String, Arc<OwnedFd>>>,
    identity: Identity,
    /// Permission bits of new files: the owner's, and the group's where the directory grants them.
    file_mode: Mode,
    boot_id: u128,
}

impl OsVolume {
    /// Opens an existing directory.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Self::from_descriptor(rustix::fs::open(path, flags, Mode::empty())?)
    }

    fn from_descriptor(root: OwnedFd) -> io::Result<Self> {
        let stat = fstat(&root)?;
        let directory_mode = Mode::from_raw_mode(stat.st_mode);
        let group = directory_mode & (Mode::RGRP | Mode::WGRP);
        Ok(OsVolume {
            root,
            children: Mutex::new(HashMap::new()),
            identity: Identity(stat.st_dev, stat.st_ino),
            file_mode: Mode::RUSR | Mode::WUSR | group,
            boot_id: read_boot_id(),
        })
    }

    /// Creates a directory (and missing parents) for its owner alone, and opens it. An existing one is opened as it is.
    pub fn create(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        let missing: Vec<&Path> =
            path.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.is_dir()).collect();
        if !missing.is_empty() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        }
        // Each new name must survive power loss together with what is put inside.
        for dir in missing {
            let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            fs::File::open(parent)?.sync_all()?;
        }
        Self::open(path)
    }

    /// The directory a name lives in, and its last component.
    fn resolve<'a>(&self, name: &'a str) -> io::Result<(Directory, &'a str)> {
        match name.split_once('/') {
            None => Ok((Directory::Root, checked_component(name)?)),
            Some((dir, leaf)) => Ok((Directory::Child(self.child(dir)?), checked_component(leaf)?)),
        }
    }

    fn child(&self, dir: &str) -> io::Result<Arc<OwnedFd>> {
        let mut children = self.children.lock();
        if let Some(fd) = children.get(dir) {
            return Ok(Arc::clone(fd));
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = Arc::new(openat(&self.root, checked_component(dir)?, flags, Mode::empty())?);
        children.insert(dir.to_owned(), Arc::clone(&fd));
        Ok(fd)
    }

    /// A directory reached from this one, made first if need be.
    fn descend(&self, path: &Path, create: bool) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut here = self.root.try_clone()?;
        for component in path.components() {
            let name = component.as_os_str();
            if create {
                match rustix::fs::mkdirat(&here, name, Mode::RWXU) {
                    Ok(()) => rustix::fs::fsync(&here)?,
                    Err(rustix::io::Errno::EXIST) => {}
                    Err(e) => return Err(e.into()),
                }
            }
            here = openat(&here, name, flags, Mode::empty())?;
        }
        Self::from_descriptor(here)
    }

    fn directory(&self, dir: &str) -> io::Result<Directory> {
        if dir.is_empty() { Ok(Directory::Root) } else { Ok(Directory::Child(self.child(dir)?)) }
    }

    fn fd<'a>(&'a self, directory: &'a Directory) -> BorrowedFd<'a> {
        match directory {
            Directory::Root => self.root.as_fd(),
            Directory::Child(fd) => fd.as_fd(),
        }
    }
}

enum Directory {
    Root,
    Child(Arc<OwnedFd>),
}

/// Refuses anything that is not one plain name. Names are made by the engine, so this guards against our own mistakes.
fn checked_component(name: &str) -> io::Result<&str> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
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
        let volume = match (path.is_absolute(), create) {
            (true, true) => Self::create(path)?,
            (true, false) => Self::open(path)?,
            (false, _) => self.descend(path, create)?,
        };
        Ok(Arc::new(volume))
    }

    fn open(&self, name: &str, how: Open) -> io::Result<Arc<dyn File>> {
        let (directory, leaf) = self.resolve(name)?;
        let flags = match how {
            Open::Read => OFlags::RDONLY,
            Open::Write => OFlags::RDWR,
            Open::Create => OFlags::RDWR | OFlags::CREATE,
            Open::CreateNew => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
        };
        // NONBLOCK: opening a planted FIFO must not hang; it has no effect on regular files.
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = openat(self.fd(&directory), leaf, flags, self.file_mode)?;
        OsFile::checked(fd.into(), how != Open::Read)
    }

    fn create_dir(&self, name: &str) -> io::Result<()> {
        let mode = if self.file_mode.contains(Mode::WGRP) { Mode::RWXU | Mode::RWXG } else { Mode::RWXU };
        match rustix::fs::mkdirat(&self.root, checked_component(name)?, mode) {
            Err(rustix::io::Errno::EXIST) => Ok(()),
            other => Ok(other?),
        }
    }

    fn list(&self, dir: &str) -> io::Result<Vec<Entry>> {
        let directory = self.directory(dir)?;
        let fd = self.fd(&directory);
        let mut entries = Vec::new();
        for entry in rustix::fs::Dir::read_from(fd)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let stat = match statat(fd, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                Err(rustix::io::Errno::NOENT) => continue, // removed since it was listed
                Err(e) => return Err(e.into()),
            };
            let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            entries.push(Entry {
                name: name.to_string_lossy().into_owned(),
                len_bytes: if is_dir { 0 } else { u64::try_from(stat.st_size).unwrap_or(0) },
                is_dir,
            });
        }
        Ok(entries)
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        let (directory, leaf) = match self.resolve(name) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other?,
        };
        match statat(self.fd(&directory), leaf, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(rustix::io::Errno::NOENT) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from_dir, from) = self.resolve(from)?;
        let (to_dir, to) = self.resolve(to)?;
        Ok(rustix::fs::renameat(self.fd(&from_dir), from, self.fd(&to_dir), to)?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let (directory, leaf) = self.resolve(name)?;
        Ok(rustix::fs::unlinkat(self.fd(&directory), leaf, AtFlags::empty())?)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        let directory = self.directory(dir)?;
        Ok(rustix::fs::fsync(self.fd(&directory))?)
    }

    fn medium(&self) -> io::Result<Medium> {
        let magic = rustix::fs::fstatfs(&self.root)?.f_type;
        Ok(network_file_system(magic, || mount_type(self.identity.0)).map_or(Medium::Local, Medium::Network))
    }

    fn is_read_only(&self) -> bool {
        rustix::fs::accessat(&self.root, ".", rustix::fs::Access::WRITE_OK, AtFlags::EACCESS).is_err()
    }

    fn is_world_writable(&self) -> io::Result<bool> {
        let mode = Mode::from_raw_mode(fstat(&self.root)?.st_mode);
        Ok(mode.contains(Mode::WOTH))
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
        random_bytes(buffer)
    }
}

/// Read once: no process outlives a boot.
fn read_boot_id() -> u128 {
    static BOOT_ID: OnceLock<u128> = OnceLock::new();
    *BOOT_ID.get_or_init(|| {
        let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let hex: String = text.chars().filter(char::is_ascii_hexdigit).collect();
        u128::from_str_radix(&hex, 16).unwrap_or(0)
    })
}

/// The name of a network or host-shared file system, by its `statfs` magic (linux/magic.h); for FUSE by mount type.
fn network_file_system(magic: i64, mount_type: impl FnOnce() -> Option<String>) -> Option<&'static str> {
    Some(match magic & 0xffff_ffff {
        0x6969 => "NFS",
        0x517b | 0xfe53_4d42 | 0xff53_4d42 => "SMB",
        0x0102_1997 => "9P",
        0x7375_7245 => "Coda",
        0x5346_414f | 0x6b41_4653 => "AFS",
        0x564c => "NCP",
        0x00c3_6400 => "CephFS",
        0x0bd0_0bd0 => "Lustre",
        0x4750_4653 => "GPFS",
        0x0116_1970 => "GFS2",
        0x7461_636f => "OCFS2",
        0x786f_4256 => "vboxsf",
        0x6573_5546 => match mount_type()?.as_str() {
            "fuse.sshfs" => "sshfs",
            "fuse.rclone" => "rclone",
            "fuse.s3fs" | "fuse.mount-s3" | "fuse.goofys" | "fuse.gcsfuse" | "fuse.blobfuse" | "fuse.blobfuse2" => {
                "an object store mounted through FUSE"
            }
            "fuse.glusterfs" => "GlusterFS",
            "fuse.davfs" => "WebDAV",
            _ => return None,
        },
        _ => return None,
    })
}

/// Type of the mount that holds device `dev`, from `/proc/self/mountinfo` (proc(5)).
fn mount_type(dev: u64) -> Option<String> {
    let wanted = format!("{}:{}", rustix::fs::major(dev), rustix::fs::minor(dev));
    let table = fs::read_to_string("/proc/self/mountinfo").ok()?;
    table.lines().find_map(|line| {
        let device = line.split(' ').nth(2)?;
        let kind = line.split_once(" - ")?.1.split(' ').next()?;
        (device == wanted).then(|| kind.to_owned())
    })
}

/// A regular file.
#[derive(Debug)]
struct OsFile {
    file: fs::File,
    /// The process that locked a part of it through this handle; 0 for none.
    locked_by: AtomicU32,
}

impl Drop for OsFile {
    fn drop(&mut self) {
        // Closing alone would not do: a child forked meanwhile shares the open file and would keep the locks alive.
        // In such a child the locks are its parent's.
        let locked_by = *self.locked_by.get_mut();
        if locked_by != 0 && locked_by == std::process::id() {
            // Best effort: without children the close that follows gives them up as well.
            let _ = self.unlock(0..i64::MAX as u64);
        }
    }
}

impl OsFile {
    /// Accepts regular files only; for writing, only such that no other directory entry shares.
    fn checked(file: fs::File, writable: bool) -> io::Result<Arc<dyn File>> {
        let stat = fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        if writable && stat.st_nlink > 1 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the file has other hard links; copy it instead"));
        }
        Ok(Arc::new(OsFile { file, locked_by: AtomicU32::new(0) }))
    }

    /// Past RLIMIT_FSIZE the kernel would send a signal that kills the host by default, so the limit is asked first.
    fn check_size_limit(&self, end: u64) -> io::Result<()> {
        match rustix::process::getrlimit(rustix::process::Resource::Fsize).current {
            Some(limit) if end > limit => Err(io::Error::from_raw_os_error(libc::EFBIG)),
            _ => Ok(()),
        }
    }

    fn lock_call(&self, command: i32, kind: i32, range: &Range<u64>) -> io::Result<libc::flock> {
        let bad_range = || io::Error::new(io::ErrorKind::InvalidInput, "lock range");
        let start = i64::try_from(range.start).map_err(|_| bad_range())?;
        let len = range.end.checked_sub(range.start).ok_or_else(bad_range)?;
        let mut lock = libc::flock {
            l_type: kind as i16,
            l_whence: libc::SEEK_SET as i16,
            l_start: start,
            l_len: i64::try_from(len).map_err(|_| bad_range())?,
            l_pid: 0, // required for open-file-description locks
        };
        // SAFETY: `fcntl` with an OFD lock command needs an open descriptor and a pointer to one `struct flock`.
        // - `self.file` owns the descriptor for the whole call; `lock` is a live local, written by F_OFD_GETLK only.
        let outcome = unsafe { libc::fcntl(self.file.as_raw_fd(), command, &raw mut lock) };
        if outcome == -1 { Err(io::Error::last_os_error()) } else { Ok(lock) }
    }
}

impl File for OsFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read_at(&mut buffer[filled..], offset.saturating_add(filled as u64)) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(filled)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.check_size_limit(offset.saturating_add(bytes.len() as u64))?;
        self.file.write_all_at(bytes, offset)
    }

    fn preallocate(&self, range: Range<u64>) -> io::Result<()> {
        let len = range.end.saturating_sub(range.start);
        if len == 0 {
            return Ok(());
        }
        self.check_size_limit(range.end)?;
        loop {
            match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), range.start, len) {
                Ok(()) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::OPNOTSUPP) => return self.write_zeros(range),
                Err(e) => return Err(e.into()),
            }
        }
    }

    fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        self.check_size_limit(len_bytes)?;
        self.file.set_len(len_bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn try_lock(&self, range: Range<u64>, mode: LockMode) -> io::Result<bool> {
        let kind = match mode {
            LockMode::Shared => libc::F_RDLCK,
            LockMode::Exclusive => libc::F_WRLCK,
        };
        self.locked_by.store(std::process::id(), Ordering::Relaxed);
        match self.lock_call(libc::F_OFD_SETLK, kind, &range) {
            Ok(_) => Ok(true),
            Err(e) if matches!(e.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
            Err(e) => Err(e),
        }
    }

    fn unlock(&self, range: Range<u64>) -> io::Result<()> {
        self.lock_call(libc::F_OFD_SETLK, libc::F_UNLCK, &range).map(drop)
    }

    fn probe_lock(&self, range: Range<u64>) -> io::Result<Option<LockMode>> {
        let found = self.lock_call(libc::F_OFD_GETLK, libc::F_WRLCK, &range)?;
        Ok(match i32::from(found.l_type) {
            libc::F_UNLCK => None,
            libc::F_RDLCK => Some(LockMode::Shared),
            _ => Some(LockMode::Exclusive),
        })
    }

    fn lock_holders(&self, range: Range<u64>) -> io::Result<Vec<LockHolder>> {
        super::holders::of(&self.file, &range)
    }

    fn map(&self, committed: u64, reserve: u64) -> io::Result<Map> {
        let len = usize::try_from(committed.max(reserve)).map_err(|_| io::ErrorKind::OutOfMemory)?;
        memmap2::MmapOptions::new().len(len).map_raw_read_only(&self.file).map(Mapping::new).map(Map::from_os)
    }

    fn shared_memory(&self, range: Range<u64>, grow: bool, writable: bool) -> io::Result<Option<SharedMemory>> {
        if self.len()? < range.end {
            if !grow {
                return Ok(None);
            }
            self.preallocate(range.clone())?; // real blocks: a hole could kill the process on a full disk
        }
        let len = usize::try_from(range.end.saturating_sub(range.start)).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let mut options = memmap2::MmapOptions::new();
        options.offset(range.start).len(len);
        let raw = if writable { options.map_raw(&self.file)? } else { options.map_raw_read_only(&self.file)? };
        Ok(Some(SharedMemory::from_os(raw)))
    }
}

impl OsFile {
    /// Reserves space the slow way, where the file system has no `fallocate`. Never overwrites existing bytes.
    fn write_zeros(&self, range: Range<u64>) -> io::Result<()> {
        let zeros = vec![0; 1 << 20];
        let mut offset = range.start.max(self.len()?);
        while offset < range.end {
            let step = usize::try_from(range.end - offset).unwrap_or(usize::MAX).min(zeros.len());
            self.file.write_all_at(&zeros[..step], offset)?;
            offset += step as u64;
        }
        Ok(())
    }
}

/// Fills `buffer` from the operating system's generator.
pub(crate) fn random_bytes(buffer: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        filled += rustix::rand::getrandom(&mut buffer[filled..], rustix::rand::GetRandomFlags::empty())?;
    }
    Ok(())
}

/// True for the error number of a process or machine that can open no further file.
pub(crate) fn is_out_of_handles(code: i32) -> bool {
    matches!(code, libc::EMFILE | libc::ENFILE)
}

/// How many files this process may have open; `None` for no limit.
pub fn open_files_limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

/// Memory this process may use in bytes: the machine's, or that of its control group where that is less. None where the
/// system does not say.
pub fn memory_bytes() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
    });
    let group = fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
    machine.into_iter().chain(group).min()
}

/// Opens a file of the user's for reading, wherever it lies. Links are followed; FIFOs and devices are refused.
pub fn open_source(path: &Path) -> io::Result<Arc<dyn File>> {
    let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())?;
    OsFile::checked(fd.into(), false)
}

/// A file of the user's being written: appears under its name complete and synced, or not at all.
#[derive(Debug)]
pub struct Replacement {
    temporary: PathBuf,
    target: PathBuf,
    file: Option<Arc<dyn File>>,
}

impl Replacement {
    /// Starts writing beside `target`. Readers that hold the old file open or mapped keep the old bytes. A link is
    /// followed and stays; what is there and no regular file (a device, a directory) is refused.
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
        // New, never opened by name again: two writers of one target, of this process or another, must not share it.
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        loop {
            static NEXT: AtomicU64 = AtomicU64::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let temporary = target.with_file_name(format!(".tensoratom-{}-{number}.partial", std::process::id()));
            match rustix::fs::open(&temporary, flags, Mode::from_raw_mode(0o666)) {
                Err(rustix::io::Errno::EXIST) => {} // left behind by a process that was killed
                Err(e) => return Err(e.into()),
                Ok(fd) => return Ok(Replacement { temporary, target, file: Some(OsFile::checked(fd.into(), true)?) }),
            }
        }
    }

    /// The file to write into.
    pub fn file(&self) -> io::Result<&dyn File> {
        self.file.as_deref().ok_or_else(|| io::Error::other("already finished"))
    }

    /// Syncs, renames over the target, syncs the directory.
    pub fn finish(mut self) -> io::Result<()> {
        self.file()?.sync_all()?;
        self.file = None;
        fs::rename(&self.temporary, &self.target)?;
        self.temporary = PathBuf::new();
        let parent = match self.target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        fs::File::open(parent)?.sync_all()
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if !self.temporary.as_os_str().is_empty() {
            // Best effort: a left-over partial file is named as such and hurts nobody.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A store on NFS would lose locks and see stale maps; the table must know the names people actually mount.
    #[test]
    fn network_file_systems_are_recognised() {
        assert_eq!(network_file_system(0x6969, || None), Some("NFS"));
        assert_eq!(network_file_system(i64::from(0xff53_4d42_u32 as i32), || None), Some("SMB"));
        assert_eq!(network_file_system(0xef53, || None), None, "ext4");
        assert_eq!(network_file_system(0x0102_1994, || None), None, "tmpfs");
        assert_eq!(network_file_system(0x6573_5546, || Some("fuse.sshfs".into())), Some("sshfs"));
        assert_eq!(network_file_system(0x6573_5546, || Some("fuse.ntfs-3g".into())), None);
    }

    #[test]
    fn names_that_are_paths_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let volume = OsVolume::open(dir.path()).unwrap();
        for name in ["", ".", "..", "../x", "a/../b", "/etc/passwd", "a/b/c", "x\0y"] {
            assert!(volume.open(name, Open::Create).is_err(), "{name:?}");
        }
    }

    // Exporting to `/dev/null` as root must not replace the device by a file, nor a link by what it should lead to.
    #[test]
    fn only_regular_files_are_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (real, soft) = (dir.path().join("real"), dir.path().join("soft"));
        std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
        assert!(Replacement::create(&dir.path().join("socket")).is_err());
        assert!(Replacement::create(dir.path()).is_err());
        fs::write(&real, b"old").unwrap();
        std::os::unix::fs::symlink("real", &soft).unwrap();
        let whole = Replacement::create(&soft).unwrap();
        whole.file().unwrap().write_at(b"new", 0).unwrap();
        whole.finish().unwrap();
        assert!(fs::symlink_metadata(&soft).unwrap().is_symlink());
        assert_eq!(fs::read(&real).unwrap(), b"new");
    }

    #[test]
    fn links_and_devices_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let volume = OsVolume::open(dir.path()).unwrap();
        fs::write(dir.path().join("real"), b"x").unwrap();
        std::os::unix::fs::symlink("real", dir.path().join("soft")).unwrap();
        assert!(volume.open("soft", Open::Read).is_err());
        fs::hard_link(dir.path().join("real"), dir.path().join("hard")).unwrap();
        assert!(volume.open("hard", Open::Write).is_err());
        assert!(volume.open("hard", Open::Read).is_ok());
        assert!(open_source(Path::new("/dev/zero")).is_err());
    }

    #[test]
    fn a_replacement_is_complete_or_absent() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out.bin");
        let partial = Replacement::create(&target).unwrap();
        partial.file().unwrap().write_at(b"half", 0).unwrap();
        drop(partial);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let whole = Replacement::create(&target).unwrap();
        whole.file().unwrap().write_at(b"whole", 0).unwrap();
        whole.finish().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"whole");
    }
}
