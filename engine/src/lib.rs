//! Embedded storage for tensor atoms: model weights, slices of them, embeddings.
//!
//! A store is a directory. It holds immutable tensors under keys, in files that are memory-mapped for reading, and is
//! opened by any number of processes of one machine at once. A commit is all or nothing and, unless told otherwise,
//! survives power loss when it returns. Every byte is verified when a process first touches it; damage is an error that
//! names the atom, and everything else is still served.
//!
//! ```
//! use tensoratom::{Options, Store, Tensor};
//! # fn main() -> tensoratom::Result<()> {
//! # let directory = tempfile::tempdir().unwrap();
//! # let path = directory.path().join("models");
//! let store = Store::open_or_create(&path, &Options::new())?;
//!
//! let weights: Vec<f32> = (0..6).map(|i| i as f32).collect();
//! let mut txn = store.begin()?;
//! txn.put("encoder/weight", &Tensor::from_slice(&[2, 3], &weights)?)?;
//! txn.commit()?; // durable now, and visible to every process
//!
//! let view = store.get("encoder/weight")?.view::<f32>()?; // a slice of the file: no copy
//! assert_eq!((view.shape(), view[4]), (&[2, 3][..], 4.0));
//! # Ok(())
//! # }
//! ```
//!
//! Vectors, searched exactly:
//!
//! ```
//! # use tensoratom::{Options, Store, Tensor};
//! # fn main() -> tensoratom::Result<()> {
//! # let directory = tempfile::tempdir().unwrap();
//! # let store = Store::open_or_create(directory.path().join("models"), &Options::new())?;
//! # let (ids, query) = ([7, 42], [0.5_f32; 384]);
//! # let matrix = [[0.5_f32; 384], [-0.5; 384]].concat();
//! # store.put("bert/embeddings.weight", &Tensor::from_slice(&[2, 384], &matrix)?)?;
//! use tensoratom::kernels::{Metric, Rows};
//! use tensoratom::{DType, SearchOptions};
//!
//! let words = store.vectors("words", 384, DType::F32, Metric::Cosine)?;
//! words.append(&ids, Rows::of(384, &matrix)?)?; // durable, like any commit
//!
//! let nearest = words.search(Rows::one(&query)?, 10, &SearchOptions::new())?; // exact: ids and distances
//! let stored = store.snapshot()?.matrix("bert/embeddings.weight", Metric::Cosine)?; // searched in place, no copy
//! # assert_eq!((nearest[0][0].id, stored.len()), (7, 2));
//! # Ok(())
//! # }
//! ```
//!
//! # Nouns
//!
//! | noun | meaning |
//! | --- | --- |
//! | [`Store`] | a directory; shared by all handles of a process, and with other processes |
//! | [`Namespace`] | a tenant of a store: keys, listings and duplicates of namespaces never meet |
//! | [`Key`] | a name of up to 1,024 bytes, or an `i64` |
//! | [`AtomInfo`] | descriptor of one version of a key: type, shape, digest, metadata, commit |
//! | [`Payload`] | a handle on a version's bytes, read verified, whole or in ranges or rows |
//! | [`WriteTxn`] | a batch of changes, committed all or nothing |
//! | [`Snapshot`] | the store at one commit |
//! | [`VectorSet`] | a named set of vectors under `i64` ids: what [`search`] runs on |
//!
//! # Units and limits
//!
//! Lengths and offsets are bytes, times are microseconds since the Unix epoch, commits count from 1. A payload has at
//! most 256 TiB, a shape 64 dimensions, metadata 1 MiB.
//!
//! # Errors
//!
//! Every error is an [`Error`] with an [`ErrorKind`], whose numbers are stable and the same in every binding. Nothing
//! panics on what files, disks or callers do.
//!
//! # Threads, processes, signals
//!
//! Every type is `Send` and `Sync`. Readers never block and are never blocked. After `fork` the handles of the parent
//! answer with [`ErrorKind::Forked`] in the child, which can open the store anew. No signal handlers are installed.
//! In mapped mode, a file that is truncated *while its bytes are being used* raises SIGBUS, as with any mapped file;
//! [`ReadMode::Positioned`] maps no payload; what is mapped then is the catalog's small shared-memory file alone, which
//! nobody has a reason to cut.

pub mod aggregate;
mod bytes;
mod catalog;
mod codec;
mod control;
mod digest;
mod dtype;
mod element;
mod error;
#[cfg(any(test, feature = "testing"))]
pub mod file;
#[cfg(not(any(test, feature = "testing")))]
mod file;
mod format;
mod interchange;
pub mod kernels;
mod key;
mod memory;
pub mod search;
mod segment;
mod store;
mod tensor;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod tier;

pub use bytes::Bytes;
pub use catalog::{QueryResult, SqlValue};
pub use control::{Control, Progress};
pub use digest::Digest;
pub use dtype::{DType, Encoding, PAYLOAD_BYTES_MAX, RANK_MAX, byte_len};
pub use element::Element;
pub use error::{Error, ErrorKind, Result};
pub use format::{Codec, Tier};
pub use interchange::{ExportOptions, ExportReport, FileFormat, ImportOptions, ImportReport, NpyArray};
pub use key::{Key, KeyRef, NAME_BYTES_MAX};
pub use search::{Neighbor, SearchOptions};
pub use segment::{DecodeCacheStat, decode_cache, set_decode_cache_bytes};
pub use store::{
    Accounted, Address, ApplyReport, AsOf, AtomInfo, Atoms, Change, Changes, CodecStat, ColdReport, ColdStat,
    CompactOptions, Companions, Damage, Durability, Expect, GcOptions, GcReport, Holder, ListOptions, MaintainReport,
    Matrix, MoveOptions, MoveReport, Namespace, Options, Payload, PayloadWriter, PutOptions, ReadMode, RepairOptions,
    RepairReport, Snapshot, Stat, Store, TierStat, VectorSet, VectorSetInfo, VectorSnapshot, VectorWriter,
    VerifyOptions, VerifyReport, WriteTxn, repair, set_cold_directory,
};
pub use tensor::{Tensor, TensorView};
pub use tier::{MoveReason, TierCodec, TierMove, TierPin, TierPlan, TierPolicy, TierRule};
