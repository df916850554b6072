//! The query behind a listing of changes: one page of the public view, in the order of commits and keys.

use crate::key::Key;

/// Changes of a namespace by commits in `since < lsn <= until`, behind `after`, at most `rows`: lsn, whether put, key.
pub(crate) fn changes_page(namespace: &str, since: u64, until: u64, after: Option<&(u64, Key)>, rows: usize) -> String {
    let behind = match after {
        None => String::new(),
        // A number sorts before every name, here as in the catalog.
        Some((lsn, Key::Int(number))) => format!(" AND (lsn, key) > ({lsn}, {number})"),
        Some((lsn, Key::Name(name))) => format!(" AND (lsn, key) > ({lsn}, {})", quoted(name)),
    };
    let namespace = quoted(namespace);
    format!(
        "SELECT lsn, operation = 'put', key FROM changes \
         WHERE namespace = {namespace} AND lsn > {since} AND lsn <= {until}{behind} ORDER BY lsn, key LIMIT {rows}"
    )
}

/// A literal of SQL. Names hold no NUL, by the rules of keys and namespaces.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
