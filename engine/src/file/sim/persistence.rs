//! What survives a power cut. The fault model, stated once:
//! any subset of the unsynced 512-byte sectors of a file, in any version written since its last sync; the length of a
//! file apart from its contents; each change of a directory apart from the others, a rename as one. Nothing survives
//! of a file without a durable name. A sync makes everything written to that file before it durable.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use crate::file::Entry;

/// Bytes that the disk writes as one.
pub const SECTOR_BYTES: usize = 512;

/// The disks of the machine. What is synced on one says nothing about the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// Where the store's directory is.
    Main,
    /// What names that start with `/` are on.
    Cold,
}

impl Device {
    /// The disk that a file or directory lies on.
    pub fn of(name: &str) -> Self {
        if name.starts_with('/') { Device::Cold } else { Device::Main }
    }
}

/// One operation on the disk, as recorded.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // the fields say it
pub enum Op {
    Write {
        inode: u64,
        offset: u64,
        bytes: Arc<[u8]>,
    },
    SetLen {
        inode: u64,
        len: u64,
    },
    Sync {
        inode: u64,
    },
    /// A sync that failed: what was not durable never will be, although everyone still sees it.
    FailedSync {
        inode: u64,
    },
    Create {
        name: String,
        inode: u64,
    },
    CreateDir {
        name: String,
    },
    Remove {
        name: String,
    },
    Rename {
        from: String,
        to: String,
    },
    SyncDir {
        dir: String,
    },
    /// Not an operation: a mark of the test's own.
    Mark(u64),
}

/// The names and bytes of a disk at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Image {
    /// Files by name.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Directories.
    pub dirs: BTreeSet<String>,
}

#[derive(Clone, Debug, Default)]
struct Inode {
    current: Vec<u8>,
    durable: Vec<u8>,
    /// Lengths the file had since its last sync, oldest first.
    lengths: Vec<u64>,
    /// Contents each sector had since the last sync, oldest first.
    sectors: BTreeMap<usize, Vec<Box<[u8]>>>,
}

impl Inode {
    fn write(&mut self, offset: u64, bytes: &[u8]) {
        let start = offset as usize;
        let end = start + bytes.len();
        if bytes.is_empty() {
            return;
        }
        if end > self.current.len() {
            self.set_len(end);
        }
        self.current[start..end].copy_from_slice(bytes);
        for sector in start / SECTOR_BYTES..=(end - 1) / SECTOR_BYTES {
            let from = sector * SECTOR_BYTES;
            let to = (from + SECTOR_BYTES).min(self.current.len());
            self.sectors.entry(sector).or_default().push(self.current[from..to].into());
        }
    }

    fn set_len(&mut self, len: usize) {
        self.current.resize(len, 0);
        self.lengths.push(len as u64);
        // What was cut off is gone from the cache; a later growth shows zeros there.
        let first_cut = len.div_ceil(SECTOR_BYTES);
        self.sectors.retain(|&s, _| s < first_cut);
    }

    fn sync(&mut self) {
        let mut newest = |versions: usize| versions - 1;
        self.durable = self.crash(&mut newest);
        self.lose();
    }

    /// What a failed write-back does: the cache keeps the new bytes and calls them clean; the disk keeps the old.
    fn lose(&mut self) {
        self.lengths.clear();
        self.sectors.clear();
    }

    fn crash(&self, choose: &mut impl FnMut(usize) -> usize) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        if !self.lengths.is_empty() {
            let version = choose(self.lengths.len() + 1);
            if version > 0 {
                // A file cut and grown again shows zeros, not its past: file systems order those two.
                let shortest = self.lengths[..version].iter().min().map_or(0, |&l| l as usize);
                bytes.truncate(shortest.min(bytes.len()));
                bytes.resize(self.lengths[version - 1] as usize, 0);
            }
        }
        for (&sector, versions) in &self.sectors {
            let version = choose(versions.len() + 1);
            let from = sector * SECTOR_BYTES;
            if version > 0 && from < bytes.len() {
                let content = &versions[version - 1];
                let n = content.len().min(bytes.len() - from);
                bytes[from..from + n].copy_from_slice(&content[..n]);
            }
        }
        bytes
    }
}

/// The disk: what everyone sees now, and what is durable.
#[derive(Clone, Debug, Default)]
pub struct Persistence {
    inodes: BTreeMap<u64, Inode>,
    names: BTreeMap<String, u64>,
    dirs: BTreeSet<String>,
    durable_names: BTreeMap<String, u64>,
    durable_dirs: BTreeSet<String>,
    /// Directory changes since the last sync of their directory.
    pending: Vec<Op>,
    next_inode: u64,
}

fn directory_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(dir, _)| dir)
}

/// Applies a directory change to a set of names.
fn change_names(op: &Op, names: &mut BTreeMap<String, u64>, dirs: &mut BTreeSet<String>) {
    match op {
        Op::Create { name, inode } => {
            names.insert(name.clone(), *inode);
        }
        Op::CreateDir { name } => {
            dirs.insert(name.clone());
        }
        Op::Remove { name } => {
            names.remove(name);
        }
        Op::Rename { from, to } => {
            if let Some(inode) = names.remove(from) {
                names.insert(to.clone(), inode);
            }
        }
        Op::Write { .. }
        | Op::SetLen { .. }
        | Op::Sync { .. }
        | Op::FailedSync { .. }
        | Op::SyncDir { .. }
        | Op::Mark(_) => {}
    }
}

