//! What the writer and the readers share, and the protocol between them.
//!
//! ```text
//!             written by the writer alone, read by all
//!   segments  [ptr][ptr][ptr][null][null] ...     each set once, then never changed: where item 0 would be,
//!                |    |    |                      if the segment reached down to it
//!                v    v    v
//!   items     published | staged | not written
//!                       ^
//!   len       ----------+                         on a cache line of its own
//! ```
//!
//! 1. The writer writes items beyond `len`, and sets the segment pointers that lead to them.
//! 2. It stores the new `len` with Release.
//! 3. A reader loads `len` with Acquire: the items below it and the pointers to them were written before.
//!
//! So an item below `len` is never written again until the list is dropped, and nothing at or beyond `len` is
//! ever looked at by a reader. That is all there is to it, and why no one waits for anyone.

use std::{
    marker::PhantomData,
    mem::needs_drop,
    ptr::{NonNull, drop_in_place, null_mut, slice_from_raw_parts_mut},
};

use crate::{
    place::{Place, SEGMENT_COUNT_MAX, capacity_of, first_of},
    segment,
    sync::{AtomicPtr, AtomicUsize, Ordering},
};

/// The segments and the published length.
///
/// Whoever drops it drops the published items. What is staged is the writer's to drop.
pub(crate) struct Shared<T> {
    segments: Segments<T>,
    len: OwnLine<AtomicUsize>,
}

/// Keeps the length, which changes with every append, from sharing a cache line with the segment pointers,
/// which hardly ever do. Two lines of 64 bytes, because x86-64 fetches them in pairs; and aarch64 has lines of 128.
#[repr(align(128))]
struct OwnLine<A>(A);

impl<T> Shared<T> {
    pub(crate) fn new() -> Self {
        Self { segments: Segments::new(), len: OwnLine(AtomicUsize::new(0)) }
    }

    /// The published items, as many as there are now.
    #[inline]
    pub(crate) fn published(&self) -> Published<'_, T> {
        let len = self.len.0.load(Ordering::Acquire); // pairs with the Release store in `publish`
        Published { shared: self, len }
    }

    /// The published length, for the thread that published it or one that is ordered behind it.
    #[inline]
    pub(crate) fn len_by_the_writer(&self) -> usize {
        self.len.0.load(Ordering::Relaxed) // the writer reads its own store in `publish`
    }

    /// Shows readers the first `len` items.
    ///
    /// # Safety
    /// Only the writer calls this, the first `len` items are written, and `len` is at least what it was.
    #[inline]
    pub(crate) unsafe fn publish(&self, len: usize) {
        self.len.0.store(len, Ordering::Release); // pairs with the Acquire load in `published`
    }

    /// The start of a segment, allocated if it is not there yet.
    ///
    /// # Safety
    /// Only the writer calls this: two at a time could replace a segment that is in use.
    pub(crate) unsafe fn segment_or_allocate(&self, segment: usize) -> NonNull<T> {
        let pointer = &self.segments.pointers[segment];
        let there = pointer.load(Ordering::Relaxed); // the writer reads its own store below
        start_of(there, segment).unwrap_or_else(|| {
            let fresh = segment::allocate::<T>(capacity_of(segment));
            let origin = fresh.as_ptr().wrapping_sub(first_of(segment));
            assert!(!origin.is_null(), "an item lies as far from address 0 as from item 0");
            // Relaxed: a reader comes here only by way of an index below a length stored later, in `publish`.
            pointer.store(origin, Ordering::Relaxed); // pairs with the Relaxed load in `pointer_to`
            fresh
        })
    }

    /// How many segments are allocated, those with nothing but staged items too.
    pub(crate) fn segment_count(&self) -> usize {
        // Relaxed: compared with null and never followed, so there is nothing to be ordered with.
        self.segments
            .pointers
            .iter()
            .take_while(|pointer| !pointer.load(Ordering::Relaxed).is_null())
            .count()
    }

    /// The item at `index`.
    ///
    /// # Safety
    /// It is published and the caller's thread knows by an Acquire load, or the caller is the writer and staged it.
    #[inline]
    pub(crate) unsafe fn item(&self, index: usize) -> &T {
        // SAFETY: the item is written, by the caller's word, and is not changed while `self` is borrowed:
        // published ones never are, and to drop staged ones the writer borrows itself mutably.
        unsafe { &*self.pointer_to(index) }
    }

    /// Drops items `from..to`. When one panics while it is dropped the others are dropped all the same, as a
    /// `Vec` would, and then the panic goes on.
    ///
    /// # Safety
    /// These items are written, and no one looks at them now or later.
    pub(crate) unsafe fn drop_items(&self, from: usize, to: usize) {
        /// The segments after the one being dropped: their turn comes whether it panics or not.
        struct Rest<'a, T>(&'a Shared<T>, usize, usize);
        impl<T> Drop for Rest<'_, T> {
            fn drop(&mut self) {
                // SAFETY: a part of what the caller of `drop_items` gave up.
                unsafe { self.0.drop_items(self.1, self.2) }
            }
        }

        if needs_drop::<T>() && from < to {
            let place = Place::of(from);
            let count = place.room.min(to - from);
            let _rest = Rest(self, from + count, to);
            // SAFETY: `count` items from there on lie in one segment, and the caller gives them up.
            unsafe { drop_in_place(slice_from_raw_parts_mut(self.pointer_to(from), count)) }
        }
    }

    /// The address of the item at `index`.
    ///
    /// # Safety
    /// Its segment is allocated and the caller's thread knows: by an Acquire load of a length beyond the
    /// index, or because it is the writer.
    #[inline]
    unsafe fn pointer_to(&self, index: usize) -> *mut T {
        let segment = Place::segment_of(index);
        debug_assert!(segment < SEGMENT_COUNT_MAX);
        // SAFETY: `Place::checked` let the writer in, and the caller comes behind the writer.
        let pointer = unsafe { self.segments.pointers.get_unchecked(segment) };
        // Relaxed: ordered by the Acquire load of the length that let the caller come here.
        let origin = pointer.load(Ordering::Relaxed); // pairs with the Relaxed store in `segment_or_allocate`
        if cfg!(any(loom, debug_assertions)) {
            assert!(!origin.is_null(), "a place in a segment that was never published");
        }
        // Wrapping, for the origin lies outside of the segment; the item is inside again.
        origin.wrapping_add(index)
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        let len = self.len.0.load(Ordering::Relaxed); // alone by now: `Arc` ordered every other handle's use before
        // SAFETY: published items are written, and no one holds a handle to look at them with. The memory
        // goes after them, as `segments` is dropped, even if an item panics.
        unsafe { self.drop_items(0, len) }
    }
}

