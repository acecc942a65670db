//! Iterators over a list: by slices, as the list is stored in memory, and by items, one slice after the other.
//!
//! ```text
//!   Slices   from ............................................ to
//!            [ slice ][      slice      ][   slice  ]
//!
//!   Iter     [ front ][ slices not yet reached       ][ back ]
//!            next() ->                             <- next_back()
//! ```

use std::{fmt, iter::FusedIterator, slice};

use crate::{shared::Published, slot::Slot};

/// The items of a range as contiguous slices, from
/// [`SegmentedList::slices`](crate::SegmentedList::slices). No slice is empty.
pub struct Slices<'a, T> {
    published: Published<'a, T>,
    from: usize,
    to: usize,
}

impl<'a, T> Slices<'a, T> {
    /// Makes an iterator over the slices of `from..to`, a range of published items.
    #[inline]
    pub(crate) fn new(published: Published<'a, T>, from: usize, to: usize) -> Self {
        Self { published, from, to }
    }

    /// Returns the number of items in the remaining slices.
    #[inline]
    fn item_count(&self) -> usize {
        self.to - self.from
    }
}

impl<'a, T> Iterator for Slices<'a, T> {
    type Item = &'a [T];

    #[inline]
    fn next(&mut self) -> Option<&'a [T]> {
        let slice = self.published.first_slice(self.from, self.to);
        self.from += slice.len();
        (!slice.is_empty()).then_some(slice)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = if self.from < self.to {
            Slot::of(self.to - 1).segment - Slot::of(self.from).segment + 1
        } else {
            0
        };
        (count, Some(count))
    }
}

impl<T> DoubleEndedIterator for Slices<'_, T> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        let slice = self.published.last_slice(self.from, self.to);
        self.to -= slice.len();
        (!slice.is_empty()).then_some(slice)
    }
}

impl<T> ExactSizeIterator for Slices<'_, T> {}
impl<T> FusedIterator for Slices<'_, T> {}

impl<T> Clone for Slices<'_, T> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl<T> fmt::Debug for Slices<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slices")
            .field("from", &self.from)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

/// The items of a range, from [`SegmentedList::iter`](crate::SegmentedList::iter) and
/// [`SegmentedList::range`](crate::SegmentedList::range).
pub struct Iter<'a, T> {
    front: slice::Iter<'a, T>,
    slices: Slices<'a, T>,
    back: slice::Iter<'a, T>,
}

impl<'a, T> Iter<'a, T> {
    #[inline]
    pub(crate) fn new(slices: Slices<'a, T>) -> Self {
        Self { front: [].iter(), slices, back: [].iter() }
    }
}

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = &'a T;

    #[inline]
    fn next(&mut self) -> Option<&'a T> {
        loop {
            if let Some(item) = self.front.next() {
                return Some(item);
            }
            let Some(slice) = self.slices.next() else { return self.back.next() };
            self.front = slice.iter();
        }
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = self.front.len() + self.slices.item_count() + self.back.len();
        (count, Some(count))
    }

    /// Skips items without reading them, so that `skip` and `step_by` are cheap.
    fn nth(&mut self, n: usize) -> Option<&'a T> {
        let Some(in_slices) = n.checked_sub(self.front.len()) else {
            return self.front.nth(n);
        };
        self.front = [].iter();
        let skipped = in_slices.min(self.slices.item_count());
        self.slices.from += skipped;
        if self.slices.item_count() == 0 { self.back.nth(in_slices - skipped) } else { self.next() }
    }

    #[inline]
    fn fold<B, F: FnMut(B, &'a T) -> B>(self, init: B, mut f: F) -> B {
        let folded = self.front.fold(init, &mut f);
        let folded = self.slices.fold(folded, |folded, slice| slice.iter().fold(folded, &mut f));
        self.back.fold(folded, f)
    }

    #[inline]
    fn count(self) -> usize {
        self.len()
    }

    #[inline]
    fn last(mut self) -> Option<&'a T> {
        self.next_back()
    }
}

impl<'a, T> DoubleEndedIterator for Iter<'a, T> {
    #[inline]
    fn next_back(&mut self) -> Option<&'a T> {
        loop {
            if let Some(item) = self.back.next_back() {
                return Some(item);
            }
            let Some(slice) = self.slices.next_back() else { return self.front.next_back() };
            self.back = slice.iter();
        }
    }

    /// Skips items from the end without reading them, as [`nth`](Iterator::nth) does from the start.
    fn nth_back(&mut self, n: usize) -> Option<&'a T> {
        let Some(in_slices) = n.checked_sub(self.back.len()) else {
            return self.back.nth_back(n);
        };
        self.back = [].iter();
        let skipped = in_slices.min(self.slices.item_count());
        self.slices.to -= skipped;
        if self.slices.item_count() == 0 {
            self.front.nth_back(in_slices - skipped)
        } else {
            self.next_back()
        }
    }

    #[inline]
    fn rfold<B, F: FnMut(B, &'a T) -> B>(self, init: B, mut f: F) -> B {
        let folded = self.back.rfold(init, &mut f);
        let folded = self.slices.rfold(folded, |folded, slice| slice.iter().rfold(folded, &mut f));
        self.front.rfold(folded, f)
    }
}

impl<T> ExactSizeIterator for Iter<'_, T> {}
impl<T> FusedIterator for Iter<'_, T> {}

impl<T> Clone for Iter<'_, T> {
    fn clone(&self) -> Self {
        Self { front: self.front.clone(), slices: self.slices.clone(), back: self.back.clone() }
    }
}

impl<T> fmt::Debug for Iter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").field("remaining", &self.len()).finish_non_exhaustive()
    }
}
