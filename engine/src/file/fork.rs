//! Notices that the process forked: a page the kernel empties in the child.

use std::io;
use std::sync::atomic::{AtomicU8, Ordering};

/// Answers "is this still the process that made me?" with one memory load.
///
/// A page marked `MADV_WIPEONFORK` (Linux 4.14) reads as zero in a child. Where the kernel does not know the advice
/// the guard compares process ids instead, which costs a system call.
#[derive(Debug)]
pub struct ForkGuard {
    page: memmap2::MmapRaw,
    /// Set when the page is not wiped by the kernel.
    pid: Option<u32>,
}

impl ForkGuard {
    /// Makes a guard that belongs to the calling process.
    pub fn new() -> io::Result<Self> {
        let page = memmap2::MmapRaw::from(memmap2::MmapMut::map_anon(4096)?);
        #[cfg(windows)]
        let wiped = io::Result::Ok(()); // no fork there: the mark stays as long as the process
        // SAFETY: `madvise` needs an address range that is one live mapping of ours.
        // - `page` is a fresh private anonymous map of 4,096 bytes, alive until after the call.
        // - MADV_WIPEONFORK changes only what a future child sees; this process's bytes stay as they are.
        #[cfg(unix)]
        let wiped =
            unsafe { rustix::mm::madvise(page.as_mut_ptr().cast(), page.len(), rustix::mm::Advice::LinuxWipeOnFork) };
        let guard = ForkGuard { page, pid: wiped.is_err().then(std::process::id) };
        guard.mark().store(1, Ordering::Relaxed);
        Ok(guard)
    }

    fn mark(&self) -> &AtomicU8 {
        // SAFETY: `from_ptr` needs a valid pointer to a byte that is accessed atomically only.
        // - Valid: first byte of a 4,096-byte private map that `self.page` keeps alive as long as the borrow.
        // - Every access in this process goes through this function.
        unsafe { AtomicU8::from_ptr(self.page.as_mut_ptr()) }
    }

    /// True in a child forked after this guard was made.
    #[inline]
    pub fn is_forked(&self) -> bool {
        match self.pid {
            None => self.mark().load(Ordering::Relaxed) == 0,
            Some(pid) => pid != std::process::id(),
        }
    }
}

impl ForkGuard {
    /// Fails with `Forked` in a child.
    #[inline]
    pub(crate) fn check(&self) -> crate::Result<()> {
        if self.is_forked() { Err(forked()) } else { Ok(()) }
    }
}

#[cold]
fn forked() -> crate::Error {
    crate::Error::new(crate::ErrorKind::Forked, "the handle was opened before this process forked")
        .hint("open the store again in the child process")
}
