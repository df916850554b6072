//! The float codec: every element is turned left by its sign bit, so that the highest byte holds the exponent, and taken
//! apart into byte planes; planes of few values are entropy-coded, mantissas stay as they are.

use super::huffman;
use super::planes::{self, WIDTH_MAX};
use crate::error::{Error, Result};
use crate::memory::resize;

/// Forms of a plane: as it is, one byte for all, Huffman.
const RAW: u8 = 1;
const SAME: u8 = 2;
const CODED: u8 = 3;

/// Room that encoding `len` bytes takes at most on its way, for its width, forms, and writes of whole words.
pub(super) fn encoded_bound(len: usize) -> usize {
    len.saturating_mul(2).saturating_add(1024)
}

/// Appends the planes of `raw`, highest first, of elements turned left by `TURN` bits. Gives up with `false` when they take
/// as much room as `raw`.
pub(super) fn encode<const TURN: u32>(raw: &[u8], width: usize, planes: &mut [u8], out: &mut Vec<u8>) -> bool {
    let rows = raw.len() / width;
    if rows == 0 {
        return false;
    }
    let limit = out.len() + raw.len();
    let (body, rest) = raw.split_at(rows * width);
    planes::split::<TURN>(body, width, planes);
    for plane in planes.chunks_exact(rows).take(width).rev() {
        if huffman::looks_random(plane) {
            out.push(RAW);
            out.extend_from_slice(plane);
            continue;
        }
        let counts = huffman::histogram(plane);
        let form_at = out.len();
        out.push(CODED);
        out.extend_from_slice(&[0; 4]);
        // Less than a 64th saved is not worth the time that decoding takes.
        if counts.iter().filter(|&&count| count > 0).count() == 1 {
            out.truncate(form_at);
            out.extend_from_slice(&[SAME, plane[0]]);
        } else if huffman::encode(plane, &counts, rows - rows / 64, out) {
            let size = (out.len() - form_at - 5) as u32;
            out[form_at + 1..form_at + 5].copy_from_slice(&size.to_le_bytes());
        } else {
            out.truncate(form_at);
            out.push(RAW);
            out.extend_from_slice(plane);
        }
    }
    out.extend_from_slice(rest);
    out.len() < limit
}

/// Decodes exactly `stored` into exactly `raw`. Fails with `Corrupt`, or `OutOfMemory` without room for the coded planes.
pub(super) fn decode<const TURN: u32>(stored: &[u8], width: usize, raw: &mut [u8]) -> Result<()> {
    let damaged = || Error::corrupt("a chunk of the float codec cannot be decoded");
    let rows = raw.len().checked_div(width).ok_or_else(damaged)?;
    let (body, rest) = raw.split_at_mut(rows * width);
    let mut planes = [&[][..]; WIDTH_MAX];
    let mut decoded: [Vec<u8>; WIDTH_MAX] = Default::default();
    let mut left = stored;
    for (plane, target) in planes.iter_mut().zip(&mut decoded).take(width).rev() {
        let (form, after) = Form::read(left, rows).ok_or_else(damaged)?;
        left = after;
        *plane = match form {
            Form::Raw(bytes) => bytes,
            Form::Same(byte) => {
                resize(target, rows)?;
                target.fill(byte);
                target
            }
            Form::Coded(coded) => {
                resize(target, rows)?;
                huffman::decode(coded, target).ok_or_else(damaged)?;
                target
            }
        };
    }
    if left.len() != rest.len() {
        return Err(damaged());
    }
    rest.copy_from_slice(left);
    planes::join::<TURN>(&planes, width, body);
    Ok(())
}

