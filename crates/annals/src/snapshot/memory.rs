//! A place for snapshots in memory: gone with the process, like the log beside it.

use std::collections::BTreeMap;
use std::io;

use parking_lot::RwLock;

use super::SnapshotStore;

/// Snapshots in memory. Every log in memory has such a place; one made with [`new`](Self::new) can be shared.
#[derive(Debug, Default)]
pub struct MemorySnapshots {
    kept: RwLock<BTreeMap<(String, u64), Vec<u8>>>,
}

impl MemorySnapshots {
    /// A place with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl SnapshotStore for MemorySnapshots {
    fn save(&self, series: &str, head: u64, bytes: &[u8]) -> io::Result<()> {
        self.kept.write().insert((series.to_owned(), head), bytes.to_owned());
        Ok(())
    }

    fn load(&self, series: &str, head: u64) -> io::Result<Vec<u8>> {
        let found = self.kept.read().get(&(series.to_owned(), head)).cloned();
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn heads(&self, series: &str) -> io::Result<Vec<u64>> {
        let all = (series.to_owned(), 0)..=(series.to_owned(), u64::MAX);
        Ok(self.kept.read().range(all).map(|((_, head), _)| *head).collect())
    }

    fn remove(&self, series: &str, head: u64) -> io::Result<()> {
        self.kept.write().remove(&(series.to_owned(), head));
        Ok(())
    }
}
