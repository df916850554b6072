//! Which payload another one is coded against when it goes to cold: one that it was made from, or that came before it, as
//! long as that makes it clearly smaller.

use std::sync::Arc;

use crate::catalog::{LATEST, StoredRow, VersionRow, View};
use crate::codec::{self, Coding};
use crate::control::Control;
use crate::digest::Digest;
use crate::error::{ErrorKind, Result};
use crate::key::KeyRef;
use crate::memory::zeroed;
use crate::segment::PayloadCopy;

use super::StoreInner;
use super::staging::{Staged, StagedMove};

/// How payloads are moved to a tier.
#[derive(Clone, Debug, Default)]
pub struct MoveOptions {
    base: Option<String>,
    deltas: Option<bool>,
}

impl MoveOptions {
    /// As the policy of the store says: payloads that go to cold may be coded against others where
    /// [`TierPolicy::deltas`](crate::TierPolicy::deltas) is on.
    pub fn new() -> Self {
        Self::default()
    }

    /// Codes what goes to cold against the atom of the same name under another prefix, say `ft/x` against `base/x`: where
    /// it has the same type and length, and where that makes it smaller by a tenth or more. Comes before what the lineage
    /// says, and holds whatever the policy says. Default: none.
    #[must_use]
    pub fn base(mut self, prefix: impl Into<String>) -> Self {
        self.base = Some(prefix.into());
        self
    }

    /// Whether payloads may be coded against what they were made from (the parents of their version, then the version
    /// before it). Default: as the policy says.
    #[must_use]
    pub fn deltas(mut self, deltas: bool) -> Self {
        self.deltas = Some(deltas);
        self
    }
}

/// Where bases of one move come from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bases<'a> {
    /// From lineage and earlier versions.
    of_relatives: bool,
    /// A prefix of the payloads moved, and what stands there in the names of their bases.
    named: Option<(&'a str, &'a str)>,
    /// The caller, not the policy, wants lineage and earlier versions.
    relatives_asked: bool,
}

impl<'a> Bases<'a> {
    pub(super) fn new(options: &'a MoveOptions, prefix: &'a str, policy: bool) -> Self {
        let named = options.base.as_deref().map(|base| (prefix, base));
        let relatives_asked = options.deltas == Some(true);
        Bases { of_relatives: options.deltas.unwrap_or(policy), named, relatives_asked }
    }

    pub(super) fn by_policy(policy: bool) -> Self {
        Bases { of_relatives: policy, named: None, relatives_asked: false }
    }

    /// Those that the caller asked for: the policy's do not count beside a codec that it names.
    pub(super) fn asked_for(self) -> Self {
        Bases { of_relatives: self.relatives_asked, ..self }
    }

    pub(super) fn is_none(&self) -> bool {
        !self.of_relatives && self.named.is_none()
    }

    /// Versions that may serve as the base of one, the likeliest first.
    pub(super) fn candidates(&self, view: View<'_>, namespace: u32, version: &VersionRow) -> Result<Vec<VersionRow>> {
        let mut found = Vec::new();
        // Only versions have relatives.
        if version.lsn_from == 0 {
            return Ok(found);
        }
        if let (Some((prefix, base)), KeyRef::Name(name)) = (self.named, version.key.as_ref())
            && let Some(rest) = name.strip_prefix(prefix)
        {
            let named = view.version(namespace, KeyRef::Name(&format!("{base}{rest}")), LATEST)?;
            found.extend(named.map(|found| found.version).filter(|one| one.dtype == version.dtype));
        }
        if self.of_relatives {
            let relatives = view.relatives(namespace, version)?;
            found.extend(relatives.into_iter().filter(|one| one.dtype == version.dtype && one.shape == version.shape));
        }
        found.retain(|one| one.raw_bytes == version.raw_bytes && one.digest != version.digest);
        Ok(found)
    }
}

/// Pieces of a payload, and where they begin.
#[derive(Debug, Default)]
pub(super) struct Samples {
    pub(super) offsets: Vec<u64>,
    pub(super) pieces: Vec<Vec<u8>>,
}

/// The payload that one should be coded against, if any; `plain` is the codec it gets otherwise.
pub(super) fn choose_base(
    inner: &StoreInner,
    staged: &Staged,
    (namespace, version): (u32, &VersionRow),
    bases: Bases<'_>,
    (plain, samples): (Coding, &Samples),
    control: &Control<'_>,
) -> Result<Option<Arc<PayloadCopy>>> {
    let reader = inner.catalog.read()?;
    let view = reader.view()?;
    let candidates = bases.candidates(view, namespace, version)?;
    let base_in_this_step = |digest: &Digest| {
        let moved = staged.moves.iter().filter(|moved| moved.namespace == namespace);
        moved.filter_map(|moved| moved.base.as_ref()).any(|base| base.record().digest == *digest)
    };
    if candidates.is_empty() || view.is_base(version.payload)? || base_in_this_step(&version.digest) {
        return Ok(None);
    }
    let mut tried: Vec<Digest> = vec![version.digest];
    for candidate in candidates {
        let Some(digest) = root(view, staged, namespace, &candidate.digest)? else { continue };
        let Some(stored) = view.payload(namespace, &digest)?.filter(|_| !tried.contains(&digest)) else { continue };
        tried.push(digest);
        let (base, differences) = match differences(inner, &stored, samples, control) {
            // A damaged base is no reason to leave a payload where it is.
            Err(e) if e.kind() == ErrorKind::Corrupt => continue,
            other => other?,
        };
        if codec::delta_pays(version.dtype, plain, &samples.pieces, &differences)? {
            return Ok(Some(base));
        }
    }
    Ok(None)
}

/// A base, and how the samples differ from it.
fn differences(
    inner: &StoreInner,
    stored: &StoredRow,
    samples: &Samples,
    control: &Control<'_>,
) -> Result<(Arc<PayloadCopy>, Vec<Vec<u8>>)> {
    let base = inner.segments.open_copy(&stored.copy, &stored.digest, stored.raw_bytes)?;
    let mut differences = samples.pieces.clone();
    for (&offset, piece) in samples.offsets.iter().zip(&mut differences) {
        control.check()?;
        let mut other = zeroed(piece.len())?;
        base.read_into(offset, &mut other)?;
        codec::xor(piece, &other);
    }
    Ok((base, differences))
}

/// A payload that is coded against nothing, now and once the step is committed: the one asked for, or its base. None for one
/// that only the step will code without its base.
fn root(view: View<'_>, staged: &Staged, namespace: u32, digest: &Digest) -> Result<Option<Digest>> {
    let moved = staged.moves.iter().find(|moved| moved.namespace == namespace && moved.written.digest == *digest);
    match moved {
        Some(StagedMove { base: Some(base), .. }) => Ok(Some(base.record().digest)),
        Some(_) => Ok(view.root_of(namespace, digest)?.filter(|root| root == digest)),
        None => view.root_of(namespace, digest),
    }
}