/// Where a segment's memory starts, if it is allocated: `origin` is where item 0 would be.
fn start_of<T>(origin: *mut T, segment: usize) -> Option<NonNull<T>> {
    if origin.is_null() { None } else { NonNull::new(origin.wrapping_add(first_of(segment))) }
}

/// The segments: the memory of the items, not the items.
struct Segments<T> {
    pointers: [AtomicPtr<T>; SEGMENT_COUNT_MAX],
    /// An `AtomicPtr<T>` may go to any thread, whatever `T` is. The items behind it may not.
    items: PhantomData<T>,
}

impl<T> Segments<T> {
    fn new() -> Self {
        Self { pointers: std::array::from_fn(|_| AtomicPtr::new(null_mut())), items: PhantomData }
    }
}

impl<T> Drop for Segments<T> {
    fn drop(&mut self) {
        for (segment, pointer) in self.pointers.iter().enumerate() {
            let origin = pointer.load(Ordering::Relaxed); // alone by now, as in the drop of `Shared`
            let Some(start) = start_of(origin, segment) else { break };
            // SAFETY: allocated by `segment_or_allocate` with this capacity; the last handle is going.
            unsafe { segment::deallocate(start, capacity_of(segment)) }
        }
    }
}

/// The first `len` items of a list, by someone who has loaded that length with Acquire: the proof that it is
/// safe to look at them.
pub(crate) struct Published<'a, T> {
    shared: &'a Shared<T>,
    len: usize,
}

impl<T> Clone for Published<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Published<'_, T> {}

impl<'a, T> Published<'a, T> {
    /// How many there are.
    #[inline]
    pub(crate) fn len(self) -> usize {
        self.len
    }

    /// The item at `index`, if it is one of them.
    #[inline]
    pub(crate) fn get(self, index: usize) -> Option<&'a T> {
        // SAFETY: it lies below a length that was loaded with Acquire.
        (index < self.len).then(|| unsafe { self.shared.item(index) })
    }

    /// The first items of `from..to`, as many as lie in one segment; at least one unless the range is empty.
    ///
    /// Panics where the range reaches beyond `len`.
    #[inline]
    pub(crate) fn first_slice(self, from: usize, to: usize) -> &'a [T] {
        if from >= to {
            return &[];
        }
        assert!(to <= self.len, "beyond what is published");
        let place = Place::of(from);
        // SAFETY: in one segment and below the length.
        unsafe { self.slice(from, place.room.min(to - from)) }
    }

    /// The last items of `from..to`, as many as lie in one segment; at least one unless the range is empty.
    ///
    /// Panics where the range reaches beyond `len`.
    #[inline]
    pub(crate) fn last_slice(self, from: usize, to: usize) -> &'a [T] {
        if from >= to {
            return &[];
        }
        assert!(to <= self.len, "beyond what is published");
        let offset_last = Place::of(to - 1).offset;
        let count = (offset_last + 1).min(to - from);
        // SAFETY: `count` items back from the last one lie in its segment, and below the length.
        unsafe { self.slice(to - count, count) }
    }

    /// # Safety
    /// The `count` items from `from` on lie in one segment and below `self.len`.
    #[inline]
    unsafe fn slice(self, from: usize, count: usize) -> &'a [T] {
        // SAFETY: written, as they lie below a length that was loaded with Acquire; contiguous, in one segment;
        // and unchanged until the list is dropped, which `'a` keeps from happening.
        unsafe { std::slice::from_raw_parts(self.shared.pointer_to(from), count) }
    }
}
