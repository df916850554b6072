//! The public views of a catalog that an earlier version of this library made: they are replaced by today's, so that a
//! query names the same things in every store.

use std::collections::HashMap;
use std::time::Duration;

use rusqlite::Connection;

use crate::error::{Error, Result};

use super::Catalog;
use super::apply::Changes;
use super::connection::{SCHEMA, error};
use super::query::View;

/// Counts up when a view changes. A library with a smaller number leaves the views of a greater one alone.
const VERSION: u32 = 3;
/// Setting that holds the number of the library that made the views; 1 when it is not there.
const SETTING: &str = "public_views";
/// Where the views begin in the text of the schema.
const MARK: &str = "-- Public views.";

impl Catalog {
    /// Makes the views anew if those in the catalog are older than this library. One look at them if they are not.
    pub(crate) fn renew_views(&self, timeout: Duration) -> Result<()> {
        let reader = self.read()?;
        if !is_older(reader.connection()?, reader.view()?)? {
            return Ok(());
        }
        drop(reader);
        let transaction = self.begin(true, timeout)?;
        // Another process may have been faster.
        if !is_older(transaction.connection()?, transaction.view()?)? {
            return Ok(());
        }
        for view in present(transaction.connection()?)?.into_keys() {
            let sql = format!("DROP VIEW \"{}\"", view.replace('"', "\"\""));
            transaction.connection()?.execute_batch(&sql).map_err(|e| error("migrating", e))?;
        }
        let (_, views) = SCHEMA.split_once(MARK).ok_or_else(|| Error::internal("a schema without views"))?;
        transaction.connection()?.execute_batch(views).map_err(|e| error("migrating", e))?;
        transaction.set_setting(SETTING, &VERSION.to_string())?;
        transaction.commit()
    }
}

/// Says in a new catalog which library made its views.
pub(super) fn mark(connection: &Connection) -> Result<()> {
    Changes::new(connection, 0).set_setting(SETTING, &VERSION.to_string())
}

/// Whether the views differ from today's and no newer library made them.
fn is_older(connection: &Connection, view: View<'_>) -> Result<bool> {
    if present(connection)? == wanted() {
        return Ok(false);
    }
    let made_by = view.setting(SETTING)?.map_or(Ok(1), |text| text.parse::<u32>());
    Ok(made_by.is_ok_and(|version| version <= VERSION))
}

/// Name and text of every view in a catalog.
fn present(connection: &Connection) -> Result<HashMap<String, String>> {
    let fail = |e| error("reading", e);
    let mut statement = connection.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'view'").map_err(fail)?;
    let views = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(fail)?;
    views.collect::<Result<_, _>>().map_err(fail)
}

/// Name and text of every view of this library, as SQLite keeps them.
fn wanted() -> HashMap<String, String> {
    let (_, views) = SCHEMA.split_once(MARK).unwrap_or_default();
    let statements = views.split(';').map(str::trim).filter_map(|text| {
        let (name, _) = text.strip_prefix("CREATE VIEW ")?.split_once(' ')?;
        Some((name.to_owned(), text.to_owned()))
    });
    statements.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // A view that this cannot tell apart from the catalog's own text would be made anew at every opening.
    #[test]
    fn a_new_catalog_has_the_views_as_they_are_compared() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        assert_eq!(present(&connection).unwrap(), wanted());
        assert!(wanted().len() >= 10);
    }
}
