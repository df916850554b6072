//! Gives a store a cold directory, or another one: copy, sync, read back, switch, and only then delete. Needs the store to
//! itself. Interrupted anywhere, the same call goes on from there.

use std::path::Path;
use std::sync::Arc;

use crate::catalog::Catalog;
use crate::control::{Control, Progress};
use crate::digest::{Digest, DigestBuilder, Leaf};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::file::{File, ForkGuard, Open, OsVolume, Volume, read_exact_at};
use crate::format::names;
use crate::memory::zeroed;

use super::cold::{ColdPlace, check_empty, open_new, read_mark, taken};
use super::identity::StoreIdentity;
use super::open::{Gate, check_medium, no_directory, not_a_store};
use super::options::Options;

/// Bytes copied at a time.
const BLOCK_BYTES: u64 = 4 << 20;

/// What giving a store its cold directory did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ColdReport {
    /// Segments that were copied from the directory used before.
    pub segments_copied: u64,
    /// Their lengths.
    pub bytes_copied: u64,
    /// The directory used before, if it could not be emptied; the same call tries again.
    pub left_behind: Option<String>,
}

/// Gives a store a cold directory (absolute, or relative to the store; made if it is missing, else empty), or moves the one it
/// has: every segment is copied, synced, read back and compared, before the store is switched over and the old files are
/// deleted. A directory that is this store's already, because its disk is mounted elsewhere now, is taken as it is. Copies
/// that are cold already and lie in the store's own directory go there with the next [`Store::move_to_tier`](crate::Store::move_to_tier).
///
/// Failed or cancelled, the store goes on with the directory it had. Blocks until all is copied; holds 8 MiB. Fails with
/// `Busy` while any process has the store open, `AlreadyExists` for another store's directory, `InvalidArgument` for one that
/// holds other files, `ColdUnavailable` when the one to be left is away, `NetworkFileSystem`, `DiskFull`, `Io`, `Cancelled`.
pub fn set_cold_directory(
    path: impl AsRef<Path>,
    directory: impl AsRef<Path>,
    control: &Control<'_>,
) -> Result<ColdReport> {
    let volume = OsVolume::open(path.as_ref()).map_err(no_directory);
    volume
        .and_then(|volume| relocate(Arc::new(volume), directory.as_ref(), control))
        .map_err(|e| e.during("set the cold directory").at_path(path.as_ref()))
}

pub(crate) fn relocate(volume: Arc<dyn Volume>, path: &Path, control: &Control<'_>) -> Result<ColdReport> {
    check_medium(&*volume, false)?;
    let identity = StoreIdentity::read(&*volume)?.ok_or_else(|| not_a_store("the directory holds no store"))?;
    let _gate = Gate::alone(&*volume, Options::LOCK_TIMEOUT)?;
    let uuid = identity.uuid;
    let current = match ColdPlace::read(&*volume, uuid) {
        Err(e) if e.kind() == ErrorKind::ColdUnavailable => None,
        current => current?,
    };
    let cold = open_new(&volume, path).map_err(|e| e.at_path(path))?;
    let mark = match read_mark(&*cold)? {
        Some((store, _)) if store != uuid => return Err(taken().at_path(path)),
        mark => mark.map(|(_, id)| id),
    };
    let mut report = ColdReport::default();
    let next = match (current, mark) {
        (Some(place), Some(id)) if id == place.id => ColdPlace { path: path.to_owned(), ..place },
        (Some(place), _) => {
            let old = place.attach(&*volume, uuid)?;
            if mark.is_none() {
                check_empty(&*cold).map_err(|e| e.at_path(path))?;
            }
            let next = ColdPlace { leaving: Some(place.path), ..ColdPlace::draw(&*volume, path)? };
            if let Err(error) = fill(&*old, &*cold, &next, uuid, control, &mut report) {
                // Best effort: what is left is told by its mark, and is filled anew by the next call.
                let _ = empty(&*cold);
                return Err(error);
            }
            next
        }
        // What said so in the store is lost.
        (None, Some(id)) => ColdPlace { id, ..ColdPlace::draw(&*volume, path)? },
        (None, None) => {
            refuse_to_forget(&volume, uuid)?;
            check_empty(&*cold).map_err(|e| e.at_path(path))?;
            let next = ColdPlace::draw(&*volume, path)?;
            next.mark(&*cold, uuid)?;
            next
        }
    };
    next.write(&*volume, uuid)?;
    leave(&*volume, next, uuid, &mut report)?;
    Ok(report)
}

/// A store with cold segments somewhere must not begin anew elsewhere.
fn refuse_to_forget(volume: &Arc<dyn Volume>, uuid: [u8; 16]) -> Result<()> {
    let fork = Arc::new(ForkGuard::new().doing("setting up the fork guard")?);
    let catalog = Catalog::open(Arc::clone(volume), fork, names::CATALOG, uuid, false)?;
    if catalog.read()?.view()?.has_cold_segments()? {
        return Err(Error::invalid_argument("the store has cold segments, and they are not in this directory")
            .hint("name the directory that holds them"));
    }
    Ok(())
}

