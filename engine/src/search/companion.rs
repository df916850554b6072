//! Companions: int8 codes of a matrix with what they leave out, row by row. Built, laid out and opened here; what may be
//! concluded from them is in [`super::bound`].

use std::ops::Range;

use rayon::prelude::*;
use zerocopy::{FromBytes, IntoBytes};

use crate::bytes::AlignedBuffer;
use crate::dtype::DType;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{ALIGN_SMALL, COMPANION_MAGIC, CompanionHeaderBytes, align_up};
use crate::tensor::TensorView;

use super::elements::{decode, row_len_bytes};
use super::source::ByteSource;

/// Longest rows that have companions: their integer inner products stay far from overflow.
pub(crate) const DIM_MAX: usize = 1 << 16;
/// Norms about which bounds are proven; rows and queries outside are compared in full precision.
pub(super) const NORMS: std::ops::RangeInclusive<f64> = 9.5367431640625e-7..=1_073_741_824.0; // 2^-20..=2^30
/// Largest code; -128 is not used, so that codes are symmetric.
const CODE_MAX: f64 = 127.0;
/// Rows coded in one piece of work.
const ROWS_PER_TASK: usize = 256;

/// True for the element types for which a companion has fewer bytes than the matrix.
pub(crate) fn is_worthwhile(dtype: DType, dim: usize) -> bool {
    matches!(dtype, DType::F64 | DType::F32 | DType::F16 | DType::Bf16) && (1..=DIM_MAX).contains(&dim)
}

/// Where the columns of a companion lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    dim: u64,
    columns: [u64; 4],
    codes: u64,
    len: u64,
}

impl Layout {
    pub(crate) fn new(rows: u64, dim: usize) -> Result<Self> {
        let too_large = || Error::new(ErrorKind::InvalidShape, "a companion of that many rows is too large");
        let dim = dim as u64;
        let code_bytes = rows.checked_mul(dim).filter(|bytes| *bytes < 1 << 47).ok_or_else(too_large)?;
        let column = align_up(rows.checked_mul(4).ok_or_else(too_large)?, ALIGN_SMALL);
        let first = CompanionHeaderBytes::LEN as u64;
        let codes = first + 4 * column;
        let columns = [first, first + column, first + 2 * column, first + 3 * column];
        Ok(Layout { dim, columns, codes, len: codes + code_bytes })
    }
}

/// A companion to be read in blocks of rows.
#[derive(Clone, Copy)]
pub(crate) struct Companion<'a> {
    source: &'a dyn ByteSource,
    layout: Layout,
}

/// Some rows of a companion.
pub(super) struct CompanionBlock {
    scale: TensorView<f32>,
    error: TensorView<f32>,
    norm: TensorView<f32>,
    decoded_norm2: TensorView<f32>,
    codes: TensorView<i8>,
}

impl<'a> Companion<'a> {
    /// Fails with `Corrupt` unless the bytes are a companion of this many rows.
    pub(crate) fn open(source: &'a dyn ByteSource, rows: u64, dim: usize) -> Result<Self> {
        let layout = Layout::new(rows, dim)?;
        let wrong = || Error::corrupt("the companion does not belong to its matrix");
        if source.len_bytes() != layout.len {
            return Err(wrong());
        }
        let bytes = source.range(0..CompanionHeaderBytes::LEN as u64)?;
        let header = CompanionHeaderBytes::ref_from_bytes(&bytes).map_err(|_| wrong())?;
        if header.magic != COMPANION_MAGIC || header.rows.get() != rows || u64::from(header.dim.get()) != layout.dim {
            return Err(wrong());
        }
        if header.version.get() != 1 {
            let what = format!("companion format {} is newer than this library", header.version.get());
            return Err(
                Error::new(ErrorKind::NewerFormat, what).hint("use a newer version, or search without companion")
            );
        }
        Ok(Companion { source, layout })
    }

    pub(super) fn block(&self, rows: Range<u64>) -> Result<CompanionBlock> {
        let column = |start: u64| -> Result<TensorView<f32>> {
            let bytes = self.source.range(start + 4 * rows.start..start + 4 * rows.end)?;
            TensorView::new(DType::F32, vec![rows.end - rows.start], bytes)
        };
        let [scale, error, norm, decoded_norm2] = self.layout.columns;
        let dim = self.layout.dim;
        let codes = self.source.range(self.layout.codes + rows.start * dim..self.layout.codes + rows.end * dim)?;
        Ok(CompanionBlock {
            scale: column(scale)?,
            error: column(error)?,
            norm: column(norm)?,
            decoded_norm2: column(decoded_norm2)?,
            codes: TensorView::new(DType::I8, vec![rows.end - rows.start, dim], codes)?,
        })
    }
}

impl CompanionBlock {
    pub(super) fn codes(&self) -> &[i8] {
        &self.codes
    }

