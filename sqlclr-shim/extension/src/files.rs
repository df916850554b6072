//! Files that a script may read and write: those below the directories an administrator registered, and no others.

use std::fs;
use std::path::{Component, Path, PathBuf};

use engine::{Error, Result};

use crate::config;

const ALIAS_PREFIX: &str = "files";

/// A file to be read, as `DIRECTORY/rest`: a regular file, reached without a symbolic link.
pub(crate) fn source(file: &Path, name: &str) -> Result<PathBuf> {
    let path = below(file, name)?;
    match fs::symlink_metadata(&path) {
        Ok(found) if found.is_file() => Ok(path),
        _ => Err(Error::invalid_argument(format!("there is no file '{}'", name.escape_debug()))),
    }
}

/// A file to be written: nothing is there, and its directory is, reached without a symbolic link.
pub(crate) fn target(file: &Path, name: &str) -> Result<PathBuf> {
    let path = below(file, name)?;
    match fs::symlink_metadata(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(path),
        _ => Err(Error::invalid_argument(format!("'{}' is there already; choose another name", name.escape_debug()))),
    }
}

/// The path of `DIRECTORY/rest`. Names go down only, and every directory on the way is a real one.
fn below(file: &Path, name: &str) -> Result<PathBuf> {
    let bad = || {
        let what = format!("'{}' is no file of a registered directory; pass DIRECTORY/FILE", name.escape_debug());
        Error::invalid_argument(what)
    };
    let (alias, rest) = name.split_once('/').ok_or_else(bad)?;
    // A backslash, a drive or a stream would be a way out on Windows, and is nothing that a name needs elsewhere.
    if rest.is_empty() || rest.contains(['\\', ':', '\0']) {
        return Err(bad());
    }
    let root = config::directory(file, ALIAS_PREFIX, alias)?;
    let mut path = fs::canonicalize(&root).map_err(|_| bad())?;
    let mut components = Path::new(rest).components().peekable();
    while let Some(component) = components.next() {
        let Component::Normal(part) = component else { return Err(bad()) };
        path.push(part);
        let is_directory = || fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir());
        if components.peek().is_some() && !is_directory() {
            return Err(bad());
        }
    }
    Ok(path)
}
