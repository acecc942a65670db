//! The settings of a group.

use annals::{Query, QueryItem};
use serde::{Deserialize, Serialize};

/// The settings of a group, as its state log has them. [`GroupBuilder`](crate::GroupBuilder) sets them.
///
/// ```
/// use annals::{EventStore, Query, RawEvent};
/// use annals_consumer::{Consumers as _, GroupSettings, SettingsItem};
///
/// let store = EventStore::<RawEvent>::in_memory();
/// let group = store.group("billing").query(Query::event_type("order-placed")).open()?;
/// let settings: GroupSettings = group.settings();
/// let item: &SettingsItem = &settings.query[0];
/// assert_eq!((item.types[0].as_str(), settings.deadline_ms), ("order-placed", 30_000));
/// assert_eq!(settings.query(), Query::event_type("order-placed"));
/// # Ok::<(), annals_consumer::ConsumerError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GroupSettings {
    /// The alternatives of the query. An event matches if it matches any of them. Empty: no event matches.
    pub query: Vec<SettingsItem>,
    /// The prefix of the tags that are the event's keys. `None`: each event is its own key.
    pub key: Option<String>,
    /// The most events that one worker has at a time.
    pub max_in_flight: u32,
    /// The time in ms after which a delivery that was not answered is made again.
    pub deadline_ms: u64,
    /// The number of deliveries after which an event is parked.
    pub max_attempts: u32,
    /// The pause in ms before the second delivery. Each further pause is twice as long.
    pub first_pause_ms: u64,
    /// The longest pause in ms.
    pub max_pause_ms: u64,
    /// The most events that are read ahead and not finished.
    pub read_ahead: u32,
    /// Whether the later events of a key are parked behind a parked event.
    pub parks_key: bool,
}

/// One alternative of a group's query: any of the types, and all of the tags. By default, every event.
/// [`GroupSettings`] has an example.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SettingsItem {
    /// The types. Empty: any type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// The tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

impl Default for GroupSettings {
    fn default() -> Self {
        Self {
            query: vec![SettingsItem::default()],
            key: None,
            max_in_flight: 32,
            deadline_ms: 30_000,
            max_attempts: 5,
            first_pause_ms: 1_000,
            max_pause_ms: 60_000,
            read_ahead: 4_096,
            parks_key: false,
        }
    }
}

impl GroupSettings {
    /// Returns the query.
    #[must_use]
    pub fn query(&self) -> Query {
        self.query.iter().map(SettingsItem::item).collect()
    }

    pub(crate) fn set_query(&mut self, query: &Query) {
        let item = |item: &QueryItem| SettingsItem {
            types: item.types().to_vec(),
            tags: item.tags().to_vec(),
        };
        self.query = query.items().iter().map(item).collect();
    }

    /// Returns the pause in ms after this many deliveries.
    pub(crate) fn pause_ms(&self, attempts: u32) -> u64 {
        let doubled = attempts.saturating_sub(1).min(40);
        self.first_pause_ms.saturating_mul(1 << doubled).min(self.max_pause_ms)
    }
}

impl SettingsItem {
    fn item(&self) -> QueryItem {
        let item = self.types.iter().fold(QueryItem::new(), QueryItem::event_type);
        self.tags.iter().fold(item, QueryItem::tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_doubles_up_to_its_limit() {
        let settings = GroupSettings::default();
        let pauses: Vec<u64> = (1..=8).map(|attempts| settings.pause_ms(attempts)).collect();
        assert_eq!(pauses, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
        assert_eq!(settings.pause_ms(u32::MAX), 60_000);
    }

    #[test]
    fn a_query_is_stored_and_read_back() {
        let queries = [
            Query::all(),
            Query::none(),
            Query::tag("seat:12A"),
            Query::item(QueryItem::new().event_type("a").event_type("b").tag("x"))
                .or(QueryItem::new().tag("y")),
        ];
        for query in queries {
            let mut settings = GroupSettings::default();
            settings.set_query(&query);
            let json = serde_json::to_string(&settings).unwrap();
            let read: GroupSettings = serde_json::from_str(&json).unwrap();
            assert_eq!(read.query(), query);
        }
    }
}
