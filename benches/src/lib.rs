//! Workloads shared by the benchmarks: seeded, so that every run measures the same.

use std::ops::Deref;
use std::path::Path;

use half::{bf16, f16};
use tempfile::TempDir;
use tensoratom::{DType, Options, Result, Store, Tensor};

/// Bytes that neither compress nor repeat (SplitMix64, Steele, Lea, Flood 2014).
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let mut bytes: Vec<u8> = (0..len.div_ceil(8)).flat_map(|_| next().to_le_bytes()).collect();
    bytes.truncate(len);
    bytes
}

/// A directory that is removed afterwards: in memory where the machine has a RAM disk, else where temporary files go.
pub fn scratch() -> std::io::Result<TempDir> {
    let builder = || tempfile::Builder::new().prefix("tensoratom-bench-").to_owned();
    match Path::new("/dev/shm").is_dir() {
        true => builder().tempdir_in("/dev/shm"),
        false => builder().tempdir(),
    }
}

/// Name of the n-th atom of [`filled`].
pub fn key(n: usize) -> String {
    format!("model/layer.{n:06}.weight")
}

/// A store with `count` atoms of `len` bytes each, no two alike.
pub fn filled(directory: &Path, count: usize, len: usize) -> Result<Store> {
    let store = Store::create(directory.join("store"), &Options::new())?;
    let mut txn = store.begin()?;
    let mut bytes = noise(1, len);
    for n in 0..count {
        let stamp = (n as u64).to_le_bytes();
        let stamped = stamp.len().min(len);
        bytes[..stamped].copy_from_slice(&stamp[..stamped]);
        txn.put(&key(n), &Tensor::new(DType::U8, &[len as u64], &bytes)?)?;
    }
    txn.commit()?;
    Ok(store)
}

/// Clustered vectors of Euclidean norm 1, as embeddings are: every thousandth vector starts a cluster around a centre of
/// normal coordinates; a vector is its centre plus 0.7 times a normal one, scaled to norm 1. Centres depend on the
/// number of vectors only, so that queries (`stream` other than 0) lie among the same clusters.
///
/// Normal coordinates are sums of four uniform ones (Irwin-Hall), which is near enough and fast.
pub fn clusters(count: usize, dim: usize, stream: u64, rows: usize) -> Vec<f32> {
    let centres = count.div_ceil(1000).max(1) as u64;
    let mut centre = vec![0.0; dim];
    let mut vectors = Vec::with_capacity(rows * dim);
    for row in 0..rows as u64 {
        let mut choice = Normal(stream << 48 ^ row << 20 ^ 0x5eed);
        let which = choice.bits() % centres;
        let mut at = Normal(which << 20 ^ 0xce17);
        centre.iter_mut().for_each(|x| *x = at.next());
        let start = vectors.len();
        vectors.extend(centre.iter().map(|x| x + 0.7 * choice.next()));
        let vector = &mut vectors[start..];
        let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        vector.iter_mut().for_each(|x| *x /= norm);
    }
    vectors
}

/// Numbers that are nearly normal, of mean 0 and variance 1.
pub fn normals(seed: u64, count: usize) -> Vec<f32> {
    let mut source = Normal(seed);
    (0..count).map(|_| source.next()).collect()
}

/// Numbers that are nearly normal, from SplitMix64.
struct Normal(u64);

impl Normal {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn next(&mut self) -> f32 {
        let bits = self.bits();
        let sum: u32 = (0..4).map(|i| (bits >> (16 * i)) as u32 & 0xffff).sum();
        // Mean 2, variance 1/3.
        (sum as f32 / 65_536.0 - 2.0) * 1.732_050_8
    }
}

/// A matrix of numbers between -1 and 1 (of i8: between -127 and 127; of u8 and b1: any bytes).
pub fn numbers(seed: u64, dtype: DType, rows: usize, dim: usize) -> Aligned {
    let unit = |word: &[u8]| f32::from(i16::from_le_bytes([word[0], word[1]])) / 32768.0;
    let elements = rows * dim;
    let bytes: Vec<u8> = match dtype {
        DType::F64 => {
            noise(seed, 2 * elements).chunks_exact(2).flat_map(|w| f64::from(unit(w)).to_le_bytes()).collect()
        }
        DType::F32 => noise(seed, 2 * elements).chunks_exact(2).flat_map(|w| unit(w).to_le_bytes()).collect(),
        DType::F16 => {
            noise(seed, 2 * elements).chunks_exact(2).flat_map(|w| f16::from_f32(unit(w)).to_le_bytes()).collect()
        }
        DType::Bf16 => {
            noise(seed, 2 * elements).chunks_exact(2).flat_map(|w| bf16::from_f32(unit(w)).to_le_bytes()).collect()
        }
        DType::B1 => noise(seed, rows * dim.div_ceil(8)),
        DType::I8 => noise(seed, elements).iter().map(|&byte| if byte == 0x80 { 0 } else { byte }).collect(),
        _ => noise(seed, elements),
    };
    Aligned::new(&bytes)
}

/// Bytes at an address that is a multiple of 64, as payloads of a store are.
pub struct Aligned {
    bytes: Vec<u8>,
    start: usize,
}

impl Aligned {
    /// A copy.
    pub fn new(bytes: &[u8]) -> Self {
        let mut copy: Vec<u8> = Vec::with_capacity(bytes.len() + 64);
        let start = copy.as_ptr().align_offset(64);
        copy.resize(start, 0);
        copy.extend_from_slice(bytes);
        Aligned { bytes: copy, start }
    }
}

impl Deref for Aligned {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

/// The sum of the bytes taken as 64-bit words: as fast as memory can be read by plain code.
pub fn plain_sum(bytes: &[u8]) -> u64 {
    let (blocks, rest) = bytes.as_chunks::<64>();
    let mut lanes = [0_u64; 8];
    for block in blocks {
        for (lane, word) in lanes.iter_mut().zip(block.as_chunks().0) {
            *lane = lane.wrapping_add(u64::from_le_bytes(*word));
        }
    }
    let rest = rest.iter().map(|&byte| u64::from(byte));
    lanes.into_iter().chain(rest).fold(0, u64::wrapping_add)
}
