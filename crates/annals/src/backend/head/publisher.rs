//! The side of a head that moves it: for the author of a backend.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use annals_base::Watched;

use super::callbacks::{Callbacks, Published};
use super::{Head, Shared, wakers};
use crate::error::AppendError;
use crate::metrics::meters::Meters;

/// Moves and closes a log's published head, which is the [`Head`] that it dereferences to.
///
/// The backend keeps it to itself, and lends the [`Head`] to its readers: who has that cannot move it. Clones move the
/// same head.
pub struct HeadPublisher<E>(Head<E>);

impl<E> HeadPublisher<E> {
    /// Makes a head at `head`. Its metrics have the label "other".
    #[must_use]
    pub fn new(head: u64) -> Self {
        Self::for_backend("other", head)
    }

    /// Makes a head at `head` for a backend that makes events durable. Its metrics have the label `backend` in the recorder
    /// of the crate `metrics`, if one was installed before.
    #[must_use]
    pub fn for_backend(backend: &'static str, head: u64) -> Self {
        Self::with_meters(Meters::new(backend, true), head)
    }

    pub(crate) fn with_meters(meters: Meters, head: u64) -> Self {
        let shared = Shared {
            stopped: AtomicBool::new(false),
            callbacks: Callbacks::default(),
            meters: Arc::new(meters),
        };
        Self(Head { watched: Arc::new(Watched::new(head)), shared: Arc::new(shared) })
    }

    /// Counts an append that the backend refuses before it reaches the commit path, and returns the error.
    #[must_use]
    pub fn refused(&self, error: AppendError) -> AppendError {
        self.meters().refused(&error);
        error
    }

    /// Moves the head to `head`, calls the callbacks with `events` in order, and wakes all that sleep.
    ///
    /// Everything below `head` must be readable, and as durable as was asked. One thread publishes at a time; a call from
    /// inside a callback moves the head at once and leaves the events to the call that it is inside of. A head that is
    /// closed does not move: then this does nothing.
    ///
    /// # Panics
    /// When `head` is less than the head is already.
    pub fn publish(&self, head: u64, events: Published<E>) {
        self.publish_with(head, || events);
    }

    /// As [`publish`](Self::publish), for a backend that must read the events that it publishes: it calls `events` only if
    /// there are callbacks.
    ///
    /// # Panics
    /// When `head` is less than the head is already.
    pub fn publish_with(&self, head: u64, events: impl FnOnce() -> Published<E>) {
        let Head { watched, shared } = &self.0;
        if shared.callbacks.advance(watched, head) {
            shared.callbacks.deliver(&shared.meters, events());
        }
        self.wake();
    }

    /// Says that no more appends are taken. Those under way still move the head.
    pub fn begin_close(&self) {
        // Release: pairs with the load in `takes_appends`.
        self.0.shared.stopped.store(true, Ordering::Release);
    }

    /// Says that the head does not move again, and that no more appends are taken: cursors end when they have caught up.
    pub fn close(&self) {
        self.begin_close();
        self.0.shared.callbacks.end(&self.0.watched);
        self.wake();
    }

    /// Returns whether the calling thread is inside one of this head's callbacks: then it may lead the backend already.
    #[must_use]
    pub fn is_delivering(&self) -> bool {
        self.0.shared.callbacks.is_delivering()
    }

    fn wake(&self) {
        self.0.watched.take_sleepers().into_iter().for_each(wakers::wake);
    }
}

impl<E> Deref for HeadPublisher<E> {
    type Target = Head<E>;

    fn deref(&self) -> &Head<E> {
        &self.0
    }
}

impl<E> Clone for HeadPublisher<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<E> std::fmt::Debug for HeadPublisher<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("HeadPublisher").field(&self.0).finish()
    }
}
