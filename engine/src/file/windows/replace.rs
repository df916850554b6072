//! Windows: files of the user's that appear complete, or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::volume::{OsFile, rename};
use crate::file::File;

/// A file of the user's being written: appears under its name complete and synced, or not at all.
#[derive(Debug)]
pub struct Replacement {
    temporary: PathBuf,
    target: PathBuf,
    file: Option<Arc<dyn File>>,
}

impl Replacement {
    /// Starts writing beside `target`. Who has the old file open keeps the old bytes; where somebody has it mapped it
    /// cannot be replaced, and stays. A link is followed and stays; what is there and no regular file (a device, a
    /// directory) is refused.
    pub fn create(target: &Path) -> io::Result<Self> {
        let target = match fs::metadata(target) {
            Ok(there) if there.is_file() => fs::canonicalize(target)?,
            Ok(_) => {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is something that is no regular file"));
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => std::path::absolute(target)?,
            Err(e) => return Err(e),
        };
        if target.file_name().is_none() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file name"));
        }
        // New, never opened by name again: two writers of one target, of this process or another, must not share it.
        loop {
            static NEXT: AtomicU64 = AtomicU64::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let temporary = target.with_file_name(format!(".tensoratom-{}-{number}.partial", std::process::id()));
            match fs::OpenOptions::new().read(true).write(true).create_new(true).open(&temporary) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {} // left behind by a process that was killed
                Err(e) => return Err(e),
                Ok(file) => {
                    let file = Some(OsFile::checked(file, temporary.clone(), true)?);
                    return Ok(Replacement { temporary, target, file });
                }
            }
        }
    }

    /// The file to write into.
    pub fn file(&self) -> io::Result<&dyn File> {
        self.file.as_deref().ok_or_else(|| io::Error::other("already finished"))
    }

    /// Syncs, and renames over the target so that the new name is on the device.
    pub fn finish(mut self) -> io::Result<()> {
        self.file()?.sync_all()?;
        self.file = None;
        rename(&self.temporary, &self.target)?;
        self.temporary = PathBuf::new();
        Ok(())
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        self.file = None;
        if !self.temporary.as_os_str().is_empty() {
            // Best effort: a left-over partial file is named as such and hurts nobody.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A reader that has the old file open would otherwise make every export over it fail.
    #[test]
    fn a_file_that_is_open_elsewhere_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out.bin");
        let partial = Replacement::create(&target).unwrap();
        partial.file().unwrap().write_at(b"half", 0).unwrap();
        drop(partial);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "half a file was left");
        for content in [b"first", b"newer"] {
            let whole = Replacement::create(&target).unwrap();
            whole.file().unwrap().write_at(content, 0).unwrap();
            whole.finish().unwrap();
            assert_eq!(fs::read(&target).unwrap(), content);
        }
        assert!(Replacement::create(dir.path()).is_err(), "a directory is no file");
    }
}
