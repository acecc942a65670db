//! The list as readers see it.

use std::{
    fmt,
    ops::{Bound, RangeBounds},
};

use crate::{
    iter::{Iter, Slices},
    place::capacity_of,
    shared::Shared,
    sync::Arc,
};

/// An append-only list whose items never move, to be read by any number of threads while
/// [one writer](crate::ListWriter) appends.
///
/// This is a handle: clones are cheap and show the same list, which lives as long as any handle or the writer
/// does. A reference to an item is good for as long as the handle it was got through.
///
/// Reading is wait-free: no lock, no retry, whatever the writer does. The length only grows, and everything
/// below it is there. Items lie in segments, the first of 1,024 and each next of twice as many, so memory
/// beyond what the items need is at most about as much again, and untouched until items come.
///
/// # Ranges
/// Beyond the end there is nothing: [`range`](Self::range) and [`slices`](Self::slices) clamp the range they are
/// given to the length at the call and never panic, also where it starts after its end. What is appended
/// later does not lengthen an iteration.
///
/// # Threads
/// `Send` and `Sync` if the items are both, as for [`std::sync::Arc`]: any thread may look at an item, and
/// any may turn out to be the one that drops it.
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
    /// An empty list, of which nobody has the writer yet.
    pub(crate) fn new() -> Self {
        Self { shared: Arc::new(Shared::new()) }
    }

    /// How many items are published.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.shared.published().len()
    }

    /// Whether no item is published.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The item at `index`, or `None` at the length and beyond.
    #[must_use]
    #[inline]
    pub fn get(&self, index: usize) -> Option<&T> {
        self.shared.published().get(index)
    }

    /// The newest item.
    #[must_use]
    #[inline]
    pub fn last(&self) -> Option<&T> {
        let published = self.shared.published();
        published.get(published.len().checked_sub(1)?)
    }

    /// All items published at the call, in order.
    #[must_use]
    #[inline]
    pub fn iter(&self) -> Iter<'_, T> {
        self.range(..)
    }

    /// The items of `range`, clamped to the length at the call.
    #[inline]
    pub fn range(&self, range: impl RangeBounds<usize>) -> Iter<'_, T> {
        Iter::new(self.slices(range))
    }

    /// The items of `range`, clamped to the length at the call, as slices in order: one for each segment it
    /// touches. The fastest way through many items.
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

    /// How many segments are allocated.
    #[must_use]
    pub fn segment_count(&self) -> usize {
        self.shared.segment_count()
    }

    /// How many bytes are allocated for items, those without an item yet included.
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

/// Its size and not its items: there may be millions.
impl<T> fmt::Debug for SegmentedList<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentedList")
            .field("len", &self.len())
            .field("segment_count", &self.segment_count())
            .finish_non_exhaustive()
    }
}
