//! The events of a query that were read and are not finished: added at the end, finished mostly at the front.

use std::collections::VecDeque;

use super::entry::Entry;

/// Entries in the order of their offsets. Adding one at the end and finding one take constant time, unless many events
/// between them do not match the query; then finding one takes a binary search.
#[derive(Debug, Clone, Default)]
pub(crate) struct Window {
    /// An entry that was removed between two others leaves its slot behind. The first slot always has its entry.
    slots: VecDeque<(u64, Option<Entry>)>,
    len: usize,
}

impl Window {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the lowest offset.
    pub(crate) fn first(&self) -> Option<u64> {
        self.slots.front().map(|(offset, _)| *offset)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Entry)> {
        self.slots.iter().filter_map(|(offset, entry)| Some((*offset, entry.as_ref()?)))
    }

    pub(crate) fn get(&self, offset: u64) -> Option<&Entry> {
        self.slots[self.find(offset)?].1.as_ref()
    }

    pub(crate) fn get_mut(&mut self, offset: u64) -> Option<&mut Entry> {
        let at = self.find(offset)?;
        self.slots[at].1.as_mut()
    }

    /// Adds an entry behind all others. Returns whether its offset is behind theirs; if it is not, adds nothing.
    #[must_use]
    pub(crate) fn push(&mut self, offset: u64, entry: Entry) -> bool {
        let is_behind = self.slots.back().is_none_or(|(last, _)| *last < offset);
        if is_behind {
            self.slots.push_back((offset, Some(entry)));
            self.len += 1;
        }
        is_behind
    }

    pub(crate) fn remove(&mut self, offset: u64) -> Option<Entry> {
        let at = self.find(offset)?;
        let entry = self.slots[at].1.take()?;
        self.len -= 1;
        while self.slots.front().is_some_and(|(_, entry)| entry.is_none()) {
            self.slots.pop_front();
        }
        // One event that stays must not keep the slots of all that were finished behind it.
        if self.slots.len() > 2 * self.len + 64 {
            self.slots.retain(|(_, entry)| entry.is_some());
        }
        Some(entry)
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Returns the slot of an offset.
    fn find(&self, offset: u64) -> Option<usize> {
        let (first, last) = (self.slots.front()?.0, self.slots.back()?.0);
        if !(first..=last).contains(&offset) {
            return None;
        }
        // Offsets grow by 1 at least, so the slot is not behind this one.
        let most = usize::try_from(offset - first).unwrap_or(usize::MAX).min(self.slots.len() - 1);
        if self.slots[most].0 == offset {
            return Some(most);
        }
        self.slots.binary_search_by_key(&offset, |(at, _)| *at).ok()
    }
}

impl PartialEq for Window {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Window {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_entry_that_stays_keeps_no_slots_of_others() {
        let mut window = Window::default();
        assert!(window.push(0, Entry::new()));
        for offset in 1..10_000 {
            assert!(window.push(offset, Entry::new()));
            window.remove(offset).unwrap();
        }
        assert!(window.slots.len() < 100, "{}", window.slots.len());
        assert_eq!((window.first(), window.len()), (Some(0), 1));
    }

    proptest! {
        #[test]
        fn a_window_is_a_sorted_map(steps in proptest::collection::vec((any::<bool>(), 0..300_u64), 1..400)) {
            let (mut window, mut map) = (Window::default(), BTreeMap::new());
            for (adds, offset) in steps {
                if adds {
                    let (last, entry) = (window.slots.back().map(|(last, _)| *last), Entry::new());
                    let added = window.push(offset, entry.clone());
                    prop_assert_eq!(added, last.is_none_or(|last| last < offset));
                    if added {
                        map.insert(offset, entry);
                    }
                } else {
                    prop_assert_eq!(window.remove(offset), map.remove(&offset));
                }
                prop_assert_eq!(window.len(), map.len());
                prop_assert_eq!(window.first(), map.keys().next().copied());
                prop_assert_eq!(window.get(offset), map.get(&offset));
                prop_assert!(window.iter().eq(map.iter().map(|(&offset, entry)| (offset, entry))));
            }
        }
    }
}
