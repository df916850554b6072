//! What is printed: aligned tables, numbers people can read, values, JSON, errors. A reader that goes away early
//! (`... | head`) is an error like any other, never a panic.

use std::error::Error as _;
use std::fmt;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use serde_json::{Map, Value, json};
use tensoratom::{AtomInfo, Bytes, DType, Error, ErrorKind, Result};
use unicode_width::UnicodeWidthStr;

/// How a command ended, if it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    DamageFound,
    Interrupted,
}

pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(crate) const FAINT: Style = Style::new().dimmed();

/// Prints a line, with colours where they are wanted. Use it as `println!`, with a result.
macro_rules! say {
    ($($text:tt)*) => { $crate::output::print_line(format_args!($($text)*)) };
}
pub(crate) use say;

pub(crate) fn print_line(text: fmt::Arguments<'_>) -> Result<()> {
    writeln!(anstream::stdout().lock(), "{text}").map_err(printing)
}

/// Prints text as it is, unlike [`print_line`] even where it looks like an escape sequence.
pub(crate) fn print_raw(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(printing)
}

fn printing(error: io::Error) -> Error {
    Error::from_io("writing to standard output", error)
}

/// Whether the program that read the output has seen enough and gone.
pub(crate) fn is_reader_gone(error: &Error) -> bool {
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    io.is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe)
}

/// Prints an error with its path, which the message leaves out.
pub(crate) fn print_error(error: &Error) {
    if error.kind() == ErrorKind::Cancelled {
        return print_interrupted();
    }
    let place = error.path().map(|path| format!("{}: ", path.display())).unwrap_or_default();
    let text = plain_text(&format!("{place}{error}"));
    let kind = error.kind();
    // Where standard error is closed, the exit code has to do.
    let _ = writeln!(anstream::stderr(), "{BAD}error{BAD:#}: {text} {FAINT}[{kind} {}]{FAINT:#}", kind.number());
}

pub(crate) fn print_interrupted() {
    let _ = writeln!(anstream::stderr(), "{BAD}interrupted{BAD:#}: nothing was changed");
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

/// `1 atom`, `1,234 atoms`.
pub(crate) fn count(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(n), if n == 1 { "" } else { "s" })
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

/// Rows under headings, columns as wide as their widest cell so far. Long listings are printed page by page.
pub(crate) struct Table {
    headings: Vec<(String, Align)>,
    widths: Vec<usize>,
    begun: bool,
}

impl Table {
    pub(crate) fn new<T: AsRef<str>>(headings: impl IntoIterator<Item = (T, Align)>) -> Self {
        let headings: Vec<_> = headings.into_iter().map(|(text, align)| (plain_text(text.as_ref()), align)).collect();
        Table { widths: headings.iter().map(|(text, _)| text.width()).collect(), headings, begun: false }
    }

    /// Prints some rows, in front of the first the headings. Cells are made fit for a terminal here.
    pub(crate) fn print(&mut self, rows: impl IntoIterator<Item = Vec<String>>) -> Result<()> {
        let rows: Vec<Vec<String>> =
            rows.into_iter().map(|row| row.iter().map(|cell| plain_text(cell)).collect()).collect();
        for row in &rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = cell.width().max(*width);
            }
        }
        let mut text = String::new();
        if !self.begun {
            let headings = self.line(self.headings.iter().map(|(text, _)| text.as_str()));
            text.push_str(&format!("{FAINT}{headings}{FAINT:#}\n"));
            self.begun = true;
        }
        for row in &rows {
            text.push_str(&self.line(row.iter().map(String::as_str)));
            text.push('\n');
        }
        write!(anstream::stdout().lock(), "{text}").map_err(printing)
    }

    fn line<'t>(&self, cells: impl Iterator<Item = &'t str>) -> String {
        let mut out = String::new();
        for ((cell, (_, align)), width) in cells.zip(&self.headings).zip(&self.widths) {
            let gap = " ".repeat(width.saturating_sub(cell.width()));
            match align {
                Align::Left => out.push_str(&format!("{cell}{gap}  ")),
                Align::Right => out.push_str(&format!("{gap}{cell}  ")),
            }
        }
        out.truncate(out.trim_end().len());
        out
    }
}

