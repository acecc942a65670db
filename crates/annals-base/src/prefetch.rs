//! Hints to the processor that memory is used soon. A processor without such a hint, or under Miri, ignores them.

/// The size of a cache line in bytes.
const LINE_BYTES: usize = 64;

/// The number of cache lines of an item that are prefetched at most.
const LINES_MAX: usize = 8;

/// Has the processor load the start of `value` into its caches, and does not wait.
///
/// ```
/// let table = vec![0_u64; 1 << 20];
/// annals_base::prefetch(&table[123_456]);
/// ```
#[inline]
pub fn prefetch<T>(value: &T) {
    prefetch_address(std::ptr::from_ref(value).cast());
}

/// Has the processor load the memory of an item that is written next, and does not wait. Does nothing for an item that
/// is smaller than a cache line: the processor itself sees that such items are written one after the other. The
/// address need not be that of memory.
#[inline]
pub(crate) fn prefetch_item<T>(item: *const T) {
    if size_of::<T>() < LINE_BYTES {
        return;
    }
    for line in 0..size_of::<T>().div_ceil(LINE_BYTES).min(LINES_MAX) {
        prefetch_address(item.cast::<u8>().wrapping_add(line * LINE_BYTES));
    }
}

#[inline]
fn prefetch_address(address: *const u8) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the hint accesses no memory as far as the program can see, and never faults, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = address;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_address_may_be_prefetched() {
        prefetch(&7);
        prefetch_item::<[u64; 25]>(std::ptr::null());
        prefetch_item::<[u64; 1_000]>(std::ptr::without_provenance(usize::MAX - 8));
    }
}
