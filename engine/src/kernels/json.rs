//! JSON arrays of numbers (RFC 8259) to f32 and back: exact, strict, and into the caller's buffers.
//!
//! Writing gives the fewest digits that read back as the same f32 (crate `zmij`). Reading rounds each number to the
//! nearest f32, ties to even, straight from its decimal digits: by way of f64 `7.038531e-26` and others would come out
//! one step off. The same text gives the same bits on every machine.

use std::collections::TryReserveError;

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

/// Appends an array of numbers such as `[1.0,-0.0,3.4028235e+38]`, without spaces, to `target`.
///
/// At most 18 bytes are written for a number and its comma. Fails with `InvalidArgument` where `non_finite` says so, and
/// with `OutOfMemory` when the usual 12 bytes for each number cannot be had; `target` is then as it was.
pub fn write(values: &[f32], non_finite: NonFinite, target: &mut String) -> Result<()> {
    check_finite(values, non_finite)?;
    target.try_reserve(usual_len(values)).map_err(|e| no_memory(values.len(), e))?;
    write_with(values, |text| target.push_str(std::str::from_utf8(text).unwrap_or_default()));
    Ok(())
}

/// As [`write()`], for bytes.
pub fn write_bytes(values: &[f32], non_finite: NonFinite, target: &mut Vec<u8>) -> Result<()> {
    check_finite(values, non_finite)?;
    target.try_reserve(usual_len(values)).map_err(|e| no_memory(values.len(), e))?;
    write_with(values, |text| target.extend_from_slice(text));
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

fn check_finite(values: &[f32], non_finite: NonFinite) -> Result<()> {
    if non_finite == NonFinite::Refuse
        && let Some(index) = values.iter().position(|value| !value.is_finite())
    {
        let what = format!("element {index} is {}, for which JSON has no form", values[index]);
        return Err(Error::invalid_argument(what));
    }
    Ok(())
}

/// What an array of model weights takes: nine digits, sign, point and comma.
fn usual_len(values: &[f32]) -> usize {
    values.len().saturating_mul(12).saturating_add(2)
}

/// Most bytes of a number and the comma before it.
const NUMBER_BYTES_MAX: usize = 18;

/// Gives the text to `push` in pieces of a few kilobytes: fewer calls, and no check of the capacity for each number.
#[inline]
fn write_with(values: &[f32], mut push: impl FnMut(&[u8])) {
    const NUMBERS: usize = 128;
    let mut piece = [0; NUMBERS * NUMBER_BYTES_MAX];
    let mut buffer = zmij::Buffer::new();
    push(b"[");
    for (index, values) in values.chunks(NUMBERS).enumerate() {
        let mut len = 0;
        for &value in values {
            let number = if value.is_finite() { buffer.format_finite(value) } else { "null" };
            piece[len] = b',';
            copy_short(number.as_bytes(), &mut piece[len + 1..]);
            len += 1 + number.len();
        }
        push(&piece[usize::from(index == 0)..len]);
    }
    push(b"]");
}

/// Copies to the front. Most numbers are 8 to 16 bytes long: two overlapping words then do without a loop or a call.
#[inline]
fn copy_short(source: &[u8], target: &mut [u8]) {
    let len = source.len();
    if let (Some(first), Some(last), 8..=16) = (source.first_chunk::<8>(), source.last_chunk::<8>(), len) {
        target[..8].copy_from_slice(first);
        target[len - 8..len].copy_from_slice(last);
    } else {
        target[..len].copy_from_slice(source);
    }
}

fn no_memory(elements: usize, source: TryReserveError) -> Error {
    let error = Error::new(ErrorKind::OutOfMemory, format!("no memory for {elements} more elements"));
    error.source_box(Box::new(source))
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
            target.try_reserve_exact(more).map_err(|e| no_memory(more, e))?;
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
    /// At least the number of digits in `significand`: leading zeros among eight digits are counted.
    kept: i32,
    /// Digits that did not fit.
    dropped: i64,
}

impl Digits {
    /// Reads digits from `at` on and returns the place of the first other byte.
    #[inline]
    fn read(&mut self, text: &[u8], mut at: usize) -> usize {
        while self.kept <= DIGITS_MAX - 8
            && let Some(eight) = text.get(at..).and_then(|rest| rest.first_chunk::<8>())
            && let Some(value) = eight_digits(u64::from_le_bytes(*eight))
        {
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
    let magnitude = match near(&digits, exponent) {
        Some(value) => value,
        None => exact(&text[first..at])?,
    };
    if magnitude == f32::INFINITY {
        return Err(fail(start, "the number is beyond the largest f32, 3.4028235e38"));
    }
    Ok(Number { value: if negative { -magnitude } else { magnitude }, end: at })
}

/// The nearest f32 to `digits * 10^exponent`, where an approximation in f64 decides it beyond doubt.
///
/// Dropping digits errs by at most one unit in the last place of f64 (less than 1 in 10^16), the conversion of the
/// significand and the product or quotient with an exact power of ten (10^22 is the largest) by half a unit each: the
/// approximation is within 4 units of the truth. f32 rounds at the middle between two of its numbers, where the 29 bits
/// that f64 has more are 1 and 28 zeros. Farther than 8 units from there, both round to the same f32; closer, the digits
/// are left to the exact parser. After W. Clinger, "How to read floating point numbers accurately", 1990.
#[inline]
fn near(digits: &Digits, exponent: i64) -> Option<f32> {
    const POWERS: [f64; 23] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
        1e20, 1e21, 1e22,
    ];
    let significand = digits.significand;
    if significand == 0 {
        return Some(0.0);
    }
    if digits.dropped > 0 && significand < 10_000_000_000_000_000 {
        return None;
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::fuzz::json_array;
    use crate::testing::random::Random;

    fn parsed(text: &str) -> Vec<f32> {
        let mut values = Vec::new();
        let count = parse(text.as_bytes(), usize::MAX, &mut values).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(count, values.len());
        values
    }

    fn written(values: &[f32]) -> String {
        let (mut text, mut bytes) = (String::new(), Vec::new());
        write(values, NonFinite::Refuse, &mut text).unwrap();
        write_bytes(values, NonFinite::Refuse, &mut bytes).unwrap();
        assert_eq!(text.as_bytes(), bytes);
        text
    }

    // One digit too few, and a vector that went through SQL is not the vector that was stored.
    #[test]
    fn every_class_of_numbers_comes_back() {
        let mut values = vec![0.0, -0.0, 1.0, 0.1, f32::MAX, f32::MIN, f32::MIN_POSITIVE, f32::EPSILON, 16_777_216.0];
        for high in 0..=u16::MAX {
            for low in [0, 1, 0x7fff, 0xffff] {
                values.push(f32::from_bits(u32::from(high) << 16 | low));
            }
        }
        values.retain(|value| value.is_finite());
        let text = written(&values);
        let back = parsed(&text);
        assert_eq!(back.len(), values.len());
        for (value, back) in values.iter().zip(&back) {
            assert_eq!(value.to_bits(), back.to_bits(), "{value:e}");
        }
        for (value, token) in values.iter().zip(text[1..text.len() - 1].split(',')) {
            assert!(token.len() <= 17, "{token}");
            let digits = |text: &str| {
                let mantissa = text.split('e').next().unwrap().trim_start_matches(['-', '0', '.']).replace('.', "");
                mantissa.trim_end_matches('0').len()
            };
            assert_eq!(digits(token), digits(&format!("{value:e}")), "{token} is not the shortest form of {value:e}");
        }
    }

    #[test]
    fn text_is_what_it_was() {
        assert_eq!(written(&[]), "[]");
        assert_eq!(written(&[1.0, -0.0, 0.1, 1e-7, f32::MAX, 1e16]), "[1.0,-0.0,0.1,1e-7,3.4028235e+38,1e+16]");
        assert!(parsed(" [ ] ").is_empty());
        assert_eq!(parsed("\t[\n1 ,2e0\r, -3.50E+1,0e999999999999999999999 , 1e-999]\n"), [1.0, 2.0, -35.0, 0.0, 0.0]);
    }

    // Rounded to f64 first, these lie exactly between two f32 and go the wrong way.
    #[test]
    fn digits_are_rounded_once() {
        let half_up = format!("1.00000005960464477539062500{}1", "0".repeat(800));
        for text in ["7.038531e-26", "1.000000059604644775390626", half_up.as_str()] {
            let once: f32 = text.parse().unwrap();
            assert_ne!(once, text.parse::<f64>().unwrap() as f32, "{text} shows no double rounding");
            assert_eq!(parsed(&format!("[{text}]")), [once]);
        }
        assert_eq!(parsed("[1.000000059604644775390625]"), [1.0], "a tie goes to even");
        assert_eq!(parsed("[1.000000178813934326171875]"), [1.0 + 2.0 * f32::EPSILON], "a tie goes to even");
    }

    #[test]
    fn what_is_not_an_array_of_numbers_is_refused_where_it_goes_wrong() {
        let cases: &[(&str, u64, &str)] = &[
            ("", 0, "expected '[', found the end"),
            ("1", 0, "expected '[', found '1'"),
            ("[", 1, "expected a number, found the end"),
            ("[1", 2, "expected ',' or ']', found the end"),
            ("[1,]", 3, "expected a number, found ']'"),
            ("[,1]", 1, "expected a number, found ','"),
            ("[1 2]", 3, "expected ',' or ']', found '2'"),
            ("[1] x", 4, "expected the end after the array, found 'x'"),
            ("[1][2]", 3, "expected the end after the array, found '['"),
            ("[[1]]", 1, "expected a number, found '['"),
            ("[01]", 1, "a number does not begin with a zero"),
            ("[-012345678]", 2, "a number does not begin with a zero"),
            ("[+1]", 1, "expected a number, found '+'"),
            ("[.5]", 1, "expected a number, found '.'"),
            ("[1.]", 3, "expected a digit after '.', found ']'"),
            ("[1.e5]", 3, "expected a digit after '.', found 'e'"),
            ("[-]", 2, "expected a digit after '-', found ']'"),
            ("[1e]", 3, "expected a digit of the exponent, found ']'"),
            ("[1e+]", 4, "expected a digit of the exponent, found ']'"),
            ("[NaN]", 1, "expected a number, found 'N'"),
            ("[-Infinity]", 2, "expected a digit after '-', found 'I'"),
            ("[null]", 1, "expected a number, found 'n'"),
            ("[\"1\"]", 1, "expected a number, found '\"'"),
            ("[0x10]", 2, "expected ',' or ']', found 'x'"),
            ("[1_000]", 2, "expected ',' or ']', found '_'"),
            ("[\u{c}1]", 1, "expected a number, found byte 0x0c"),
            ("\u{feff}[1]", 0, "expected '[', found byte 0xef"),
            ("[1, 3.40282357e38]", 4, "beyond the largest f32"),
            ("[-1e39]", 1, "beyond the largest f32"),
            ("[1e99999999999999999999]", 1, "beyond the largest f32"),
            ("[1, 2, 3, 4, 5]", 13, "more than the 4 elements"),
        ];
        for (text, at, what) in cases {
            let mut target = vec![7.0];
            let error = parse(text.as_bytes(), 4, &mut target).unwrap_err();
            assert_eq!((error.kind(), error.byte_offset()), (ErrorKind::InvalidArgument, Some(*at)), "{text}: {error}");
            assert!(error.what().contains(what), "{text}: {error}");
            assert_eq!(target, [7.0], "{text}");
        }
        assert_eq!(parsed("[3.40282356e38]"), [f32::MAX], "what rounds to the largest number is no overflow");
        assert_eq!(parse(b"[1,2,3,4]", 4, &mut Vec::new()).unwrap(), 4);
    }

    #[test]
    fn numbers_without_a_json_form_are_named_or_null() {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut text = String::from("x");
            let error = write(&[1.0, value], NonFinite::Refuse, &mut text).unwrap_err();
            assert!(error.what().starts_with("element 1 is "), "{error}");
            assert_eq!(text, "x");
            write(&[1.0, value], NonFinite::Null, &mut text).unwrap();
            assert_eq!(text, "x[1.0,null]");
        }
    }

    // A short text must not make the reader ask for the memory of `count_max` elements.
    #[test]
    fn memory_is_bounded_by_the_text() {
        let mut target = Vec::new();
        let text = format!("[{}1]", "1,".repeat(5000));
        parse(text.as_bytes(), usize::MAX, &mut target).unwrap();
        assert!(target.capacity() <= text.len() / 2 + 1, "{}", target.capacity());
    }

    /// Numbers of every form that the grammar has.
    fn random_number(random: &mut Random) -> String {
        let digits = |random: &mut Random, max: u64| -> String {
            (0..=random.below(max)).map(|_| char::from(b'0' + random.below(10) as u8)).collect()
        };
        let value = f32::from_bits(random.next_u64() as u32);
        match random.below(5) {
            0 if value.is_finite() => format!("{value}"),
            1 if value.is_finite() => format!("{value:e}"),
            // Exactly between two f32, and a little beside it.
            2 if value.is_finite() => {
                let middle = (f64::from(value) + f64::from(value.next_up())) / 2.0;
                format!("{middle:e}").replacen('e', if random.one_in(2) { "e" } else { "0000000001e" }, 1)
            }
            _ => {
                let mut text = digits(random, 24).trim_start_matches('0').to_owned();
                if text.is_empty() || random.one_in(3) {
                    text = "0".into();
                }
                if random.one_in(2) || text == "0" {
                    text = format!("{text}.{}{}", "0".repeat(random.below(9) as usize), digits(random, 24));
                }
                if random.one_in(2) {
                    text = format!(
                        "{text}{}{}{}",
                        random.pick(&["e", "E"]),
                        random.pick(&["", "+", "-"]),
                        random.below(50)
                    );
                }
                format!("{}{text}", random.pick(&["", "-"]))
            }
        }
    }

    // serde_json decides what is valid and the standard library what it means; see the body for both.
    #[test]
    fn random_and_broken_texts_are_read_as_others_read_them() {
        let mut random = Random::new(11);
        let mut accepted = 0;
        for _ in 0..20_000 {
            let numbers: Vec<String> = (0..random.below(6)).map(|_| random_number(&mut random)).collect();
            let mut text = format!("[{}]", numbers.join(*random.pick(&[",", ", ", " ,\n"]))).into_bytes();
            json_array(&text);
            accepted += usize::from(parse(&text, 9, &mut Vec::new()).is_ok());
            for _ in 0..=random.below(3) {
                let at = random.below(text.len() as u64) as usize;
                let byte = *random.pick(b"0123456789+-.eE,[] \n\"nN\xff");
                match random.below(3) {
                    0 => text[at] = byte,
                    1 => text.insert(at, byte),
                    _ => drop(text.remove(at)),
                }
                json_array(&text);
                if text.is_empty() {
                    break;
                }
            }
        }
        assert!(accepted > 5_000, "only {accepted} texts were valid: the test tests nothing");
    }

    proptest! {
        #[test]
        fn any_vector_comes_back(bits in proptest::collection::vec(any::<u32>(), 0..50)) {
            let values: Vec<f32> = bits.into_iter().map(f32::from_bits).filter(|value| value.is_finite()).collect();
            let back = parsed(&written(&values));
            prop_assert_eq!(values.iter().map(|x| x.to_bits()).collect::<Vec<_>>(), back.iter().map(|x| x.to_bits()).collect::<Vec<_>>());
        }

        #[test]
        fn eight_bytes_are_digits_or_not(bytes in any::<[u8; 8]>(), number in 0_u32..100_000_000) {
            let digits = bytes.iter().all(u8::is_ascii_digit);
            prop_assert_eq!(eight_digits(u64::from_le_bytes(bytes)).is_some(), digits);
            let text: [u8; 8] = format!("{number:08}").into_bytes().try_into().unwrap();
            prop_assert_eq!(eight_digits(u64::from_le_bytes(text)), Some(number));
            for at in 0..8 {
                let mut broken = text;
                broken[at] = bytes[at];
                prop_assert_eq!(eight_digits(u64::from_le_bytes(broken)).is_some(), bytes[at].is_ascii_digit());
            }
        }
    }
}
