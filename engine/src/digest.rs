//! Payload digests: BLAKE3-256 of the whole payload, computed chunk by chunk, in any order, on any core.
//! Chunks are subtrees of BLAKE3's own tree (section 2.1 of the BLAKE3 paper), so the result is the ordinary hash.

use std::fmt;

use rayon::prelude::*;

use blake3::hazmat::{ChainingValue, HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};

/// BLAKE3-256 of a payload.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Hashes a payload that is at hand as a whole.
    pub fn of(bytes: &[u8]) -> Self {
        Digest(*blake3::hash(bytes).as_bytes())
    }

    /// The digest of 64 hexadecimal digits; none for anything else. Inverse of its text.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        let mut digest = [0; 32];
        if digits.len() != 2 * digest.len() {
            return None;
        }
        for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |c: u8| char::from(c).to_digit(16);
            *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
        }
        Some(Digest(digest))
    }

    /// As [`Digest::of`], on all threads of a pool.
    pub(crate) fn of_parallel(bytes: &[u8], pool: &rayon::ThreadPool) -> Self {
        if bytes.len() <= 2 * PARALLEL_BYTES {
            return Self::of(bytes);
        }
        let leaves: Vec<Leaf> = pool.install(|| {
            let parts = bytes.par_chunks(PARALLEL_BYTES).enumerate();
            parts.map(|(i, part)| Leaf::new((i * PARALLEL_BYTES) as u64, part)).collect()
        });
        let mut builder = DigestBuilder::default();
        leaves.into_iter().for_each(|leaf| builder.push(leaf));
        builder.finish()
    }
}

/// Bytes one thread hashes at a time; a power of two.
const PARALLEL_BYTES: usize = 256 << 10;

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Hex(&self.0), f)
    }
}

/// Bytes as hexadecimal digits, never all of them at once in memory.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// The hash state of one chunk, computed apart from the others.
pub(crate) struct Leaf {
    value: ChainingValue,
    /// Kept for the first chunk only: if it stays the only one, the root is made from it.
    first: Option<Box<blake3::Hasher>>,
}

impl Leaf {
    /// Hashes one chunk, `offset` bytes from the start of the payload. Not for an empty payload.
    ///
    /// `offset` must be a multiple of the chunk size, and that a power of two of at least 1,024.
    pub(crate) fn new(offset: u64, bytes: &[u8]) -> Self {
        debug_assert!(!bytes.is_empty());
        let mut hasher = blake3::Hasher::new();
        hasher.set_input_offset(offset).update(bytes);
        let value = hasher.finalize_non_root();
        Leaf { value, first: (offset == 0).then(|| Box::new(hasher)) }
    }
}

/// Joins leaves, given in order, into the digest.
#[derive(Default)]
pub(crate) struct DigestBuilder {
    /// Complete subtrees, largest first: one per set bit of `count`, plus those not merged yet.
    stack: Vec<ChainingValue>,
    count: u64,
    first: Option<Box<blake3::Hasher>>,
}

impl DigestBuilder {
    pub(crate) fn push(&mut self, leaf: Leaf) {
        // Merging is put off until a next leaf exists, because the last merge of all is the root's.
        while self.stack.len() > self.count.count_ones() as usize {
            self.merge_top();
        }
        self.stack.push(leaf.value);
        self.count += 1;
        if leaf.first.is_some() {
            self.first = leaf.first;
        }
    }

    fn merge_top(&mut self) {
        if let (Some(right), Some(left)) = (self.stack.pop(), self.stack.pop()) {
            self.stack.push(merge_subtrees_non_root(&left, &right, Mode::Hash));
        }
    }

    pub(crate) fn finish(mut self) -> Digest {
        while self.stack.len() > 2 {
            self.merge_top();
        }
        match (self.stack.as_slice(), &self.first) {
            ([left, right], _) => Digest(*merge_subtrees_root(left, right, Mode::Hash).as_bytes()),
            ([_], Some(only)) => Digest(*only.finalize().as_bytes()),
            _ => Digest::of(&[]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parallel_equals_ordinary() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let data: Vec<u8> = (0..3_000_000_u32).map(|i| (i ^ (i >> 9)) as u8).collect();
        for len in [0, 1, 600_000, 1 << 20, data.len()] {
            assert_eq!(Digest::of_parallel(&data[..len], &pool), Digest::of(&data[..len]), "{len}");
        }
    }

    // A wrong merge order would still look like a hash; only the ordinary hash of the same bytes tells.
    #[test]
    fn chunked_equals_ordinary_for_every_tree_shape() {
        let data: Vec<u8> = (0..70_000_u32).map(|i| (i * 7 + i / 251) as u8).collect();
        for chunk in [1024, 2048, 4096] {
            for len in (0..40).map(|n| n * 1024).flat_map(|n| [n, n + 1, n + 1023]).chain([data.len()]) {
                let bytes = &data[..len.min(data.len())];
                let mut builder = DigestBuilder::default();
                for (i, part) in bytes.chunks(chunk).enumerate() {
                    builder.push(Leaf::new((i * chunk) as u64, part));
                }
                assert_eq!(builder.finish(), Digest::of(bytes), "{len} bytes in chunks of {chunk}");
            }
        }
    }
}
