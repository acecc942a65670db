//! The heads of other event types on the same log. They share the number and the waiting readers with the head that the
//! backend moves; their callbacks are called when that head was moved.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use annals_base::{Mutex, Watched};

/// Delivers the events at these offsets to the callbacks of one twin. Returns false once the twin is gone.
type Deliver = dyn Fn(Range<u64>) -> bool + Send + Sync;

/// Returns whether a twin is gone.
type IsGone = dyn Fn() -> bool + Send + Sync;

/// The twins of a head, and the twins of those.
#[derive(Default)]
pub(super) struct Twins {
    any: AtomicBool,
    list: Mutex<Vec<Arc<Twin>>>,
}

struct Twin {
    /// Returns whether the twin is gone. Unlike `deliver`, it never drops the twin, so that a lock may be held.
    is_gone: Box<IsGone>,
    /// All events below it were delivered.
    next: Mutex<u64>,
    deliver: Box<Deliver>,
}

impl Twins {
    /// Adds a twin, whose callbacks see the events from the current head on. Removes the twins that are gone.
    pub(super) fn add(
        &self,
        watched: &Watched,
        is_gone: impl Fn() -> bool + Send + Sync + 'static,
        deliver: impl Fn(Range<u64>) -> bool + Send + Sync + 'static,
    ) {
        let next = Mutex::new(watched.get());
        let twin = Twin { is_gone: Box::new(is_gone), next, deliver: Box::new(deliver) };
        let mut list = self.list.lock();
        let gone: Vec<_> = list.extract_if(.., |twin| (twin.is_gone)()).collect();
        list.push(Arc::new(twin));
        drop(list);
        // Dropped without the lock: each contains the log.
        drop(gone);
        // Release: pairs with the load in `deliver`. A publication that misses it comes before the twin's first
        // callback.
        self.any.store(true, Ordering::Release);
    }

    /// Delivers what was published since the last call. A callback that appends calls this from inside: it then takes
    /// the events of both publications, in order, and the outer call finds nothing left.
    #[inline]
    pub(super) fn deliver(&self, watched: &Watched) {
        if self.any() {
            self.deliver_to_all(watched.get());
        }
    }

    /// Returns whether a twin was ever added.
    #[inline]
    pub(super) fn any(&self) -> bool {
        // Acquire: pairs with the store in `add`.
        self.any.load(Ordering::Acquire)
    }

    #[cold]
    fn deliver_to_all(&self, head: u64) {
        let twins = self.list.lock().clone();
        let mut gone = Vec::new();
        for twin in twins {
            let mut next = twin.next.lock();
            let range = *next..head.max(*next);
            *next = range.end;
            drop(next);
            if !range.is_empty() && !(twin.deliver)(range) {
                gone.push(twin);
            }
        }
        if !gone.is_empty() {
            self.list.lock().retain(|twin| !gone.iter().any(|gone| Arc::ptr_eq(gone, twin)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::publisher::HeadPublisher;
    use crate::backend::head::callbacks::Published;

    #[test]
    fn twins_that_are_gone_are_removed_without_a_publication() {
        let head = HeadPublisher::<u64>::new(0);
        let log = Arc::new(());
        let twin = || {
            let log = Arc::clone(&log);
            head.twin::<crate::RawEvent>(move |_| {
                let _ = &log;
                Published::events(Vec::new())
            })
        };
        let kept = twin();
        (0..100).for_each(|_| drop(twin()));
        // The test, `kept`, and the last one of the others.
        assert_eq!(Arc::strong_count(&log), 3);
        drop(kept);
        drop(twin());
        assert_eq!(Arc::strong_count(&log), 2);
    }
}
