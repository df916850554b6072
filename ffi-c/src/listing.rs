//! Listings that are under way: what is asked for one by one, and stays the next one until it was taken.

use parking_lot::Mutex;
use serde_json::json;

use engine::Key;

use crate::memory::Out;
use crate::report;
use crate::wall::{Failure, Outcome};

/// What is to come, and what came and was not taken yet.
pub(crate) struct Listing<I: Iterator<Item = engine::Result<T>>, T>(Mutex<(I, Option<T>)>);

impl<I: Iterator<Item = engine::Result<T>>, T> Listing<I, T> {
    pub(crate) fn new(all: I) -> Self {
        Listing(Mutex::new((all, None)))
    }

    /// The next one: its key as JSON for `to_key`, and what `read` says of it. It stays the next one while `only_size` of the
    /// key is asked, or the key does not fit. Fails with `NotFound` and the words of `end` behind the last one.
    pub(crate) fn next<R>(
        &self,
        (to_key, only_size): (Out<u8>, bool),
        end: &str,
        key: impl FnOnce(&T) -> &Key,
        read: impl FnOnce(&T) -> R,
    ) -> Outcome<R> {
        let mut list = self.0.lock();
        let next = match list.1.take() {
            Some(held) => Some(Ok(held)),
            None => list.0.next(),
        };
        let next = next.ok_or_else(|| Failure::of(engine::ErrorKind::NotFound, end))??;
        let filled = report::fill(to_key, &json!(key(&next)));
        let found = read(&next);
        if filled.is_err() || only_size {
            list.1 = Some(next);
        }
        filled.map(|()| found)
    }
}
