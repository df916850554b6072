//! Which Rust types are element types.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::dtype::DType;

mod sealed {
    pub trait Sealed {}
}

/// A Rust type that is an element type. Sealed.
pub trait Element: sealed::Sealed + Copy + FromBytes + IntoBytes + Immutable + KnownLayout + 'static {
    /// The element type.
    const DTYPE: DType;
}

/// An 8-bit float with 4 exponent and 3 mantissa bits ([`DType::F8E4M3`]), as its code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(transparent)]
pub struct F8E4M3(pub u8);

/// An 8-bit float with 5 exponent and 2 mantissa bits ([`DType::F8E5M2`]), as its code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(transparent)]
pub struct F8E5M2(pub u8);

macro_rules! elements {
    ($($rust:ty => $dtype:ident),* $(,)?) => {
        $(
            impl sealed::Sealed for $rust {}
            impl Element for $rust { const DTYPE: DType = DType::$dtype; }
        )*
    };
}

elements! {
    f64 => F64, f32 => F32, half::f16 => F16, half::bf16 => Bf16, F8E4M3 => F8E4M3, F8E5M2 => F8E5M2,
    i64 => I64, i32 => I32, i16 => I16, i8 => I8,
    u64 => U64, u32 => U32, u16 => U16, u8 => U8,
}
