//! Which processes hold locks of a file: the system's list of locks leaves the holders of ours out, so their open files
//! are looked at.

use std::fs;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::LockHolder;

/// Processes with a lock in a range of this file, this one included, in order. Those of other users, or of other
/// containers, may be missing: the system does not show what they have open.
pub(super) fn of(file: &fs::File, range: &Range<u64>) -> io::Result<Vec<LockHolder>> {
    let own = file.metadata()?;
    let name = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    // By name first: looking at what lies behind an open file may wait for a network that is gone.
    let may_be = |fd: &Path| fs::read_link(fd).is_ok_and(|link| link.file_name() == name.file_name());
    let is_same = |fd: &Path| fs::metadata(fd).is_ok_and(|other| (other.dev(), other.ino()) == (own.dev(), own.ino()));
    let mut holders = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let folder = entry.path();
        let Ok(open) = fs::read_dir(folder.join("fd")) else { continue };
        let holds = open.flatten().any(|fd| {
            let path = fd.path();
            let locks = || fs::read_to_string(folder.join("fdinfo").join(fd.file_name())).unwrap_or_default();
            may_be(&path) && is_same(&path) && locks().lines().any(|line| is_lock_in(line, range))
        });
        if holds {
            let program = fs::read_to_string(folder.join("comm")).ok();
            holders.push(LockHolder { process, program: program.map(|name| name.trim_end().to_owned()) });
        }
    }
    holders.sort();
    Ok(holders)
}

/// Whether a line about an open file says that a lock was taken through it in the range.
fn is_lock_in(line: &str, range: &Range<u64>) -> bool {
    let Some(lock) = line.strip_prefix("lock:") else { return false };
    let mut words = lock.split_whitespace().rev();
    let (Some(last), Some(first)) = (words.next(), words.next()) else { return false };
    let last = if last == "EOF" { Some(u64::MAX) } else { last.parse().ok() };
    let first = first.parse::<u64>().ok();
    first.zip(last).is_some_and(|(first, last)| first < range.end && last >= range.start)
}

#[cfg(test)]
mod tests {
    use super::*;

    // The format is the system's: a line that is read wrongly would accuse a process that holds nothing.
    #[test]
    fn locks_are_told_by_their_range() {
        let line = "lock:\t1: OFDLCK ADVISORY  READ -1 fe:00:393226 1 1";
        assert_eq!([0..1, 1..2, 2..3, 0..9].map(|range| is_lock_in(line, &range)), [false, true, false, true]);
        assert!(is_lock_in("lock:\t1: POSIX  ADVISORY  WRITE 77 fe:00:393226 0 EOF", &(1..2)));
        for other in ["pos:\t0", "lock:", "lock:\t1: FLOCK", "flags:\t02100002"] {
            assert!(!is_lock_in(other, &(0..9)), "{other}");
        }
    }
}
