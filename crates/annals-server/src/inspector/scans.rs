//! Scans of all names of the log: one at a time in the whole server, and the overview's result kept.

use std::sync::Arc;
use std::time::{Duration, Instant};

use annals::{NameCount, NameKind};
use parking_lot::Mutex;

use super::name_counts::Names;
use crate::fault::Fault;
use crate::shared::Shared;

/// How many times as long as its scan took a result of an older head is shown. So scans take a tenth of the time of a
/// processor at most, and a log with few names shows each append at once.
const FACTOR: u32 = 10;

/// The scans, and the last result for the overview.
#[derive(Clone, Default)]
pub(super) struct Scans {
    kept: Arc<Mutex<Option<Kept>>>,
}

/// The names for the overview when the log had this head.
struct Kept {
    head: u64,
    at: Instant,
    took: Duration,
    names: Arc<Names>,
}

impl Kept {
    fn is_fresh(&self, head: u64, now: Instant) -> bool {
        self.head == head || now.duration_since(self.at) < self.took * FACTOR
    }
}

impl Scans {
    /// Calls `work` with the names that begin with a prefix.
    pub(super) async fn names<T: Send + 'static>(
        &self,
        shared: &Arc<Shared>,
        kind: NameKind,
        prefix: &str,
        work: impl FnOnce(Vec<NameCount>) -> T + Send + 'static,
    ) -> Result<T, Fault> {
        let (reader, prefix, permit) =
            (Arc::clone(shared), prefix.to_owned(), shared.scan_permit().await?);
        let scan = move || {
            // Moved here: the scan goes on if the browser does not wait for it.
            let _permit = permit;
            Ok(work(reader.backend().names(kind, &prefix)?))
        };
        shared.blocking(scan).await
    }

    /// Returns the names for the overview: those of this head, or a little older ones if a scan takes long.
    pub(super) async fn overview(&self, shared: &Arc<Shared>) -> Result<Arc<Names>, Fault> {
        if let Some(names) = self.kept(shared.head().get()) {
            return Ok(names);
        }
        let permit = shared.scan_permit().await?;
        let (scans, reader) = (self.clone(), Arc::clone(shared));
        let scan = move || {
            let _permit = permit;
            let (head, at) = (reader.head().get(), Instant::now());
            // The request before this one may have had the same question.
            if let Some(names) = scans.kept(head) {
                return Ok(names);
            }
            let names = Arc::new(Names::scan(reader.backend())?);
            let (took, kept) = (at.elapsed(), Arc::clone(&names));
            *scans.kept.lock() = Some(Kept { head, at: Instant::now(), took, names: kept });
            Ok(names)
        };
        shared.blocking(scan).await
    }

    fn kept(&self, head: u64) -> Option<Arc<Names>> {
        let kept = self.kept.lock();
        let fresh = kept.as_ref().filter(|kept| kept.is_fresh(head, Instant::now()))?;
        Some(Arc::clone(&fresh.names))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_kept_for_its_head_and_for_ten_times_its_scan() {
        let (at, took) = (Instant::now(), Duration::from_secs(2));
        let kept = Kept { head: 7, at, took, names: Arc::default() };
        let after = |seconds| at + Duration::from_secs(seconds);
        assert!(kept.is_fresh(7, after(1_000)));
        assert!(kept.is_fresh(8, after(19)));
        assert!(!kept.is_fresh(8, after(20)));
    }
}
