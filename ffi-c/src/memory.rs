//! Memory of the caller. The only file that follows raw pointers.
//!
//! What each proof rests on is the contract of the header: a pointer with a length covers that many elements during the
//! call, and nobody else writes to them. NULL, alignment, size and overlap are checked here; what all calls check is inlined,
//! because a short distance takes no longer than checks that are not.

use std::ffi::c_char;
use std::mem::{align_of, size_of};
use std::slice;

use crate::wall::{Failure, Outcome, ta_error};

/// Types of which every pattern of bits is a value.
pub(crate) trait Plain: Copy + 'static {}
impl Plain for u8 {}
impl Plain for i8 {}
impl Plain for u32 {}
impl Plain for i32 {}
impl Plain for u64 {}
impl Plain for i64 {}
impl Plain for f32 {}
impl Plain for f64 {}
impl Plain for half::f16 {}
impl Plain for half::bf16 {}

/// Elements that the caller lends for reading.
#[inline(always)]
pub(crate) fn input<'a, T: Plain>(pointer: *const T, count: u64) -> Outcome<&'a [T]> {
    if count == 0 {
        return Ok(&[]);
    }
    let count = check(pointer, count)?;
    // SAFETY: not NULL, aligned, at most isize::MAX bytes (`check`); readable for that length by the header's contract.
    Ok(unsafe { slice::from_raw_parts(pointer, count) })
}

/// Elements that the caller lends for writing; see [`apart`].
pub(crate) fn output<'a, T: Plain>(pointer: *mut T, count: u64) -> Outcome<&'a mut [T]> {
    if count == 0 {
        return Ok(&mut []);
    }
    let count = check(pointer, count)?;
    // SAFETY: as in `input`; writable and not used by others during the call by the header's contract.
    Ok(unsafe { slice::from_raw_parts_mut(pointer, count) })
}

/// Bytes behind an untyped pointer.
#[inline(always)]
pub(crate) fn bytes<'a>(pointer: *const std::ffi::c_void, count: u64) -> Outcome<&'a [u8]> {
    input(pointer.cast::<u8>(), count)
}

/// Longest name, path or prefix in bytes: they are copied, into errors as well, where no memory may be short.
const NAME_BYTES_MAX: u64 = 64 << 10;

/// UTF-8 of the caller: a name, a path, a prefix.
pub(crate) fn text<'a>(pointer: *const c_char, count: u64) -> Outcome<&'a str> {
    document(pointer, count, NAME_BYTES_MAX)
}

/// UTF-8 of the caller that may be long: a statement, JSON.
pub(crate) fn document<'a>(pointer: *const c_char, count: u64, most: u64) -> Outcome<&'a str> {
    let bytes = input(pointer.cast::<u8>(), count)?;
    if count > most {
        return Err(Failure::argument(format!("a text of {count} bytes; it may have {most}")));
    }
    std::str::from_utf8(bytes).map_err(|e| Failure::argument(format!("a text is not UTF-8: {e}")))
}

/// UTF-8 of the caller; none for NULL without a length.
pub(crate) fn optional_document<'a>(pointer: *const c_char, count: u64, most: u64) -> Outcome<Option<&'a str>> {
    if pointer.is_null() && count == 0 { Ok(None) } else { document(pointer, count, most).map(Some) }
}

/// A name, a path, a prefix; none for NULL without a length.
pub(crate) fn optional_text<'a>(pointer: *const c_char, count: u64) -> Outcome<Option<&'a str>> {
    optional_document(pointer, count, NAME_BYTES_MAX)
}

/// A struct of the caller, copied; none for NULL.
pub(crate) fn structure<T: Copy>(pointer: *const T) -> Outcome<Option<T>> {
    if pointer.is_null() {
        return Ok(None);
    }
    check(pointer, 1)?;
    // SAFETY: not NULL and aligned (`check`); it points to a struct of this type, whose fields are plain numbers and
    // pointers, by the header's contract.
    Ok(Some(unsafe { pointer.read() }))
}

/// A struct that must be there.
pub(crate) fn required<T: Copy>(pointer: *const T, what: &str) -> Outcome<T> {
    structure(pointer)?.ok_or_else(|| Failure::argument(format!("{what} is NULL")))
}

/// Refuses outputs that overlap an input, or another output. Pairs of address and length in bytes.
#[inline(always)]
pub(crate) fn apart(outputs: &[(usize, u64)], inputs: &[(usize, u64)]) -> Outcome {
    let overlap = |a: &(usize, u64), b: &(usize, u64)| {
        let (a_end, b_end) = ((a.0 as u64).saturating_add(a.1), (b.0 as u64).saturating_add(b.1));
        a.1 > 0 && b.1 > 0 && (a.0 as u64) < b_end && (b.0 as u64) < a_end
    };
    for (index, output) in outputs.iter().enumerate() {
        let others = &outputs[index + 1..];
        if inputs.iter().any(|other| overlap(output, other)) || others.iter().any(|other| overlap(output, other)) {
            return Err(overlapping());
        }
    }
    Ok(())
}

#[cold]
fn overlapping() -> Failure {
    Failure::argument("an output overlaps an input or another output")
}

