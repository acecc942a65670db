//! The snapshots of a reconstructor: where it stores them, and the folds that begin at one.

use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};

use super::Projection;
use super::folded::Folded;
use super::reconstructor::Reconstructor;
use super::repository::SnapshotRepository;
use crate::backend::backend::Backend;
use crate::error::ReadError;
use crate::snapshot::SnapshotStore;
use crate::snapshot::format::Binding;
use crate::snapshot::memory::MemorySnapshots;
use crate::snapshot::policy::SnapshotPolicy;

#[cfg_attr(docsrs, doc(cfg(feature = "snapshots")))]
impl<P: Projection, B: Backend<P::Event>> Reconstructor<P, B> {
    /// Stores snapshots in the backend's own snapshot store, and begins folds at them. If the backend has no snapshot
    /// store, they are stored in memory. By default no snapshots are stored.
    ///
    /// If this process can only [load](SnapshotStore::is_read_only) them, folds begin at the snapshots that the log's
    /// writer stores. That is so for a store in RocksDB that is open read-only.
    pub fn snapshots(self, policy: SnapshotPolicy) -> Self
    where
        P::State: Serialize + DeserializeOwned,
    {
        let own = self.store.backend().snapshots();
        self.snapshots_in(own.unwrap_or_else(|| Arc::new(MemorySnapshots::new())), policy)
    }

    /// Stores snapshots in `snapshots`, and begins folds at them. By default no snapshots are stored.
    ///
    /// ```
    /// # use annals::{EventStore, Projection, Query, RawEvent, Recorded};
    /// use std::sync::Arc;
    /// use annals::{DirectorySnapshots, SnapshotPolicy};
    /// # struct Count;
    /// # impl Projection for Count {
    /// #     type Event = RawEvent;
    /// #     type State = u64;
    /// #     fn initial(&self) -> u64 { 0 }
    /// #     fn query(&self) -> Query { Query::all() }
    /// #     fn apply(&self, count: &mut u64, _: &Recorded<RawEvent>) { *count += 1 }
    /// # }
    ///
    /// # let directory = tempfile::tempdir()?;
    /// let store = EventStore::in_memory();
    /// store.append(RawEvent::builder("counted").build()?)?;
    /// let place = Arc::new(DirectorySnapshots::at(directory.path().join("counts")));
    /// let mut count = store.reconstruct(Count).snapshots_in(place, SnapshotPolicy::every(1));
    /// assert_eq!(*count.now()?, 1);
    /// assert!(directory.path().join("counts").exists());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn snapshots_in(mut self, snapshots: Arc<dyn SnapshotStore>, policy: SnapshotPolicy) -> Self
    where
        P::State: Serialize + DeserializeOwned,
    {
        let store = self.store.backend().store_id();
        let projection = &self.projection;
        let binding = Binding::new(store, &projection.name(), projection.version(), &self.query);
        self.repository = Some(SnapshotRepository::new(snapshots, policy, binding));
        self
    }

    /// Folds the events up to `end`, and stores snapshots of the states on the way.
    pub(super) fn fold_and_save(
        &self,
        folded: &mut Folded<P::State>,
        end: u64,
    ) -> Result<(), ReadError> {
        let Some(repository) = &self.repository else { return self.fold(folded, end, |_| {}) };
        let Some(mut pending) = repository.pending(end) else {
            return self.fold(folded, end, |_| {});
        };
        let done = self.fold(folded, end, |folded| pending.offer(folded));
        if folded.passed_over == 0 {
            pending.finish(folded);
        }
        repository.save(&self.store, pending);
        done
    }

    /// Returns the state of the newest snapshot after `from` and at most at `end`.
    pub(super) fn snapshot(&self, from: u64, end: u64) -> Option<Folded<P::State>> {
        let snapshot = self.repository.as_ref()?.newest(&self.store, &(from + 1..=end))?;
        Some(Folded {
            state: snapshot.state,
            head: snapshot.head,
            last: snapshot.last.map(|last| last.offset),
            since: 0,
            passed_over: 0,
        })
    }
}
