//! A list in a JSON body. The parser keeps a bounded number of its elements and counts the others: an element of 2 bytes
//! takes more memory after it is parsed.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};

/// The first `MOST` elements of a list, and the number of all.
#[derive(Debug)]
pub(super) struct Bounded<T, const MOST: usize> {
    pub(super) kept: Vec<T>,
    pub(super) total: usize,
}

impl<T, const MOST: usize> Default for Bounded<T, MOST> {
    fn default() -> Self {
        Self { kept: Vec::new(), total: 0 }
    }
}

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for Bounded<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Elements(PhantomData))
    }
}

struct Elements<T, const MOST: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Elements<T, MOST> {
    type Value = Bounded<T, MOST>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut list = Bounded::default();
        while list.kept.len() < MOST {
            match sequence.next_element()? {
                Some(element) => list.kept.push(element),
                None => break,
            }
        }
        list.total = list.kept.len();
        while sequence.next_element::<IgnoredAny>()?.is_some() {
            list.total += 1;
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_elements_are_counted_and_the_first_kept() {
        for (text, kept, total) in [("[]", 0, 0), ("[1]", 1, 1), ("[1,2]", 2, 2), ("[1,2,3]", 2, 3)]
        {
            let list: Bounded<u8, 2> = serde_json::from_str(text).unwrap();
            assert_eq!((list.kept.len(), list.total), (kept, total), "{text}");
        }
        assert!(serde_json::from_str::<Bounded<u8, 2>>("[1,2,").is_err());
    }
}
