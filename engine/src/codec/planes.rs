//! Byte planes: the lowest bytes of all elements, then the second ones, and so on.

/// Bytes of the widest element.
pub(super) const WIDTH_MAX: usize = 8;

/// Takes elements of 1, 2, 4 or 8 bytes apart, each turned left by `TURN` bits; planes lie one behind the other.
pub(super) fn split<const TURN: u32>(body: &[u8], width: usize, planes: &mut [u8]) {
    macro_rules! split {
        ($type:ty) => {
            for (byte, plane) in planes.chunks_exact_mut((body.len() / width).max(1)).take(width).enumerate() {
                for (out, element) in plane.iter_mut().zip(body.as_chunks::<{ size_of::<$type>() }>().0) {
                    *out = (<$type>::from_le_bytes(*element).rotate_left(TURN) >> (byte * 8)) as u8;
                }
            }
        };
    }
    match width {
        2 => split!(u16),
        4 => split!(u32),
        8 => split!(u64),
        _ => planes[..body.len()].copy_from_slice(body),
    }
}

/// Inverse of [`split`]. Planes beyond the width are not looked at.
pub(super) fn join<const TURN: u32>(planes: &[&[u8]; WIDTH_MAX], width: usize, body: &mut [u8]) {
    let [a, b, c, d, e, f, g, h] = *planes;
    macro_rules! join {
        ($type:ty, $($plane:ident)*) => {{
            let elements = body.as_chunks_mut::<{ size_of::<$type>() }>().0;
            let rows = elements.len();
            $(let $plane = &$plane[..rows];)*
            for (row, element) in elements.iter_mut().enumerate() {
                *element = <$type>::from_le_bytes([$($plane[row]),*]).rotate_right(TURN).to_le_bytes();
            }
        }};
    }
    match width {
        2 => join!(u16, a b),
        4 => join!(u32, a b c d),
        8 => join!(u64, a b c d e f g h),
        _ => body.copy_from_slice(a),
    }
}

/// [`split`] of bytes of any number; what is left of an incomplete last element follows as it is.
pub(super) fn split_all(raw: &[u8], width: usize, planes: &mut [u8]) {
    let (body, rest) = raw.split_at(raw.len() / width * width);
    let (target, target_rest) = planes.split_at_mut(body.len());
    split::<0>(body, width, target);
    target_rest.copy_from_slice(rest);
}

/// Inverse of [`split_all`].
pub(super) fn join_all(planes: &[u8], width: usize, raw: &mut [u8]) {
    let rows = raw.len() / width;
    let (body, rest) = planes.split_at(rows * width);
    let (target, target_rest) = raw.split_at_mut(body.len());
    let mut parts = [&[][..]; WIDTH_MAX];
    parts.iter_mut().zip(body.chunks_exact(rows.max(1))).for_each(|(part, plane)| *part = plane);
    join::<0>(&parts, width, target);
    target_rest.copy_from_slice(rest);
}
