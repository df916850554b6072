//! The administrator's file that says which store an alias means; the same file and rules as for the assembly.

use std::path::{Path, PathBuf};
use std::{env, fs};

use engine::{Error, Result};

const FILE_VARIABLE: &str = "TENSORATOM_SQL_CONFIG";
const FILE_BYTES_MAX: u64 = 1 << 20;
const ALIAS_BYTES_MAX: usize = 64;

/// The file: what `PARAMETERS` of the external language says, else the variable, else the usual place.
pub(crate) fn file(parameters: &str) -> PathBuf {
    if !parameters.trim().is_empty() {
        return PathBuf::from(parameters.trim());
    }
    if let Some(named) = env::var_os(FILE_VARIABLE).filter(|named| !named.is_empty()) {
        return PathBuf::from(named);
    }
    match env::var_os("ProgramData") {
        Some(folder) if cfg!(windows) => Path::new(&folder).join("TensorAtom").join("sql.conf"),
        _ => PathBuf::from("/etc/tensoratom/sql.conf"),
    }
}

/// The directory of an alias, of `store` or `files`. Errors do not name directories: the caller may be anyone.
pub(crate) fn directory(file: &Path, kind: &str, alias: &str) -> Result<PathBuf> {
    let good = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'-';
    if alias.is_empty() || alias.len() > ALIAS_BYTES_MAX || !alias.bytes().all(good) {
        let what = "an alias has 1 to 64 letters, digits, '_' or '-'; pass a registered alias, not a path";
        return Err(Error::invalid_argument(what));
    }
    let failed = |e| Error::from_io("reading the configuration; create it and let the service account read it", e);
    if fs::metadata(file).map_err(failed)?.len() > FILE_BYTES_MAX {
        return Err(Error::invalid_argument("the configuration is larger than 1 MiB; correct it"));
    }
    let text = fs::read_to_string(file).map_err(failed)?;
    let wanted = format!("{kind}.{alias}");
    let mut found = None;
    for (number, line) in text.lines().enumerate().map(|(at, line)| (at.saturating_add(1), line.trim())) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line.split_once('=').map_or((line, ""), |(key, value)| (key.trim(), value.trim()));
        let repeated = key == wanted && found.is_some();
        if !is_local_absolute(value) || repeated {
            let what = format!("configuration, line {number}: expected 'key = ABSOLUTE LOCAL PATH', each key once");
            return Err(Error::invalid_argument(what));
        }
        if key == wanted {
            found = Some(PathBuf::from(value));
        }
    }
    let what = || format!("no '{kind}.{alias}' is registered; an administrator adds it to the configuration file");
    found.ok_or_else(|| Error::invalid_argument(what()))
}

// A share would hand the service account's credentials to whoever answers for it.
fn is_local_absolute(path: &str) -> bool {
    let bytes = path.as_bytes();
    let drive = bytes.len() > 3 && bytes.get(1) == Some(&b':') && matches!(bytes.get(2), Some(b'\\' | b'/'));
    let root = cfg!(not(windows)) && bytes.first() == Some(&b'/');
    (drive || root) && !path.contains("..")
}
