//! A list that mostly has one element.

use std::fmt;
use std::ops::{Deref, DerefMut};

/// A list that takes no memory of its own for no element and for one. A query mostly has one item, and an item one
/// name, so making or cloning a condition takes one allocation, for the text of the name.
#[derive(Clone, Default)]
pub(crate) enum Few<T> {
    #[default]
    None,
    One(T),
    /// Any number of elements.
    Many(Vec<T>),
}

impl<T> Few<T> {
    pub(crate) fn push(&mut self, value: T) {
        match std::mem::take(self) {
            Self::None => *self = Self::One(value),
            Self::One(first) => *self = Self::Many(vec![first, value]),
            Self::Many(mut values) => {
                values.push(value);
                *self = Self::Many(values);
            }
        }
    }

    /// Returns the memory that the list takes besides its own value and what the elements point to, in bytes.
    pub(crate) fn allocated_bytes(&self) -> usize {
        match self {
            Self::None | Self::One(_) => 0,
            Self::Many(values) => values.capacity() * size_of::<T>(),
        }
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::None => &[],
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }
}

impl<T> DerefMut for Few<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Self::None => &mut [],
            Self::One(value) => std::slice::from_mut(value),
            Self::Many(values) => values,
        }
    }
}

impl<T> Extend<T> for Few<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, values: I) {
        values.into_iter().for_each(|value| self.push(value));
    }
}

impl<T> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut few = Self::default();
        few.extend(values);
        few
    }
}

impl<T> IntoIterator for Few<T> {
    type Item = T;
    type IntoIter = std::iter::Chain<std::option::IntoIter<T>, std::vec::IntoIter<T>>;

    fn into_iter(self) -> Self::IntoIter {
        let (one, many) = match self {
            Self::None => (None, Vec::new()),
            Self::One(value) => (Some(value), Vec::new()),
            Self::Many(values) => (None, values),
        };
        one.into_iter().chain(many)
    }
}

impl<T: PartialEq> PartialEq for Few<T> {
    fn eq(&self, other: &Self) -> bool {
        self[..] == other[..]
    }
}

impl<T: Eq> Eq for Few<T> {}

impl<T: fmt::Debug> fmt::Debug for Few<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self[..].fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_elements_of_a_list_in_any_number() {
        for count in 0..5 {
            let (mut few, mut list) = (Few::default(), Vec::new());
            for n in 0..count {
                few.push(n);
                list.push(n);
            }
            assert_eq!(few[..], list[..]);
            assert_eq!(format!("{few:?}"), format!("{list:?}"));
            assert_eq!(few, list.iter().copied().collect::<Few<i32>>());
            assert_eq!(few.allocated_bytes() > 0, count > 1);
            few.iter_mut().for_each(|n| *n += 1);
            assert!(few.clone().into_iter().eq(1..=count));
            assert_eq!(few == list.into_iter().collect(), count == 0);
        }
    }
}
