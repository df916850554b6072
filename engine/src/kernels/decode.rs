//! Rows as f64, some elements at a time, for the functions that are not worth a form per element type.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use super::Rows;
use super::dispatch;
use super::float::Float;
use super::vector::{Isa, Kernel};
use crate::dtype::DType;
use crate::element::{F8E4M3, F8E5M2};
use crate::error::{Error, ErrorKind, Result};

/// Elements decoded at a time.
pub(super) const CHUNK: usize = 64;

/// Work on the elements of a row, in order, at most [`CHUNK`] at a time.
pub(super) trait Visit {
    fn visit(&mut self, elements: &[f64]);
}

/// Visits the elements of row `index`, compiled for the instruction set of this process. Every type is widened exactly.
pub(super) fn visit<V: Visit>(rows: Rows<'_>, index: usize, visitor: &mut V) {
    dispatch::present().run(Walk { dtype: rows.dtype(), bytes: rows.row_bytes(index), visitor });
}

/// Row `index` as f64; of a type that [`supported`] lets pass. `target` is as long as the row.
pub(crate) fn widen(rows: Rows<'_>, index: usize, target: &mut [f64]) {
    visit(rows, index, &mut Copy(target.iter_mut()));
}

struct Copy<'a>(std::slice::IterMut<'a, f64>);

impl Visit for Copy<'_> {
    #[inline(always)]
    fn visit(&mut self, elements: &[f64]) {
        // Elements first: a pair is not begun when they have run out.
        elements.iter().zip(&mut self.0).for_each(|(&element, target)| *target = element);
    }
}

/// Fails with `Unsupported` for types that [`visit`] does not know.
pub(crate) fn supported(rows: Rows<'_>) -> Result<()> {
    use DType::{Bf16, F8E4M3, F8E5M2, F16, F32, F64, I8, I16, I32, U8, U16, U32};
    match rows.dtype() {
        F64 | F32 | F16 | Bf16 | F8E4M3 | F8E5M2 | I8 | U8 | I16 | U16 | I32 | U32 => Ok(()),
        other => Err(Error::new(ErrorKind::Unsupported, format!("no arithmetic on {other}"))
            .hint("f64 f32 f16 bf16 f8e4m3 f8e5m2 i8 u8 i16 u16 i32 u32 are possible")),
    }
}

/// The one row a function takes. Fails with `InvalidShape` for none or several, with `Unsupported` as [`supported`].
pub(super) fn one_row(rows: Rows<'_>) -> Result<Rows<'_>> {
    if rows.rows() != 1 {
        return Err(Error::new(ErrorKind::InvalidShape, format!("one vector expected, {} rows given", rows.rows())));
    }
    supported(rows).map(|()| rows)
}

struct Walk<'a, V> {
    dtype: DType,
    bytes: &'a [u8],
    visitor: &'a mut V,
}

impl<V: Visit> Walk<'_, V> {
    /// Elements of a byte each.
    #[inline(always)]
    fn codes(self, value: impl Fn(u8) -> f64) {
        let mut wide = [0.0_f64; CHUNK];
        for chunk in self.bytes.chunks(CHUNK) {
            wide.iter_mut().zip(chunk).for_each(|(wide, &code)| *wide = value(code));
            self.visitor.visit(&wide[..chunk.len()]);
        }
    }
}

impl<V: Visit> Kernel for Walk<'_, V> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        let mut wide = [0.0_f64; CHUNK];
        macro_rules! walk {
            ($element:ty) => {
                for chunk in self.bytes.as_chunks().0.chunks(CHUNK) {
                    for (wide, &bytes) in wide.iter_mut().zip(chunk) {
                        *wide = f64::from(<$element>::from_le_bytes(bytes));
                    }
                    self.visitor.visit(&wide[..chunk.len()]);
                }
            };
        }
        match self.dtype {
            DType::F64 => walk!(f64),
            DType::F32 => walk!(f32),
            DType::F16 => {
                // By slices, for which `half` uses the processor's instruction.
                let (mut halves, mut singles) = ([f16::ZERO; CHUNK], [0.0_f32; CHUNK]);
                for chunk in self.bytes.as_chunks().0.chunks(CHUNK) {
                    halves.iter_mut().zip(chunk).for_each(|(half, &bytes)| *half = f16::from_le_bytes(bytes));
                    halves.convert_to_f32_slice(&mut singles);
                    wide.iter_mut().zip(&singles).for_each(|(wide, &single)| *wide = f64::from(single));
                    self.visitor.visit(&wide[..chunk.len()]);
                }
            }
            DType::Bf16 => walk!(bf16),
            DType::F8E4M3 => self.codes(|code| F8E4M3(code).to_f64()),
            DType::F8E5M2 => self.codes(|code| F8E5M2(code).to_f64()),
            DType::I8 => walk!(i8),
            DType::I16 => walk!(i16),
            DType::U16 => walk!(u16),
            DType::I32 => walk!(i32),
            DType::U32 => walk!(u32),
            _ => walk!(u8),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Sums of 8-bit floats taken for integers would look plausible, and be wrong by powers of two.
    #[test]
    fn eight_bit_floats_are_widened_to_their_numbers() {
        let codes: Vec<u8> = (0..=u8::MAX).collect();
        let mut wide = vec![0.0; codes.len()];
        let mut check = |dtype: DType, number: &dyn Fn(u8) -> f64| {
            widen(Rows::new(dtype, 1, codes.len(), &codes).unwrap(), 0, &mut wide);
            let expected = codes.iter().map(|&code| number(code).to_bits());
            assert!(wide.iter().map(|x| x.to_bits()).eq(expected), "{dtype}");
        };
        check(DType::F8E4M3, &|code| F8E4M3(code).to_f64());
        check(DType::F8E5M2, &|code| F8E5M2(code).to_f64());
        let halves = [F8E4M3(0x30); 100]; // 0.5
        assert_eq!(crate::kernels::sum(Rows::one(&halves).unwrap()).unwrap(), 50.0);
    }
}
