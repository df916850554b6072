//! Read-only maps of committed bytes, and slices that keep their map alive.

use std::fmt;
use std::io;
use std::ops::Deref;
use std::sync::Arc;

use super::Mapping;

/// A read-only view of the first bytes of a file, up to [`Map::covers`].
///
/// Invariant the engine keeps: it asks for slices of *committed* ranges only, and no process ever writes or cuts a
/// committed range again. Bytes behind that range may be changing or may lie past the end of the file; they are
/// inside the mapping and outside every slice.
#[derive(Clone)]
#[repr(align(64))] // a counter shares its cache line with no other counter
pub struct Map(Arc<Inner>);

enum Inner {
    Os(Mapping),
    /// For simulated volumes: a copy of the committed bytes.
    #[cfg(any(test, feature = "testing"))]
    Copy(Box<[u8]>),
}

impl Map {
    pub(super) fn from_os(mapping: Mapping) -> Self {
        Map(Arc::new(Inner::Os(mapping)))
    }

    /// A map that is a private copy.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn from_copy(bytes: Vec<u8>) -> Self {
        Map(Arc::new(Inner::Copy(bytes.into_boxed_slice())))
    }

    fn len(&self) -> usize {
        match &*self.0 {
            Inner::Os(mapping) => mapping.len(),
            #[cfg(any(test, feature = "testing"))]
            Inner::Copy(bytes) => bytes.len(),
        }
    }

    /// True when bytes `0..end` can be reached through this map.
    pub fn covers(&self, end: u64) -> bool {
        end <= self.len() as u64
    }

    /// The bounds of `offset..offset + len` inside this map, if it lies inside.
    fn bounds(&self, offset: u64, len: usize) -> Option<usize> {
        let start = usize::try_from(offset).ok()?;
        let end = start.checked_add(len)?;
        (end <= self.len()).then_some(start)
    }

    /// Brings a committed range into memory, so that touching it cannot fault. Blocks while the device reads.
    ///
    /// Fails with the device's error, or `UnexpectedEof` where the file is shorter than the range: the cases in which
    /// touching the bytes would have killed the process.
    pub fn populate(&self, offset: u64, len: usize) -> io::Result<()> {
        let start = self.bounds(offset, len).ok_or(io::ErrorKind::UnexpectedEof)?;
        match &*self.0 {
            Inner::Os(mapping) => mapping.populate(start, len),
            #[cfg(any(test, feature = "testing"))]
            Inner::Copy(_) => Ok(()),
        }
    }

    /// How many bytes of a range lie in pages that are in memory, as the system says at this moment. Touches no page.
    pub fn resident_bytes(&self, offset: u64, len: usize) -> io::Result<u64> {
        let start = self.bounds(offset, len).ok_or(io::ErrorKind::UnexpectedEof)?;
        match &*self.0 {
            Inner::Os(mapping) => mapping.resident_bytes(start, len),
            #[cfg(any(test, feature = "testing"))]
            Inner::Copy(_) => Ok(len as u64),
        }
    }

    /// The same map behind a counter of its own: slices of it are cloned and dropped without touching what slices of
    /// others count in, so that threads that read different payloads do not wait for each other's caches.
    pub fn counted_apart(&self) -> Arc<Self> {
        Arc::new(self.clone())
    }

    /// A slice of a committed range. Fails with `UnexpectedEof` when the map does not reach that far, and as
    /// [`Map::populate`] does where the system maps no file that is still written (Windows): the bytes are read then.
    pub fn slice(self: &Arc<Self>, offset: u64, len: usize) -> io::Result<MapSlice> {
        let start = self.bounds(offset, len).ok_or(io::ErrorKind::UnexpectedEof)?;
        match &*self.0 {
            Inner::Os(mapping) => mapping.fill(start, len)?,
            #[cfg(any(test, feature = "testing"))]
            Inner::Copy(_) => {}
        }
        Ok(MapSlice { map: Arc::clone(self), start, len })
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Map({} bytes)", self.len())
    }
}

/// Immutable bytes inside a [`Map`], which they keep mapped. Cheap to clone.
#[derive(Clone, Debug)]
pub struct MapSlice {
    map: Arc<Map>,
    start: usize,
    len: usize,
}

impl MapSlice {
    /// A part of this slice; `None` when it does not lie inside.
    pub fn part(&self, offset: usize, len: usize) -> Option<MapSlice> {
        let end = offset.checked_add(len)?;
        (end <= self.len).then(|| MapSlice { map: Arc::clone(&self.map), start: self.start + offset, len })
    }
}

impl Deref for MapSlice {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &*self.map.0 {
            Inner::Os(mapping) => {
                // SAFETY: `add` needs the result inside one allocation.
                // - `start + len <= mapping.len()`: checked by `Map::slice` / `part`, and a map never shrinks.
                let first = unsafe { mapping.as_ptr().add(self.start) };
                // SAFETY: `from_raw_parts` needs `len` readable, initialised bytes that nobody writes during the borrow.
                // - Readable: inside the mapping (above), which `self.map` keeps alive as long as the borrow.
                // - Initialised: file-backed pages always are, and `Map::slice` has filled others.
                // - Not written: the caller of `Map::slice` asks for committed ranges only, which are immutable.
                unsafe { std::slice::from_raw_parts(first, self.len) }
            }
            #[cfg(any(test, feature = "testing"))]
            Inner::Copy(bytes) => &bytes[self.start..self.start + self.len],
        }
    }
}
