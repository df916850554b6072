//! The one error type: a kind with a stable number, what was being done, to what, and what to do next.
//! Messages carry keys, segments and offsets, never payload bytes and never paths (paths are in [`Error::path`]).

use std::fmt;
use std::path::{Path, PathBuf};

/// Result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Declares [`ErrorKind`] once: number, name, and the sentence documentation and bindings show.
macro_rules! error_kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// What went wrong, as a program decides on it. Numbers are stable and append-only; every binding uses them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        #[repr(u16)]
        pub enum ErrorKind {
            $($(#[$doc])* $name = $number,)*
        }

        impl ErrorKind {
            /// Every kind, in the order of the numbers.
            pub const ALL: &'static [ErrorKind] = &[$(ErrorKind::$name,)*];

            /// The stable number of this kind.
            pub const fn number(self) -> u16 {
                self as u16
            }

            /// The name of this kind as written in code, for logs and bindings.
            pub const fn name(self) -> &'static str {
                match self {
                    $(ErrorKind::$name => stringify!($name),)*
                }
            }
        }
    };
}

error_kinds! {
    /// No atom, namespace, file or vector set of that name at that moment.
    NotFound = 1,
    /// Something of that name is there already.
    AlreadyExists = 2,
    /// Another commit changed the key or the vector set since it was read; read again and decide.
    Conflict = 3,
    /// An argument is outside what the call accepts.
    InvalidArgument = 4,
    /// A key is empty, longer than 1,024 bytes, or holds a NUL.
    InvalidKey = 5,
    /// Shape, data type and byte length do not belong together, or their product overflows.
    InvalidShape = 6,
    /// Metadata is not one JSON object, or larger than 1 MiB.
    InvalidMetadata = 7,
    /// The call is not possible in this state or for this element type.
    Unsupported = 8,
    /// The moment asked for lies in history that was given up to reclaim its space.
    Forgotten = 9,

    /// The directory is not a store, or its creation was not finished.
    NotAStore = 20,
    /// The store was written by a newer version of the format.
    NewerFormat = 21,
    /// The store lies on a network file system, where locks and maps cannot be trusted.
    NetworkFileSystem = 22,
    /// The store, the handle or the medium is read-only.
    ReadOnly = 23,
    /// The operating system refused access.
    PermissionDenied = 24,
    /// Another process holds what is needed, longer than the lock timeout.
    Busy = 25,

    /// Stored bytes of one atom do not match their checksum or digest. Other atoms are still served.
    Corrupt = 40,
    /// The catalog is damaged; `tensoratom repair STORE --rebuild-catalog` restores it from the segments.
    CatalogCorrupt = 41,
    /// A file offered for import contradicts itself. Nothing was written.
    BadFile = 42,

    /// The device or the operating system failed.
    Io = 60,
    /// No space or quota left. Nothing was committed; reading and deleting still work.
    DiskFull = 61,
    /// Memory for input-sized data could not be had.
    OutOfMemory = 62,
    /// A write to the catalog failed earlier; this handle no longer writes. Reopen the store.
    Poisoned = 63,
    /// The disk of the cold directory is away, fails, or holds another store's. All else is served; works again when it is back.
    ColdUnavailable = 64,

    /// The store handle was closed.
    Closed = 80,
    /// The handle was opened before `fork`; open the store again in the child.
    Forked = 81,
    /// The caller's cancel flag was set.
    Cancelled = 82,

    /// A promise this library makes to itself was broken. Please report it.
    Internal = 99,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An error of this crate. One word wide; allocates.
///
/// `Display` is one line: what was being done, where, what is wrong, what to do next.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    what: String,
    operation: Option<&'static str>,
    key: Option<String>,
    segment: Option<u64>,
    offset: Option<u64>,
    path: Option<PathBuf>,
    hint: Option<&'static str>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind`; `what` states the fact in a few words.
    pub(crate) fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Error(Box::new(Inner {
            kind,
            what: what.into(),
            operation: None,
            key: None,
            segment: None,
            offset: None,
            path: None,
            hint: None,
            source: None,
        }))
    }

    /// Damage found in stored bytes.
    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, what)
            .hint("verify the store to list every damaged atom; other atoms are still served")
    }

    /// Classifies an operating-system error. `what` says what was being done.
    pub(crate) fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        use std::io::ErrorKind as K;
        let kind = match source.kind() {
            K::StorageFull | K::QuotaExceeded | K::FileTooLarge => ErrorKind::DiskFull,
            K::PermissionDenied => ErrorKind::PermissionDenied,
            K::ReadOnlyFilesystem => ErrorKind::ReadOnly,
            K::OutOfMemory => ErrorKind::OutOfMemory,
            _ => kind_of_code(&source),
        };
        let error = Self::new(kind, what).source_box(Box::new(source));
        match kind {
            ErrorKind::DiskFull => error.hint("nothing was committed; free space or delete atoms, then try again"),
            _ => error,
        }
    }

    /// What lies in the cold directory cannot be had now. Not damage: nothing may be given up for it.
    pub(crate) fn cold_unavailable(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::ColdUnavailable, what)
            .hint("mount its disk again; what is hot or warm is served meanwhile, and nothing has to be opened anew")
    }

    pub(crate) fn internal(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, what)
    }

    /// Names the operation, unless an inner layer did.
    pub(crate) fn during(mut self, operation: &'static str) -> Self {
        self.0.operation.get_or_insert(operation);
        self
    }

    pub(crate) fn key(mut self, key: impl fmt::Display) -> Self {
        self.0.key.get_or_insert_with(|| key.to_string());
        self
    }

    pub(crate) fn segment(mut self, segment: u64) -> Self {
        self.0.segment.get_or_insert(segment);
        self
    }

    pub(crate) fn offset(mut self, offset: u64) -> Self {
        self.0.offset.get_or_insert(offset);
        self
    }

    pub(crate) fn at_path(mut self, path: &Path) -> Self {
        self.0.path.get_or_insert_with(|| path.to_owned());
        self
    }

    pub(crate) fn hint(mut self, hint: &'static str) -> Self {
        self.0.hint = Some(hint);
        self
    }

    pub(crate) fn source_box(mut self, source: Box<dyn std::error::Error + Send + Sync>) -> Self {
        self.0.source = Some(source);
        self
    }

    /// Says whose fault it is, in front of what is wrong.
    pub(crate) fn of(mut self, whose: impl fmt::Display) -> Self {
        self.0.what = format!("{whose}: {}", self.0.what);
        self
    }

    /// Takes over what another error was caused by.
    pub(crate) fn source_of(mut self, other: Error) -> Self {
        self.0.source = other.0.source;
        self
    }

    /// A second error with the same facts, for the other members of a commit group.
    pub(crate) fn duplicate(&self) -> Self {
        let inner = &self.0;
        Error(Box::new(Inner {
            kind: inner.kind,
            what: inner.what.clone(),
            operation: inner.operation,
            key: inner.key.clone(),
            segment: inner.segment,
            offset: inner.offset,
            path: inner.path.clone(),
            hint: inner.hint,
            source: inner.source.as_ref().map(|s| s.to_string().into()),
        }))
    }

    /// An argument a binding refuses before it calls the engine.
    pub fn invalid_argument(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, what)
    }

    /// An operating-system error a binding met, classified as the engine's own are.
    pub fn from_io(what: impl Into<String>, source: std::io::Error) -> Self {
        Self::io(what, source)
    }

    /// The same error with the path it concerns.
    #[must_use]
    pub fn with_path(self, path: &Path) -> Self {
        self.at_path(path)
    }

    /// The same error with advice in the words of a binding, say the name of its option.
    #[must_use]
    pub fn with_advice(self, advice: &'static str) -> Self {
        self.hint(advice)
    }

    /// What went wrong, as a program decides on it.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What is wrong, without the place and the advice.
    pub fn what(&self) -> &str {
        &self.0.what
    }

    /// What the library was doing (`get`, `commit`, `import`, ...).
    pub fn operation(&self) -> Option<&'static str> {
        self.0.operation
    }

    /// The key concerned, as text.
    pub fn key_text(&self) -> Option<&str> {
        self.0.key.as_deref()
    }

    /// The segment concerned.
    pub fn segment_id(&self) -> Option<u64> {
        self.0.segment
    }

    /// The byte offset inside the segment or file concerned.
    pub fn byte_offset(&self) -> Option<u64> {
        self.0.offset
    }

    /// The path concerned, where there is one. Not part of the message, so that logs do not leak it.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// What can be done next.
    pub fn advice(&self) -> Option<&'static str> {
        self.0.hint
    }

    /// The operating system's error number, where one is behind this error.
    pub fn os_code(&self) -> Option<i32> {
        let mut source: Option<&(dyn std::error::Error + 'static)> = self.0.source.as_deref().map(|s| s as _);
        while let Some(error) = source {
            if let Some(io) = error.downcast_ref::<std::io::Error>() {
                return io.raw_os_error();
            }
            source = error.source();
        }
        None
    }
}

