//! The one who appends.
//!
//! ```text
//!    published        staged         room left in the segment
//!   [item][item] ... [item][item]   [    ][    ][    ]
//!                    ^              ^                 ^
//!                    list.len()     len, next         end
//! ```
//!
//! The writer keeps to itself what it would otherwise have to look up: how far it has written, where the next
//! item goes and where the segment ends. So an append is a compare, a write and a store.

use std::{fmt, ptr::NonNull};

use crate::{list::SegmentedList, place::Place, shared::Shared};

/// A new, empty list: its one writer, and a first handle to read it by. Allocates nothing for items yet.
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

/// The writing end of a [`SegmentedList`]: there is one, and it can go to another thread but not be cloned.
///
/// Items are appended one by one with [`push`](Self::push), or staged and then published together, so that
/// readers see all of a batch or none of it. Dropping the writer drops what is still staged; what is
/// published stays for as long as someone holds the list.
///
/// # Panics
/// Appending panics or aborts where `Vec::push` does: with "capacity overflow" when a segment would exceed
/// `isize::MAX` bytes, and through [`handle_alloc_error`](std::alloc::handle_alloc_error) when there is no
/// memory. The list is as it was before.
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
    /// Where the next item goes, while `len < end`.
    next: NonNull<T>,
    /// How many items are written, staged ones included.
    len: usize,
    /// The index at which the segment of `next` ends; equal to `len` when a segment has to be entered first.
    end: usize,
}

// SAFETY: the writer is a list (`Send` and `Sync` if the items are both) and a pointer into that list's memory,
// which it alone writes through and only from `&mut self`. It hands items to other threads and lends them, as
// the list does; hence both bounds for both traits.
unsafe impl<T: Send + Sync> Send for ListWriter<T> {}
// SAFETY: as above; with `&self` one can only look.
unsafe impl<T: Send + Sync> Sync for ListWriter<T> {}

impl<T> ListWriter<T> {
    /// The writer of an empty list; there must be no other.
    pub(crate) fn of_new(list: SegmentedList<T>) -> Self {
        Self { list, next: NonNull::dangling(), len: 0, end: 0 }
    }

    /// Appends an item and publishes it, along with all that is staged. Returns its index.
    #[inline]
    pub fn push(&mut self, item: T) -> usize {
        let index = self.stage(item);
        self.publish();
        index
    }

    /// Appends an item that no reader sees before [`publish`](Self::publish). Returns the index it will have.
    #[inline]
    pub fn stage(&mut self, item: T) -> usize {
        if self.len == self.end {
            self.enter_segment();
        }
        let index = self.len;
        // SAFETY: `len < end`, so `next` is a place in the segment, and no one else touches what is beyond the
        // published length. One step further is at most the segment's end.
        unsafe {
            self.next.write(item);
            self.next = self.next.add(1);
        }
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

    /// Drops all staged items. Returns how many there were. Their memory is kept for the next ones.
    ///
    /// If an item panics while it is dropped the others are dropped all the same, and the writer remains usable.
    pub fn discard(&mut self) -> usize {
        let published = self.shared().len_by_the_writer();
        let written = std::mem::replace(&mut self.len, published);
        // The next item's place has to be looked up again. Before anything is dropped, in case that panics.
        self.end = published;
        // SAFETY: staged items are written, readers never see them, and `len` no longer covers them.
        unsafe { self.shared().drop_items(published, written) }
        written - published
    }

    /// How many items are staged.
    #[must_use]
    #[inline]
    pub fn staged(&self) -> usize {
        self.len - self.shared().len_by_the_writer()
    }

    /// The item at `index`, staged ones included; `None` beyond them.
    #[must_use]
    #[inline]
    pub fn get(&self, index: usize) -> Option<&T> {
        // SAFETY: this is the writer, and it has written `len` items.
        (index < self.len).then(|| unsafe { self.shared().item(index) })
    }

    /// The list as readers see it; clone it to keep it.
    #[must_use]
    #[inline]
    pub fn list(&self) -> &SegmentedList<T> {
        &self.list
    }

    #[inline]
    fn shared(&self) -> &Shared<T> {
        self.list.shared()
    }

    /// Points `next` and `end` at the place of item `len`, in a segment that is allocated if need be.
    #[cold]
    #[inline(never)]
    fn enter_segment(&mut self) {
        let Some(place) = Place::checked(self.len) else { panic!("capacity overflow") };
        // SAFETY: this is the writer; and the offset lies within the segment.
        self.next = unsafe { self.shared().segment_or_allocate(place.segment).add(place.offset) };
        self.end = self.len + place.room;
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
