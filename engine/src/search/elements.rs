//! Elements of any searchable type as binary64, which holds them all exactly.

use crate::dtype::DType;

/// Bytes of a row.
pub(crate) fn row_len_bytes(dtype: DType, dim: usize) -> usize {
    (dim.saturating_mul(dtype.bits() as usize)).div_ceil(8)
}

/// True for the element types that vectors may have.
pub(crate) fn is_searchable(dtype: DType) -> bool {
    use DType::{B1, Bf16, F16, F32, F64, I8, U8};
    matches!(dtype, F64 | F32 | F16 | Bf16 | I8 | U8 | B1)
}

/// Decodes a row; as many values as `out` holds.
pub(super) fn decode(dtype: DType, row: &[u8], out: &mut [f64]) {
    fn each<const N: usize>(row: &[u8], out: &mut [f64], value: impl Fn([u8; N]) -> f64) {
        for (bytes, out) in row.as_chunks::<N>().0.iter().zip(out) {
            *out = value(*bytes);
        }
    }
    match dtype {
        DType::F64 => each(row, out, f64::from_le_bytes),
        DType::F32 => each(row, out, |b| f64::from(f32::from_le_bytes(b))),
        DType::F16 => each(row, out, |b| half::f16::from_le_bytes(b).to_f64()),
        DType::Bf16 => each(row, out, |b| half::bf16::from_le_bytes(b).to_f64()),
        DType::I8 => each(row, out, |[b]| f64::from(b.cast_signed())),
        DType::U8 => each(row, out, |[b]| f64::from(b)),
        _ => out.iter_mut().enumerate().for_each(|(i, out)| {
            *out = f64::from(row.get(i / 8).map_or(0, |byte| byte >> (i % 8) & 1));
        }),
    }
}
