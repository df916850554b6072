//! Segments: append-only files that hold records. A record is a self-describing header, a contiguous payload, and a
//! table with a checksum per chunk. Knows descriptors as bytes to keep; never which atoms are alive, and no policy.
//!
//! Life of a segment: *open* (one owner appends; readers use its committed part) → *sealed* (a footer indexes it,
//! nothing changes) → *condemned* → deleted. Committed bytes never change and are never cut.

mod appender;
mod copy;
mod footer;
mod header;
mod reader;
mod record;
mod scan;

pub(crate) use appender::{Appender, Lease, Placement, Stream, Written};
pub(crate) use copy::{PayloadCopy, read_payload};
pub(crate) use footer::{FooterEntry, read_footer};
pub(crate) use header::SegmentHeader;
pub(crate) use reader::SegmentReader;
pub(crate) use record::{Description, Record, encoding_from_text, encoding_to_text};
pub(crate) use scan::{Scan, ScanStop, Scanned};

use crate::error::{Error, Result};
use crate::file::{LockMode, Open, Volume};
use crate::format::{LEASE_READER, LEASE_WRITER, names};

/// True when some process holds a lease of the segment in the given role: appending, or reading.
pub(crate) fn lease_held(volume: &dyn Volume, segment: u64, writer: bool) -> Result<bool> {
    let lease = match volume.open(&names::lease(segment), Open::Read) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        other => other.map_err(|e| Error::io("opening the lease", e).segment(segment))?,
    };
    let range = if writer { LEASE_WRITER } else { LEASE_READER };
    let held = lease.probe_lock(range).map_err(|e| Error::io("asking for the lease", e).segment(segment))?;
    Ok(matches!((held, writer), (Some(LockMode::Exclusive), true) | (Some(_), false)))
}
