//! How fast this process decodes: bytes and time of every chunk that a codec decoded, all threads together.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::codec;
use crate::error::Result;
use crate::format::Codec;

/// What one codec decoded.
struct Meter {
    bytes: AtomicU64,
    nanos: AtomicU64,
}

/// By the codec's number; those of codecs to come have room.
static METERS: [Meter; 16] = [const { Meter { bytes: AtomicU64::new(0), nanos: AtomicU64::new(0) } }; 16];

/// Decodes a chunk and counts it.
pub(super) fn decode(codec: Codec, stored: &[u8], raw: &mut [u8]) -> Result<()> {
    let started = Instant::now();
    codec::decode(codec, stored, raw)?;
    if let Some(meter) = METERS.get(usize::from(codec.number())) {
        let nanos = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        meter.bytes.fetch_add(raw.len() as u64, Ordering::Relaxed);
        meter.nanos.fetch_add(nanos, Ordering::Relaxed);
    }
    Ok(())
}

/// Raw bytes that a codec decoded in this process, and the nanoseconds its threads took for it.
pub(crate) fn decoded(codec: Codec) -> (u64, u64) {
    let read = |meter: &Meter| (meter.bytes.load(Ordering::Relaxed), meter.nanos.load(Ordering::Relaxed));
    METERS.get(usize::from(codec.number())).map_or((0, 0), read)
}
