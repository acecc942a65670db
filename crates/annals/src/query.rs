//! Queries, which select events by type and tag, and conditions, which guard appends.
//!
//! ```text
//!   Query     = item OR item OR …                               without items: no event
//!   QueryItem = (type OR type OR …) AND tag AND tag AND …       without types: any type; without both: every event
//! ```
//! Their shape follows the Dynamic Consistency Boundary specification (dcb.events).

use crate::error::InvalidQuery;
use crate::event::event::Event;
use crate::event::name::check_name;
use crate::util::few::Few;

/// One alternative of a [`Query`]. An item matches an event that has one of its types and all of its tags. An item
/// without types matches any type.
///
/// ```
/// use annals::QueryItem;
/// let item = QueryItem::new().event_type("seat-sold").event_type("seat-freed").tag("seat:12A");
/// assert_eq!(item, QueryItem::new().event_types(["seat-sold", "seat-freed"]).all_tags(["seat:12A"]));
/// assert_eq!(item.types(), ["seat-sold", "seat-freed"]);
/// assert_eq!(item.tags(), ["seat:12A"]);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryItem {
    pub(crate) types: Few<String>,
    pub(crate) tags: Few<String>,
}

impl QueryItem {
    /// Returns an item that matches every event. The other functions narrow it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a type: the item matches events of any type that was added.
    #[must_use]
    pub fn event_type(mut self, event_type: impl Into<String>) -> Self {
        self.types.push(event_type.into());
        self
    }

    /// Adds a tag: the item matches only events that have every tag that was added.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Adds types: the item matches events of any type that was added. Without any added type it matches any type, so
    /// an empty iterator does not narrow it.
    #[must_use]
    pub fn event_types<T: Into<String>>(mut self, types: impl IntoIterator<Item = T>) -> Self {
        self.types.extend(types.into_iter().map(Into::into));
        self
    }

    /// Adds tags: the item matches only events that have every tag that was added.
    #[must_use]
    pub fn all_tags<T: Into<String>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.tags.extend(tags.into_iter().map(Into::into));
        self
    }

    /// Returns whether the item matches every event.
    fn is_all(&self) -> bool {
        self.types.is_empty() && self.tags.is_empty()
    }

    /// Returns the types that the item matches. If there are none, it matches any type.
    #[must_use]
    pub fn types(&self) -> &[String] {
        &self.types
    }

    /// Returns the tags that an event must have.
    #[must_use]
    pub fn tags(&self) -> &[String] {
        &self.tags
    }
}

/// Selects events by type and tag. A query is a list of items, and matches an event if one of its items does. An item
/// matches an event that has one of its types and all of its tags ([`QueryItem`]). A query without items matches no
/// event, so a query that was collected from an empty list finds nothing.
///
/// ```
/// use annals::{Query, QueryItem};
///
/// let one_seat = Query::tag("seat:12A");
/// assert!(one_seat.matches("seat-sold", ["seat:12A", "show:7"].into_iter()));
///
/// let sales_of_one_seat = Query::item(QueryItem::new().event_type("seat-sold").tag("seat:12A"));
/// assert!(!sales_of_one_seat.matches("seat-freed", ["seat:12A"].into_iter()));
///
/// let either_seat = Query::tag("seat:12A").or(QueryItem::new().tag("seat:12B"));
/// assert_eq!(either_seat.items().len(), 2);
///
/// let seats = ["12A", "12B"].map(|seat| QueryItem::new().tag(format!("seat:{seat}")));
/// assert_eq!(seats.into_iter().collect::<Query>(), either_seat);
/// assert!(Vec::new().into_iter().collect::<Query>().is_none());
///
/// assert!(Query::all().is_all() && !Query::event_type("seat-sold").is_all());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    pub(crate) items: Few<QueryItem>,
}

impl Query {
    /// Returns a query that matches every event.
    #[must_use]
    pub fn all() -> Self {
        Self::item(QueryItem::new())
    }

    /// Returns a query that matches no event. A condition on it never fails.
    #[must_use]
    pub fn none() -> Self {
        Self { items: Few::None }
    }