/// A plane as it is stored.
enum Form<'a> {
    Raw(&'a [u8]),
    Same(u8),
    Coded(&'a [u8]),
}

impl<'a> Form<'a> {
    /// The plane of `rows` bytes that `stored` begins with, and what follows.
    fn read(stored: &'a [u8], rows: usize) -> Option<(Self, &'a [u8])> {
        let (&form, after) = stored.split_first()?;
        match form {
            RAW => after.split_at_checked(rows).map(|(bytes, after)| (Form::Raw(bytes), after)),
            SAME => after.split_first().map(|(&byte, after)| (Form::Same(byte), after)),
            CODED => {
                let (size, after) = after.split_first_chunk::<4>()?;
                let size = usize::try_from(u32::from_le_bytes(*size)).ok()?;
                after.split_at_checked(size).map(|(coded, after)| (Form::Coded(coded), after))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bit by bit, after the text of the format alone.
    fn plane_of(coded: &[u8], rows: usize) -> Vec<u8> {
        let (mut lengths, mut header) = (Vec::new(), 0);
        while lengths.len() < 256 {
            lengths.extend(vec![u32::from(coded[header] & 15); usize::from(coded[header] >> 4) + 1]);
            header += 1;
        }
        let mut codes = std::collections::HashMap::new();
        let mut next = 0_u32;
        for bits in 1..=11 {
            next <<= 1;
            for symbol in (0..256).filter(|&symbol| lengths[symbol] == bits) {
                codes.insert((bits, next), symbol as u8);
                next += 1;
            }
        }
        let size = |stream: usize| u32::from_le_bytes(coded[header + stream * 4..][..4].try_into().unwrap()) as usize;
        let (mut plane, mut start) = (Vec::new(), header + 12);
        for stream in 0..4 {
            let len = if stream < 3 { size(stream) } else { coded.len() - start };
            let bytes = &coded[start..start + len];
            let mut bits = (0..len * 8).map(|bit| u32::from(bytes[bit / 8] >> (bit % 8) & 1));
            for _ in plane.len()..rows.min(rows.div_ceil(4) * (stream + 1)) {
                let mut code = (0, 0);
                while !codes.contains_key(&code) {
                    code = (code.0 + 1, code.1 << 1 | bits.next().unwrap());
                }
                plane.push(codes[&code]);
            }
            assert!(bits.count() < 8, "bytes behind the last code");
            start += len;
        }
        plane
    }

    // Encoder and decoder that share a mistake agree with each other and with no reader that a stranger writes.
    #[test]
    fn a_decoder_after_the_written_format_reads_what_is_encoded() {
        check_after_the_format::<1>();
        // The exclusive or of two payloads, as it is coded against a base.
        check_after_the_format::<0>();
    }

    fn check_after_the_format<const TURN: u32>() {
        let numbers: Vec<u32> = (0..5003).map(|i| ((i as f32 * 0.37).sin() * 0.05).to_bits()).collect();
        let mut raw: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        raw.extend([1, 2, 3]);
        let mut stored = Vec::new();
        assert!(encode::<TURN>(&raw, 4, &mut vec![0; raw.len()], &mut stored));
        let (rows, mut left, mut elements) = (numbers.len(), &stored[..], vec![0_u32; numbers.len()]);
        let mut coded_planes = 0;
        for _ in 0..4 {
            let plane = match left[0] {
                1 => left[1..=rows].to_vec(),
                2 => vec![left[1]; rows],
                _ => plane_of(&left[5..5 + u32::from_le_bytes(left[1..5].try_into().unwrap()) as usize], rows),
            };
            let taken = match left[0] {
                1 => 1 + rows,
                2 => 2,
                _ => 5 + u32::from_le_bytes(left[1..5].try_into().unwrap()) as usize,
            };
            coded_planes += usize::from(left[0] == 3);
            left = &left[taken..];
            for (element, byte) in elements.iter_mut().zip(plane) {
                *element = *element << 8 | u32::from(byte);
            }
        }
        let back: Vec<u32> = elements.iter().map(|element| element.rotate_right(TURN)).collect();
        assert!(back == numbers && coded_planes > 0);
        assert_eq!(left, [1, 2, 3], "the incomplete last element");
    }
}
