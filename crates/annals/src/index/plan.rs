//! Finds the offsets of the events that match a query, by union and intersection of lists of offsets.
//!
//! To intersect the lists of an item, each list in turn seeks its first offset at or after a candidate. A later offset
//! becomes the new candidate, until all lists agree. This is the "leapfrog" of Veldhuizen's Leapfrog Triejoin with one
//! variable.

use super::lookup::{Kind, Lookup, Posting};
use crate::event::name::Hasher;
use crate::event::name::Name;
use crate::query::{Query, QueryItem};

/// A query with hashed names.
///
/// The module [`backend`](crate::backend) has an example.
#[derive(Debug)]
pub struct Search<'q> {
    /// An event must match one of these items. `None` if every event matches.
    items: Option<Vec<SearchItem<'q>>>,
}

/// An item of a query. An event matches it if it has one of the types and all of the tags.
#[derive(Debug)]
pub struct SearchItem<'q> {
    /// An event must have one of these types. If there are none, any type matches.
    pub types: Vec<Name<'q>>,
    /// An event must have all of these tags.
    pub tags: Vec<Name<'q>>,
}

impl<'q> Search<'q> {
    /// Returns the query with hashed names.
    #[must_use]
    pub fn new(query: &'q Query, hasher: &Hasher) -> Self {
        let items = query.items().iter().map(|item| SearchItem::new(item, hasher));
        Self { items: (!query.is_all()).then(|| items.collect()) }
    }

    /// Returns whether every event matches, so that no index is needed.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.items.is_none()
    }

    /// Returns the items; an event must match one of them. The slice is empty if every event matches, or no event does.
    #[must_use]
    pub fn items(&self) -> &[SearchItem<'q>] {
        self.items.as_deref().unwrap_or_default()
    }

    /// Returns a plan that finds the matching events with `index`.
    pub fn plan<'a>(&self, index: &'a impl Lookup) -> Plan<'a> {
        let Some(items) = &self.items else { return Plan { items: None } };
        Plan { items: Some(items.iter().filter_map(|item| PlanItem::new(item, index)).collect()) }
    }
}

impl<'q> SearchItem<'q> {
    fn new(item: &'q QueryItem, hasher: &Hasher) -> Self {
        let names = |texts: &'q [String]| texts.iter().map(|text| hasher.name(text)).collect();
        Self { types: names(item.types()), tags: names(item.tags()) }
    }
}

/// Returns the first offset at or after `from` that matches `query`, for a single search. If every event matches,
/// returns `from`, which may be beyond the end of the index.
///
/// It allocates nothing for items with one name, which most conditions consist of.
pub(crate) fn first_match(
    query: &Query,
    hasher: &Hasher,
    index: &impl Lookup,
    from: u32,
) -> Option<u32> {
    if query.is_all() {
        return Some(from);
    }
    let first = |item: &QueryItem| match (item.types(), item.tags()) {
        ([], [tag]) => first_of_name(index.posting(Kind::Tag, hasher.name(tag))?, from),
        ([event_type], []) => {
            first_of_name(index.posting(Kind::Type, hasher.name(event_type))?, from)
        }
        _ => PlanItem::new(&SearchItem::new(item, hasher), index)?.next(from),
    };
    query.items().iter().filter_map(first).min()
}

/// Returns the first offset of a name at or after `from`. Looks at the last offset first, since most conditions begin
/// behind it.
fn first_of_name(mut posting: Posting<'_>, from: u32) -> Option<u32> {
    let last = posting.len().checked_sub(1)?;
    if posting.get(last) < from {
        return None;
    }
    Cursor::new(posting).next(from)
}

/// Finds the offsets that match a query in one index, in both directions. Successive calls in one direction are
/// fastest. The module [`backend`](crate::backend) has an example.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The items that can match in this index; `None` if every event matches.
    items: Option<Vec<PlanItem<'a>>>,
}

#[derive(Debug)]
struct PlanItem<'a> {
    types: Vec<Cursor<'a>>,
    tags: Vec<Cursor<'a>>,
}

impl Plan<'_> {
    /// Returns the first matching offset at or after `from`. If every event matches, returns `from`, which may be
    /// beyond the end of the index.
    pub fn next(&mut self, from: u32) -> Option<u32> {
        match &mut self.items {
            None => Some(from),
            Some(items) => items.iter_mut().filter_map(|item| item.next(from)).min(),
        }
    }

    /// Returns the last matching offset before `below`.
    pub fn previous(&mut self, below: u32) -> Option<u32> {
        match &mut self.items {
            None => below.checked_sub(1),
            Some(items) => items.iter_mut().filter_map(|item| item.previous(below)).max(),
        }
    }
}

impl<'a> PlanItem<'a> {
    fn new(item: &SearchItem<'_>, index: &'a impl Lookup) -> Option<Self> {
        let cursor = |kind, name: &Name<'_>| index.posting(kind, *name).map(Cursor::new);
        let tags: Option<Vec<_>> = item.tags.iter().map(|tag| cursor(Kind::Tag, tag)).collect();
        let types: Vec<_> = item.types.iter().filter_map(|name| cursor(Kind::Type, name)).collect();
        (item.types.is_empty() || !types.is_empty()).then_some(Self { types, tags: tags? })
    }

