//! What a transaction's changes of vector sets come to at commit: checks against what others committed meanwhile, and
//! the operations for the commit record.

use std::collections::BTreeMap;

use roaring::RoaringBitmap;

use crate::catalog::{AppendPart, LATEST, Operation, PartState, PlacedPayload, VectorSetRow, VectorSetSpec, View};
use crate::error::{Error, ErrorKind, Result};
use crate::memory;

use super::super::StoreInner;
use super::super::staging::Staged;
use super::staged::{SetName, StagedSet};
use super::view::find;

/// Operations for all vector sets of `staged`, behind the requests `earlier` of its group, which the catalog's view
/// shows already although their payloads may not be readable yet. Commits up to `readable` are.
pub(crate) fn plan_vectors(
    store: &StoreInner,
    view: View<'_>,
    staged: &Staged,
    earlier: &[&Staged],
    readable: u64,
) -> Result<Vec<Operation>> {
    let mut operations = Vec::new();
    let mut last_set = view.last_vector_set()?;
    for (name, set) in staged.vectors.iter().filter(|(_, set)| !set.is_empty()) {
        let checked = Check { store, view, name, set, earlier, readable }.run();
        let current = checked.map_err(|e| e.key(&name.1))?;
        if let Some(dropped) = set.dropped_set {
            operations.push(Operation::DropVectorSet { set: dropped });
        }
        let mut spec = set.spec.clone();
        if set.is_new {
            last_set = next(last_set)?;
            spec.set = last_set;
            operations.push(Operation::CreateVectorSet(spec.clone()));
        }
        let last_part = if current.is_some() { view.last_part(spec.set)? } else { 0 };
        push_changes(&mut operations, set, &spec, last_part)?;
    }
    Ok(operations)
}

fn next(last: u32) -> Result<u32> {
    last.checked_add(1)
        .ok_or_else(|| Error::new(ErrorKind::Unsupported, "all numbers of vector sets or parts are used up"))
}

fn push_changes(operations: &mut Vec<Operation>, set: &StagedSet, spec: &VectorSetSpec, last_part: u32) -> Result<()> {
    let number = spec.set;
    let unstaged = || Error::internal("a bitmap of deleted rows was not staged");
    operations.extend(set.dropped_parts.iter().map(|&part| Operation::DropPart { set: number, part }));
    for (&part, dead) in &set.dead {
        let bitmap = dead.digest.ok_or_else(unstaged)?;
        operations.push(Operation::SetTombstones { set: number, part, bitmap });
    }
    let companion = |(&part, &companion)| Operation::SetCompanion { set: number, part, companion };
    operations.extend(set.companions.iter().map(companion));
    let mut part = last_part;
    for new in &set.new_parts {
        part = next(part)?;
        operations.push(Operation::AppendPart(AppendPart {
            spec: spec.clone(),
            part,
            rows: new.rows,
            vectors: new.vectors,
            ids: new.ids_digest,
            companion: new.companion,
        }));
        if !new.dead.rows.is_empty() {
            let bitmap = new.dead.digest.ok_or_else(unstaged)?;
            operations.push(Operation::SetTombstones { set: number, part, bitmap });
        }
    }
    Ok(())
}

/// One set of one request.
struct Check<'a> {
    store: &'a StoreInner,
    view: View<'a>,
    name: &'a SetName,
    set: &'a StagedSet,
    earlier: &'a [&'a Staged],
    readable: u64,
}

