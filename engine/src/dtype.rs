//! Element types, encodings, and the one place that says how many bytes a shape takes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// Most dimensions a shape may have.
pub const RANK_MAX: usize = 64;

/// Largest payload in bytes (256 TiB); keeps all offset arithmetic far from overflow.
pub const PAYLOAD_BYTES_MAX: u64 = 1 << 48;

macro_rules! dtypes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $bits:literal, [$($alias:literal),*];)*) => {
        /// Type of one element. Numbers are part of the format; names are those of the field.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum DType {
            $($(#[$doc])* $variant = $number,)*
        }

        impl DType {
            /// Every type.
            pub const ALL: &'static [DType] = &[$(DType::$variant,)*];

            /// Canonical lower-case name (`f32`, `bf16`, ...).
            pub const fn name(self) -> &'static str {
                match self { $(DType::$variant => $name,)* }
            }

            /// Bits of one element; 0 for `opaque`, whose [`Encoding`] tells.
            pub const fn bits(self) -> u32 {
                match self { $(DType::$variant => $bits,)* }
            }

            /// The number in the format; never 0.
            pub const fn number(self) -> u8 {
                self as u8
            }

            /// Inverse of [`DType::number`].
            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(DType::$variant),)* _ => None }
            }
        }

        impl FromStr for DType {
            type Err = Error;

            /// Accepts the canonical name and the names NumPy, PyTorch and safetensors use, in any case.
            fn from_str(text: &str) -> Result<Self> {
                match text.to_ascii_lowercase().as_str() {
                    $($name $(| $alias)* => Ok(DType::$variant),)*
                    _ => Err(Error::new(ErrorKind::InvalidArgument, format!("unknown dtype '{}'", text.escape_debug()))
                        .hint("known: f64 f32 f16 bf16 f8e4m3 f8e5m2 i64 i32 i16 i8 u64 u32 u16 u8 bool b1 opaque")),
                }
            }
        }
    };
}

