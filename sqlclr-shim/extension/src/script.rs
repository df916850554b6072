//! The command language: a name, `key=value` pairs, and `group by column N`.

use engine::{Error, Result};

const SCRIPT_BYTES_MAX: usize = 64 << 10;

/// A word with the place where it begins, counted in characters from 1.
struct Word {
    at: usize,
    text: String,
}

/// One command.
pub(crate) struct Script {
    pub(crate) name: String,
    pub(crate) at: usize,
    pub(crate) group: Option<usize>,
    pairs: Vec<(Word, String)>,
}

impl Script {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if text.len() > SCRIPT_BYTES_MAX {
            return Err(fail(1, "the script is longer than 64 KiB"));
        }
        let mut words = words(text)?.into_iter();
        let Some(name) = words.next() else { return Err(fail(1, "the script is empty; it is one command")) };
        let mut script = Script { name: name.text, at: name.at, group: None, pairs: Vec::new() };
        while let Some(word) = words.next() {
            if word.text == "group" {
                let rest: Vec<String> = words.by_ref().take(3).map(|word| word.text).collect();
                let column = match rest.as_slice() {
                    [by, column, number] if by == "by" && column == "column" => number.parse().ok(),
                    _ => None,
                };
                let column: usize = column.ok_or_else(|| fail(word.at, "expected 'group by column NUMBER'"))?;
                script.group = Some(column);
                continue;
            }
            let Some((key, value)) = word.text.split_once('=') else {
                return Err(fail(word.at, &format!("expected key=value, found '{}'", word.text.escape_debug())));
            };
            if script.pairs.iter().any(|(known, _)| known.text == key) {
                return Err(fail(word.at, &format!("'{}' is given twice", key.escape_debug())));
            }
            let value = value.to_owned();
            script.pairs.push((Word { at: word.at, text: key.to_owned() }, value));
        }
        Ok(script)
    }

    /// Takes a value out and parses it.
    pub(crate) fn take<T: std::str::FromStr>(&mut self, key: &str) -> Result<Option<T>> {
        let Some(index) = self.pairs.iter().position(|(word, _)| word.text == key) else { return Ok(None) };
        let (word, value) = self.pairs.remove(index);
        let bad = || fail(word.at, &format!("'{}' is no value for {key}", value.escape_debug()));
        value.parse().map(Some).map_err(|_| bad())
    }

    /// Takes a value out that must be there.
    pub(crate) fn need<T: std::str::FromStr>(&mut self, key: &str) -> Result<T> {
        let (at, name) = (self.at, self.name.clone());
        self.take(key)?.ok_or_else(|| fail(at, &format!("'{name}' needs {key}=...")))
    }

    /// All that was not taken, as text.
    pub(crate) fn rest(&mut self) -> String {
        let pairs = std::mem::take(&mut self.pairs);
        pairs.iter().map(|(word, value)| format!(" {}={value}", word.text)).collect()
    }

    /// Refuses what no one took, and a grouping where there is none.
    pub(crate) fn end(&self) -> Result<()> {
        match self.pairs.first() {
            Some((word, _)) => Err(fail(word.at, &format!("'{}' has no '{}'", self.name, word.text.escape_debug()))),
            None if self.group.is_some() => Err(fail(self.at, &format!("'{}' does not group", self.name))),
            None => Ok(()),
        }
    }
}

/// An error at a place of the script.
pub(crate) fn fail(at: usize, what: &str) -> Error {
    Error::invalid_argument(format!("script, character {at}: {what}"))
}

/// Words between spaces; `"` holds spaces together and may stand inside a word.
fn words(text: &str) -> Result<Vec<Word>> {
    let mut words = Vec::new();
    let mut open: Option<Word> = None;
    let mut quote = None;
    for (at, c) in text.chars().enumerate().map(|(at, c)| (at.saturating_add(1), c)) {
        if c.is_whitespace() && quote.is_none() {
            words.extend(open.take());
            continue;
        }
        let word = open.get_or_insert(Word { at, text: String::new() });
        match (c, quote) {
            ('"', None) => quote = Some(at),
            ('"', Some(_)) => quote = None,
            _ => word.text.push(c),
        }
    }
    if let Some(at) = quote {
        return Err(fail(at, "the quotation mark is not closed"));
    }
    words.extend(open);
    Ok(words)
}