    pub(super) fn columns(&self) -> Columns<'_> {
        Columns { scale: &self.scale, error: &self.error, norm: &self.norm, decoded_norm2: &self.decoded_norm2 }
    }
}

/// What a companion says about rows besides their codes; all of one length.
#[derive(Clone, Copy)]
pub(super) struct Columns<'a> {
    pub(super) scale: &'a [f32],
    pub(super) error: &'a [f32],
    pub(super) norm: &'a [f32],
    pub(super) decoded_norm2: &'a [f32],
}

/// What a row's codes leave out.
struct Coded {
    scale: f32,
    error: f32,
    norm: f32,
    decoded_norm2: f32,
}

/// A row about which a companion says nothing: every bound from it is useless, and so it is always compared in full.
const UNKNOWN: Coded = Coded { scale: 0.0, error: f32::INFINITY, norm: 1.0, decoded_norm2: 0.0 };

/// Builds the companion of a matrix of contiguous rows, in memory: `dim` + 16 bytes per row.
pub(crate) fn build(dtype: DType, dim: usize, matrix: &[u8]) -> Result<AlignedBuffer> {
    let row_bytes = row_len_bytes(dtype, dim);
    let rows = matrix.len().checked_div(row_bytes).unwrap_or(0);
    let layout = Layout::new(rows as u64, dim)?;
    let len = usize::try_from(layout.len).map_err(|_| Error::new(ErrorKind::OutOfMemory, "a companion too large"))?;
    let mut buffer = AlignedBuffer::zeroed(len)?;
    let header = CompanionHeaderBytes {
        magic: COMPANION_MAGIC,
        version: 1.into(),
        dim: u32::try_from(dim).unwrap_or(u32::MAX).into(),
        rows: (rows as u64).into(),
        reserved: [0; 40],
    };
    let (head, rest) = buffer.as_mut_slice().split_at_mut(CompanionHeaderBytes::LEN);
    head.copy_from_slice(header.as_bytes());
    let column = (layout.columns[1] - layout.columns[0]) as usize;
    let (scales, rest) = rest.split_at_mut(column);
    let (errors, rest) = rest.split_at_mut(column);
    let (norms, rest) = rest.split_at_mut(column);
    let (decoded, codes) = rest.split_at_mut(column);
    let cells = 4 * ROWS_PER_TASK;
    let columns = scales.par_chunks_mut(cells).zip(errors.par_chunks_mut(cells));
    let columns = columns.zip(norms.par_chunks_mut(cells).zip(decoded.par_chunks_mut(cells)));
    let pieces =
        matrix.par_chunks(row_bytes.max(1) * ROWS_PER_TASK).zip(codes.par_chunks_mut(dim.max(1) * ROWS_PER_TASK));
    columns.zip(pieces).for_each(|(((scales, errors), (norms, decoded)), (matrix, codes))| {
        let mut values = vec![0.0; dim];
        let rows = matrix.chunks_exact(row_bytes).zip(codes.chunks_exact_mut(dim));
        for (i, (row, codes)) in rows.enumerate() {
            decode(dtype, row, &mut values);
            let coded = code(&values, codes);
            let cell = 4 * i..4 * i + 4;
            scales[cell.clone()].copy_from_slice(&coded.scale.to_le_bytes());
            errors[cell.clone()].copy_from_slice(&coded.error.to_le_bytes());
            norms[cell.clone()].copy_from_slice(&coded.norm.to_le_bytes());
            decoded[cell].copy_from_slice(&coded.decoded_norm2.to_le_bytes());
        }
    });
    Ok(buffer)
}

/// Codes one row. Sums are taken in binary64, whose error over at most 2^16 terms is a factor of 1 + 2^-36 at most; what
/// must be an upper bound is then raised by 2^-30 and rounded up.
fn code(values: &[f64], codes: &mut [u8]) -> Coded {
    let largest = values.iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
    let norm = values.iter().map(|x| x * x).sum::<f64>().sqrt();
    if !NORMS.contains(&norm) {
        codes.fill(0); // NaN and infinite elements end here as well
        return UNKNOWN;
    }
    let scale = (largest / CODE_MAX) as f32;
    let (step, inverse) = (f64::from(scale), f64::from(scale).recip());
    let (mut error2, mut code2) = (0.0, 0.0);
    for (x, out) in values.iter().zip(codes) {
        let code = round(x * inverse).clamp(-CODE_MAX, CODE_MAX);
        let rest = x - step * code;
        error2 += rest * rest;
        code2 += code * code;
        *out = (code as i8).cast_unsigned();
    }
    Coded {
        scale,
        error: round_up(error2.sqrt() * RAISE),
        norm: round_up(norm * RAISE),
        decoded_norm2: (step * step * code2) as f32,
    }
}

/// The nearest integer, ties to even, of numbers below 2^51: adding 1.5 * 2^52 leaves no room for a fraction. Unlike
/// `round_ties_even` this is no call of a function where the processor's baseline has no such instruction.
fn round(x: f64) -> f64 {
    const NO_FRACTION: f64 = 6_755_399_441_055_744.0;
    (x + NO_FRACTION) - NO_FRACTION
}

