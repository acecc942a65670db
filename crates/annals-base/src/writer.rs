//! The writer of a list.
//!
//! ```text
//!    published        staged         room left in the stretch
//!   [item][item] ... [item][item]   [    ][    ][    ]
//!                    ^              ^                 ^
//!                    list.len()     len, next         end
//! ```
//!
//! The writer stores the number of items that it has written, the address of the next item and the end of the stretch,
//! so that it need not look them up. An append is then a compare, a write and a store. A stretch is a whole segment, or
//! 2 MiB of a large one: where the writer enters it, a thread is asked to have memory for [the next ones](crate::prefault).

use std::{fmt, ptr::NonNull};

use crate::{
    list::SegmentedList,
    prefault::{items_ahead, room_in_stretch},
    prefetch::prefetch_item,
    shared::Shared,
    slot::Slot,
};

/// Makes an empty list. Returns its only writer and a first handle for readers. Allocates no memory for items yet.
///
/// # Examples
///
/// ```
/// let (mut writer, list) = annals_base::segmented_list();
/// writer.push(7);
/// assert_eq!(list.get(0), Some(&7));
/// ```
#[must_use]
pub fn segmented_list<T>() -> (ListWriter<T>, SegmentedList<T>) {
    let list = SegmentedList::new();
    (ListWriter::of_new(list.clone()), list)
}

/// The only writer of a [`SegmentedList`]. It can move to another thread, but not be cloned.
///
/// Items are appended one by one with [`push`](Self::push), or staged and then published together, so that readers see
/// all of a batch or none of it. Dropping the writer drops the items that are still staged. Published items live as
/// long as any handle of the list.
///
/// # Panics
/// Appending panics or aborts when `Vec::push` does: with "capacity overflow" if a segment would exceed `isize::MAX`
/// bytes, and through [`handle_alloc_error`](std::alloc::handle_alloc_error) if the system has no memory. The list is
/// unchanged then.
///
/// # Examples
///
/// ```
/// let (mut writer, list) = annals_base::segmented_list();
/// assert_eq!(writer.stage('a'), 0);
/// assert_eq!(writer.stage('b'), 1);
/// assert_eq!((writer.staged(), list.len()), (2, 0));
/// assert_eq!(writer.publish(), 2);
/// assert_eq!(list.get(1), Some(&'b'));
/// ```
pub struct ListWriter<T> {
    list: SegmentedList<T>,
    /// The address of the next item, while `len < end`.
    next: NonNull<T>,
    /// The number of items written, including staged ones.
    len: usize,
    /// The index at which the stretch of `next` ends. It equals `len` if the next item is the first of a stretch.
    end: usize,
}

// SAFETY: the writer is a list, which is `Send` and `Sync` if the items are both, and a pointer into that list's
// memory. Only the writer writes through the pointer, and only with `&mut self`. Like the list, it moves and lends
// items to other threads, so both traits need both bounds.
unsafe impl<T: Send + Sync> Send for ListWriter<T> {}
// SAFETY: as above, and with `&self` items can only be read.
unsafe impl<T: Send + Sync> Sync for ListWriter<T> {}

impl<T> ListWriter<T> {
    /// Makes the writer of an empty list, which must have no other writer.
    pub(crate) fn of_new(list: SegmentedList<T>) -> Self {
        Self { list, next: NonNull::dangling(), len: 0, end: 0 }
    }

    /// Appends an item and publishes it, together with all staged items. Returns its index.
    #[inline]
    pub fn push(&mut self, item: T) -> usize {
        let index = self.stage(item);
        self.publish();
        index
    }

    /// Appends an item that no reader sees before [`publish`](Self::publish). Returns its index.
    #[inline]
    pub fn stage(&mut self, item: T) -> usize {
        if self.len == self.end {
            self.enter_stretch();
        }
        let index = self.len;
        // SAFETY: `len < end`, so `next` points into the segment, and no other thread accesses items beyond the
        // published length. One item further is at most the segment's end.
        unsafe {
            self.next.write(item);
            self.next = self.next.add(1);
        }
        // The next item is often written soon, and its memory is in no cache.
        prefetch_item(self.next.as_ptr());
        self.len = index + 1;
        index
    }

    /// Makes all staged items visible to readers at once. Returns the list's new length.
    #[inline]
    pub fn publish(&mut self) -> usize {
        // SAFETY: this is the writer, and it has written `len` items.
        unsafe { self.shared().publish(self.len) }
        self.len
    }

    /// Drops all staged items. Returns their number. Their memory is used again for the next items.
    ///
    /// If an item panics while it is dropped, the others are dropped as well, and the writer remains usable.
    pub fn discard(&mut self) -> usize {
        let published = self.shared().len_by_the_writer();
        let written = std::mem::replace(&mut self.len, published);
        // The address of the next item must be looked up again. This is set before the drops, because they may panic.
        self.end = published;
        // SAFETY: staged items are written, readers never see them, and `len` no longer covers them.
        unsafe { self.shared().drop_items(published, written) }
        written - published
    }

    /// Returns the number of staged items.
    #[must_use]
    #[inline]
    pub fn staged(&self) -> usize {
        self.len - self.shared().len_by_the_writer()
    }

    /// Returns the item at `index`, published or staged. Returns `None` beyond the staged items.
    #[must_use]
    #[inline]
    pub fn get(&self, index: usize) -> Option<&T> {
        // SAFETY: this is the writer, and it has written `len` items.
        (index < self.len).then(|| unsafe { self.shared().item(index) })
    }

    /// Returns the handle for readers, which can be cloned.
    #[must_use]
    #[inline]
    pub fn list(&self) -> &SegmentedList<T> {
        &self.list
    }

    #[inline]
    fn shared(&self) -> &Shared<T> {
        self.list.shared()
    }

    /// Sets `next` and `end` for the item at index `len`. Allocates its segment if necessary, and asks for memory ahead.
    #[cold]
    #[inline(never)]
    fn enter_stretch(&mut self) {
        let Some(slot) = Slot::checked(self.len) else { panic!("capacity overflow") };
        // SAFETY: this is the writer, and the local offset lies within the segment.
        self.next =
            unsafe { self.shared().segment_or_allocate(slot.segment).add(slot.local_offset) };
        self.end = self.len + room_in_stretch::<T>(&slot);
        let ahead = items_ahead::<T>(&slot);
        if !ahead.is_empty() {
            // SAFETY: `next` is the address of the item at `slot`, and the range ends at the segment's end at the latest.
            unsafe { self.shared().prefault(self.next, ahead) }
        }
    }
}

impl<T> Drop for ListWriter<T> {
    fn drop(&mut self) {
        self.discard();
    }
}

impl<T> fmt::Debug for ListWriter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListWriter")
            .field("len", &self.shared().len_by_the_writer())
            .field("staged", &self.staged())
            .finish_non_exhaustive()
    }
}
