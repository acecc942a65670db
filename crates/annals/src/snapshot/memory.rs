//! A snapshot store in memory.

use std::collections::BTreeMap;
use std::io;

use annals_base::Mutex;

use super::SnapshotStore;
use super::series_name::check_series;

/// A snapshot store in memory. The snapshots are lost when the process ends.
///
/// Every log in memory has one of its own. A program can also create one and pass it to
/// [`snapshots_in`](crate::Reconstructor::snapshots_in), for example to share it between logs in a test.
///
/// ```
/// use annals::{MemorySnapshots, SnapshotStore};
///
/// let snapshots = MemorySnapshots::new();
/// snapshots.save("Seat-51c1", 1_000, b"the bytes of a snapshot")?;
/// assert_eq!(snapshots.heads("Seat-51c1")?, [1_000]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct MemorySnapshots {
    stored: Mutex<BTreeMap<(String, u64), Vec<u8>>>,
}

impl MemorySnapshots {
    /// Returns an empty snapshot store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl SnapshotStore for MemorySnapshots {
    fn save(&self, series: &str, head: u64, bytes: &[u8]) -> io::Result<()> {
        check_series(series)?;
        self.stored.lock().insert((series.to_owned(), head), bytes.to_owned());
        Ok(())
    }

    fn load(&self, series: &str, head: u64) -> io::Result<Vec<u8>> {
        check_series(series)?;
        let found = self.stored.lock().get(&(series.to_owned(), head)).cloned();
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn heads(&self, series: &str) -> io::Result<Vec<u64>> {
        check_series(series)?;
        let all = (series.to_owned(), 0)..=(series.to_owned(), u64::MAX);
        Ok(self.stored.lock().range(all).map(|((_, head), _)| *head).collect())
    }

    fn remove(&self, series: &str, head: u64) -> io::Result<()> {
        check_series(series)?;
        self.stored.lock().remove(&(series.to_owned(), head));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_not_valid_for_a_series_is_refused() {
        let store = MemorySnapshots::new();
        let kinds = [
            store.save("..", 1, b"").unwrap_err().kind(),
            store.load("..", 1).unwrap_err().kind(),
            store.heads("..").unwrap_err().kind(),
            store.remove("..", 1).unwrap_err().kind(),
        ];
        assert_eq!(kinds, [io::ErrorKind::InvalidInput; 4]);
    }
}