/// 1 + 2^-30.
const RAISE: f64 = 1.0 + 1.0 / 1_073_741_824.0;

/// The next binary32 at or above; infinity beyond.
pub(super) fn round_up(x: f64) -> f32 {
    let nearest = x as f32;
    if f64::from(nearest) < x { nearest.next_up() } else { nearest }
}

/// A row in two levels of codes, for queries: `scale[0]` · first codes + `scale[1]` · second codes, and bounds on the
/// Euclidean norm of what the first level, and of what both leave out.
pub(super) struct TwoLevels {
    pub(super) scale: [f32; 2],
    pub(super) error: [f64; 2],
    pub(super) norm: f64,
}

/// Codes a query; none where no bounds are proven. `codes` takes both levels one behind the other.
pub(super) fn code_twice(values: &[f64], codes: &mut [i8]) -> Option<TwoLevels> {
    let norm = values.iter().map(|x| x * x).sum::<f64>().sqrt();
    if !NORMS.contains(&norm) {
        return None;
    }
    let mut rest = values.to_vec();
    let (mut scale, mut error) = ([0.0_f32; 2], [0.0; 2]);
    let levels = codes.chunks_exact_mut(values.len().max(1));
    for ((scale, error), codes) in scale.iter_mut().zip(&mut error).zip(levels) {
        let largest = rest.iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
        *scale = (largest / CODE_MAX) as f32;
        let step = f64::from(*scale);
        for (x, out) in rest.iter_mut().zip(codes) {
            let code = if step > 0.0 { round(*x / step).clamp(-CODE_MAX, CODE_MAX) } else { 0.0 };
            *x -= step * code;
            *out = code as i8;
        }
        *error = rest.iter().map(|x| x * x).sum::<f64>().sqrt() * RAISE;
    }
    Some(TwoLevels { scale, error, norm })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::Bytes;
    use crate::testing::random::Random;

    fn uniform(random: &mut Random) -> f64 {
        random.below(1 << 53) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    // Every pruning decision rests on this: an error smaller than the real one loses neighbours silently.
    #[test]
    fn the_error_of_a_row_is_never_understated() {
        let mut random = Random::new(1);
        for case in 0..2000 {
            let dim = 1 + random.below(40) as usize;
            let magnitude = 2_f64.powi(random.below(44) as i32 - 16);
            let mut row: Vec<f32> = (0..dim).map(|_| (uniform(&mut random) * magnitude) as f32).collect();
            if case % 3 == 0 {
                row[0] *= 1000.0; // an outlier that spoils the scale
            }
            let matrix = row.as_bytes();
            let buffer = build(DType::F32, dim, matrix).unwrap();
            let bytes = Bytes::owned(buffer);
            let companion = Companion::open(&bytes, 1, dim).unwrap();
            let block = companion.block(0..1).unwrap();
            let columns = block.columns();
            if columns.error[0].is_infinite() {
                continue;
            }
            let exact = |f: &dyn Fn(f64, f64) -> f64| -> f64 {
                row.iter().zip(block.codes()).map(|(&x, &c)| f(f64::from(x), f64::from(c))).sum()
            };
            let scale = f64::from(columns.scale[0]);
            let error = exact(&|x, c| (x - scale * c).powi(2)).sqrt();
            assert!(f64::from(columns.error[0]) >= error, "{error} is stored as {}", columns.error[0]);
            assert!(error <= scale * 0.5001 * (dim as f64).sqrt(), "codes are not the nearest ones");
            let norm = exact(&|x, _| x * x).sqrt();
            assert!((norm..=norm * (1.0 + 1.0 / f64::from(1 << 22))).contains(&f64::from(columns.norm[0])));
        }
    }

    #[test]
    fn what_cannot_be_bounded_is_marked() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e20, 0.0, 1e-20] {
            let buffer = build(DType::F32, 2, [bad, 0.0].as_bytes()).unwrap();
            let bytes = Bytes::owned(buffer);
            let block = Companion::open(&bytes, 1, 2).unwrap().block(0..1).unwrap();
            let columns = block.columns();
            let row = (columns.scale[0], columns.error[0], columns.norm[0], columns.decoded_norm2[0]);
            assert_eq!(row, (0.0, f32::INFINITY, 1.0, 0.0), "{bad}");
            assert_eq!(block.codes(), [0, 0]);
        }
    }

    #[test]
    fn a_companion_of_another_matrix_is_refused() {
        let bytes = Bytes::owned(build(DType::F32, 2, [1.0_f32; 8].as_bytes()).unwrap());
        assert!(Companion::open(&bytes, 4, 2).is_ok());
        for (rows, dim) in [(3, 2), (4, 3), (2, 4), (8, 1)] {
            let error = Companion::open(&bytes, rows, dim).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{rows} x {dim}");
        }
    }
}
