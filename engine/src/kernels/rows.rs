//! Borrowed matrices: bytes whose length was checked against type, dimension and stride once, so that kernels need not.

use std::ops::Range;

use zerocopy::IntoBytes;

use crate::dtype::DType;
use crate::element::Element;
use crate::error::{Error, ErrorKind, Result};

/// A matrix of `rows` x `dim` elements of one type, in C order, little-endian. Rows may be apart (`stride_bytes`), any
/// alignment is accepted. Rows of `b1` start at a byte, lowest bit first; bits beyond the dimension are ignored.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    dtype: DType,
    rows: usize,
    dim: usize,
    stride_bytes: usize,
    /// Exactly from the first byte of the first row to the last byte of the last row.
    bytes: &'a [u8],
}

impl<'a> Rows<'a> {
    /// Rows that follow one another without gaps. Fails with `InvalidShape` unless `bytes` is as long as they are,
    /// with `Unsupported` for `opaque`.
    #[inline]
    pub fn new(dtype: DType, rows: usize, dim: usize, bytes: &'a [u8]) -> Result<Self> {
        let width = width_bytes(dtype, dim)?;
        if width.checked_mul(rows) != Some(bytes.len()) {
            return Err(other_length(dtype, rows, dim, bytes.len()));
        }
        Ok(Rows { dtype, rows, dim, stride_bytes: width, bytes })
    }

    /// Bytes of one row of `dim` elements. Fails with `Unsupported` for `opaque`, with `InvalidShape` where they are more than
    /// memory can have.
    #[inline]
    pub fn width_bytes(dtype: DType, dim: usize) -> Result<usize> {
        width_bytes(dtype, dim)
    }

    /// Rows whose starts are `stride_bytes` apart. `bytes` begins at the first row and may go on after the last one.
    /// Fails with `InvalidShape` when rows overlap or lie outside `bytes`.
    #[inline]
    pub fn strided(dtype: DType, rows: usize, dim: usize, stride_bytes: usize, bytes: &'a [u8]) -> Result<Self> {
        let width_bytes = width_bytes(dtype, dim)?;
        let end = match rows.checked_sub(1) {
            None => Some(0),
            Some(last) => last.checked_mul(stride_bytes).and_then(|start| start.checked_add(width_bytes)),
        };
        let bytes = end.and_then(|end| bytes.get(..end)).filter(|_| rows <= 1 || stride_bytes >= width_bytes);
        match bytes {
            Some(bytes) => Ok(Rows { dtype, rows, dim, stride_bytes, bytes }),
            None => {
                let what =
                    format!("{rows} rows of {dim} {dtype}, {stride_bytes} bytes apart, overlap or are cut short");
                Err(Error::new(ErrorKind::InvalidShape, what))
            }
        }
    }

    /// A matrix over numbers. Fails with `InvalidShape` unless they fill whole rows (`dim` 0 takes no numbers and has
    /// no rows).
    pub fn of<T: Element>(dim: usize, elements: &'a [T]) -> Result<Self> {
        let rows = elements.len().checked_div(dim).unwrap_or(0);
        Self::new(T::DTYPE, rows, dim, elements.as_bytes())
    }

    /// One row over numbers.
    pub fn one<T: Element>(elements: &'a [T]) -> Result<Self> {
        Self::new(T::DTYPE, 1, elements.len(), elements.as_bytes())
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Elements of one row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Bytes from one row to the next.
    pub fn stride_bytes(&self) -> usize {
        self.stride_bytes
    }

    /// The bytes of row `index`; empty when there is no such row.
    #[inline]
    pub fn row_bytes(&self, index: usize) -> &'a [u8] {
        if index >= self.rows {
            return &[];
        }
        // In range: checked by the constructors for every index below `rows`.
        let start = index.wrapping_mul(self.stride_bytes);
        self.bytes.get(start..).and_then(|rest| rest.get(..self.width())).unwrap_or(&[])
    }

