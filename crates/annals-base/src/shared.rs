//! The data that the writer and the readers share, and the protocol between them.
//!
//! ```text
//!             written only by the writer, read by all
//!   segments  [ptr][ptr][ptr][null][null] ...     each set once, then never changed: the address that item 0 would
//!                |    |    |                      have if the segment reached down to it
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
//! So an item below `len` is never written again until the list is dropped, and a reader never reads an item at or
//! beyond `len`. Therefore neither the writer nor a reader ever waits.

use std::{
    marker::PhantomData,
    mem::needs_drop,
    ops::Range,
    ptr::{NonNull, drop_in_place, null_mut, slice_from_raw_parts_mut},
};

use crate::{
    prefault::Prefault,
    segment,
    slot::{SEGMENT_COUNT_MAX, Slot, capacity_of, first_of},
    sync::{AtomicPtr, AtomicUsize, Ordering},
};

/// The segments and the published length.
///
/// Its drop drops the published items. The writer drops the staged items.
pub(crate) struct Shared<T> {
    segments: Segments<T>,
    len: OwnLine<AtomicUsize>,
}

/// A value on a cache line of its own. The length changes with every append, so it must not share a line with the
/// segment pointers, which rarely change. The alignment is 128 bytes, because x86-64 fetches its lines of 64 bytes in
/// pairs, and some aarch64 processors have lines of 128 bytes.
#[repr(align(128))]
struct OwnLine<A>(A);

impl<T> Shared<T> {
    pub(crate) fn new() -> Self {
        Self { segments: Segments::new(), len: OwnLine(AtomicUsize::new(0)) }
    }

    /// Returns the items that are published now.
    #[inline]
    pub(crate) fn published(&self) -> Published<'_, T> {
        let len = self.len.0.load(Ordering::Acquire); // pairs with the Release store in `publish`
        Published { shared: self, len }
    }

    /// Returns the published length, for the thread that published it or a thread that is ordered after it.
    #[inline]
    pub(crate) fn len_by_the_writer(&self) -> usize {
        self.len.0.load(Ordering::Relaxed) // the writer reads its own store in `publish`
    }

    /// Makes the first `len` items visible to readers.
    ///
    /// # Safety
    /// Only the writer calls this, the first `len` items are written, and `len` is not less than before.
    #[inline]
    pub(crate) unsafe fn publish(&self, len: usize) {
        self.len.0.store(len, Ordering::Release); // pairs with the Acquire load in `published`
    }

    /// Returns the start of a segment, and allocates the segment if necessary.
    ///
    /// # Safety
    /// Only the writer calls this: two at a time could replace a segment that is in use.
    pub(crate) unsafe fn segment_or_allocate(&self, segment: usize) -> NonNull<T> {
        let pointer = &self.segments.pointers[segment];
        let origin = pointer.load(Ordering::Relaxed); // the writer reads its own store below
        start_of(origin, segment).unwrap_or_else(|| {
            let fresh = segment::allocate::<T>(capacity_of(segment));
            let origin = fresh.as_ptr().wrapping_sub(first_of(segment));
            assert!(!origin.is_null(), "the address of item 0 must not be null");
            // Relaxed: a reader loads this pointer only for an index below a length that `publish` stores later.
            pointer.store(origin, Ordering::Relaxed); // pairs with the Relaxed load in `pointer_to`
            fresh
        })
    }

    /// Asks for memory for these items ahead of the writer, and does not wait.
    ///
    /// # Safety
    /// The items lie in the segment that begins at or before `start` and was allocated by this list. `start` is the
    /// address of the item from which `items` counts.
    pub(crate) unsafe fn prefault(&self, start: NonNull<T>, items: Range<usize>) {
        // SAFETY: the caller guarantees that both addresses lie within the segment or at its end.
        let memory = unsafe { [items.start, items.end].map(|at| start.add(at).as_ptr()) };
        self.segments.prefault.ask(memory[0]..memory[1]);
    }

    /// Returns the number of allocated segments, including those with only staged items.
    pub(crate) fn segment_count(&self) -> usize {
        // Relaxed: the pointer is compared with null and never followed, so no ordering is needed.
        self.segments
            .pointers
            .iter()
            .take_while(|pointer| !pointer.load(Ordering::Relaxed).is_null())
            .count()
    }

    /// Returns the item at `index`.
    ///
    /// # Safety
    /// The item is published and the caller's thread has loaded a length beyond it with Acquire, or the caller is the
    /// writer and has staged it.
    #[inline]
    pub(crate) unsafe fn item(&self, index: usize) -> &T {
        // SAFETY: the caller guarantees that the item is written. It does not change while `self` is borrowed:
        // published items never change, and to drop staged items the writer borrows itself mutably.
        unsafe { &*self.pointer_to(index) }
    }

    /// Drops items `from..to`. If an item panics while it is dropped, the others are dropped as well, as in a `Vec`,
    /// and then the panic continues.
    ///
    /// # Safety
    /// These items are written, and no thread reads them now or later.
    pub(crate) unsafe fn drop_items(&self, from: usize, to: usize) {
        /// The items in later segments, which are dropped whether the first segment's drop panics or not.
        struct Rest<'a, T>(&'a Shared<T>, usize, usize);
        impl<T> Drop for Rest<'_, T> {
            fn drop(&mut self) {
                // SAFETY: this is a part of the range for which the caller of `drop_items` made the guarantee.
                unsafe { self.0.drop_items(self.1, self.2) }
            }
        }

        if needs_drop::<T>() && from < to {
            let slot = Slot::of(from);
            let count = slot.room.min(to - from);
            let _rest = Rest(self, from + count, to);
            // SAFETY: `count` items from `from` on lie in one segment, and the caller guarantees that no thread reads
            // them.
            unsafe { drop_in_place(slice_from_raw_parts_mut(self.pointer_to(from), count)) }
        }
    }

    /// Returns the address of the item at `index`.
    ///
    /// # Safety
    /// The item's segment is allocated, and the caller's thread has loaded a length beyond the index with Acquire or is
    /// the writer.
    #[inline]
    unsafe fn pointer_to(&self, index: usize) -> *mut T {
        let segment = Slot::segment_of(index);
        debug_assert!(segment < SEGMENT_COUNT_MAX);
        // SAFETY: the writer checked the index with `Slot::checked` before it allocated the segment.
        let pointer = unsafe { self.segments.pointers.get_unchecked(segment) };
        // Relaxed: the caller's Acquire load of the length orders it.
        let origin = pointer.load(Ordering::Relaxed); // pairs with the Relaxed store in `segment_or_allocate`
        if cfg!(any(loom, debug_assertions)) {
            assert!(!origin.is_null(), "item {index} is in a segment that was never published");
        }
        // Wrapping, because the origin may lie outside the allocation. The item is inside it.
        origin.wrapping_add(index)
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        let len = self.len.0.load(Ordering::Relaxed); // no other handle is left: `Arc` ordered their uses before
        // SAFETY: published items are written, and no other handle exists that could read them. Their memory is freed
        // afterwards, when `segments` is dropped, even if an item panics.
        unsafe { self.drop_items(0, len) }
    }
}