    /// Returns a query that matches every event with this tag.
    #[must_use]
    pub fn tag(tag: impl Into<String>) -> Self {
        Self::item(QueryItem::new().tag(tag))
    }

    /// Returns a query that matches every event of this type.
    #[must_use]
    pub fn event_type(event_type: impl Into<String>) -> Self {
        Self::item(QueryItem::new().event_type(event_type))
    }

    /// Returns a query that matches every event that the item matches.
    #[must_use]
    pub fn item(item: QueryItem) -> Self {
        Self { items: Few::One(item) }
    }

    /// Adds an alternative, a query or an item: the query also matches every event that `other` matches. A query that
    /// matches every event stays as it is.
    ///
    /// ```
    /// use annals::{Query, QueryItem};
    /// let sales = Query::event_type("seat-sold").or(Query::event_type("seat-freed"));
    /// let audited = sales.or(QueryItem::new().tag("audit"));
    /// assert_eq!(audited.items().len(), 3);
    /// ```
    #[must_use]
    pub fn or(mut self, other: impl Into<Self>) -> Self {
        if !self.is_all() {
            self.items.extend(other.into().items);
        }
        self
    }

    /// Returns whether the query matches every event.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.items.iter().any(QueryItem::is_all)
    }

    /// Returns whether the query matches no event.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.items.is_empty()
    }

    /// Returns the alternatives. If there are none, the query matches no event.
    #[must_use]
    pub fn items(&self) -> &[QueryItem] {
        &self.items
    }

    /// Checks that events can have the types and tags in the query.
    ///
    /// Every function that takes a query checks this, and also refuses an event type that the events of the store do
    /// not have.
    ///
    /// ```
    /// use annals::Query;
    /// assert!(Query::tag("seat:12A").check().is_ok());
    /// assert!(Query::tag("").check().is_err());
    /// ```
    ///
    /// # Errors
    /// [`InvalidQuery::Name`] for a type or tag that is empty, has a control character, or is longer than 255 bytes.
    pub fn check(&self) -> Result<(), InvalidQuery> {
        let names = self.items.iter().flat_map(|item| {
            let types = item.types.iter().map(|event_type| ("event type", event_type));
            types.chain(item.tags.iter().map(|tag| ("tag", tag)))
        });
        for (what, name) in names {
            check_name(what, name).map_err(|source| InvalidQuery::Name { source })?;
        }
        Ok(())
    }

    /// Returns this query for a log of events of type `E`. For a renamed event type it has all names, whichever was
    /// given.
    ///
    /// # Errors
    /// [`InvalidQuery`] for a name that no event of type `E` can have.
    pub(crate) fn of<E: Event>(mut self) -> Result<Self, InvalidQuery> {
        self.check()?;
        if let Some(known) = E::event_types() {
            let mut types = self.items.iter().flat_map(|item| item.types.iter());
            if let Some(unknown) = types.find(|asked| !known.contains(&asked.as_str())) {
                return Err(InvalidQuery::UnknownType { event_type: unknown.clone(), known });
            }
        }
        let names = E::event_types().unwrap_or_default();
        for item in self.items.iter_mut() {
            for at in 0..item.types.len() {
                let asked = item.types[at].clone();
                let today = names.iter().find(|name| E::aliases(name).contains(&asked.as_str()));
                let older = E::aliases(today.copied().unwrap_or(&asked));
                for name in today.into_iter().chain(older) {
                    if !item.types.iter().any(|known| known == name) {
                        item.types.push((*name).to_owned());
                    }
                }
            }
        }
        Ok(self)
    }

    /// Returns whether an event with this type and these tags matches the query.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "an iterator is passed as iterators are")]
    pub fn matches<'t>(
        &self,
        event_type: &str,
        tags: impl Iterator<Item = &'t str> + Clone,
    ) -> bool {
        self.is_all()
            || self.items.iter().any(|item| {
                (item.types.is_empty() || item.types.iter().any(|known| known == event_type))
                    && item.tags.iter().all(|wanted| tags.clone().any(|tag| tag == wanted))
            })
    }
}

impl Default for Query {
    /// Returns a query that matches every event.
    fn default() -> Self {
        Self::all()
    }
}

impl From<QueryItem> for Query {
    fn from(item: QueryItem) -> Self {
        Self::item(item)
    }
}