impl Check<'_> {
    /// The set as it is now, unless it is new or goes.
    fn run(&self) -> Result<Option<VectorSetRow>> {
        let current = self.view.vector_set(self.name.0, &self.name.1, LATEST)?;
        let number = current.as_ref().map(|row| row.spec.set);
        let set = self.set;
        if let Some(dropped) = set.dropped_set {
            return if number == Some(dropped) { Ok(None) } else { Err(conflict("the vector set was dropped")) };
        }
        if set.is_new {
            let what = "there is a vector set of this name";
            return if number.is_none() { Ok(None) } else { Err(Error::new(ErrorKind::AlreadyExists, what)) };
        }
        if number != Some(set.spec.set) {
            return Err(conflict("the vector set was dropped"));
        }
        let parts: BTreeMap<u32, PartState> =
            self.view.parts(set.spec.set, LATEST)?.into_iter().map(|state| (state.part, state)).collect();
        for base in &set.base {
            let part = base.state.part;
            let rows_change = set.dead.contains_key(&part) || set.dropped_parts.contains(&part);
            if !rows_change && !set.companions.contains_key(&part) {
                continue;
            }
            match parts.get(&part) {
                None => return Err(conflict("a part of the vector set was compacted")),
                Some(now) if rows_change && now.tombstone_lsn != base.state.tombstone_lsn => {
                    return Err(conflict("vectors of the same part were deleted or replaced"));
                }
                Some(_) => {}
            }
        }
        self.check_new_ids(&parts)?;
        Ok(current)
    }

    /// None of the ids this request adds, or looked for in vain to delete, may have come to the set meanwhile.
    fn check_new_ids(&self, parts: &BTreeMap<u32, PartState>) -> Result<()> {
        let set = self.set;
        if set.new_parts.iter().all(|part| part.is_moved) && set.absent.is_empty() {
            return Ok(());
        }
        let mut absent = memory::copied(&set.absent)?;
        absent.sort_unstable();
        let taken = |id: i64| absent.binary_search(&id).is_ok() || set.new_parts.iter().any(|part| part.adds(id));
        let found = |id: i64| Err(conflict(format!("vector {id} was added by another commit")));
        for other in self.earlier.iter().filter_map(|staged| staged.vectors.get(self.name)) {
            for part in &other.new_parts {
                let live = |&&id: &&i64| find(&part.ids, &part.dead.rows, id).is_some();
                if let Some(&id) = part.ids.iter().filter(live).find(|id| taken(**id)) {
                    return found(id);
                }
            }
        }
        for state in parts.values().filter(|state| state.added_lsn <= self.readable) {
            if set.base.binary_search_by_key(&state.part, |part| part.state.part).is_ok() {
                continue;
            }
            let row = self.view.part(set.spec.set, state)?;
            let ids = self.read(&row.ids)?;
            let (numbers, mut ids) = (ids.as_chunks::<8>().0, Vec::new());
            memory::reserve(&mut ids, numbers.len())?;
            ids.extend(numbers.iter().map(|bytes| i64::from_le_bytes(*bytes)));
            let dead = match &row.tombstones {
                // Written by this group, it can only be of rows that were live before: those count as live here, which
                // costs a needless conflict at worst.
                Some(placed) if state.tombstone_lsn.is_some_and(|lsn| lsn <= self.readable) => {
                    let bytes = self.read(placed)?;
                    RoaringBitmap::deserialize_from(&bytes[..])
                        .map_err(|e| Error::corrupt("a bitmap of deleted rows cannot be read").source_box(e.into()))?
                }
                _ => RoaringBitmap::new(),
            };
            let live = |&&id: &&i64| find(&ids, &dead, id).is_some();
            if let Some(&id) = ids.iter().filter(live).find(|id| taken(**id)) {
                return found(id);
            }
        }
        Ok(())
    }

    fn read(&self, placed: &PlacedPayload) -> Result<Vec<u8>> {
        let lost = || Error::corrupt("no copy of the payload is left");
        let copy = placed.copy.as_ref().ok_or_else(lost)?;
        let copy = self.store.segments.open_copy(copy, &placed.digest, placed.raw_bytes)?;
        let len = usize::try_from(placed.raw_bytes).map_err(|_| lost())?;
        let mut bytes = memory::zeroed(len)?;
        copy.read_into(0, &mut bytes)?;
        Ok(bytes)
    }
}

fn conflict(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Conflict, what).hint("run the transaction again")
}
