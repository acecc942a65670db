//! The snapshots of one projection: finds the newest one that can be used, and stores new ones.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::ops::RangeInclusive;
use std::sync::Arc;

use annals_base::Mutex;
use serde::{Serialize, de::DeserializeOwned};

use super::pending::{PendingSnapshot, PendingSnapshots};
use crate::backend::backend::Backend;
use crate::error::ReadError;
use crate::event::event::Event;
use crate::snapshot::SnapshotStore;
use crate::snapshot::compare::{Comparison, compare};
use crate::snapshot::format::{Binding, Mark, Snapshot};
use crate::snapshot::policy::SnapshotPolicy;
use crate::store::store::EventStore;

type FromBytes<S> = fn(&[u8], &Binding, u64) -> Result<Snapshot<S>, String>;

/// The snapshots of one projection, in a snapshot store.
pub(super) struct SnapshotRepository<S> {
    snapshots: Arc<dyn SnapshotStore>,
    policy: SnapshotPolicy,
    binding: Binding,
    series: String,
    /// The heads of snapshots that can never be used. They are removed when the next snapshot is saved.
    useless: Mutex<BTreeSet<u64>>,
    to_bytes: fn(&Snapshot<S>, &Binding) -> Result<Vec<u8>, String>,
    from_bytes: FromBytes<S>,
    compare: fn(&S, &S) -> serde_json::Result<Comparison>,
}

/// Why a snapshot cannot be used.
enum Unusable {
    /// It can never be used.
    ForGood(String),
    /// The snapshot, or an event that it is compared with, could not be read. The next read may succeed.
    ThisTime(String),
}

impl<S> SnapshotRepository<S> {
    pub(super) fn new(
        snapshots: Arc<dyn SnapshotStore>,
        policy: SnapshotPolicy,
        binding: Binding,
    ) -> Self
    where
        S: Serialize + DeserializeOwned,
    {
        Self {
            snapshots,
            policy,
            series: binding.series(),
            binding,
            useless: Mutex::default(),
            to_bytes: Snapshot::to_bytes,
            from_bytes: Snapshot::from_bytes,
            compare: compare::<S>,
        }
    }

    /// Returns an empty list of pending snapshots, for a fold up to `end`; `None` if this process can save none.
    pub(super) fn pending(&self, end: u64) -> Option<PendingSnapshots<S>> {
        (!self.snapshots.is_read_only()).then(|| PendingSnapshots::new(self.policy, end))
    }

    /// Compares the state of a snapshot with the state of a fold.
    pub(super) fn compare(&self, kept: &S, folded: &S) -> serde_json::Result<Comparison> {
        (self.compare)(kept, folded)
    }

    /// Returns the heads that have snapshots, in order.
    pub(super) fn heads(&self) -> Vec<u64> {
        let mut heads = self.snapshots.heads(&self.series).unwrap_or_else(|error| {
            tracing::warn!(%error, series = self.series, "cannot list the snapshots");
            Vec::new()
        });
        heads.sort_unstable();
        heads
    }

    /// Returns the newest snapshot at one of these heads that can be used.
    pub(super) fn newest<E: Event, B: Backend<E>>(
        &self,
        store: &EventStore<E, B>,
        heads: &RangeInclusive<u64>,
    ) -> Option<Snapshot<S>> {
        let log_head = store.len();
        for head in self.heads().into_iter().rev() {
            if head > log_head {
                self.warn(head, &beyond(log_head));
            } else if heads.contains(&head) {
                match self.load(store, head) {
                    Ok(snapshot) => return Some(snapshot),
                    Err(reason) => self.warn(head, &reason),
                }
            }
        }
        None
    }

    /// Returns the snapshot at `head`, or why it cannot be used.
    pub(super) fn load<E: Event, B: Backend<E>>(
        &self,
        store: &EventStore<E, B>,
        head: u64,
    ) -> Result<Snapshot<S>, String> {
        let loaded = self.try_load(store, head);
        if let Err(Unusable::ForGood(_)) = &loaded {
            self.useless.lock().insert(head);
        }
        loaded.map_err(|unusable| match unusable {
            Unusable::ForGood(reason) | Unusable::ThisTime(reason) => reason,
        })
    }