/// What std has no kind for: on Windows, a file that somebody else has open, locked or mapped, and a full page file.
fn kind_of_code(error: &std::io::Error) -> ErrorKind {
    #[cfg(windows)]
    {
        use windows_sys::Win32::Foundation as code;
        match error.raw_os_error().map(i32::cast_unsigned) {
            Some(code::ERROR_SHARING_VIOLATION | code::ERROR_LOCK_VIOLATION | code::ERROR_USER_MAPPED_FILE) => {
                return ErrorKind::Busy;
            }
            Some(code::ERROR_COMMITMENT_LIMIT | code::ERROR_NO_SYSTEM_RESOURCES) => return ErrorKind::OutOfMemory,
            _ => {}
        }
    }
    #[cfg(not(windows))]
    let _ = error;
    ErrorKind::Io
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let e = &self.0;
        if let Some(operation) = e.operation {
            write!(f, "{operation}")?;
            if let Some(key) = &e.key {
                write!(f, " '{}'", key.escape_debug())?;
            }
            f.write_str(": ")?;
        } else if let Some(key) = &e.key {
            write!(f, "'{}': ", key.escape_debug())?;
        }
        match (e.segment, e.offset) {
            (Some(segment), Some(offset)) => write!(f, "segment {segment} at byte {offset}: ")?,
            (Some(segment), None) => write!(f, "segment {segment}: ")?,
            (None, Some(offset)) => write!(f, "at byte {offset}: ")?,
            (None, None) => {}
        }
        f.write_str(&e.what)?;
        if let Some(source) = &e.source {
            write!(f, " ({source})")?;
        }
        if let Some(hint) = e.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} (kind {}): {self}", self.0.kind, self.0.kind.number())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|s| s as _)
    }
}

