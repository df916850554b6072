//! Changes that are in no commit: settings of the store, and statistics of use. A rebuild of the catalog loses both.

use rusqlite::params;

use crate::error::Result;

use super::apply::Changes;
use super::query::to_db;
use super::rows::UseRow;

impl Changes<'_> {
    /// Replaces a setting.
    pub(super) fn set_setting(&self, name: &str, value: &str) -> Result<()> {
        let sql =
            "INSERT INTO setting (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        self.run(sql, [name, value])?;
        Ok(())
    }

    /// Adds to what other processes counted. A payload that is gone, or whose number is another's now, is passed over.
    pub(super) fn add_use(&self, used: &UseRow) -> Result<()> {
        let sql = "UPDATE payload SET use_count = use_count + ?3, last_used_us = max(coalesce(last_used_us, 0), ?4) \
             WHERE id = ?1 AND digest = ?2";
        self.run(sql, params![used.payload, used.digest.0, to_db(used.count), to_db(used.last_used_us)])?;
        Ok(())
    }
}
