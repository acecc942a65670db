//! The first design of annals, written from its description: what the store in memory is measured against.

use std::sync::RwLock;

/// The number of events in each segment.
const SEGMENT: usize = 1_024;

/// A function that is called with each appended event.
type Callback<E> = Box<dyn FnMut(&E) + Send + Sync>;

/// A list in segments of 1,024 events behind a reader-writer lock, which every access takes. Callbacks are called while
/// the lock is held. It has no index, no times, no conditions and no commits.
pub struct FirstDesign<E>(RwLock<Inner<E>>);

struct Inner<E> {
    segments: Vec<Vec<E>>,
    len: usize,
    callbacks: Vec<Callback<E>>,
}

impl<E: Clone> FirstDesign<E> {
    pub fn new() -> Self {
        Self(RwLock::new(Inner { segments: Vec::new(), len: 0, callbacks: Vec::new() }))
    }

    pub fn subscribe(&self, callback: impl FnMut(&E) + Send + Sync + 'static) {
        self.0.write().expect("no panic").callbacks.push(Box::new(callback));
    }

    pub fn append(&self, event: E) -> u64 {
        self.0.write().expect("no panic").push(event)
    }

    pub fn append_batch(&self, events: Vec<E>) {
        let mut inner = self.0.write().expect("no panic");
        for event in events {
            inner.push(event);
        }
    }

    pub fn get(&self, offset: usize) -> Option<E> {
        let inner = self.0.read().expect("no panic");
        inner.segments.get(offset / SEGMENT)?.get(offset % SEGMENT).cloned()
    }
}

impl<E> Inner<E> {
    fn push(&mut self, event: E) -> u64 {
        if self.len.is_multiple_of(SEGMENT) {
            self.segments.push(Vec::with_capacity(SEGMENT));
        }
        let segment = self.segments.last_mut().expect("pushed above");
        segment.push(event);
        let event = &segment[segment.len() - 1];
        self.callbacks.iter_mut().for_each(|callback| callback(event));
        self.len += 1;
        self.len as u64 - 1
    }
}