/// Adds context to a foreign or own result on its way up.
pub(crate) trait ResultExt<T> {
    /// Turns an `io::Error` into ours, saying what was being done.
    fn doing(self, what: &'static str) -> Result<T>;
}

impl<T> ResultExt<T> for std::io::Result<T> {
    fn doing(self, what: &'static str) -> Result<T> {
        self.map_err(|e| Error::io(what, e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Bindings and scripts store the numbers. A reordered list would silently change what they mean.
    #[test]
    fn numbers_are_unique_and_ascending() {
        let numbers: Vec<u16> = ErrorKind::ALL.iter().map(|k| k.number()).collect();
        assert!(numbers.windows(2).all(|w| w[0] < w[1]), "{numbers:?}");
        assert_eq!(ErrorKind::Corrupt.number(), 40);
        assert_eq!(ErrorKind::Corrupt.name(), "Corrupt");
    }

    #[test]
    fn the_message_says_where_and_what_next() {
        let e = Error::corrupt("chunk 3 differs from its checksum").segment(12).offset(81_920).key("a/b").during("get");
        assert_eq!(
            e.to_string(),
            "get 'a/b': segment 12 at byte 81920: chunk 3 differs from its checksum; \
             verify the store to list every damaged atom; other atoms are still served"
        );
    }

    #[test]
    fn disk_full_is_recognised_through_the_chain() {
        #[cfg(unix)]
        let code = libc::ENOSPC;
        #[cfg(windows)]
        let code = windows_sys::Win32::Foundation::ERROR_DISK_FULL.cast_signed();
        let e = Error::io("writing", std::io::Error::from_raw_os_error(code));
        assert_eq!(e.kind(), ErrorKind::DiskFull);
        assert_eq!(e.os_code(), Some(code));
        assert_eq!(e.duplicate().kind(), ErrorKind::DiskFull);
    }
}