/// Copies every segment, and says whose they are. Another directory of this store is filled anew.
fn fill(
    old: &dyn Volume,
    new: &dyn Volume,
    place: &ColdPlace,
    uuid: [u8; 16],
    control: &Control<'_>,
    report: &mut ColdReport,
) -> Result<()> {
    place.mark(new, uuid)?;
    remove_segments(new)?;
    let mut segments = old.list("").doing("listing the cold segments")?;
    segments.retain(|entry| names::parse_segment(&entry.name).is_some());
    let mut progress = Progress {
        bytes_total: segments.iter().map(|entry| entry.len_bytes).sum(),
        items_total: segments.len() as u64,
        ..Progress::default()
    };
    for entry in &segments {
        let segment = names::parse_segment(&entry.name).unwrap_or(0);
        let bytes = copy(old, new, &entry.name, control, &mut progress).map_err(|e| e.segment(segment))?;
        report.segments_copied += 1;
        report.bytes_copied += bytes;
        progress.items_done += 1;
        control.report(progress);
    }
    new.sync_dir("").doing("syncing the cold directory")
}

/// Copies a file, syncs it, and reads it back.
fn copy(old: &dyn Volume, new: &dyn Volume, name: &str, control: &Control<'_>, progress: &mut Progress) -> Result<u64> {
    let source = old.open(name, Open::Read).doing("opening a cold segment")?;
    let target = new.open(name, Open::CreateNew).doing("creating a cold segment")?;
    let len = source.len().doing("reading a cold segment")?;
    target.preallocate(0..len).doing("reserving space in the cold directory")?;
    let digest = read_through(&*source, len, control, |block, offset| {
        progress.bytes_done += block.len() as u64;
        control.report(*progress);
        target.write_at(block, offset).doing("writing a cold segment")
    })?;
    target.sync_all().doing("syncing a cold segment")?;
    let again = new.open(name, Open::Read).doing("opening a cold segment")?;
    let is_whole = again.len().doing("reading a cold segment")? == len;
    if !is_whole || read_through(&*again, len, control, |_, _| Ok(()))? != digest {
        return Err(Error::corrupt("a cold segment that was copied reads otherwise"));
    }
    Ok(len)
}

/// Gives a file block by block to `each`. Returns its digest.
fn read_through(
    file: &dyn File,
    len: u64,
    control: &Control<'_>,
    mut each: impl FnMut(&[u8], u64) -> Result<()>,
) -> Result<Digest> {
    let mut digest = DigestBuilder::default();
    let mut buffer = zeroed(len.min(BLOCK_BYTES) as usize)?;
    let mut offset = 0;
    while offset < len {
        control.check()?;
        let block = &mut buffer[..(len - offset).min(BLOCK_BYTES) as usize];
        read_exact_at(file, block, offset).doing("reading a cold segment")?;
        each(block, offset)?;
        digest.push(Leaf::new(offset, block));
        offset += block.len() as u64;
    }
    Ok(digest.finish())
}

/// Deletes what is in the directory that was left, and forgets it. One that cannot be reached is left for another time.
fn leave(volume: &dyn Volume, place: ColdPlace, uuid: [u8; 16], report: &mut ColdReport) -> Result<()> {
    let Some(path) = place.leaving.clone() else { return Ok(()) };
    let emptied = || -> Result<()> {
        let old = volume.open_dir(&path, false).doing("opening the directory that was left")?;
        match read_mark(&*old)? {
            // Emptied before, or in use again.
            None => Ok(()),
            Some((store, id)) if store != uuid || id == place.id => Ok(()),
            Some(_) => empty(&*old),
        }
    };
    if let Err(error) = emptied() {
        tracing::warn!(%error, "the old cold directory could not be emptied");
        report.left_behind = Some(path.display().to_string());
        return Ok(());
    }
    ColdPlace { leaving: None, ..place }.write(volume, uuid)
}

/// Removes segments and mark.
fn empty(cold: &dyn Volume) -> Result<()> {
    remove_segments(cold)?;
    // Last: a mark without segments tells that the rest is done, segments without a mark would be nobody's.
    cold.sync_dir("").doing("syncing the directory that was left")?;
    for name in [names::COLD_MARK_TEMPORARY, names::COLD_MARK] {
        remove(cold, name)?;
    }
    cold.sync_dir("").doing("syncing the directory that was left")
}

fn remove_segments(cold: &dyn Volume) -> Result<()> {
    let entries = cold.list("").doing("listing the cold segments")?;
    entries.iter().filter(|e| names::parse_segment(&e.name).is_some()).try_for_each(|e| remove(cold, &e.name))
}

fn remove(cold: &dyn Volume, name: &str) -> Result<()> {
    match cold.remove(name) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("deleting a cold segment", e)),
        _ => Ok(()),
    }
}
