//! Windows: byte-range locks as [`File`](crate::file::File) promises them, over a system whose locks never change their mode.
//!
//! A mode is changed by giving the lock back and taking it anew, so somebody could come in between. Nobody does: whoever
//! wants an exclusive lock, changes one or looks for one holds the file's *guard* meanwhile, one byte far behind every
//! file's end. Shared locks are taken without it, and once more with it when that fails: the lock in the way may be that
//! of somebody who only looks.

use std::fs;
use std::io;
use std::ops::Range;
use std::os::windows::io::AsRawHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use windows_sys::Win32::Foundation::{ERROR_IO_PENDING, ERROR_LOCK_VIOLATION};
use windows_sys::Win32::Storage::FileSystem::{
    LOCKFILE_EXCLUSIVE_LOCK, LOCKFILE_FAIL_IMMEDIATELY, LockFileEx, UnlockFileEx,
};
use windows_sys::Win32::System::IO::OVERLAPPED;

use crate::file::LockMode;

/// The byte that is locked while locks change.
const GUARD: Range<u64> = 1 << 62..(1 << 62) + 1;

/// How long a guard is waited for. It is held for a few system calls; its holder may have been stopped in them.
const GUARD_PATIENCE: Duration = Duration::from_secs(1);

/// What one open file has locked.
#[derive(Debug, Default)]
pub(super) struct Locks(Mutex<Vec<(Range<u64>, LockMode)>>);

impl Locks {
    /// See [`File::try_lock`](crate::file::File::try_lock). A range that overlaps another one held here without being the same
    /// is in the way of an exclusive lock.
    pub(super) fn try_lock(&self, file: &fs::File, range: Range<u64>, mode: LockMode) -> io::Result<bool> {
        let mut held = self.0.lock();
        let mine = held.iter().position(|(other, _)| *other == range);
        let old = mine.map(|index| held[index].1);
        if old == Some(mode) {
            return Ok(true);
        }
        if old.is_none() && mode == LockMode::Shared && lock(file, &range, mode)? {
            held.push((range, mode));
            return Ok(true);
        }
        let Some(_guard) = Guard::enter(file)? else { return Ok(false) };
        if let Some(index) = mine {
            unlock(file, &range)?;
            held.swap_remove(index);
        }
        let locked = lock(file, &range, mode)?;
        if let Some(now) = if locked { Some(mode) } else { old } {
            if !locked && !lock(file, &range, now)? {
                return Err(io::Error::other("a lock was lost to a program that does not keep the order of locks"));
            }
            held.push((range, now));
        }
        Ok(locked)
    }

    /// See [`File::unlock`](crate::file::File::unlock). Part of an exclusive lock cannot be given back.
    pub(super) fn unlock(&self, file: &fs::File, range: &Range<u64>) -> io::Result<()> {
        let mut held = self.0.lock();
        while let Some(index) = held.iter().position(|(r, _)| r.start < range.end && range.start < r.end) {
            let (whole, mode) = held[index].clone();
            // What is kept is locked once more before the whole is given back: nobody comes in between.
            let kept = [whole.start..range.start.max(whole.start), range.end.min(whole.end)..whole.end];
            for rest in kept.into_iter().filter(|rest| rest.start < rest.end) {
                if mode == LockMode::Exclusive {
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, "part of an exclusive lock"));
                }
                if !lock(file, &rest, mode)? {
                    return Err(io::Error::other("a shared lock could not be taken twice"));
                }
                held.push((rest, mode));
            }
            unlock(file, &whole)?;
            held.swap_remove(index);
        }
        Ok(())
    }

    /// See [`File::probe_lock`](crate::file::File::probe_lock). Tries a lock and gives it back at once.
    pub(super) fn probe(&self, file: &fs::File, range: &Range<u64>) -> io::Result<Option<LockMode>> {
        let held = self.0.lock();
        if held.iter().any(|(r, mode)| *mode == LockMode::Exclusive && r.start <= range.start && range.end <= r.end) {
            return Ok(None); // nobody else can have one
        }
        let Some(_guard) = Guard::enter(file)? else { return Ok(Some(LockMode::Exclusive)) };
        let mine: Vec<_> = held.iter().filter(|(r, _)| r.start < range.end && range.start < r.end).collect();
        for (own, _) in &mine {
            unlock(file, own)?;
        }
        let mut found = Some(LockMode::Exclusive);
        for (mode, answer) in [(LockMode::Exclusive, None), (LockMode::Shared, Some(LockMode::Shared))] {
            if lock(file, range, mode)? {
                unlock(file, range)?;
                found = answer;
                break;
            }
        }
        for (own, mode) in mine {
            if !lock(file, own, *mode)? {
                return Err(io::Error::other("a lock was lost to a program that does not keep the order of locks"));
            }
        }
        Ok(found)
    }
}

/// The right to change locks of a file, given back when dropped.
struct Guard<'f>(&'f fs::File);

impl<'f> Guard<'f> {
    /// Waits for the right; `None` where its holder does not come to an end.
    fn enter(file: &'f fs::File) -> io::Result<Option<Self>> {
        let deadline = Instant::now() + GUARD_PATIENCE;
        while !lock(file, &GUARD, LockMode::Exclusive)? {
            if Instant::now() >= deadline {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        Ok(Some(Guard(file)))
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        let _ = unlock(self.0, &GUARD); // fails for a closed file only, whose locks are gone
    }
}

/// One attempt; false when another lock is in the way.
fn lock(file: &fs::File, range: &Range<u64>, mode: LockMode) -> io::Result<bool> {
    let (mut at, low, high) = place(range)?;
    let how = LOCKFILE_FAIL_IMMEDIATELY | if mode == LockMode::Exclusive { LOCKFILE_EXCLUSIVE_LOCK } else { 0 };
    // SAFETY: `LockFileEx` needs an open file and an `OVERLAPPED` that lives until it answers.
    // - `file` is open; its handle is synchronous, so the call has ended with `at` when it returns.
    let done = unsafe { LockFileEx(file.as_raw_handle(), how, 0, low, high, &raw mut at) };
    if done != 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    let code = error.raw_os_error().map(i32::cast_unsigned);
    if matches!(code, Some(ERROR_LOCK_VIOLATION | ERROR_IO_PENDING)) { Ok(false) } else { Err(error) }
}

/// Gives back exactly what was locked.
fn unlock(file: &fs::File, range: &Range<u64>) -> io::Result<()> {
    let (mut at, low, high) = place(range)?;
    // SAFETY: `UnlockFileEx` needs an open file and an `OVERLAPPED` that lives until it answers.
    // - `file` is open; its handle is synchronous, so the call has ended with `at` when it returns.
    let done = unsafe { UnlockFileEx(file.as_raw_handle(), 0, low, high, &raw mut at) };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
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

#[cfg(test)]
mod tests {
    use super::*;

    // Two holders of a shared lock that both want it for themselves: were the change two free steps, each could lose what
    // it has to the other, and a store would be recovered while somebody reads it.
    #[test]
    fn a_lock_that_cannot_be_strengthened_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        fs::write(&path, b"").unwrap();
        let strengthened = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let file = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
                    let locks = Locks::default();
                    for _ in 0..100 {
                        if !locks.try_lock(&file, 0..1, LockMode::Shared).unwrap() {
                            continue;
                        }
                        if locks.try_lock(&file, 0..1, LockMode::Exclusive).unwrap() {
                            assert_eq!(strengthened.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                            strengthened.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                        }
                        locks.unlock(&file, &(0..1)).unwrap();
                    }
                });
            }
        });
    }
}