impl Persistence {
    /// A disk on which all of `image` is durable.
    pub fn from_image(image: &Image) -> Self {
        let mut disk = Persistence { dirs: image.dirs.clone(), durable_dirs: image.dirs.clone(), ..Self::default() };
        for (name, bytes) in &image.files {
            let inode = disk.fresh_inode();
            disk.names.insert(name.clone(), inode);
            disk.durable_names.insert(name.clone(), inode);
            let file = Inode { current: bytes.clone(), durable: bytes.clone(), ..Inode::default() };
            disk.inodes.insert(inode, file);
        }
        disk
    }

    pub(super) fn fresh_inode(&mut self) -> u64 {
        self.next_inode += 1;
        self.next_inode
    }

    /// Carries an operation out.
    pub fn apply(&mut self, op: &Op) {
        match op {
            Op::Write { inode, offset, bytes } => self.inodes.entry(*inode).or_default().write(*offset, bytes),
            Op::SetLen { inode, len } => self.inodes.entry(*inode).or_default().set_len(*len as usize),
            Op::Sync { inode } => self.inodes.entry(*inode).or_default().sync(),
            Op::FailedSync { inode } => self.inodes.entry(*inode).or_default().lose(),
            Op::SyncDir { dir } => {
                let of_dir = |op: &Op| match op {
                    Op::Create { name, .. } | Op::CreateDir { name } | Op::Remove { name } => directory_of(name) == dir,
                    Op::Rename { to, .. } => directory_of(to) == dir,
                    _ => false,
                };
                let (synced, pending) = std::mem::take(&mut self.pending).into_iter().partition(of_dir);
                self.pending = pending;
                let synced: Vec<Op> = synced;
                for op in &synced {
                    change_names(op, &mut self.durable_names, &mut self.durable_dirs);
                }
            }
            Op::Create { inode, .. } => {
                self.inodes.entry(*inode).or_default();
                self.next_inode = self.next_inode.max(*inode);
                self.change_directory(op);
            }
            // The root of the other disk is there when the disk is.
            Op::CreateDir { name } if Device::of(name) == Device::Cold => {
                self.dirs.insert(name.clone());
                self.durable_dirs.insert(name.clone());
            }
            Op::CreateDir { .. } | Op::Remove { .. } | Op::Rename { .. } => self.change_directory(op),
            Op::Mark(_) => {}
        }
    }

    fn change_directory(&mut self, op: &Op) {
        change_names(op, &mut self.names, &mut self.dirs);
        self.pending.push(op.clone());
    }

    pub(super) fn lookup(&self, name: &str) -> Option<u64> {
        self.names.get(name).copied()
    }

    pub(super) fn has_dir(&self, name: &str) -> bool {
        name.is_empty() || self.dirs.contains(name)
    }

    pub(super) fn len(&self, inode: u64) -> u64 {
        self.inodes.get(&inode).map_or(0, |f| f.current.len() as u64)
    }

    pub(super) fn total_bytes(&self, device: Device) -> u64 {
        let there = self.names.iter().filter(|(name, _)| Device::of(name) == device);
        there.map(|(_, &inode)| self.len(inode)).sum()
    }

    pub(super) fn read(&self, inode: u64, buffer: &mut [u8], offset: u64) -> usize {
        let Some(file) = self.inodes.get(&inode) else { return 0 };
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(file.current.len());
        let n = buffer.len().min(file.current.len() - start);
        buffer[..n].copy_from_slice(&file.current[start..start + n]);
        n
    }

