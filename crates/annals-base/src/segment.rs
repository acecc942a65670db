//! Memory for the items of a segment. It is allocated once, never moved or resized, and freed when the list is dropped.
//!
//! Segments of 4 MiB or more start at a 2 MiB boundary, and on Linux the kernel is asked to back them with huge pages.
//! So random reads of a long list miss the TLB less often, and a first pass over fresh memory has 512 times fewer page
//! faults.
//!
//! ```text
//!   2 MiB             4 MiB             6 MiB
//!   |-----------------|-----------------|-------
//!   [item][item][item][item][item] ... [item]     a 5 MiB segment: two huge pages and a tail of small ones
//! ```

use std::{
    alloc::{Layout, alloc, dealloc, handle_alloc_error},
    ptr::NonNull,
};

/// Segments of this size or more are aligned for huge pages.
pub(crate) const HUGE_FROM_BYTES: usize = 4 << 20;

/// The size of a huge page on x86-64, and on aarch64 with 4 KiB pages.
pub(crate) const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Allocates memory for `capacity` items and writes none of them. The pointer is dangling if the items have no size.
///
/// Panics and aborts as `Vec` does: "capacity overflow" beyond `isize::MAX` bytes, and
/// [`handle_alloc_error`] when the system has no memory.
pub(crate) fn allocate<T>(capacity: usize) -> NonNull<T> {
    let Some(layout) = layout::<T>(capacity) else { panic!("capacity overflow") };
    if layout.size() == 0 {
        return NonNull::dangling();
    }
    // SAFETY: the size is not 0, checked above.
    let memory = unsafe { alloc(layout) };
    let Some(start) = NonNull::new(memory) else { handle_alloc_error(layout) };
    if layout.size() >= HUGE_FROM_BYTES {
        ask_for_huge_pages(start, layout.size());
    }
    start.cast()
}

/// Frees the memory of a segment. Does not drop the items in it.
///
/// # Safety
/// `start` came from [`allocate`] with the same `T` and `capacity`, and nothing uses it any more.
pub(crate) unsafe fn deallocate<T>(start: NonNull<T>, capacity: usize) {
    let Some(layout) = layout::<T>(capacity) else {
        unreachable!("it was allocated with this layout")
    };
    if layout.size() != 0 {
        // SAFETY: the caller guarantees that this memory was allocated with this layout.
        unsafe { dealloc(start.as_ptr().cast(), layout) }
    }
}

/// Returns the layout of a segment, which depends only on its capacity, or `None` beyond `isize::MAX` bytes.
fn layout<T>(capacity: usize) -> Option<Layout> {
    let items = Layout::array::<T>(capacity).ok()?;
    if items.size() >= HUGE_FROM_BYTES { items.align_to(HUGE_PAGE_BYTES).ok() } else { Some(items) }
}

/// Asks for huge pages where whole ones fit. A refusal is ignored, for example by a kernel without huge pages: the
/// memory is only slower without them.
#[cfg(all(target_os = "linux", not(miri)))]
fn ask_for_huge_pages(start: NonNull<u8>, size: usize) {
    use rustix::mm::{Advice, madvise};
    let whole_pages_size = size - size % HUGE_PAGE_BYTES;
    // SAFETY: the range lies within the memory that was just allocated, and this advice changes how it is backed, not
    // its contents.
    let _ = unsafe { madvise(start.as_ptr().cast(), whole_pages_size, Advice::LinuxHugepage) };
}

/// Does nothing: other systems choose their page sizes themselves.
#[cfg(not(all(target_os = "linux", not(miri))))]
fn ask_for_huge_pages(_start: NonNull<u8>, _size: usize) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_segments_begin_on_a_huge_page() {
        let capacity = HUGE_FROM_BYTES / size_of::<u64>() + 1;
        let start = allocate::<u64>(capacity);
        assert_eq!(start.as_ptr().addr() % HUGE_PAGE_BYTES, 0);
        // SAFETY: the first and the last item lie within the memory, which is freed once, at the end.
        unsafe {
            start.write(1);
            start.add(capacity - 1).write(2);
            deallocate(start, capacity);
        }
    }

    #[test]
    fn alignment_of_the_item_is_kept() {
        #[repr(align(256))]
        struct Wide(#[expect(dead_code, reason = "only its alignment matters")] u8);
        let start = allocate::<Wide>(3);
        assert_eq!(start.as_ptr().addr() % 256, 0);
        // SAFETY: allocated above with the same capacity.
        unsafe { deallocate(start, 3) }
    }

    #[test]
    #[should_panic(expected = "capacity overflow")]
    fn beyond_the_address_space_it_panics_as_vec_does() {
        allocate::<u64>(usize::MAX / 8);
    }
}
