//! States as bytes: a header of 76 bytes, numbers, a checksum; all little-endian.

use zerocopy::byteorder::little_endian::{F64, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Aggregate, Aggregation, NUMBERS_MAX, WEIGHT_MAX, linear, zeros};
use crate::error::{Error, ErrorKind, Result};
use crate::memory;

const MAGIC: [u8; 4] = *b"TAag";
const VERSION: u16 = 1;

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    magic: [u8; 4],
    version: U16,
    kind: U16,
    /// CRC-32 of everything before and after it.
    crc: U32,
    parameters: [U64; 3],
    /// 0 before the first row.
    dim: U64,
    count: U64,
    numbers: U64,
    weight: F64,
    threshold: F64,
}

/// Where the checksum lies.
const CRC: std::ops::Range<usize> = 8..12;
const _: () = assert!(size_of::<Header>() == 76);

impl Aggregate {
    /// The state as bytes, for spilling and travelling. As long as its numbers take, at most 128 MiB and 76 bytes.
    /// `OutOfMemory` where they cannot be had.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let (kind, parameters) = self.spec.to_numbers();
        let header = Header {
            magic: MAGIC,
            version: VERSION.into(),
            kind: kind.into(),
            crc: 0.into(),
            parameters: parameters.map(U64::new),
            dim: (self.dim as u64).into(),
            count: self.count.into(),
            numbers: (self.numbers.len() as u64).into(),
            weight: self.weight.into(),
            threshold: self.threshold.into(),
        };
        let mut bytes = Vec::new();
        let len = self.numbers.len().saturating_mul(8).saturating_add(size_of::<Header>());
        memory::reserve(&mut bytes, len)?;
        bytes.extend_from_slice(header.as_bytes());
        self.numbers.iter().for_each(|x| bytes.extend_from_slice(&x.to_le_bytes()));
        let crc = checksum(&bytes);
        bytes[CRC].copy_from_slice(&crc.to_le_bytes());
        Ok(bytes)
    }

    /// Inverse of [`Aggregate::to_bytes`]: the same state to the bit. `NewerFormat` for a later version, `Corrupt` for bytes
    /// no state has; takes no more memory than the bytes do.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (header, rest) = Header::read_from_prefix(bytes).map_err(|_| corrupt("cut short"))?;
        if header.magic != MAGIC || header.version.get() == 0 {
            return Err(corrupt("something else"));
        }
        if header.version.get() > VERSION {
            return Err(Error::new(ErrorKind::NewerFormat, format!("an aggregate of version {}", header.version)));
        }
        if checksum(bytes) != header.crc.get() {
            return Err(corrupt("different from its checksum"));
        }
        let spec = Aggregation::from_numbers(header.kind.get(), header.parameters.map(U64::get))
            .ok_or_else(|| corrupt("of no known kind"))?;
        let mut state = Aggregate::new(spec)?;
        let size = |x: U64| usize::try_from(x.get()).ok().filter(|&x| x <= NUMBERS_MAX);
        let (words, tail) = rest.as_chunks::<8>();
        match (size(header.dim), size(header.numbers)) {
            (Some(dim), Some(len)) if len == words.len() && tail.is_empty() => {
                state.dim = dim;
                state.numbers = zeros(len)?;
            }
            _ => return Err(corrupt("of an impossible length")),
        }
        state.numbers.iter_mut().zip(words).for_each(|(x, &word)| *x = f64::from_le_bytes(word));
        state.count = header.count.get();
        state.weight = header.weight.get();
        state.threshold = header.threshold.get();
        if state.is_possible() { Ok(state) } else { Err(corrupt("contradictory")) }
    }

    fn is_possible(&self) -> bool {
        let signed = self.spec == Aggregation::Sum;
        let weight = self.weight.is_finite() && (signed || (self.weight > 0.0) == (self.count > 0));
        if !weight || (self.dim == 0 && (self.count > 0 || !self.numbers.is_empty())) {
            return false;
        }
        let Some(budget) = self.spec.points_max() else {
            let len = if self.dim == 0 { Some(0) } else { linear::numbers_len(self.spec, self.dim) };
            let is_signed = !matches!(self.spec, Aggregation::Variance { .. } | Aggregation::LogSumExp);
            let from = if is_signed { self.numbers.len() } else { self.dim };
            return self.threshold == 0.0
                && len == Some(self.numbers.len())
                && !self.numbers.iter().skip(from).any(|m2| *m2 < 0.0)
                && (!self.spec.needs_finite() || self.numbers.iter().all(|x| !x.is_nan()));
        };
        let stride = self.dim.saturating_add(1);
        let points = self.numbers.len() / stride;
        let held = u64::try_from(points).unwrap_or(u64::MAX);
        self.numbers.len() == points.saturating_mul(stride)
            && points < budget.saturating_mul(2)
            && self.threshold.is_finite()
            && if self.threshold == 0.0 { held == self.count } else { points >= budget && held < self.count }
            && self.threshold >= 0.0
            && self.numbers.iter().all(|x| x.is_finite())
            && self.numbers.iter().step_by(stride).all(|&weight| weight > 0.0 && weight <= WEIGHT_MAX)
    }
}

/// Of a state that is at least as long as its header.
fn checksum(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..CRC.start]);
    hasher.update(&bytes[CRC.end..]);
    hasher.finalize()
}

fn corrupt(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("the state of an aggregate is {what}")).during("aggregate")
}
