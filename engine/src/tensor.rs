//! Tensors as callers give and get them: a type, a shape, and bytes in C order, little-endian.

use std::marker::PhantomData;
use std::ops::Deref;

use zerocopy::{FromBytes, IntoBytes};

use crate::bytes::Bytes;
use crate::dtype::{DType, Encoding, byte_len};
use crate::element::Element;
use crate::error::{Error, ErrorKind, Result};

/// A tensor to be stored: borrowed bytes whose length was checked against type and shape.
#[derive(Clone, Debug)]
pub struct Tensor<'a> {
    dtype: DType,
    shape: Vec<u64>,
    encoding: Encoding,
    bytes: &'a [u8],
}

impl<'a> Tensor<'a> {
    /// A tensor of plain elements. Fails with `InvalidShape` unless `bytes` is as long as type and shape say.
    pub fn new(dtype: DType, shape: &[u64], bytes: &'a [u8]) -> Result<Self> {
        Self::encoded(dtype, shape, Encoding::Plain, bytes)
    }

    /// As [`Tensor::new`], with quantised elements or opaque blocks.
    pub fn encoded(dtype: DType, shape: &[u64], encoding: Encoding, bytes: &'a [u8]) -> Result<Self> {
        let expected = byte_len(dtype, shape, &encoding)?;
        if expected != bytes.len() as u64 {
            let what = format!("{dtype} with shape {shape:?} takes {expected} bytes, {} were given", bytes.len());
            return Err(Error::new(ErrorKind::InvalidShape, what));
        }
        Ok(Tensor { dtype, shape: shape.to_vec(), encoding, bytes })
    }

    /// A tensor over a slice of numbers, without copying.
    pub fn from_slice<T: Element>(shape: &[u64], elements: &'a [T]) -> Result<Self> {
        Self::new(T::DTYPE, shape, elements.as_bytes())
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Dimensions, outermost first; empty for a scalar.
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// How elements are to be understood.
    pub fn encoding(&self) -> &Encoding {
        &self.encoding
    }

    /// The bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// Stored elements seen as numbers, without a copy. Dereferences to `[T]` in C order.
#[derive(Clone, Debug)]
pub struct TensorView<T> {
    bytes: Bytes,
    shape: Vec<u64>,
    element: PhantomData<T>,
}

impl<T: Element> TensorView<T> {
    /// Fails with `Unsupported` when the stored type is another one.
    pub(crate) fn new(dtype: DType, shape: Vec<u64>, bytes: Bytes) -> Result<Self> {
        if dtype != T::DTYPE {
            let what = format!("the atom holds {dtype}, not {}", T::DTYPE);
            return Err(Error::new(ErrorKind::Unsupported, what));
        }
        if <[T]>::ref_from_bytes(&bytes).is_err() {
            return Err(Error::internal("payload bytes are not aligned for their elements"));
        }
        Ok(TensorView { bytes, shape, element: PhantomData })
    }

    /// Dimensions, outermost first.
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// The bytes behind the view.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

impl<T: Element> Deref for TensorView<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // Checked in `new`; bytes neither move nor change.
        <[T]>::ref_from_bytes(&self.bytes).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_must_match_type_and_shape() {
        assert!(Tensor::new(DType::F32, &[2, 3], &[0; 24]).is_ok());
        assert_eq!(Tensor::new(DType::F32, &[2, 3], &[0; 23]).unwrap_err().kind(), ErrorKind::InvalidShape);
        assert!(Tensor::from_slice(&[3], &[1_i16, 2, 3]).is_ok());
        assert!(Tensor::from_slice(&[4], &[1_i16, 2, 3]).is_err());
        assert!(Tensor::new(DType::F32, &[0, 9], &[]).is_ok(), "empty tensors are tensors");
    }
}
