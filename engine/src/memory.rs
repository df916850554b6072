//! Memory whose size comes from outside: an error where the system has not that much, never an abort.

use crate::error::{Error, ErrorKind, Result};

/// Makes room for `more` elements.
pub(crate) fn reserve<T>(values: &mut Vec<T>, more: usize) -> Result<()> {
    values.try_reserve(more).map_err(|e| {
        let what = format!("no memory for {more} more elements of {} bytes", size_of::<T>());
        Error::new(ErrorKind::OutOfMemory, what).source_box(Box::new(e))
    })
}

/// A copy.
pub(crate) fn copied<T: Copy>(values: &[T]) -> Result<Vec<T>> {
    let mut own = Vec::new();
    reserve(&mut own, values.len())?;
    own.extend_from_slice(values);
    Ok(own)
}

/// So many elements of the default value.
pub(crate) fn zeroed<T: Clone + Default>(len: usize) -> Result<Vec<T>> {
    let mut values = Vec::new();
    resize(&mut values, len)?;
    Ok(values)
}

/// Sets a length; new elements have the default value.
pub(crate) fn resize<T: Clone + Default>(values: &mut Vec<T>, len: usize) -> Result<()> {
    reserve(values, len.saturating_sub(values.len()))?;
    values.resize(len, T::default());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    // A length from a damaged file or a careless caller would abort the host process.
    #[test]
    fn a_size_beyond_memory_is_an_error_and_changes_nothing() {
        let mut bytes = vec![7_u8; 3];
        let error = resize(&mut bytes, isize::MAX as usize).unwrap_err();
        assert_eq!((error.kind(), &bytes[..]), (ErrorKind::OutOfMemory, &[7, 7, 7][..]));
        resize(&mut bytes, 5).unwrap();
        assert_eq!(bytes, [7, 7, 7, 0, 0]);
        assert_eq!(zeroed::<f64>(2).unwrap(), [0.0, 0.0]);
        assert_eq!(copied(&bytes).unwrap(), bytes);
    }
}