/// Collects alternatives. Without any, the query matches no event.
impl FromIterator<QueryItem> for Query {
    fn from_iter<I: IntoIterator<Item = QueryItem>>(items: I) -> Self {
        Self { items: items.into_iter().collect() }
    }
}

/// Adds alternatives.
impl Extend<QueryItem> for Query {
    fn extend<I: IntoIterator<Item = QueryItem>>(&mut self, items: I) {
        self.items.extend(items);
    }
}

/// Guards an append: the append fails if the log has an event that the condition forbids. Pass it to
/// [`append_if`](crate::EventStore::append_if).
///
/// ```
/// use annals::{Condition, Query};
///
/// // The head of the log when the decision was made.
/// let head = 7;
/// let unchanged = Condition::fail_if(Query::tag("seat:12A")).after(head);
/// assert_eq!(unchanged.head(), 7);
/// assert_eq!(unchanged.query(), &Query::tag("seat:12A"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    pub(crate) query: Query,
    pub(crate) head: u64,
}

impl Condition {
    /// Returns a condition that fails the append if any event in the log matches the query.
    #[must_use]
    pub fn fail_if(query: Query) -> Self {
        Self { query, head: 0 }
    }

    /// Limits the condition to the events at offset `head` and after. Pass the [`len`](crate::EventStore::len) of the
    /// store at which the decision was made. By default it is 0, so the condition covers the whole log.
    ///
    /// A condition that begins beyond the log's head would guard nothing. The append is then refused with
    /// [`AppendError::ConditionBeyondHead`](crate::AppendError::ConditionBeyondHead), which has the head.
    #[must_use]
    pub fn after(mut self, head: u64) -> Self {
        self.head = head;
        self
    }

    /// Replaces the query by the query for a log of events of type `E`. See [`Query::of`]. After an error, the
    /// condition must not be used.
    pub(crate) fn resolve<E: Event>(&mut self) -> Result<(), InvalidQuery> {
        self.query = std::mem::replace(&mut self.query, Query::none()).of::<E>()?;
        Ok(())
    }

    /// Returns the size of the condition in memory, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        let items = &self.query.items;
        let names = |names: &Few<String>| {
            names.allocated_bytes() + names.iter().map(String::len).sum::<usize>()
        };
        let of_items = items.iter().map(|item| names(&item.types) + names(&item.tags));
        size_of::<Self>() + items.allocated_bytes() + of_items.sum::<usize>()
    }

    /// Returns the query: an event that matches it fails the append.
    #[must_use]
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// Returns the first offset that the condition covers.
    #[must_use]
    pub fn head(&self) -> u64 {
        self.head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_ored_types_ored_tags_anded() {
        let query = Query::item(QueryItem::new().event_type("a").event_type("b").tag("x").tag("y"))
            .or(QueryItem::new().event_type("c"));
        assert!(query.matches("a", ["x", "y", "z"].into_iter()));
        assert!(query.matches("b", ["y", "x"].into_iter()));
        assert!(!query.matches("a", ["x"].into_iter()));
        assert!(query.matches("c", [].into_iter()));
        assert!(!query.matches("d", ["x", "y"].into_iter()));
    }

    #[test]
    fn an_empty_item_makes_it_all() {
        assert!(Query::tag("x").or(QueryItem::new()).is_all());
        assert!(Query::all().or(QueryItem::new().tag("x")).is_all());
        assert!(!Query::tag("x").is_all());
    }

    #[test]
    fn no_items_match_nothing() {
        let none: Query = Vec::new().into_iter().collect();
        assert_eq!(none, Query::none());
        assert!(none.is_none() && !none.is_all() && !none.matches("a", ["x"].into_iter()));
        assert_eq!(none.clone().or(none.clone()), none);
        assert_eq!(none.clone().or(Query::tag("x")), Query::tag("x"));
        assert!(none.or(Query::all()).is_all());
        let mut query = Query::tag("x");
        query.extend([QueryItem::new().tag("y")]);
        assert_eq!(query, Query::tag("x").or(QueryItem::new().tag("y")));
        assert!(!Query::default().is_none() && Query::default().is_all());
    }
}