/// Returns the start of a segment's memory, if it is allocated. `origin` is the address that item 0 would have.
fn start_of<T>(origin: *mut T, segment: usize) -> Option<NonNull<T>> {
    if origin.is_null() { None } else { NonNull::new(origin.wrapping_add(first_of(segment))) }
}

/// The segments. They own the memory of the items, not the items.
struct Segments<T> {
    pointers: [AtomicPtr<T>; SEGMENT_COUNT_MAX],
    prefault: Prefault,
    /// Makes the threads that may have the segments depend on `T`. An `AtomicPtr<T>` alone may go to any thread.
    items: PhantomData<T>,
}

impl<T> Segments<T> {
    fn new() -> Self {
        let pointers = std::array::from_fn(|_| AtomicPtr::new(null_mut()));
        Self { pointers, prefault: Prefault::new(), items: PhantomData }
    }
}

impl<T> Drop for Segments<T> {
    fn drop(&mut self) {
        self.prefault.end();
        for (segment, pointer) in self.pointers.iter().enumerate() {
            let origin = pointer.load(Ordering::Relaxed); // no other handle is left, as in the drop of `Shared`
            let Some(start) = start_of(origin, segment) else { break };
            // SAFETY: `segment_or_allocate` allocated it with this capacity, and this is the drop of the last handle.
            unsafe { segment::deallocate(start, capacity_of(segment)) }
        }
    }
}

/// The first `len` items of a list. The thread that made this value has loaded `len` with Acquire, which makes it safe
/// to read them.
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
    /// Returns the number of items.
    #[inline]
    pub(crate) fn len(self) -> usize {
        self.len
    }

    /// Returns the item at `index`, if it is below `len`.
    #[inline]
    pub(crate) fn get(self, index: usize) -> Option<&'a T> {
        // SAFETY: the index is below a length that was loaded with Acquire.
        (index < self.len).then(|| unsafe { self.shared.item(index) })
    }

    /// Returns the first items of `from..to` that lie in one segment. The slice is empty only if the range is.
    ///
    /// Panics if the range reaches beyond `len`.
    #[inline]
    pub(crate) fn first_slice(self, from: usize, to: usize) -> &'a [T] {
        if from >= to {
            return &[];
        }
        assert!(
            to <= self.len,
            "the range reaches beyond the published items: {to} > {}",
            self.len
        );
        let slot = Slot::of(from);
        // SAFETY: the items lie in one segment and below the length.
        unsafe { self.slice(from, slot.room.min(to - from)) }
    }

    /// Returns the last items of `from..to` that lie in one segment. The slice is empty only if the range is.
    ///
    /// Panics if the range reaches beyond `len`.
    #[inline]
    pub(crate) fn last_slice(self, from: usize, to: usize) -> &'a [T] {
        if from >= to {
            return &[];
        }
        assert!(
            to <= self.len,
            "the range reaches beyond the published items: {to} > {}",
            self.len
        );
        let last_offset = Slot::of(to - 1).local_offset;
        let count = (last_offset + 1).min(to - from);
        // SAFETY: the last `count` items of the range lie in one segment and below the length.
        unsafe { self.slice(to - count, count) }
    }

    /// Returns `count` items from `from` on.
    ///
    /// # Safety
    /// These items lie in one segment and below `self.len`.
    #[inline]
    unsafe fn slice(self, from: usize, count: usize) -> &'a [T] {
        // SAFETY: the items are written, because they lie below a length that was loaded with Acquire. They are
        // contiguous, because they lie in one segment. They do not change until the list is dropped, and `'a` prevents
        // that.
        unsafe { std::slice::from_raw_parts(self.shared.pointer_to(from), count) }
    }
}
