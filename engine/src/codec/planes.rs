//! Byte planes: the first bytes of all elements, then the second ones, and so on. What is left of an incomplete last
//! element follows as it is.

/// Splits elements of `width` bytes into planes. Both slices have one length.
pub(super) fn split(raw: &[u8], width: usize, planes: &mut [u8]) {
    let rows = raw.len() / width;
    let (body, rest) = raw.split_at(rows * width);
    let (target, target_rest) = planes.split_at_mut(rows * width);
    for (byte, plane) in target.chunks_exact_mut(rows.max(1)).enumerate() {
        for (out, element) in plane.iter_mut().zip(body.chunks_exact(width)) {
            *out = element[byte];
        }
    }
    target_rest.copy_from_slice(rest);
}

/// Inverse of [`split`].
pub(super) fn join(planes: &[u8], width: usize, raw: &mut [u8]) {
    let rows = raw.len() / width;
    let (body, rest) = planes.split_at(rows * width);
    let (target, target_rest) = raw.split_at_mut(rows * width);
    for (byte, plane) in body.chunks_exact(rows.max(1)).enumerate() {
        for (element, &value) in target.chunks_exact_mut(width).zip(plane) {
            element[byte] = value;
        }
    }
    target_rest.copy_from_slice(rest);
}
