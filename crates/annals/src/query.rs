//! Which events: queries, and the conditions made of them.
//!
//! ```text
//!   Query     = item OR item OR …          no item: every event
//!   QueryItem = (type OR type OR …) AND tag AND tag AND …
//! ```
//! The shape of these is that of the Dynamic Consistency Boundary specification (dcb.events).

use crate::error::InvalidQuery;
use crate::event::event::Event;
use crate::event::name::check_name;

/// One alternative of a [`Query`]: types OR-ed, tags AND-ed; without types any type, without tags any tags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryItem {
    pub(crate) types: Vec<String>,
    pub(crate) tags: Vec<String>,
}

impl QueryItem {
    /// An item that matches every event, to be narrowed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Also matches events of this type.
    #[must_use]
    pub fn event_type(mut self, event_type: impl Into<String>) -> Self {
        self.types.push(event_type.into());
        self
    }

    /// Matches only events with this tag (and those asked for already).
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// The types that it matches; none means any.
    #[must_use]
    pub fn types(&self) -> &[String] {
        &self.types
    }

    /// The tags that an event must have.
    #[must_use]
    pub fn tags(&self) -> &[String] {
        &self.tags
    }
}

/// Which events: items OR-ed; without items, all of them.
///
/// ```
/// use annals::{Query, QueryItem};
/// let everything = Query::all();
/// let one_seat = Query::tag("seat:12A");
/// let sales_of_one_seat = Query::item(QueryItem::new().event_type("seat-sold").tag("seat:12A"));
/// let either = Query::tag("seat:12A").or(QueryItem::new().tag("seat:12B"));
/// # let _ = (everything, one_seat, sales_of_one_seat, either);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    pub(crate) items: Vec<QueryItem>,
}

impl Query {
    /// Every event.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Every event with this tag: a stream.
    #[must_use]
    pub fn tag(tag: impl Into<String>) -> Self {
        Self::item(QueryItem::new().tag(tag))
    }

    /// Every event of this type.
    #[must_use]
    pub fn event_type(event_type: impl Into<String>) -> Self {
        Self::item(QueryItem::new().event_type(event_type))
    }

    /// Every event that the item matches.
    #[must_use]
    pub fn item(item: QueryItem) -> Self {
        Self { items: vec![item] }
    }

    /// Also every event that `item` matches. (All events stay all events.)
    #[must_use]
    pub fn or(mut self, item: QueryItem) -> Self {
        if !self.is_all() {
            self.items.push(item);
        }
        self
    }

    /// Whether it matches every event.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.items.is_empty()
            || self.items.iter().any(|item| item.types.is_empty() && item.tags.is_empty())
    }

    /// The alternatives; none means every event.
    #[must_use]
    pub fn items(&self) -> &[QueryItem] {
        &self.items
    }

    /// Checks that events can have the names that it asks for.
    ///
    /// Every way to use a query checks this; an event type that the events of a store do not have is refused there as
    /// well.
    ///
    /// ```
    /// use annals::Query;
    /// assert!(Query::tag("seat:12A").check().is_ok());
    /// let error = Query::tag("").check().unwrap_err().to_string();
    /// assert_eq!(error, "no event can match the query: the tag is empty; it must have 1 to 255 bytes");
    /// ```
    ///
    /// # Errors
    /// [`InvalidQuery`] for a name that is empty, has a control character, or is longer than 255 bytes.
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

    /// Returns this query for a log of events of type `E`: it asks for those of a renamed type by all its names,
    /// whichever of them was given.
    ///
    /// # Errors
    /// [`InvalidQuery`] for a name that no such event can have.
    pub(crate) fn of<E: Event>(mut self) -> Result<Self, InvalidQuery> {
        self.check()?;
        if let Some(known) = E::event_types() {
            let mut types = self.items.iter().flat_map(|item| &item.types);
            if let Some(unknown) = types.find(|asked| !known.contains(&asked.as_str())) {
                return Err(InvalidQuery::UnknownType { event_type: unknown.clone(), known });
            }
        }
        let names = E::event_types().unwrap_or_default();
        for item in &mut self.items {
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

    /// Whether an event of this type and with these tags matches.
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

/// What must not have happened for an append to go ahead.
///
/// ```
/// use annals::{Condition, Query};
/// # let head = 7;
/// // Nobody sold seat 12A since the log's head was `head`, which is what my decision knew of:
/// let unchanged = Condition::fail_if(Query::tag("seat:12A")).after(head);
/// # let _ = unchanged;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    pub(crate) query: Query,
    pub(crate) head: u64,
}

impl Condition {
    /// Fails the append if any event in the log matches.
    #[must_use]
    pub fn fail_if(query: Query) -> Self {
        Self { query, head: 0 }
    }

    /// Looks only at events recorded after the log's head was `head`, that is at offsets from `head` on: give the
    /// `len()` at which the decision was made. 0 by default: the whole log.
    ///
    /// A `head` beyond the log's own would guard nothing: then the append is refused with
    /// [`AppendError::ConditionBeyondHead`](crate::AppendError::ConditionBeyondHead), which says what the head is.
    #[must_use]
    pub fn after(mut self, head: u64) -> Self {
        self.head = head;
        self
    }

    /// Returns this condition for a log of events of type `E`, as [`Query::of`] does.
    pub(crate) fn of<E: Event>(self) -> Result<Self, InvalidQuery> {
        Ok(Self { query: self.query.of::<E>()?, ..self })
    }

    /// What must not have happened.
    #[must_use]
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// The first offset that it looks at.
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
}