    fn try_load<E: Event, B: Backend<E>>(
        &self,
        store: &EventStore<E, B>,
        head: u64,
    ) -> Result<Snapshot<S>, Unusable> {
        if head > store.len() {
            return Err(Unusable::ThisTime(beyond(store.len())));
        }
        let bytes = self.snapshots.load(&self.series, head).map_err(|error| {
            let reason = format!("it cannot be read ({error})");
            match error.kind() {
                ErrorKind::FileTooLarge => Unusable::ForGood(reason),
                _ => Unusable::ThisTime(reason),
            }
        })?;
        let snapshot = (self.from_bytes)(&bytes, &self.binding, head).map_err(Unusable::ForGood)?;
        check_events(store, &snapshot)?;
        Ok(snapshot)
    }

    /// Stores the pending snapshots of a fold, and removes the surplus beyond the policy. A failure is logged; the next
    /// fold then begins earlier.
    pub(super) fn save<E: Event, B: Backend<E>>(
        &self,
        store: &EventStore<E, B>,
        pending: PendingSnapshots<S>,
    ) {
        let states = pending.into_states();
        if states.is_empty() {
            return;
        }
        // A snapshot must not outlive the events in it, and buffered appends can still be lost.
        if let Err(error) = store.sync() {
            tracing::warn!(%error, "no snapshots were stored, since the log cannot be synced");
            return;
        }
        let mut saved = BTreeSet::new();
        for snapshot in states {
            let head = snapshot.head;
            match self.save_one(store, snapshot) {
                Ok(()) => {
                    saved.insert(head);
                }
                Err(reason) => {
                    tracing::warn!(series = self.series, head, reason, "a snapshot was not stored");
                }
            }
        }
        if !saved.is_empty() {
            self.remove_surplus(store.len(), &saved);
        }
    }

    fn save_one<E: Event, B: Backend<E>>(
        &self,
        store: &EventStore<E, B>,
        PendingSnapshot { state, head, last }: PendingSnapshot<S>,
    ) -> Result<(), String> {
        let end = head.checked_sub(1).ok_or("there is no event before it")?;
        let end = mark(store, end)?;
        let last = match last {
            Some(offset) if offset != end.offset => Some(mark(store, offset)?),
            last => last.map(|_| end.clone()),
        };
        let bytes = (self.to_bytes)(&Snapshot { head, end, last, state }, &self.binding)?;
        self.snapshots.save(&self.series, head, &bytes).map_err(|error| error.to_string())?;
        self.useless.lock().remove(&head);
        Ok(())
    }

    /// Removes the useless snapshots, and the oldest ones beyond the number that the policy stores. Leaves the
    /// snapshots beyond the head, since another process may have read further.
    fn remove_surplus(&self, log_head: u64, saved: &BTreeSet<u64>) {
        let mut useless = std::mem::take(&mut *self.useless.lock());
        let good: Vec<u64> = self
            .heads()
            .into_iter()
            .filter(|head| *head <= log_head && !useless.contains(head))
            .collect();
        let surplus = good.len().saturating_sub(self.policy.keep);
        useless.extend(good.iter().filter(|head| !saved.contains(head)).take(surplus));
        for head in useless {
            if let Err(error) = self.snapshots.remove(&self.series, head) {
                tracing::warn!(%error, series = self.series, head, "cannot remove a snapshot");
            }
        }
    }

    fn warn(&self, head: u64, reason: &str) {
        tracing::warn!(series = self.series, head, reason, "a snapshot is ignored");
    }
}

fn beyond(log_head: u64) -> String {
    format!("it is beyond the log's head, {log_head}")
}

/// Returns the mark of the event at `offset`, which distinguishes it from any other event at that offset. The mark has
/// no event type, since today's program may have another name for it.
fn mark<E: Event, B: Backend<E>>(store: &EventStore<E, B>, offset: u64) -> Result<Mark, String> {
    let unread = |error: ReadError| format!("the event at {offset} cannot be read ({error})");
    let short = || format!("the log has no event at {offset}");
    let time_ms = store.time_ms(offset).map_err(unread)?.ok_or_else(short)?;
    let digest = store.digest(offset).map_err(unread)?.ok_or_else(short)?;
    Ok(Mark { offset, time_ms, sha256: digest.to_string() })
}

/// Checks that the log still has the two events whose marks a snapshot has: the event before its head, which stands for
/// the whole log up to there, and the last event that was folded.
fn check_events<E: Event, B: Backend<E>, S>(
    store: &EventStore<E, B>,
    snapshot: &Snapshot<S>,
) -> Result<(), Unusable> {
    let Snapshot { end, last, .. } = snapshot;
    for known in [end].into_iter().chain(last.as_ref().filter(|last| *last != end)) {
        if mark(store, known.offset).map_err(Unusable::ThisTime)? != *known {
            let reason = format!("the log has another event at {}", known.offset);
            return Err(Unusable::ForGood(reason));
        }
    }
    Ok(())
}
