//! A column family of an open database: reads its keys, and adds changes of it to a write batch.

use std::path::Path;

use annals::ReadError;
use rocksdb::{ColumnFamily, DB, DBPinnableSlice, DBRawIterator, Error, ReadOptions, WriteBatch};

use crate::status::{not_ours, read_error};

/// Receives keys and values, each with its column family.
pub(crate) type Put<'a> = dyn FnMut(Family<'_>, &[u8], &[u8]) + 'a;

/// A column family. It exists for as long as the database is open.
#[derive(Clone, Copy)]
pub(crate) struct Family<'a> {
    db: &'a DB,
    /// The path of the database, for error messages.
    path: &'a Path,
    pub(crate) name: &'static str,
}

impl<'a> Family<'a> {
    pub(crate) fn new(db: &'a DB, path: &'a Path, name: &'static str) -> Self {
        Self { db, path, name }
    }

    /// Returns the value of a key. An error names `offset`, the first event that the key concerns.
    pub(crate) fn get(self, key: &[u8], offset: u64) -> Result<Option<Vec<u8>>, ReadError> {
        self.db.get_cf(self.handle()?, key).map_err(self.unreadable(offset))
    }

    /// As [`get`](Self::get), without a copy of a value that is in RocksDB's cache.
    pub(crate) fn get_pinned(
        self,
        key: &[u8],
        offset: u64,
    ) -> Result<Option<DBPinnableSlice<'a>>, ReadError> {
        self.db.get_pinned_cf(self.handle()?, key).map_err(self.unreadable(offset))
    }

    pub(crate) fn iterator(self, options: ReadOptions) -> Result<DBRawIterator<'a>, ReadError> {
        Ok(self.db.raw_iterator_cf_opt(self.handle()?, options))
    }

    /// Adds a key and its value to a batch.
    pub(crate) fn put(self, batch: &mut WriteBatch, key: &[u8], value: &[u8]) {
        if let Some(handle) = self.db.cf_handle(self.name) {
            batch.put_cf(handle, key, value);
        }
    }

    /// Adds the removal of a key to a batch.
    pub(crate) fn delete(self, batch: &mut WriteBatch, key: &[u8]) {
        if let Some(handle) = self.db.cf_handle(self.name) {
            batch.delete_cf(handle, key);
        }
    }

    /// Returns a numeric property of RocksDB; 0 if RocksDB does not have it.
    pub(crate) fn property(self, name: &str) -> u64 {
        let handle = self.db.cf_handle(self.name);
        let value = handle.and_then(|handle| self.db.property_int_value_cf(handle, name).ok());
        value.flatten().unwrap_or(0)
    }

    fn handle(self) -> Result<&'a ColumnFamily, ReadError> {
        self.db.cf_handle(self.name).ok_or_else(|| {
            not_ours(self.path, 0, &format!("the column family {}", self.name), "none").into()
        })
    }

    fn unreadable(self, offset: u64) -> impl Fn(Error) -> ReadError + 'a {
        move |error| read_error(self.path, offset, error)
    }
}
