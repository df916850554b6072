//! Keys: how an atom is named inside its namespace. Integers sort before names; names sort by their UTF-8 bytes.

use std::cmp::Ordering;
use std::fmt;

use crate::error::{Error, ErrorKind, Result};

/// Longest name in bytes of UTF-8.
pub const NAME_BYTES_MAX: usize = 1024;

/// An owned key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// SQL `BIGINT`.
    Int(i64),
    /// UTF-8, 1 to [`NAME_BYTES_MAX`] bytes, no NUL. `/` is a convention for listing by prefix, never a path.
    Name(Box<str>),
}

/// A borrowed key; what the calls of this crate accept. Made from `&str`, `i64`, `&Key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyRef<'a> {
    /// See [`Key::Int`].
    Int(i64),
    /// See [`Key::Name`].
    Name(&'a str),
}

impl KeyRef<'_> {
    /// Fails with `InvalidKey` unless the rules of [`Key`] hold.
    pub fn check(self) -> Result<()> {
        let KeyRef::Name(name) = self else { return Ok(()) };
        let what = if name.is_empty() {
            "a name needs at least one byte".to_owned()
        } else if name.len() > NAME_BYTES_MAX {
            format!("a name of {} bytes is longer than the {NAME_BYTES_MAX} allowed", name.len())
        } else if let Some(at) = name.find('\0') {
            format!("a name may not hold NUL (at byte {at})")
        } else {
            return Ok(());
        };
        let shown: String = name.chars().take(40).collect();
        Err(Error::new(ErrorKind::InvalidKey, what).key(shown))
    }

    /// Whether a name starts with a prefix. An integer is below the empty prefix alone.
    pub(crate) fn starts_with(self, prefix: &str) -> bool {
        match self {
            KeyRef::Name(name) => name.starts_with(prefix),
            KeyRef::Int(_) => prefix.is_empty(),
        }
    }

    /// An owned copy.
    pub fn to_key(self) -> Key {
        match self {
            KeyRef::Int(n) => Key::Int(n),
            KeyRef::Name(s) => Key::Name(s.into()),
        }
    }
}

impl Key {
    /// Borrows the key.
    pub fn as_ref(&self) -> KeyRef<'_> {
        match self {
            Key::Int(n) => KeyRef::Int(*n),
            Key::Name(s) => KeyRef::Name(s),
        }
    }
}

impl Ord for KeyRef<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (KeyRef::Int(a), KeyRef::Int(b)) => a.cmp(b),
            (KeyRef::Int(_), KeyRef::Name(_)) => Ordering::Less,
            (KeyRef::Name(_), KeyRef::Int(_)) => Ordering::Greater,
            (KeyRef::Name(a), KeyRef::Name(b)) => a.as_bytes().cmp(b.as_bytes()),
        }
    }
}

impl PartialOrd for KeyRef<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_ref().cmp(&other.as_ref())
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for KeyRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyRef::Int(n) => n.fmt(f),
            KeyRef::Name(s) => s.fmt(f),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl<'a> From<&'a str> for KeyRef<'a> {
    fn from(name: &'a str) -> Self {
        KeyRef::Name(name)
    }
}

impl<'a> From<&'a String> for KeyRef<'a> {
    fn from(name: &'a String) -> Self {
        KeyRef::Name(name)
    }
}

impl From<i64> for KeyRef<'_> {
    fn from(number: i64) -> Self {
        KeyRef::Int(number)
    }
}

impl<'a> From<&'a Key> for KeyRef<'a> {
    fn from(key: &'a Key) -> Self {
        key.as_ref()
    }
}

impl From<&str> for Key {
    fn from(name: &str) -> Self {
        Key::Name(name.into())
    }
}

impl From<String> for Key {
    fn from(name: String) -> Self {
        Key::Name(name.into())
    }
}

impl From<i64> for Key {
    fn from(number: i64) -> Self {
        Key::Int(number)
    }
}

/// The smallest name that is greater than every name starting with `prefix`; `None` when there is no bound.
pub(crate) fn prefix_end(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // The next code point sorts next in UTF-8 as well; the gap of surrogates is stepped over.
        let next = match last {
            '\u{D7FF}' => Some('\u{E000}'),
            c => char::from_u32(u32::from(c).wrapping_add(1)),
        };
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_boundary_is_exact() {
        let at = "x".repeat(NAME_BYTES_MAX);
        assert!(KeyRef::from(&at).check().is_ok());
        assert_eq!(KeyRef::from(&(at + "x")).check().unwrap_err().kind(), ErrorKind::InvalidKey);
        assert!(KeyRef::from(&"é".repeat(512)).check().is_ok());
        assert!(KeyRef::from(&"é".repeat(513)).check().is_err(), "the limit counts bytes");
    }

    #[test]
    fn names_that_look_like_paths_are_only_names() {
        for name in ["..", "../../etc/passwd", r"C:\x", r"\\host\share", "CON", "a:stream", "x.", " "] {
            assert!(KeyRef::from(name).check().is_ok(), "{name}");
        }
        for name in ["", "a\0b"] {
            assert!(KeyRef::from(name).check().is_err(), "{name:?}");
        }
    }

    // Prefix listing must not stop at a surrogate gap or at the last code point.
    #[test]
    fn prefix_ends_bound_exactly_the_names_with_the_prefix() {
        for prefix in ["a", "m/", "z\u{10FFFF}", "\u{D7FF}", "é", "\u{10FFFF}"] {
            let inside = format!("{prefix}\u{10FFFF}\u{10FFFF}x");
            match prefix_end(prefix) {
                Some(end) => {
                    assert!(inside.as_bytes() < end.as_bytes(), "{prefix:?}");
                    assert!(!end.starts_with(prefix));
                }
                None => assert_eq!(prefix, "\u{10FFFF}"),
            }
        }
        assert_eq!(prefix_end(""), None);
    }

    #[test]
    fn integers_sort_before_names_and_by_value() {
        let mut keys = [Key::from("a"), Key::from(-1), Key::from(5), Key::from("B"), Key::from(i64::MIN)];
        keys.sort();
        assert_eq!(
            keys.map(|k| k.to_string()),
            [i64::MIN.to_string(), "-1".into(), "5".into(), "B".into(), "a".into()]
        );
    }
}
