//! What is printed: aligned tables, numbers people can read, values, JSON, errors.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};
use tensoratom::{AtomInfo, Bytes, DType, Error, Key};

/// How a command ended, if it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    DamageFound,
}

pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(crate) const FAINT: Style = Style::new().dimmed();

/// Prints a line. Ends the program when nobody reads any more, as `ls | head` does, and fails on a full disk.
macro_rules! say {
    ($($part:tt)*) => { $crate::output::print_line(format_args!($($part)*)) };
}
pub(crate) use say;

pub(crate) fn print_line(line: std::fmt::Arguments<'_>) {
    end_unless_written(writeln!(anstream::stdout().lock(), "{line}"));
}

/// Ends the program if standard output took nothing: quietly, when its reader has gone.
pub(crate) fn end_unless_written(outcome: std::io::Result<()>) {
    match outcome {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(e) => {
            print_error(&Error::from_io("writing to standard output", e));
            std::process::exit(1);
        }
    }
}

/// Prints an error with its path, which the message leaves out.
pub(crate) fn print_error(error: &Error) {
    let place = error.path().map(|path| format!("{}: ", path.display())).unwrap_or_default();
    let kind = error.kind();
    let line = format!("{BAD}error{BAD:#}: {place}{error} {FAINT}[{kind} {}]{FAINT:#}", kind.number());
    // Where even this cannot be written, the exit code still tells.
    let _ = writeln!(anstream::stderr().lock(), "{line}");
}

/// `1,234,567`.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `86.7 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// Column alignment of a table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Prints rows under headings, columns as wide as their widest cell.
pub(crate) fn print_table(headings: &[(&str, Align)], rows: &[Vec<String>]) {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([headings[column].0.chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut out = String::new();
        for ((cell, (_, align)), width) in cells.zip(headings).zip(&widths) {
            let gap = " ".repeat(width.saturating_sub(cell.chars().count()));
            match align {
                Align::Left => out.push_str(&format!("{cell}{gap}  ")),
                Align::Right => out.push_str(&format!("{gap}{cell}  ")),
            }
        }
        out.trim_end().to_owned()
    };
    say!("{FAINT}{}{FAINT:#}", line(&mut headings.iter().map(|(text, _)| *text)));
    for row in rows {
        say!("{}", line(&mut row.iter().map(String::as_str)));
    }
}

/// A key as it can be shown on a terminal: control characters escaped.
pub(crate) fn key_text(key: &Key) -> String {
    match key {
        Key::Int(n) => n.to_string(),
        Key::Name(name) => name.chars().flat_map(shown).collect(),
    }
}

/// Other people's text as it can be shown on a terminal.
pub(crate) fn plain_text(text: &str) -> String {
    text.chars().flat_map(shown).collect()
}

fn shown(c: char) -> Vec<char> {
    if c.is_control() { c.escape_default().collect() } else { vec![c] }
}

/// A key in JSON: a number or a string.
pub(crate) fn key_json(key: &Key) -> Value {
    match key {
        Key::Int(n) => json!(n),
        Key::Name(name) => json!(name.as_ref()),
    }
}

/// A descriptor in JSON, as `ls` lists it.
pub(crate) fn atom_json(info: &AtomInfo) -> Value {
    json!({
        "key": key_json(&info.key),
        "dtype": info.dtype.name(),
        "shape": info.shape,
        "bytes": info.bytes,
        "digest": info.digest.to_string(),
        "tier": info.tier.map(tensoratom::Tier::name),
        "lsn": info.lsn,
    })
}

/// Prints a JSON value on lines of its own.
pub(crate) fn print_json(value: &Value) {
    say!("{value:#}");
}

/// Time as `2026-11-24 09:39:07 UTC`.
pub(crate) fn time_text(us: u64) -> String {
    let seconds = us / 1_000_000;
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days to civil date: Howard Hinnant, "chrono-compatible low-level date algorithms".
    let z = days as i64 + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC", rest / 3600, rest / 60 % 60, rest % 60)
}

/// The first elements of some bytes as text, at most `count`.
pub(crate) fn values_text(dtype: DType, bytes: &Bytes, count: usize) -> Vec<String> {
    fn each<const N: usize>(bytes: &[u8], count: usize, show: impl Fn([u8; N]) -> String) -> Vec<String> {
        bytes.chunks_exact(N).take(count).filter_map(|chunk| chunk.try_into().ok()).map(show).collect()
    }
    let float = |x: f64| {
        let magnitude = x.abs();
        if x == 0.0 || (1e-4..1e7).contains(&magnitude) { format!("{x:.6}") } else { format!("{x:e}") }
    };
    match dtype {
        DType::F64 => each(bytes, count, |b| float(f64::from_le_bytes(b))),
        DType::F32 => each(bytes, count, |b| float(f64::from(f32::from_le_bytes(b)))),
        DType::F16 => each(bytes, count, |b| float(f64::from(half::f16::from_le_bytes(b)))),
        DType::Bf16 => each(bytes, count, |b| float(f64::from(half::bf16::from_le_bytes(b)))),
        DType::I64 => each(bytes, count, |b| i64::from_le_bytes(b).to_string()),
        DType::I32 => each(bytes, count, |b| i32::from_le_bytes(b).to_string()),
        DType::I16 => each(bytes, count, |b| i16::from_le_bytes(b).to_string()),
        DType::I8 => each(bytes, count, |b| i8::from_le_bytes(b).to_string()),
        DType::U64 => each(bytes, count, |b| u64::from_le_bytes(b).to_string()),
        DType::U32 => each(bytes, count, |b| u32::from_le_bytes(b).to_string()),
        DType::U16 => each(bytes, count, |b| u16::from_le_bytes(b).to_string()),
        DType::U8 => each(bytes, count, |b: [u8; 1]| b[0].to_string()),
        DType::Bool => each(bytes, count, |b: [u8; 1]| (b[0] != 0).to_string()),
        _ => each(bytes, count, |b: [u8; 1]| format!("{:02x}", b[0])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_people_can_read() {
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(12), "12");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(90_868_376), "86.7 MiB");
        assert_eq!(time_text(1_795_513_147_000_000), "2026-11-24 09:39:07 UTC");
        assert_eq!(time_text(0), "1970-01-01 00:00:00 UTC");
    }

    // A key with an escape sequence must not be able to rewrite the operator's terminal.
    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(key_text(&Key::from("a\u{1b}[2Jb\n")), "a\\u{1b}[2Jb\\n");
    }
}
