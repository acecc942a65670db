//! All filters of a command line.
//!
//! ```text
//!   --type, --tag NAME           a query, which the store's index finds
//!   --tag 'PREFIX*', --not-tag,
//!   --id, --where, --grep        a check of each event that the query finds
//!   --since, --until             a range of offsets: times in a log never go back
//! ```

use std::ops::Range;

use annals::{EventRef, Query, QueryItem, RawEvent, ReadError, Recorded};
use memchr::memmem::Finder;
use serde_json::Value;

use super::lookup::{self, Found};
use crate::args::filter::Filter;
use crate::criteria::name_pattern::NamePattern;
use crate::criteria::where_clause::Where;
use crate::store::Store;

/// Which events a command is about.
pub(crate) struct Selection {
    query: Query,
    tag_prefixes: Vec<NamePattern>,
    not_tags: Vec<NamePattern>,
    ids: Vec<String>,
    clauses: Vec<Where>,
    texts: Vec<Finder<'static>>,
    since_ms: Option<u64>,
    until_ms: Option<u64>,
}

impl Selection {
    /// Returns the selection of these filters.
    pub(crate) fn of(filter: &Filter) -> Self {
        let mut item = filter.types.iter().fold(QueryItem::new(), QueryItem::event_type);
        let mut tag_prefixes = Vec::new();
        for tag in &filter.tags {
            match tag {
                NamePattern::Exact(tag) => item = item.tag(tag),
                prefix @ NamePattern::Prefix(_) => tag_prefixes.push(prefix.clone()),
            }
        }
        Self {
            query: Query::item(item),
            tag_prefixes,
            not_tags: filter.not_tags.clone(),
            ids: filter.ids.clone(),
            clauses: filter.clauses.clone(),
            texts: filter
                .texts
                .iter()
                .map(|text| Finder::new(text.as_bytes()).into_owned())
                .collect(),
            since_ms: filter.since.map(|moment| moment.ms),
            until_ms: filter.until.map(|moment| moment.ms),
        }
    }

    /// Returns the query of this selection. Not every event that it finds is selected.
    pub(crate) fn query(&self) -> &Query {
        &self.query
    }

    /// Returns the time at which the selection ends, if it has an end.
    pub(crate) fn until_ms(&self) -> Option<u64> {
        self.until_ms
    }

    /// Returns whether only the range of offsets decides which events are selected.
    pub(crate) fn is_a_range(&self) -> bool {
        self.query.is_all() && self.checks_nothing()
    }

    fn checks_nothing(&self) -> bool {
        self.tag_prefixes.is_empty()
            && self.not_tags.is_empty()
            && self.ids.is_empty()
            && self.clauses.is_empty()
            && self.texts.is_empty()
    }

    /// Returns the part of a range that is within the selection's times.
    pub(crate) fn range(&self, store: &Store, range: Range<u64>) -> Result<Range<u64>, ReadError> {
        let mut range = range.start..range.end.min(store.len());
        if let Some(since) = self.since_ms {
            range.start = range.start.max(lookup::offset_at(store, since)?);
        }
        if let Some(until) = self.until_ms {
            range.end = range.end.min(lookup::offset_at(store, until)?);
        }
        Ok(range.start.min(range.end)..range.end)
    }

    /// Returns the first offset at or after this one that is not before the selection's times.
    pub(crate) fn start(&self, store: &Store, offset: u64) -> Result<u64, ReadError> {
        match self.since_ms {
            Some(since) => Ok(offset.max(lookup::offset_at(store, since)?)),
            None => Ok(offset),
        }
    }

    /// Returns the selected events of a range, and every error of reading it.
    pub(crate) fn events<'s>(
        &'s self,
        store: &'s Store,
        range: Range<u64>,
        reverse: bool,
    ) -> Found<'s> {
        if !self.ids.is_empty() {
            let found = lookup::by_ids(store, &self.ids, &range, reverse);
            return Box::new(found.filter(|event| self.keeps(event) && self.query_matches(event)));
        }
        let found = lookup::read(store, &self.query, range, reverse);
        if self.checks_nothing() {
            return found;
        }
        Box::new(found.filter(|event| self.keeps(event)))
    }

    /// Returns whether an event that the query found is selected; true for an error.
    pub(crate) fn keeps(&self, event: &Result<EventRef<'_, RawEvent>, ReadError>) -> bool {
        event.as_ref().map_or(true, |event| self.checks_nothing() || self.is_selected(event))
    }

    /// Returns whether the query selects an event that was not found with it; true for an error.
    fn query_matches(&self, event: &Result<EventRef<'_, RawEvent>, ReadError>) -> bool {
        event
            .as_ref()
            .map_or(true, |event| self.query.matches(event.event.event_type(), event.event.tags()))
    }

    fn is_selected(&self, recorded: &Recorded<RawEvent>) -> bool {
        let event = &recorded.event;
        let has_tag = |pattern: &NamePattern| event.tags().any(|tag| pattern.matches(tag));
        self.tag_prefixes.iter().all(has_tag)
            && !self.not_tags.iter().any(has_tag)
            && (self.ids.is_empty()
                || event.id().is_some_and(|id| self.ids.iter().any(|wanted| wanted == id)))
            && self.texts.iter().all(|text| contains(event, text))
            && (self.clauses.is_empty() || self.clauses_match(event.data_bytes()))
    }

    fn clauses_match(&self, data: &[u8]) -> bool {
        let Ok(data) = serde_json::from_slice::<Value>(data) else { return false };
        self.clauses.iter().all(|clause| clause.matches(&data))
    }
}

/// Returns whether the event's type, a tag, its id, its metadata or its data contains the text.
fn contains(event: &RawEvent, text: &Finder<'_>) -> bool {
    let has = |bytes: &[u8]| text.find(bytes).is_some();
    has(event.data_bytes())
        || has(event.event_type().as_bytes())
        || event.tags().any(|tag| has(tag.as_bytes()))
        || event.id().is_some_and(|id| has(id.as_bytes()))
        || event
            .metadata()
            .iter()
            .any(|(name, value)| has(name.as_bytes()) || has(value.as_bytes()))
}