    /// All bytes, where rows follow one another without gaps.
    pub(crate) fn contiguous(&self) -> Option<&'a [u8]> {
        (self.rows <= 1 || self.stride_bytes == self.width()).then_some(self.bytes)
    }

    /// Row `index` as a matrix of one row; of no row when there is no such row.
    pub fn row(&self, index: usize) -> Rows<'a> {
        self.slice(index..index.saturating_add(1))
    }

    /// The rows of `range`, cut off at the last row.
    pub fn slice(&self, range: Range<usize>) -> Rows<'a> {
        let end = range.end.min(self.rows);
        let start = range.start.min(end);
        let rows = end.saturating_sub(start);
        // Both products are in range: checked by the constructors for every index below `rows`.
        let first = start.wrapping_mul(self.stride_bytes);
        let len = match rows.checked_sub(1) {
            None => 0,
            Some(last) => last.wrapping_mul(self.stride_bytes).wrapping_add(self.width()),
        };
        let bytes = self.bytes.get(first..).and_then(|rest| rest.get(..len)).unwrap_or(&[]);
        Rows { rows, bytes, ..*self }
    }

    /// The same matrix, made of its parts: where one that is given away would have to lie in memory first, one of which only
    /// parts are read need not. Its bytes are cut, for the compiler takes a matrix of just the same parts for a copy.
    #[inline(always)]
    pub(super) fn remade(&self) -> Rows<'a> {
        let Rows { dtype, rows, dim, stride_bytes, bytes } = *self;
        Rows { dtype, rows, dim, stride_bytes, bytes: bytes.split_at(0).1 }
    }

    /// All bytes of what is one row.
    #[inline(always)]
    pub(super) fn only_row(&self) -> Option<&'a [u8]> {
        (self.rows == 1).then_some(self.bytes)
    }

    /// Bytes of one row; at most `stride_bytes` when there is more than one row. No field of its own: it would be copied
    /// with every argument.
    #[inline(always)]
    fn width(&self) -> usize {
        // In range: `bytes` ends with the last row.
        self.rows.checked_sub(1).map_or(0, |last| self.bytes.len().wrapping_sub(last.wrapping_mul(self.stride_bytes)))
    }

    /// Start of row `index`, which is below `rows()`: `width` readable bytes follow, see [`Rows::row_bytes`].
    #[inline(always)]
    pub(super) fn start(&self, index: usize) -> *const u8 {
        debug_assert!(index < self.rows, "row {index} of {}", self.rows);
        self.bytes.as_ptr().wrapping_add(index.wrapping_mul(self.stride_bytes))
    }
}

/// Bytes of one row.
#[inline]
fn width_bytes(dtype: DType, dim: usize) -> Result<usize> {
    let width = match dtype {
        DType::Opaque => return Err(no_numbers()),
        DType::B1 => Some(dim.div_ceil(8)),
        _ => dim.checked_mul(dtype.bits() as usize / 8),
    };
    width.ok_or_else(|| too_wide(dtype, dim))
}

// Errors are made apart: with them the checks of a short pair would not be inlined.

#[cold]
fn no_numbers() -> Error {
    Error::new(ErrorKind::Unsupported, "opaque blocks are no numbers; dequantise them first")
}

#[cold]
fn too_wide(dtype: DType, dim: usize) -> Error {
    Error::new(ErrorKind::InvalidShape, format!("{dim} {dtype} do not fit into memory"))
}

#[cold]
fn other_length(dtype: DType, rows: usize, dim: usize, bytes: usize) -> Error {
    let what = format!("{rows} rows of {dim} {dtype} take another number of bytes than {bytes}");
    Error::new(ErrorKind::InvalidShape, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Kernels read what `Rows` promises without looking again: a wrong check here is a read outside the buffer.
    #[test]
    fn lengths_strides_and_overflow_are_checked() {
        let bytes = [0_u8; 64];
        let refused = |rows: Result<Rows<'_>>| assert_eq!(rows.unwrap_err().kind(), ErrorKind::InvalidShape);
        assert_eq!(Rows::new(DType::F32, 4, 4, &bytes).unwrap().rows(), 4);
        refused(Rows::new(DType::F32, 4, 3, &bytes));
        refused(Rows::new(DType::F32, 1 << 60, 1 << 60, &bytes));
        refused(Rows::new(DType::F64, 1, usize::MAX, &bytes));
        assert!(Rows::strided(DType::F32, 3, 3, 24, &bytes).is_ok());
        refused(Rows::strided(DType::F32, 3, 5, 24, &bytes));
        refused(Rows::strided(DType::F32, 3, 3, 8, &bytes));
        refused(Rows::strided(DType::U8, usize::MAX, 1, usize::MAX, &bytes));
        refused(Rows::of(3, &[1.0_f32; 4]));
        refused(Rows::of(0, &[1.0_f32; 4]));
        assert_eq!(Rows::new(DType::Opaque, 1, 1, &bytes).unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(Rows::new(DType::B1, 32, 9, &bytes).unwrap().row_bytes(31).len(), 2);
    }

    #[test]
    fn rows_and_slices_are_where_the_stride_says() {
        let bytes: Vec<u8> = (0..20).collect();
        let rows = Rows::strided(DType::U8, 4, 3, 5, &bytes).unwrap();
        assert_eq!(rows.row_bytes(3), [15, 16, 17]);
        assert!(rows.row_bytes(4).is_empty());
        assert_eq!(rows.slice(1..9).row_bytes(2), [15, 16, 17]);
        assert_eq!((rows.slice(1..9).rows(), rows.slice(7..9).rows(), rows.row(2).row_bytes(0)[0]), (3, 0, 10));
    }
}
