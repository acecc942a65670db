//! The subscriptions that are open now: what the metrics and the statistics say of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use annals::Query;
use parking_lot::Mutex;

/// One open subscription.
#[derive(Debug)]
pub(crate) struct Cursor {
    pub(crate) face: &'static str,
    pub(crate) client: String,
    pub(crate) query: Arc<Query>,
    pub(crate) since: SystemTime,
    position: AtomicU64,
}

impl Cursor {
    /// Returns the offset that the subscription reads next.
    pub(crate) fn position(&self) -> u64 {
        // Relaxed: a figure for people, which pairs with nothing.
        self.position.load(Ordering::Relaxed)
    }
}

/// All open subscriptions.
#[derive(Debug, Default, Clone)]
pub(crate) struct Cursors(Arc<Mutex<Open>>);

#[derive(Debug, Default)]
struct Open {
    last: u64,
    cursors: BTreeMap<u64, Arc<Cursor>>,
}

impl Cursors {
    /// Adds a subscription, until the returned value is dropped.
    pub(crate) fn watch(
        &self,
        face: &'static str,
        client: String,
        query: Arc<Query>,
        position: u64,
    ) -> Watch {
        let (position, since) = (AtomicU64::new(position), SystemTime::now());
        let cursor = Arc::new(Cursor { face, client, query, since, position });
        let mut open = self.0.lock();
        open.last += 1;
        let key = open.last;
        open.cursors.insert(key, Arc::clone(&cursor));
        Watch { cursors: self.clone(), key, cursor }
    }

    /// Returns the subscriptions, the oldest first.
    pub(crate) fn list(&self) -> Vec<Arc<Cursor>> {
        self.0.lock().cursors.values().map(Arc::clone).collect()
    }
}

/// Keeps a subscription in the list.
#[derive(Debug)]
pub(crate) struct Watch {
    cursors: Cursors,
    key: u64,
    cursor: Arc<Cursor>,
}

impl Watch {
    /// Sets the offset that the subscription reads next.
    pub(crate) fn set(&self, position: u64) {
        // Relaxed: see `Cursor::position`.
        self.cursor.position.store(position, Ordering::Relaxed);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.cursors.0.lock().cursors.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_is_listed_until_it_ends() {
        let cursors = Cursors::default();
        let watch = cursors.watch("grpc", "peer".into(), Arc::new(Query::all()), 3);
        watch.set(7);
        let listed = cursors.list();
        assert_eq!((listed.len(), listed[0].position(), listed[0].face), (1, 7, "grpc"));
        drop(watch);
        assert!(cursors.list().is_empty());
    }
}
