//! The administrator's file that says which store, and which namespace of it, an alias means; the same file and rules as for
//! the assembly.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use engine::{Error, Result};

const FILE_VARIABLE: &str = "TENSORATOM_SQL_CONFIG";
const FILE_BYTES_MAX: u64 = 1 << 20;
const ALIAS_BYTES_MAX: usize = 64;
const THREADS_MAX: i32 = 1024;
const CACHE_MB_MAX: i32 = 1 << 20;

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

/// What the file says of a store: its directory, and what every call on it keeps to.
pub(crate) struct Registered {
    pub(crate) directory: PathBuf,
    /// Name of the namespace that the alias means; the default one where there is none.
    pub(crate) namespace: Option<String>,
    /// Milliseconds that a call may take; for ever where there is none.
    pub(crate) deadline_ms: Option<u64>,
    /// Threads of a store in this process; all cores where there is no number, and for 0.
    pub(crate) threads: Option<u64>,
    /// MiB for descriptors of atoms read before, and as many for decoded cold payloads of all stores.
    pub(crate) cache_mb: Option<u64>,
}

/// The store of an alias. Errors do not name directories: the caller may be anyone.
pub(crate) fn store(file: &Path, alias: &str) -> Result<Registered> {
    let text = read(file, alias)?;
    Ok(Registered {
        directory: directory_in(&text, "store", alias)?,
        namespace: value(&text, &format!("namespace.{alias}"))?,
        deadline_ms: number(&text, &format!("deadline_ms.{alias}"))?,
        threads: number(&text, "threads")?,
        cache_mb: number(&text, "cache_mb")?,
    })
}

/// The directory of an alias of `files`.
pub(crate) fn directory(file: &Path, kind: &str, alias: &str) -> Result<PathBuf> {
    directory_in(&read(file, alias)?, kind, alias)
}

fn directory_in(text: &str, kind: &str, alias: &str) -> Result<PathBuf> {
    let what = || format!("no '{kind}.{alias}' is registered; an administrator adds it to the configuration file");
    value(text, &format!("{kind}.{alias}"))?.map(PathBuf::from).ok_or_else(|| Error::invalid_argument(what()))
}

fn number(text: &str, key: &str) -> Result<Option<u64>> {
    Ok(value(text, key)?.and_then(|number| number.parse().ok()))
}

fn read(file: &Path, alias: &str) -> Result<String> {
    let good = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'-';
    if alias.is_empty() || alias.len() > ALIAS_BYTES_MAX || !alias.bytes().all(good) {
        let what = "an alias has 1 to 64 letters, digits, '_' or '-'; pass a registered alias, not a path";
        return Err(Error::invalid_argument(what));
    }
    let failed = |e| Error::from_io("reading the configuration; create it and let the service account read it", e);
    if fs::metadata(file).map_err(failed)?.len() > FILE_BYTES_MAX {
        return Err(Error::invalid_argument("the configuration is larger than 1 MiB; correct it"));
    }
    fs::read_to_string(file).map_err(failed)
}

/// The value of a key. Every line is looked at: a file with one that cannot be right is not believed in the others.
fn value(text: &str, wanted: &str) -> Result<Option<String>> {
    let mut found = BTreeMap::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text); // Notepad puts it there
    for (number, line) in text.lines().enumerate().map(|(at, line)| (at.saturating_add(1), line.trim())) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line.split_once('=').map_or((line, ""), |(key, value)| (key.trim(), value.trim()));
        let up_to =
            |most| value.bytes().all(|c| c.is_ascii_digit()) && value.parse().is_ok_and(|number: i32| number <= most);
        let good = match key {
            "threads" => up_to(THREADS_MAX),
            "cache_mb" => up_to(CACHE_MB_MAX),
            _ if key.starts_with("deadline_ms.") => up_to(i32::MAX),
            _ if key.starts_with("namespace.") => !value.is_empty(),
            _ => is_local_absolute(value),
        };
        if !good || found.insert(key, value).is_some() {
            let what = format!(
                "configuration, line {number}: expected 'key = ABSOLUTE LOCAL PATH', 'namespace.ALIAS = NAME', or a number \
                 for 'deadline_ms.ALIAS', 'threads' and 'cache_mb', each key once"
            );
            return Err(Error::invalid_argument(what));
        }
    }
    Ok(found.get(wanted).map(|value| (*value).to_owned()))
}

// A share would hand the service account's credentials to whoever answers for it.
fn is_local_absolute(path: &str) -> bool {
    let bytes = path.as_bytes();
    let drive = bytes.len() > 3 && bytes.get(1) == Some(&b':') && matches!(bytes.get(2), Some(b'\\' | b'/'));
    let root = cfg!(not(windows)) && bytes.first() == Some(&b'/');
    (drive || root) && !path.contains("..")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // tests fail loudly
mod tests {
    use super::*;

    // One file serves two readers: where they differ, a tenant is one thing to the assembly and another here.
    #[test]
    fn the_file_means_what_it_means_to_the_assembly() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sql.conf");
        let cases = include_str!("../../sql.conf.cases").replace("\r\n", "\n");
        let cases: Vec<&str> = cases.split("\n== ").skip(1).collect();
        assert!(cases.len() > 20);
        for case in cases {
            let (head, text) = case.split_once('\n').unwrap();
            let (alias, expected) = head.split_once(": ").unwrap();
            fs::write(&file, text.replace('^', "\u{feff}").replace("_\n", " \n")).unwrap();
            let found = store(&file, alias).map_or("an error".to_owned(), |found| {
                let numbers = [found.deadline_ms, found.threads, found.cache_mb];
                let numbers = numbers.map(|number| number.map_or("-".to_owned(), |number| number.to_string()));
                let space = found.namespace.unwrap_or_else(|| "-".to_owned());
                format!("{} | {space} | {}", found.directory.display(), numbers.join(" | "))
            });
            assert_eq!(found, expected, "{case}");
        }
        fs::write(&file, b"store.a = C:\\x\n# \xff\n").unwrap();
        assert!(store(&file, "a").is_err(), "no text");
    }
}