/// Other people's text as it can be shown on a terminal: what would move its cursor or turn its writing is escaped.
pub(crate) fn plain_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unprintable(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// Control characters of both blocks, line separators, and marks that change the direction of writing.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Named numbers of a report as a JSON object.
pub(crate) fn facts_json(facts: &[(&str, u64)]) -> Map<String, Value> {
    facts.iter().map(|&(name, value)| (name.to_owned(), json!(value))).collect()
}

/// A descriptor in JSON, as `ls` lists it.
pub(crate) fn atom_json(info: &AtomInfo) -> Value {
    json!({
        "key": info.key,
        "dtype": info.dtype.name(),
        "shape": info.shape,
        "bytes": info.bytes,
        "digest": info.digest.to_string(),
        "tier": info.tier.map(tensoratom::Tier::name),
        "lsn": info.lsn,
    })
}

/// Prints a JSON value on lines of its own.
pub(crate) fn print_json(value: &Value) -> Result<()> {
    print_raw(&format!("{}\n", plain_json(&format!("{value:#}"))))
}

/// A JSON list, printed page by page with an element per line.
pub(crate) struct JsonList {
    before: &'static str,
}

impl JsonList {
    pub(crate) fn new() -> Self {
        JsonList { before: "[\n  " }
    }

    pub(crate) fn print(&mut self, values: impl IntoIterator<Item = Value>) -> Result<()> {
        let mut text = String::new();
        for value in values {
            text.push_str(std::mem::replace(&mut self.before, ",\n  "));
            text.push_str(&plain_json(&value.to_string()));
        }
        print_raw(&text)
    }

    /// Closes the list.
    pub(crate) fn finish(self) -> Result<()> {
        print_raw(if self.before.starts_with('[') { "[]\n" } else { "\n]\n" })
    }
}

/// The same JSON, with escapes for the unprintable characters that JSON itself leaves alone: those beyond ASCII, and DEL.
fn plain_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        // All of them lie in the first plane, so four digits do.
        if c >= '\u{7f}' && is_unprintable(c) { out.push_str(&format!("\\u{:04x}", u32::from(c))) } else { out.push(c) }
    }
    out
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
        assert_eq!([0, 1, 2000].map(|n| count(n, "atom")), ["0 atoms", "1 atom", "2,000 atoms"]);
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(90_868_376), "86.7 MiB");
        assert_eq!(time_text(1_795_513_147_000_000), "2026-11-24 09:39:07 UTC");
        assert_eq!(time_text(0), "1970-01-01 00:00:00 UTC");
    }

    // A key with an escape sequence must not be able to rewrite the operator's terminal, nor the order of its letters.
    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        assert_eq!(plain_text("a\u{1b}[2Jb\n\u{9b}1m\u{202e}"), "a\\u{1b}[2Jb\\n\\u{9b}1m\\u{202e}");
        assert_eq!(plain_text("Gewicht/größe 重み"), "Gewicht/größe 重み");
    }

    // Escaping for the terminal must not change what the JSON says.
    #[test]
    fn escaped_json_means_the_same() {
        let value = json!({"a\u{9b}\u{7f}\u{1b}\u{202e}": "é\n\u{2028}"});
        let text = plain_json(&value.to_string());
        assert!(!text.chars().any(is_unprintable), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }

    #[test]
    fn wide_characters_take_two_columns() {
        let mut table = Table::new([("KEY", Align::Left), ("N", Align::Right)]);
        table.widths = vec![6, 1];
        assert_eq!(table.line(["重み", "1"].into_iter()), "重み    1");
        assert_eq!(table.line(["weight", "1"].into_iter()), "weight  1");
    }
}