/// Address and length in bytes, for [`apart`].
#[inline(always)]
pub(crate) fn span<T>(pointer: *const T, count: u64) -> (usize, u64) {
    (pointer.addr(), count.saturating_mul(size_of::<T>() as u64))
}

/// A place for one value, written on success.
pub(crate) struct One<T>(*mut T);

impl<T> One<T> {
    /// Fails for NULL and for places that are not aligned.
    #[inline(always)]
    pub(crate) fn at(pointer: *mut T) -> Outcome<Self> {
        check(pointer, 1)?;
        Ok(One(pointer))
    }

    #[inline(always)]
    pub(crate) fn set(self, value: T) -> Outcome {
        // SAFETY: not NULL and aligned (`at`); writable by the header's contract. T is Copy-like plain data of C.
        unsafe { self.0.write(value) };
        Ok(())
    }
}

/// A buffer of the caller with the place of its length: the size-query convention.
pub(crate) struct Out<T> {
    pointer: *mut T,
    capacity: u64,
    length: *mut u64,
}

impl Out<u8> {
    /// A buffer for text.
    pub(crate) fn text(pointer: *mut c_char, capacity: u64, length: *mut u64) -> Outcome<Self> {
        Out::sized(pointer.cast(), capacity, length)
    }
}

impl<T: Plain> Out<T> {
    pub(crate) fn sized(pointer: *mut T, capacity: u64, length: *mut u64) -> Outcome<Self> {
        check(length, 1)?;
        if capacity > 0 {
            check(pointer, capacity)?;
        }
        apart(&[span(pointer, capacity), span(length, 1)], &[])?;
        Ok(Out { pointer, capacity, length })
    }

    /// Copies the values if they fit; sets the length in any case. A question for the size succeeds.
    pub(crate) fn fill(self, values: &[T]) -> Outcome {
        One(self.length).set(values.len() as u64)?;
        if self.pointer.is_null() {
            return Ok(());
        }
        if self.capacity < values.len() as u64 {
            return Err(Failure::too_small(values.len(), self.capacity));
        }
        output(self.pointer, values.len() as u64)?.copy_from_slice(values);
        Ok(())
    }
}

/// Writes the text of an error, as much as fits, and its length. Never fails: NULL and nonsense are passed over.
#[inline(always)]
pub(crate) fn write_error(error: *mut ta_error, text: &str) {
    // NULL is common, and saying why it is refused costs as much as a short call.
    if !error.is_null() && is_usable(error, 1) {
        write_text(error, text);
    }
}

fn write_text(error: *mut ta_error, text: &str) {
    // SAFETY: not NULL and aligned (`write_error`); a ta_error of the caller by the header's contract.
    let error = unsafe { &mut *error };
    error.length = text.len() as u64;
    if error.capacity == 0 || error.text.is_null() {
        return;
    }
    let room = usize::try_from(error.capacity - 1).unwrap_or(usize::MAX).min(text.len());
    let fits = (0..=room).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    if let Ok(target) = output(error.text.cast::<u8>(), fits as u64 + 1) {
        target[..fits].copy_from_slice(&text.as_bytes()[..fits]);
        target[fits] = 0;
    }
}

/// Zeroed memory for input-sized results; a status where the system has not that much.
pub(crate) fn zeroed<T: Plain + Default>(count: usize) -> Outcome<Vec<T>> {
    let mut values = Vec::new();
    let failure = |_| Failure::of(engine::ErrorKind::OutOfMemory, format!("no memory for {count} elements"));
    values.try_reserve_exact(count).map_err(failure)?;
    values.resize(count, T::default());
    Ok(values)
}

/// A number of elements or bytes as an index.
#[inline(always)]
pub(crate) fn size(count: u64) -> Outcome<usize> {
    usize::try_from(count).map_err(|_| beyond(count))
}

#[inline(always)]
fn check<T>(pointer: *const T, count: u64) -> Outcome<usize> {
    if is_usable(pointer, count) { size(count) } else { Err(unusable(pointer, count)) }
}

#[cold]
fn beyond(count: u64) -> Failure {
    Failure::argument(format!("{count} is beyond the address space"))
}

/// Whether a pointer is there, aligned, and its elements fit the address space.
#[inline(always)]
fn is_usable<T>(pointer: *const T, count: u64) -> bool {
    let bytes = count.checked_mul(size_of::<T>() as u64).filter(|&bytes| bytes <= isize::MAX as u64);
    let end = bytes.and_then(|bytes| (pointer.addr() as u64).checked_add(bytes));
    !pointer.is_null() && pointer.addr().is_multiple_of(align_of::<T>()) && end.is_some()
}

/// What is wrong with it. Apart, for the text takes longer than a short call.
#[cold]
fn unusable<T>(pointer: *const T, count: u64) -> Failure {
    if pointer.is_null() {
        Failure::argument("a pointer is NULL where its length is not 0")
    } else if !pointer.addr().is_multiple_of(align_of::<T>()) {
        Failure::argument(format!("a pointer is not a multiple of {}", align_of::<T>()))
    } else {
        Failure::argument(format!("{count} elements do not fit the address space"))
    }
}
