//! JSON arrays of numbers (RFC 8259) to f32 and back: exact, strict, and into the caller's buffers.
//!
//! Writing gives the fewest digits that read back as the same f32 (crate `zmij`). Reading rounds each number to the
//! nearest f32, ties to even, straight from its decimal digits: by way of f64 `7.038531e-26` and others would come out
//! one step off. The same text gives the same bits on every machine.

use crate::error::{Error, ErrorKind, Result};

/// What a NaN or an infinity becomes, for which JSON has no form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NonFinite {
    /// An error that names the index.
    #[default]
    Refuse,
    /// `null`, as JavaScript's `JSON.stringify` writes it. [`parse`] does not read it back.
    Null,
}

/// Appends an array of numbers such as `[1.0,-0.0,3.4028235e38]`, without spaces, to `target`.
///
/// At most 16 bytes are written for a number. Fails with `InvalidArgument` where `non_finite` says so; `target` is then
/// as it was.
pub fn write(values: &[f32], non_finite: NonFinite, target: &mut String) -> Result<()> {
    if non_finite == NonFinite::Refuse
        && let Some(index) = values.iter().position(|value| !value.is_finite())
    {
        let what = format!("element {index} is {}, for which JSON has no form", values[index]);
        return Err(Error::invalid_argument(what));
    }
    target.reserve(values.len().saturating_mul(12).saturating_add(2));
    let mut buffer = zmij::Buffer::new();
    target.push('[');
    for (index, &value) in values.iter().enumerate() {
        if index > 0 {
            target.push(',');
        }
        target.push_str(if value.is_finite() { buffer.format_finite(value) } else { "null" });
    }
    target.push(']');
    Ok(())
}

/// Reads one array of numbers and appends them to `target`. Returns how many there were.
///
/// Accepts exactly the grammar of RFC 8259 for an array of numbers: white space anywhere between tokens, any exponent,
/// any number of digits. Numbers too small for f32 become zero of their sign. Everything else is refused: nested arrays,
/// `null`, strings, `NaN`, `+1`, `.5`, `1.`, `01`, a comma too many, text after the array, a byte order mark.
///
/// Fails with `InvalidArgument`; [`Error::byte_offset`] is the place, and the message says what was expected there. A
/// number that rounds beyond the largest f32 (`1e39`) is such an error, for no f32 is near it; so is the element after
/// `count_max`. On failure `target` is as it was, but may have grown its capacity: by at most `count_max` elements,
/// and by no more than half the bytes of the text.
pub fn parse(text: &[u8], count_max: usize, target: &mut Vec<f32>) -> Result<usize> {
    let start = target.len();
    let result = parse_array(text, count_max, target);
    if result.is_err() {
        target.truncate(start);
    }
    result.map(|()| target.len() - start)
}

fn fail(at: usize, what: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, what).offset(at as u64)
}

/// An error that names what is there instead of what should be.
#[cold]
fn expected(text: &[u8], at: usize, what: &str) -> Error {
    let found = match text.get(at) {
        None => "the end".to_owned(),
        Some(&byte @ b' '..=b'~') => format!("'{}'", char::from(byte)),
        Some(byte) => format!("byte 0x{byte:02x}"),
    };
    fail(at, format!("expected {what}, found {found}"))
}

#[inline]
fn skip_space(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = text.get(at) {
        at += 1;
    }
    at
}

fn parse_array(text: &[u8], count_max: usize, target: &mut Vec<f32>) -> Result<()> {
    let mut at = skip_space(text, 0);
    if text.get(at) != Some(&b'[') {
        return Err(expected(text, at, "'['"));
    }
    at = skip_space(text, at + 1);
    if text.get(at) == Some(&b']') {
        return end(text, at + 1);
    }
    let mut count = 0;
    loop {
        if count == count_max {
            return Err(fail(at, format!("the array has more than the {count_max} elements allowed")));
        }
        let number = scan_number(text, at)?;
        if target.len() == target.capacity() {
            // An element takes two bytes of text, its comma included.
            let left = (text.len() - at) / 2 + 1;
            let more = left.min(count_max - count).min(target.len().max(1024));
            target.try_reserve(more).map_err(|e| {
                let error = Error::new(ErrorKind::OutOfMemory, format!("no memory for {more} more elements"));
                error.source_box(Box::new(e))
            })?;
        }
        target.push(number.value);
        count += 1;
        at = skip_space(text, number.end);
        match text.get(at) {
            Some(b',') => at = skip_space(text, at + 1),
            Some(b']') => return end(text, at + 1),
            _ => return Err(expected(text, at, "',' or ']'")),
        }
    }
}

/// After the array there is white space only.
fn end(text: &[u8], at: usize) -> Result<()> {
    let at = skip_space(text, at);
    if at == text.len() { Ok(()) } else { Err(expected(text, at, "the end after the array")) }
}

struct Number {
    value: f32,
    end: usize,
}

/// Up to 19 significant digits fit a u64.
const DIGITS_MAX: i32 = 19;

/// Digits as they are read: the first significant ones as a whole number, and how many were left out.
#[derive(Default)]
struct Digits {
    significand: u64,
    /// Significant digits in `significand`.
    kept: i32,
    /// Digits that did not fit.
    dropped: i64,
}

