//! TensorAtom engine (draft front page).
mod bytes;
mod catalog;
mod control;
mod digest;
mod dtype;
mod error;
#[cfg(any(test, feature = "testing"))]
pub mod file;
#[cfg(not(any(test, feature = "testing")))]
mod file;
mod format;
mod interchange;
mod key;
mod segment;
mod store;
mod tensor;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub use bytes::Bytes;
pub use catalog::{QueryResult, SqlValue};
pub use control::{Control, Progress};
pub use digest::Digest;
pub use dtype::{DType, Encoding, PAYLOAD_BYTES_MAX, RANK_MAX, byte_len};
pub use error::{Error, ErrorKind, Result};
pub use format::{Codec, Tier};
pub use interchange::{ExportOptions, ExportReport, FileFormat, ImportOptions, ImportReport};
pub use key::{Key, KeyRef, NAME_BYTES_MAX};
pub use store::*;
pub use tensor::{Element, Tensor, TensorView};
