//! How often a projection takes a snapshot, and how many it keeps.

/// How often a projection takes a snapshot, and how many snapshots it keeps.
///
/// A long fold does not take a snapshot every `every` events, only to delete most of them again: it takes only the last
/// `keep` of them. If the projection reads only some of the log's events, the fold cannot know in advance which
/// snapshots will be the last. Then it takes fewer snapshots, further apart, and one at the end.
///
/// ```
/// use annals::SnapshotPolicy;
///
/// let policy = SnapshotPolicy::default(); // every 1,000 events; the last 10 are kept
/// let rare = SnapshotPolicy::every(50_000).keep(2);
/// assert_ne!(policy, rare);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotPolicy {
    pub(crate) every: u64,
    pub(crate) keep: usize,
}

impl SnapshotPolicy {
    /// Returns a policy that takes a snapshot each time the projection has folded `events` events, and keeps the last
    /// 10. The default policy takes one every 1,000 events. 0 counts as 1.
    #[must_use]
    pub fn every(events: u64) -> Self {
        Self { every: events.max(1), keep: 10 }
    }

    /// Sets how many snapshots are kept, 10 by default. 0 counts as 1. Older snapshots are deleted when a new one is
    /// written.
    #[must_use]
    pub fn keep(mut self, count: usize) -> Self {
        self.keep = count.max(1);
        self
    }
}

impl Default for SnapshotPolicy {
    fn default() -> Self {
        Self::every(1_000)
    }
}