dtypes! {
    /// IEEE 754 binary64.
    F64 = 1, "f64", 64, ["float64", "double"];
    /// IEEE 754 binary32.
    F32 = 2, "f32", 32, ["float32", "float"];
    /// IEEE 754 binary16.
    F16 = 3, "f16", 16, ["float16", "half"];
    /// bfloat16: the upper half of a binary32.
    Bf16 = 4, "bf16", 16, ["bfloat16"];
    /// 8-bit float, 4 exponent and 3 mantissa bits, no infinity (OCP OFP8 E4M3).
    F8E4M3 = 5, "f8e4m3", 8, ["f8_e4m3", "float8_e4m3fn"];
    /// 8-bit float, 5 exponent and 2 mantissa bits (OCP OFP8 E5M2).
    F8E5M2 = 6, "f8e5m2", 8, ["f8_e5m2", "float8_e5m2"];
    /// Signed 64-bit integer.
    I64 = 7, "i64", 64, ["int64", "long"];
    /// Signed 32-bit integer.
    I32 = 8, "i32", 32, ["int32", "int"];
    /// Signed 16-bit integer.
    I16 = 9, "i16", 16, ["int16", "short"];
    /// Signed 8-bit integer.
    I8 = 10, "i8", 8, ["int8"];
    /// Unsigned 64-bit integer.
    U64 = 11, "u64", 64, ["uint64"];
    /// Unsigned 32-bit integer.
    U32 = 12, "u32", 32, ["uint32"];
    /// Unsigned 16-bit integer.
    U16 = 13, "u16", 16, ["uint16"];
    /// Unsigned 8-bit integer.
    U8 = 14, "u8", 8, ["uint8"];
    /// One byte per element, 0 or 1.
    Bool = 15, "bool", 8, ["boolean"];
    /// Packed bits, lowest bit first; each row (last dimension) starts at a byte.
    B1 = 16, "b1", 1, ["bit", "bits"];
    /// Blocks that only their named layout explains (GGUF quantisation, 4-bit floats, ...).
    Opaque = 17, "opaque", 0, [];
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How the elements of a tensor are to be understood beyond their [`DType`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Encoding {
    /// The elements are the values.
    #[default]
    Plain,
    /// Fixed-size blocks of a named layout; only with [`DType::Opaque`].
    Blocks {
        /// Name of the layout (`Q4_0`, `F4`, ...).
        layout: String,
        /// Elements per block.
        elements: u32,
        /// Bytes per block.
        bytes: u32,
    },
    /// Integers that stand for reals: `value = scale * (element - zero_point)`.
    Quantized {
        /// Elements per scale; 0 means one scale for the whole tensor.
        block: u32,
        /// One scale per block.
        scale: Vec<f32>,
        /// One zero point per block, or empty for symmetric quantisation.
        zero_point: Vec<i32>,
    },
}

impl Encoding {
    /// True for [`Encoding::Plain`].
    pub fn is_plain(&self) -> bool {
        *self == Encoding::Plain
    }
}

/// Bytes that a tensor of this type and shape takes. Any dimension may be 0; a scalar has no dimension.
///
/// Fails with `InvalidShape` on overflow, more than [`RANK_MAX`] dimensions, more than [`PAYLOAD_BYTES_MAX`] bytes, or
/// elements that do not fill whole blocks.
pub fn byte_len(dtype: DType, shape: &[u64], encoding: &Encoding) -> Result<u64> {
    let fail = |what: String| Error::new(ErrorKind::InvalidShape, what);
    let overflow = || fail(format!("{dtype} with shape {shape:?} is larger than a payload may be"));
    if shape.len() > RANK_MAX {
        return Err(fail(format!("{} dimensions are more than the {RANK_MAX} allowed", shape.len())));
    }
    let product = |dims: &[u64]| dims.iter().try_fold(1_u64, |product, &dim| product.checked_mul(dim));
    // A zero anywhere makes the tensor empty, even where the other dimensions would overflow.
    let elements = if shape.contains(&0) { 0 } else { product(shape).ok_or_else(overflow)? };
    let bytes = match (dtype, encoding) {
        (DType::Opaque, Encoding::Blocks { elements: per_block, bytes, layout }) => {
            let per_block = u64::from(*per_block);
            if per_block == 0 || *bytes == 0 {
                return Err(fail(format!("a block of layout '{layout}' is empty")));
            }
            if elements % per_block != 0 {
                return Err(fail(format!("{elements} elements do not fill blocks of {per_block} ('{layout}')")));
            }
            (elements / per_block).checked_mul(u64::from(*bytes)).ok_or_else(overflow)?
        }
        (DType::Opaque, _) => return Err(fail("dtype opaque needs the name and size of its blocks".into())),
        (_, Encoding::Blocks { layout, .. }) => {
            return Err(fail(format!("blocks of layout '{layout}' need dtype opaque, not {dtype}")));
        }
        (DType::B1, _) => match shape.split_last() {
            None => 1,
            Some(_) if elements == 0 => 0,
            Some((row, rest)) => product(rest).and_then(|n| n.checked_mul(row.div_ceil(8))).ok_or_else(overflow)?,
        },
        _ => elements.checked_mul(u64::from(dtype.bits() / 8)).ok_or_else(overflow)?,
    };
    if bytes > PAYLOAD_BYTES_MAX {
        return Err(overflow());
    }
    Ok(bytes)
}

/// Bytes of one step along the first dimension, where rows are addressable: not for scalars, blocks across rows, or
/// single packed bits.
pub(crate) fn row_bytes(dtype: DType, shape: &[u64], encoding: &Encoding) -> Result<u64> {
    match shape.split_first() {
        Some((_, [])) if dtype == DType::B1 => {
            Err(Error::new(ErrorKind::InvalidShape, "packed bits in one dimension have no rows of whole bytes"))
        }
        Some((_, rest)) => byte_len(dtype, if rest.is_empty() { &[1] } else { rest }, encoding),
        None => Err(Error::new(ErrorKind::InvalidShape, "a scalar has no rows")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(dtype: DType, shape: &[u64]) -> Result<u64> {
        byte_len(dtype, shape, &Encoding::Plain)
    }

    // A dtype of number 0 would make a zeroed header valid; a moved number would re-type old stores.
    #[test]
    fn numbers_are_stable_and_never_zero() {
        assert_eq!(DType::from_number(0), None);
        for &dtype in DType::ALL {
            assert_eq!(DType::from_number(dtype.number()), Some(dtype));
            assert_eq!(dtype.name().parse::<DType>().unwrap(), dtype);
        }
        assert_eq!((DType::F32.number(), DType::Opaque.number()), (2, 17));
        assert_eq!("BF16".parse::<DType>().unwrap(), DType::Bf16);
        assert!("f33".parse::<DType>().is_err());
    }

    #[test]
    fn lengths_of_ordinary_empty_and_scalar_tensors() {
        assert_eq!(plain(DType::F32, &[30_522, 384]).unwrap(), 46_881_792);
        assert_eq!(plain(DType::F64, &[]).unwrap(), 8);
        assert_eq!(plain(DType::I8, &[0]).unwrap(), 0);
        assert_eq!(plain(DType::I8, &[u64::MAX, u64::MAX, 0]).unwrap(), 0);
        assert_eq!(plain(DType::B1, &[3, 9]).unwrap(), 6);
        assert_eq!(plain(DType::B1, &[]).unwrap(), 1);
        assert_eq!(row_bytes(DType::B1, &[3, 9], &Encoding::Plain).unwrap(), 2);
        assert_eq!(row_bytes(DType::F32, &[7], &Encoding::Plain).unwrap(), 4);
    }

    #[test]
    fn products_that_overflow_are_refused() {
        for shape in [&[u64::MAX, 2][..], &[1 << 32, 1 << 32], &[1 << 47], &[1; 65]] {
            assert_eq!(plain(DType::F32, shape).unwrap_err().kind(), ErrorKind::InvalidShape, "{shape:?}");
        }
        assert!(plain(DType::B1, &[u64::MAX, u64::MAX]).is_err());
    }

    #[test]
    fn opaque_blocks_must_be_whole_and_named() {
        let q4 = Encoding::Blocks { layout: "Q4_0".into(), elements: 32, bytes: 18 };
        assert_eq!(byte_len(DType::Opaque, &[2, 64], &q4).unwrap(), 72);
        assert!(byte_len(DType::Opaque, &[33], &q4).is_err());
        assert!(plain(DType::Opaque, &[32]).is_err());
        assert!(byte_len(DType::F32, &[32], &q4).is_err());
        let void = Encoding::Blocks { layout: "x".into(), elements: 0, bytes: 0 };
        assert!(byte_len(DType::Opaque, &[32], &void).is_err());
    }
}