impl Digits {
    /// Reads digits from `at` on and returns the place of the first other byte.
    #[inline]
    fn read(&mut self, text: &[u8], mut at: usize) -> usize {
        while let Some(eight) = text.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
            let Some(value) = eight_digits(u64::from_le_bytes(*eight)) else { break };
            if self.kept > DIGITS_MAX - 8 {
                break;
            }
            self.significand = self.significand * 100_000_000 + u64::from(value);
            self.kept += if self.significand == 0 { 0 } else { 8 };
            at += 8;
        }
        while let Some(digit) = text.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|&digit| digit < 10) {
            if self.kept < DIGITS_MAX {
                self.significand = self.significand * 10 + u64::from(digit);
                self.kept += i32::from(self.significand != 0); // leading zeros are not significant
            } else {
                self.dropped += 1;
            }
            at += 1;
        }
        at
    }
}

/// The value of eight ASCII digits, first digit in the lowest byte; `None` when one is no digit.
///
/// Neighbours are combined pairwise within one register: 1 + 1 digits, 2 + 2, 4 + 4 (D. Lemire, "Quickly parsing eight
/// digits", 2018).
#[inline]
fn eight_digits(text: u64) -> Option<u32> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let digits = text.wrapping_sub(ONES * 0x30);
    // Above 9: adding 0x76 carries into the high bit. Below 0 or beyond ASCII: the high bit is set already.
    if (digits.wrapping_add(ONES * 0x76) | digits | text) & (ONES * 0x80) != 0 {
        return None;
    }
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let low = (pairs & 0x0000_00ff_0000_00ff).wrapping_mul(100 + (1_000_000 << 32));
    let high = (pairs >> 16 & 0x0000_00ff_0000_00ff).wrapping_mul(1 + (10_000 << 32));
    Some((low.wrapping_add(high) >> 32) as u32)
}

/// Reads one number by the grammar `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`.
#[inline]
fn scan_number(text: &[u8], start: usize) -> Result<Number> {
    let negative = text.get(start) == Some(&b'-');
    let first = start + usize::from(negative);
    let mut digits = Digits::default();
    let mut at = digits.read(text, first);
    match at - first {
        0 if negative => return Err(expected(text, at, "a digit after '-'")),
        0 => return Err(expected(text, at, "a number")),
        1 => {}
        _ if text[first] == b'0' => return Err(fail(first, "a number does not begin with a zero and another digit")),
        _ => {}
    }
    let mut exponent = digits.dropped;
    if text.get(at) == Some(&b'.') {
        let dropped = digits.dropped;
        let fraction = at + 1;
        at = digits.read(text, fraction);
        if at == fraction {
            return Err(expected(text, at, "a digit after '.'"));
        }
        // Digits after the point that were kept count down; those that were dropped change nothing.
        exponent -= (at - fraction) as i64 - (digits.dropped - dropped);
    }
    if let Some(b'e' | b'E') = text.get(at) {
        let sign = text.get(at + 1).copied().filter(|byte| matches!(byte, b'+' | b'-'));
        let first = at + 1 + usize::from(sign.is_some());
        at = first;
        let mut written = 0_i64;
        while let Some(digit) = text.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|&digit| digit < 10) {
            written = written.saturating_mul(10).saturating_add(i64::from(digit));
            at += 1;
        }
        if at == first {
            return Err(expected(text, at, "a digit of the exponent"));
        }
        exponent = exponent.saturating_add(if sign == Some(b'-') { -written } else { written });
    }
    let magnitude = match near(digits.significand, exponent) {
        Some(value) => value,
        None => exact(&text[first..at])?,
    };
    if magnitude == f32::INFINITY {
        return Err(fail(start, "the number is beyond the largest f32, 3.4028235e38"));
    }
    Ok(Number { value: if negative { -magnitude } else { magnitude }, end: at })
}

/// The nearest f32 to `significand * 10^exponent`, where an approximation in f64 decides it beyond doubt.
///
/// The significand (its dropped digits are less than 1 of at least 10^18), its conversion and the product or quotient
/// with an exact power of ten (10^22 is the largest) each err by at most half a unit in the last place of f64, so the
/// approximation is within 3 units of the truth. f32 rounds at the middle between two of its numbers, where the 29 bits
/// that f64 has more are 1 and 28 zeros. Farther than 8 units from there, both round to the same f32; closer, the digits
/// are left to the exact parser. After W. Clinger, "How to read floating point numbers accurately", 1990, section 2.
#[inline]
fn near(significand: u64, exponent: i64) -> Option<f32> {
    const POWERS: [f64; 23] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
        1e20, 1e21, 1e22,
    ];
    if significand == 0 {
        return Some(0.0);
    }
    let power = *POWERS.get(usize::try_from(exponent.unsigned_abs()).ok()?)?;
    let approximation = if exponent < 0 { significand as f64 / power } else { significand as f64 * power };
    let below = approximation.to_bits() & ((1 << 29) - 1);
    let normal = (1.2e-38..3.4e38).contains(&approximation); // where f32 has its 24 bits, and no overflow is near
    (normal && below.abs_diff(1 << 28) > 8).then_some(approximation as f32)
}

/// The nearest f32 by the standard library, which is exact for any number of digits.
#[cold]
fn exact(number: &[u8]) -> Result<f32> {
    let text = std::str::from_utf8(number).map_err(|_| Error::internal("a JSON number is not ASCII"))?;
    text.parse().map_err(|_| Error::internal("a JSON number is no Rust number"))
}
