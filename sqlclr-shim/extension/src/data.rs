//! Columns of values as the host lays them out: what came in, lent for one call, and what goes out, in memory of ours.

use engine::{Error, Key, Result};

/// Size told for columns that may hold anything; the host takes sizes over 8,000 as large objects.
const LARGE: usize = i32::MAX as usize;

/// C types of the host by their numbers in ODBC.
pub(crate) mod ctype {
    pub(crate) const CHAR: i16 = 1;
    pub(crate) const WCHAR: i16 = -8;
    pub(crate) const BINARY: i16 = -2;
    pub(crate) const BIGINT: i16 = -25;
    pub(crate) const DOUBLE: i16 = 8;
    pub(crate) const LONG: i16 = -16;
    pub(crate) const SHORT: i16 = -15;
    pub(crate) const TINYINT: i16 = -28;
}

/// Bytes of a value of a C type; `None` for those of varying length, an error for unknown ones.
pub(crate) fn width(ctype: i16) -> Result<Option<usize>> {
    Ok(match ctype {
        ctype::CHAR | ctype::WCHAR | ctype::BINARY => None,
        -7 | ctype::TINYINT => Some(1),
        ctype::SHORT => Some(2),
        ctype::LONG | 7 => Some(4),
        ctype::BIGINT | ctype::DOUBLE => Some(8),
        2 => Some(19),
        93 | -11 => Some(16),
        91 => Some(6),
        other => return Err(Error::invalid_argument(format!("values of C type {other} are not known; cast them"))),
    })
}

/// What the host tells of a column before its values come.
#[derive(Clone, Copy, Default)]
pub(crate) struct Type {
    pub(crate) ctype: i16,
    pub(crate) size: usize,
    /// Digits behind the point, of a number or a second. What goes out with fewer than it came in with is rounded.
    pub(crate) digits: i16,
}

/// A column that came in: one entry per row, `None` for NULL. The values lie where the host has them: a copy of each would
/// cost more than a distance of two.
pub(crate) struct Input<'h> {
    pub(crate) kind: Type,
    pub(crate) cells: Vec<Option<&'h [u8]>>,
}

impl<'h> Input<'h> {
    /// The bytes of a varbinary value.
    pub(crate) fn binary(&self, row: usize) -> Result<Option<&'h [u8]>> {
        if self.kind.ctype != ctype::BINARY {
            return Err(Error::invalid_argument("a varbinary column is expected here; cast it in the input query"));
        }
        Ok(self.cell(row))
    }

    /// A text of either width.
    pub(crate) fn text(&self, row: usize) -> Result<Option<String>> {
        let bad = || Error::invalid_argument(format!("row {row}: the text is not valid Unicode"));
        let Some(bytes) = self.cell(row) else { return Ok(None) };
        match self.kind.ctype {
            ctype::CHAR => String::from_utf8(bytes.to_vec()).map(Some).map_err(|_| bad()),
            ctype::WCHAR => {
                let (units, rest) = bytes.as_chunks::<2>();
                let units: Vec<u16> = units.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
                String::from_utf16(&units).ok().filter(|_| rest.is_empty()).map(Some).ok_or_else(bad)
            }
            _ => Err(Error::invalid_argument("a text column is expected here; cast it in the input query")),
        }
    }

    /// A key: an integer of any width is a number, a text a name.
    pub(crate) fn key(&self, row: usize) -> Result<Option<Key>> {
        let number = match (self.kind.ctype, self.cell(row)) {
            (_, None) => return Ok(None),
            (ctype::TINYINT, Some(&[byte])) => Some(i64::from(byte)),
            (ctype::SHORT, Some(bytes)) => bytes.try_into().ok().map(i16::from_le_bytes).map(i64::from),
            (ctype::LONG, Some(bytes)) => bytes.try_into().ok().map(i32::from_le_bytes).map(i64::from),
            (ctype::BIGINT, Some(bytes)) => bytes.try_into().ok().map(i64::from_le_bytes),
            _ => None,
        };
        match number {
            Some(number) => Ok(Some(Key::Int(number))),
            None => Ok(self.text(row)?.map(Key::from)),
        }
    }

    pub(crate) fn cell(&self, row: usize) -> Option<&'h [u8]> {
        self.cells.get(row).copied().flatten()
    }
}

/// A column that goes out. Values lie in 8-byte words, so that every C type is aligned.
pub(crate) struct Output {
    pub(crate) kind: Type,
    bytes: Vec<u8>,
    pub(crate) words: Vec<u64>,
    pub(crate) lengths: Vec<i32>,
}

impl Output {
    pub(crate) fn new(kind: Type) -> Self {
        Output { kind, bytes: Vec::new(), words: Vec::new(), lengths: Vec::new() }
    }

    pub(crate) fn binary() -> Self {
        Self::new(Type { ctype: ctype::BINARY, size: LARGE, digits: 0 })
    }

    pub(crate) fn text() -> Self {
        Self::new(Type { ctype: ctype::WCHAR, size: LARGE / 2, digits: 0 })
    }

    pub(crate) fn bigint() -> Self {
        Self::new(Type { ctype: ctype::BIGINT, size: 8, digits: 0 })
    }

    pub(crate) fn double() -> Self {
        Self::new(Type { ctype: ctype::DOUBLE, size: 8, digits: 0 })
    }

    /// Appends a value as it lies in memory. A NULL of a fixed width takes its room, of a varying one none.
    pub(crate) fn push(&mut self, value: Option<&[u8]>) -> Result<()> {
        let room = match value {
            Some(value) => value.len(),
            None => width(self.kind.ctype)?.unwrap_or(0),
        };
        let too_long = || Error::invalid_argument("a value of 2 GiB or more does not fit into a result; read a range");
        let length = i32::try_from(room).map_err(|_| too_long())?;
        self.bytes.try_reserve(room).map_err(|_| Error::invalid_argument("no memory for the result; ask for less"))?;
        match value {
            Some(value) => self.bytes.extend_from_slice(value),
            None => self.bytes.resize(self.bytes.len().saturating_add(room), 0),
        }
        self.lengths.push(if value.is_some() { length } else { -1 });
        Ok(())
    }

    pub(crate) fn push_text(&mut self, text: &str) -> Result<()> {
        let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        self.push(Some(&units))
    }

    /// A number of things, as large as the column can tell.
    pub(crate) fn push_count(&mut self, count: impl TryInto<i64>) -> Result<()> {
        self.push_i64(count.try_into().unwrap_or(i64::MAX))
    }

    pub(crate) fn push_i64(&mut self, value: i64) -> Result<()> {
        self.push(Some(&value.to_le_bytes()))
    }

    pub(crate) fn push_f64(&mut self, value: f64) -> Result<()> {
        self.push(Some(&value.to_le_bytes()))
    }

    /// Moves the bytes to where the host reads them.
    pub(crate) fn finish(&mut self) {
        let word = |bytes: &[u8]| {
            let mut word = [0; 8];
            word.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            u64::from_le_bytes(word)
        };
        self.words = self.bytes.chunks(8).map(word).collect();
        self.bytes = Vec::new();
    }
}