    fn next(&mut self, from: u32) -> Option<u32> {
        let mut candidate = from;
        loop {
            let before = candidate;
            for tag in &mut self.tags {
                candidate = tag.next(candidate)?;
            }
            if !self.types.is_empty() {
                candidate = self.types.iter_mut().filter_map(|list| list.next(candidate)).min()?;
            }
            if candidate == before {
                return Some(candidate);
            }
        }
    }

    fn previous(&mut self, below: u32) -> Option<u32> {
        let mut bound = below;
        loop {
            let mut candidate = bound.checked_sub(1)?;
            for tag in &mut self.tags {
                candidate = tag.previous(candidate + 1)?;
            }
            if !self.types.is_empty() {
                candidate =
                    self.types.iter_mut().filter_map(|list| list.previous(candidate + 1)).max()?;
            }
            if candidate + 1 == bound {
                return Some(candidate);
            }
            bound = candidate + 1;
        }
    }
}

/// A position in a list of offsets.
#[derive(Debug)]
struct Cursor<'a> {
    posting: Posting<'a>,
    /// The result of the last search: the number of offsets that are less than its target.
    at: u32,
}

impl<'a> Cursor<'a> {
    fn new(posting: Posting<'a>) -> Self {
        Self { posting, at: 0 }
    }

    fn next(&mut self, from: u32) -> Option<u32> {
        let at = self.partition(from);
        (at < self.posting.len()).then(|| self.posting.get(at))
    }

    fn previous(&mut self, below: u32) -> Option<u32> {
        let at = self.partition(below).checked_sub(1)?;
        Some(self.posting.get(at))
    }

    /// Returns the number of offsets that are less than `target`: by a galloping search from the last position, and
    /// then a binary search.
    fn partition(&mut self, target: u32) -> u32 {
        let len = self.posting.len();
        let (mut low, mut high) = (0, len);
        let mut step = 1;
        if self.at < len && self.posting.get(self.at) < target {
            low = self.at + 1;
            while low + step - 1 < len {
                let probe = low + step - 1;
                if self.posting.get(probe) >= target {
                    high = probe;
                    break;
                }
                low = probe + 1;
                step *= 2;
            }
        } else {
            high = self.at.min(len);
            while high >= step {
                let probe = high - step;
                if self.posting.get(probe) < target {
                    low = probe + 1;
                    break;
                }
                high = probe;
                step *= 2;
            }
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if self.posting.get(middle) < target {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        self.at = low;
        low
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::memory::MemIndexWriter;
    use super::*;
    use crate::event::labels::Labels;
    use crate::event::tags::Tags;

    fn name(kind: &str, n: u8) -> String {
        format!("{kind}:{n}")
    }

    fn query_of(items: &[(Vec<u8>, Vec<u8>)]) -> Query {
        items.iter().fold(Query::none(), |query, (types, tags)| {
            let item =
                types.iter().fold(QueryItem::new(), |item, &n| item.event_type(name("type", n)));
            let item = tags.iter().fold(item, |item, &n| item.tag(name("tag", n)));
            query.or(item)
        })
    }

    proptest! {
        #[test]
        fn finds_just_what_the_query_matches_in_both_directions(
            events in prop::collection::vec((0_u8..4, prop::collection::vec(0_u8..6, 0..4)), 0..120),
            items in prop::collection::vec(
                (prop::collection::vec(0_u8..5, 0..3), prop::collection::vec(0_u8..7, 0..3)), 0..3),
            starts in prop::collection::vec(0_u32..130, 1..5),
        ) {
            let hasher = Hasher::new(&[7; 16]);
            let query = query_of(&items);
            let mut index = MemIndexWriter::new();
            let mut expected = Vec::new();
            for (offset, (event_type, tags)) in (0..).zip(&events) {
                let (mut labels, mut set) = (Labels::default(), Tags::default());
                for &n in tags {
                    set.push(&name("tag", n));
                }
                labels.add(&name("type", *event_type), &set, None).unwrap();
                labels.hash(&hasher);
                index.add_event(offset, &labels.event(0));
                if query.matches(&name("type", *event_type), set.iter().collect::<Vec<_>>().into_iter()) {
                    expected.push(offset);
                }
            }
            let reader = index.reader();
            let search = Search::new(&query, &hasher);
            let end = u32::try_from(events.len()).unwrap();
            let mut plan = search.plan(&reader);
            for start in starts {
                let next = plan.next(start).filter(|&found| found < end);
                prop_assert_eq!(next, expected.iter().copied().find(|&offset| offset >= start));
                let first = first_match(&query, &hasher, &reader, start).filter(|&found| found < end);
                prop_assert_eq!(first, next);
                let previous = plan.previous(start.min(end));
                prop_assert_eq!(previous, expected.iter().copied().rfind(|&offset| offset < start));
            }
        }
    }
}
