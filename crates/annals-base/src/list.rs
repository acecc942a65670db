//! The list for readers.

use std::{
    fmt,
    ops::{Bound, RangeBounds},
};

use crate::{
    iter::{Iter, Slices},
    shared::Shared,
    slot::capacity_of,
    sync::Arc,
};

/// An append-only list whose items never move. Any number of threads may read it while [one writer](crate::ListWriter)
/// appends.
///
/// This is a handle. Clones are cheap and refer to the same list, which lives as long as any handle or the writer. A
/// reference to an item is valid as long as the handle that returned it.
///
/// Reading is wait-free: it takes no lock and never retries, whatever the writer does. The length only grows, and all
/// items below it are published. Items are stored in segments. The first holds 1,024 items, and each next one twice as
/// many as the one before. So the list allocates at most about twice the memory that its items need. Of the unused part
/// the system gives memory to at most 6 MiB: on Linux, a thread of the process touches a large segment ahead of the
/// writer.
///
/// # Ranges
/// [`range`](Self::range) and [`slices`](Self::slices) clamp their range to the length at the call. They never panic,
/// not even for a range that starts after its end. Items that are appended later do not lengthen an iteration.
///
/// # Threads
/// The list is `Send` and `Sync` if the items are both, as for [`std::sync::Arc`]: any thread may read an item, and any
/// thread may drop it.
///
/// ```compile_fail,E0277
/// fn goes_to_another_thread<T: Send>() {}
/// goes_to_another_thread::<annals_base::SegmentedList<std::cell::Cell<u32>>>(); // not `Sync`
/// ```
/// ```compile_fail,E0277
/// fn goes_to_another_thread<T: Send>() {}
/// goes_to_another_thread::<annals_base::SegmentedList<std::sync::MutexGuard<'static, u32>>>(); // not `Send`
/// ```
pub struct SegmentedList<T> {
    shared: Arc<Shared<T>>,
}

impl<T> SegmentedList<T> {
    /// Makes an empty list without a writer.
    pub(crate) fn new() -> Self {
        Self { shared: Arc::new(Shared::new()) }
    }

    /// Returns the number of published items.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.shared.published().len()
    }

    /// Returns whether no item is published.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the item at `index`, or `None` if `index` is not below the length.
    #[must_use]
    #[inline]
    pub fn get(&self, index: usize) -> Option<&T> {
        self.shared.published().get(index)
    }

    /// Returns the newest item.
    #[must_use]
    #[inline]
    pub fn last(&self) -> Option<&T> {
        let published = self.shared.published();
        published.get(published.len().checked_sub(1)?)
    }

    /// Returns all items published at the call, in order.
    #[must_use]
    #[inline]
    pub fn iter(&self) -> Iter<'_, T> {
        self.range(..)
    }

    /// Returns the items of `range`, clamped to the length at the call.
    #[inline]
    pub fn range(&self, range: impl RangeBounds<usize>) -> Iter<'_, T> {
        Iter::new(self.slices(range))
    }

    /// Returns the items of `range`, clamped to the length at the call, as slices in order: one for each segment in the
    /// range. This is the fastest way to read many items.
    ///
    /// # Examples
    ///
    /// ```
    /// let (mut writer, list) = annals_base::segmented_list();
    /// for number in 0..2_000 {
    ///     writer.push(number);
    /// }
    /// let lens: Vec<usize> = list.slices(1_000..).map(<[i32]>::len).collect();
    /// assert_eq!(lens, [24, 976]);
    /// ```
    #[inline]
    pub fn slices(&self, range: impl RangeBounds<usize>) -> Slices<'_, T> {
        let published = self.shared.published();
        let from = match range.start_bound() {
            Bound::Included(&from) => from,
            Bound::Excluded(&before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(&last) => last.saturating_add(1),
            Bound::Excluded(&to) => to,
            Bound::Unbounded => usize::MAX,
        };
        let to = to.min(published.len());
        Slices::new(published, from.min(to), to)
    }

    /// Returns the number of allocated segments.
    #[must_use]
    pub fn segment_count(&self) -> usize {
        self.shared.segment_count()
    }

    /// Returns the number of bytes allocated for items, including those that hold no item yet.
    #[must_use]
    pub fn allocated_bytes(&self) -> usize {
        (0..self.segment_count()).map(|segment| capacity_of(segment) * size_of::<T>()).sum()
    }

    #[inline]
    pub(crate) fn shared(&self) -> &Shared<T> {
        &self.shared
    }
}

impl<T> Clone for SegmentedList<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<'a, T> IntoIterator for &'a SegmentedList<T> {
    type Item = &'a T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

/// Shows the size and not the items, because there may be millions.
impl<T> fmt::Debug for SegmentedList<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentedList")
            .field("len", &self.len())
            .field("segment_count", &self.segment_count())
            .finish_non_exhaustive()
    }
}
