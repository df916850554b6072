//! The wall around every call: panics become a status, errors a text in memory of the caller.

use std::ffi::c_char;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::memory;
use crate::status::{TA_BUFFER_TOO_SMALL, TA_INVALID_HANDLE, TA_OK, TA_PANIC};

/// Where a call writes the text of its error. Made by the caller, who may pass NULL instead.
#[repr(C)]
pub struct ta_error {
    /// Receives the text, cut to fit and ended by NUL; NULL with capacity 0 takes no text.
    pub text: *mut c_char,
    /// Bytes at `text`.
    pub capacity: u64,
    /// Set to the length of the whole text without its NUL; 0 on success.
    pub length: u64,
}

/// Why a call fails.
pub(crate) struct Failure {
    status: i32,
    text: String,
}

/// Result of the body of a call.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    pub(crate) fn argument(text: impl Into<String>) -> Self {
        Failure { status: i32::from(engine::ErrorKind::InvalidArgument.number()), text: text.into() }
    }

    pub(crate) fn handle(text: impl Into<String>) -> Self {
        Failure { status: TA_INVALID_HANDLE, text: text.into() }
    }

    pub(crate) fn too_small(needed: usize, capacity: u64) -> Self {
        Failure {
            status: TA_BUFFER_TOO_SMALL,
            text: format!("{needed} are needed, the buffer takes {capacity}; call again with a larger one"),
        }
    }

    pub(crate) fn of(kind: engine::ErrorKind, text: impl Into<String>) -> Self {
        Failure { status: i32::from(kind.number()), text: text.into() }
    }
}

impl From<engine::Error> for Failure {
    #[cold]
    fn from(error: engine::Error) -> Self {
        Failure { status: i32::from(error.kind().number()), text: error.to_string() }
    }
}

/// Runs the body of a call. Nothing that happens inside reaches the caller but a status and a text.
pub(crate) fn wall(error: *mut ta_error, body: impl FnOnce() -> Outcome) -> i32 {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => {
            memory::write_error(error, "");
            TA_OK
        }
        Ok(Err(failure)) => {
            memory::write_error(error, &failure.text);
            failure.status
        }
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(|s| &**s));
            memory::write_error(error, text.unwrap_or("a panic without a text"));
            std::mem::forget(panic); // its destructor may panic in turn
            TA_PANIC
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A panic that unwinds into C is undefined behaviour: it must end here, with its text.
    #[test]
    #[allow(clippy::panic)] // it is what is tested
    fn a_panic_is_a_status_with_its_text() {
        let mut text = [1_u8; 8];
        let mut error = ta_error { text: text.as_mut_ptr().cast(), capacity: 8, length: 0 };
        assert_eq!(wall(&mut error, || panic!("broken promise")), TA_PANIC);
        assert_eq!((&text[..], error.length), (&b"broken \0"[..], 14));
    }
}
