//! Windows: volumes, files, maps and locks on the calls of that system.

mod locks;
mod mapping;
mod replace;
mod system;
mod volume;

pub(in crate::file) use mapping::Mapping;
pub use replace::Replacement;
pub use system::memory_bytes;
pub(crate) use system::random_bytes;
pub(crate) use volume::is_out_of_handles;
pub use volume::{OsVolume, open_files_limit, open_source};
