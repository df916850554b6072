//! Segments: append-only files that hold records. A record is a self-describing header, a contiguous payload, and a
//! table with a checksum per chunk. Knows descriptors as bytes to keep; never which atoms are alive, and no policy.
//!
//! Life of a segment: *open* (one owner appends; readers use its committed part) → *sealed* (a footer indexes it,
//! nothing changes) → *condemned* → deleted. Committed bytes never change and are never cut.

mod appender;
mod coded;
mod copy;
mod decoded;
mod footer;
mod header;
mod reader;
mod record;
mod scan;
mod site;
mod speed;

pub(crate) use appender::{Appender, DeletionLease, Lease, Placement, Stream, Written};
pub(crate) use coded::Recoded;
pub(crate) use copy::{BaseAccess, PayloadCopy, read_payload};
pub use decoded::{DecodeCacheStat, decode_cache, set_decode_cache_bytes};
pub(crate) use footer::{FooterEntry, read_footer};
pub(crate) use header::SegmentHeader;
pub(crate) use reader::SegmentReader;
pub(crate) use record::{Description, Record, encoding_from_text, encoding_to_text};
pub(crate) use scan::{Scan, ScanStop};
pub(crate) use site::{SegmentKey, Site};
pub(crate) use speed::decoded;
