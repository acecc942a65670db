//! A place for snapshots in memory: gone with the process, like the log beside it.

use std::collections::BTreeMap;
use std::io;

use parking_lot::RwLock;

use super::SnapshotStore;
use super::series::check_series;

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
        check_series(series)?;
        self.kept.write().insert((series.to_owned(), head), bytes.to_owned());
        Ok(())
    }

    fn load(&self, series: &str, head: u64) -> io::Result<Vec<u8>> {
        check_series(series)?;
        let found = self.kept.read().get(&(series.to_owned(), head)).cloned();
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn heads(&self, series: &str) -> io::Result<Vec<u64>> {
        check_series(series)?;
        let all = (series.to_owned(), 0)..=(series.to_owned(), u64::MAX);
        Ok(self.kept.read().range(all).map(|((_, head), _)| *head).collect())
    }

    fn remove(&self, series: &str, head: u64) -> io::Result<()> {
        check_series(series)?;
        self.kept.write().remove(&(series.to_owned(), head));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_the_name_of_a_series_is_refused() {
        let place = MemorySnapshots::new();
        let kinds = [
            place.save("..", 1, b"").unwrap_err().kind(),
            place.load("..", 1).unwrap_err().kind(),
            place.heads("..").unwrap_err().kind(),
            place.remove("..", 1).unwrap_err().kind(),
        ];
        assert_eq!(kinds, [io::ErrorKind::InvalidInput; 4]);
    }
}