    pub(super) fn list(&self, dir: &str) -> io::Result<Vec<Entry>> {
        if !self.has_dir(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = |name: &str| {
            let leaf = if dir.is_empty() { Some(name) } else { name.strip_prefix(dir)?.strip_prefix('/') };
            leaf.filter(|leaf| !leaf.contains('/')).map(str::to_owned)
        };
        let files = self.names.iter().filter_map(|(name, &inode)| {
            Some(Entry { name: inside(name)?, len_bytes: self.len(inode), is_dir: false })
        });
        let dirs = self.dirs.iter().filter_map(|name| Some(Entry { name: inside(name)?, len_bytes: 0, is_dir: true }));
        Ok(files.chain(dirs).collect())
    }

    /// Everything written, whether durable or not.
    pub fn current_image(&self) -> Image {
        let files = self
            .names
            .iter()
            .map(|(name, inode)| (name.clone(), self.inodes.get(inode).map(|f| f.current.clone()).unwrap_or_default()));
        Image { files: files.collect(), dirs: self.dirs.clone() }
    }

    /// One state a power cut may leave. `choose(n)` is asked at every choice point and answers `0..n`: which version
    /// survives, 0 the durable one, `n - 1` the newest.
    pub fn crash_image(&self, mut choose: impl FnMut(usize) -> usize) -> Image {
        self.crash_image_of_disks(|_, versions| choose(versions))
    }

    /// As [`Persistence::crash_image`]; `choose` is told which disk it is asked about.
    pub fn crash_image_of_disks(&self, mut choose: impl FnMut(Device, usize) -> usize) -> Image {
        let mut names = self.durable_names.clone();
        let mut dirs = self.durable_dirs.clone();
        for op in &self.pending {
            let device = match op {
                Op::Create { name, .. } | Op::Remove { name } | Op::Rename { to: name, .. } => Device::of(name),
                _ => Device::Main,
            };
            if choose(device, 2) == 1 {
                change_names(op, &mut names, &mut dirs);
            }
        }
        let mut image = Image { files: BTreeMap::new(), dirs };
        for (name, inode) in names {
            if !directory_of(&name).is_empty() && !image.dirs.contains(directory_of(&name)) {
                continue; // its directory did not survive
            }
            let mut choose = |versions: usize| choose(Device::of(&name), versions);
            let bytes = self.inodes.get(&inode).map(|f| f.crash(&mut choose)).unwrap_or_default();
            image.files.insert(name, bytes);
        }
        image
    }

    pub(super) fn tamper(&mut self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        if let Some(file) = self.lookup(name).and_then(|inode| self.inodes.get_mut(&inode)) {
            change(&mut file.current);
            file.durable.clone_from(&file.current);
            file.lengths.clear();
            file.sectors.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk_with(ops: &[Op]) -> Persistence {
        let mut disk = Persistence::default();
        for op in ops {
            disk.apply(op);
        }
        disk
    }

    fn create(name: &str) -> Op {
        Op::Create { name: name.into(), inode: 1 }
    }

    fn write(offset: u64, bytes: &[u8]) -> Op {
        Op::Write { inode: 1, offset, bytes: bytes.into() }
    }

    // The harness itself must be able to lose what was not synced, or every test above it proves nothing.
    #[test]
    fn unsynced_bytes_length_and_name_can_each_be_lost() {
        let named = Op::SyncDir { dir: String::new() };
        let sync = Op::Sync { inode: 1 };
        let nameless = disk_with(&[create("f"), write(0, b"abc"), sync.clone()]);
        assert!(nameless.crash_image(|_| 0).files.is_empty(), "the name was not synced");
        let unsynced = disk_with(&[create("f"), named.clone(), write(0, b"abc")]);
        assert_eq!(unsynced.crash_image(|_| 0).files["f"], b"");
        assert_eq!(unsynced.crash_image(|n| n - 1).files["f"], b"abc");
        let mut first = true;
        let length_only = unsynced.crash_image(|n| if std::mem::take(&mut first) { n - 1 } else { 0 });
        assert_eq!(length_only.files["f"], [0, 0, 0]);
        let synced = disk_with(&[create("f"), named, write(0, b"abc"), sync]);
        assert_eq!(synced.crash_image(|_| 0).files["f"], b"abc");
    }

    // "Can applications recover from fsync failures?" (ATC 2020): the second sync succeeds and saves nothing.
    #[test]
    fn a_failed_sync_loses_bytes_that_later_syncs_do_not_save() {
        let named = Op::SyncDir { dir: String::new() };
        let mut disk = disk_with(&[create("f"), named, write(0, b"old"), Op::Sync { inode: 1 }, write(0, b"new")]);
        disk.apply(&Op::FailedSync { inode: 1 });
        disk.apply(&Op::Sync { inode: 1 });
        assert_eq!(disk.current_image().files["f"], b"new", "the cache shows the new bytes");
        assert_eq!(disk.crash_image(|n| n - 1).files["f"], b"old", "the disk never gets them");
    }

    #[test]
    fn sectors_persist_apart_and_in_any_version() {
        let mut disk = disk_with(&[create("f"), Op::SyncDir { dir: String::new() }, write(0, &[1; 1024])]);
        disk.apply(&Op::Sync { inode: 1 });
        disk.apply(&write(0, &[2; 1024]));
        disk.apply(&write(0, &[3; 512]));
        let mut seen = BTreeSet::new();
        for first in 0..3 {
            for second in 0..2 {
                let mut answers = [first, second].into_iter();
                let image = disk.crash_image(|_| answers.next().unwrap());
                seen.insert((image.files["f"][0], image.files["f"][1023]));
            }
        }
        assert_eq!(seen, BTreeSet::from([(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2)]));
    }

    #[test]
    fn a_rename_survives_whole_or_not_at_all() {
        let mut disk = disk_with(&[create("new"), write(0, b"x"), Op::Sync { inode: 1 }]);
        disk.apply(&Op::SyncDir { dir: String::new() });
        disk.apply(&Op::Rename { from: "new".into(), to: "old".into() });
        for choice in 0..2 {
            let image = disk.crash_image(|_| choice);
            assert_eq!(image.files.len(), 1);
            assert!(image.files.contains_key(if choice == 0 { "new" } else { "old" }));
        }
    }
}
