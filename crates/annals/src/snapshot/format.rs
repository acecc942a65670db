//! The format of a snapshot: three lines of JSON.
//!
//! ```text
//!   {"annals_snapshot":2,"sha256":"…"}        the hash of everything after this line
//!   {"store":…,"projection":…,"version":…,"query":…,"head":…,"end":…,"last":…,"state_sha256":"…"}
//!   {…}                                        the state
//! ```
//! So `tail -n +2 FILE | sha256sum` checks a snapshot, and `jq` reads it. `state_sha256` is the hash of the exact form
//! of the state, so a state that is read back differently is refused. `end` is the event before the head, `last` is the
//! last event that matches the query; each is `{"offset":…,"time_ms":…,"sha256":"…"}`. Format 1 had no `end` and no
//! hashes of events.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::canonical::Fingerprint;
use super::compare::{StoredState, from_json, to_json};
use crate::query::{Query, QueryItem};

/// The only format that is written and read. Snapshots of other formats are replaced.
const FORMAT: u64 = 2;

/// The store, projection, version and query to which a snapshot belongs. A snapshot with another binding is not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Binding {
    pub(crate) store: Option<uuid::Uuid>,
    pub(crate) projection: String,
    pub(crate) version: u32,
    pub(crate) query: Vec<Item>,
}

/// An item of a query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Item {
    types: Vec<String>,
    tags: Vec<String>,
}

/// An event of the log. If the log still has it, the log was not cut before it and extended with other events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    pub(crate) offset: u64,
    pub(crate) time_ms: u64,
    /// The event's digest.
    pub(crate) sha256: String,
}

/// The first line of a snapshot.
#[derive(Serialize, Deserialize)]
struct Seal {
    annals_snapshot: u64,
    sha256: Fingerprint,
}

/// The second line of a snapshot.
#[derive(Serialize, Deserialize)]
struct About {
    #[serde(flatten)]
    binding: Binding,
    head: u64,
    end: Mark,
    last: Option<Mark>,
    state_sha256: Fingerprint,
}

/// A snapshot that was read or is about to be written.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot<S> {
    pub(crate) head: u64,
    /// The last event before the head.
    pub(crate) end: Mark,
    /// The last event before the head that matches the query.
    pub(crate) last: Option<Mark>,
    pub(crate) state: S,
}

impl Binding {
    pub(crate) fn new(
        store: Option<[u8; 16]>,
        projection: &str,
        version: u32,
        query: &Query,
    ) -> Self {
        let item =
            |item: &QueryItem| Item { types: item.types().to_vec(), tags: item.tags().to_vec() };
        let query = if query == &Query::all() {
            // Older snapshots of all events have no items.
            Vec::new()
        } else if query.is_none() {
            // An item that no query has, since no type is empty.
            vec![Item { types: vec![String::new()], tags: Vec::new() }]
        } else {
            query.items().iter().map(item).collect()
        };
        Self {
            store: store.map(uuid::Uuid::from_bytes),
            projection: projection.to_owned(),
            version,
            query,
        }
    }

    /// Returns the name of the series in which the projection with this query stores its snapshots: at most 49 letters,
    /// digits and dashes. The name does not depend on the version and on the store.
    pub(crate) fn series(&self) -> String {
        let named = serde_json::to_string(&(&self.projection, &self.query)).unwrap_or_default();
        let hash = Fingerprint::of(named.as_bytes());
        // The last name of the path is for people to read. The hash makes the series unique.
        let last = self.projection.rsplit("::").next().unwrap_or_default();
        let shown: String = last
            .chars()
            .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' })
            .take(32)
            .collect();
        format!("{shown}-{}", &hash.as_str()[..16])
    }

    /// Returns a description of the first difference between `self` and `found`, if there is one.
    fn difference(&self, found: &Self) -> Option<String> {
        if found.store != self.store {
            return Some("it belongs to another store".into());
        }
        if found.projection != self.projection {
            return Some(format!("it belongs to the projection {:?}", found.projection));
        }
        if found.version != self.version {
            return Some(format!(
                "it belongs to version {} of the projection; the program has version {}",
                found.version, self.version
            ));
        }
        (found.query != self.query).then(|| "it belongs to another query".into())
    }
}

impl<S: Serialize + DeserializeOwned> Snapshot<S> {
    /// Returns the bytes to store, or returns why the state cannot be stored.
    pub(crate) fn to_bytes(&self, binding: &Binding) -> Result<Vec<u8>, String> {
        let unfit =
            |error: serde_json::Error| format!("the snapshot cannot be written as JSON ({error})");
        let StoredState { json: state, exact_sha256: state_sha256 } = to_json(&self.state)?;
        let about = About {
            binding: binding.clone(),
            head: self.head,
            end: self.end.clone(),
            last: self.last.clone(),
            state_sha256,
        };
        let mut content = serde_json::to_vec(&about).map_err(unfit)?;
        content.push(b'\n');
        content.extend_from_slice(&state);
        content.push(b'\n');
        let seal = Seal { annals_snapshot: FORMAT, sha256: Fingerprint::of(&content) };
        let mut bytes = serde_json::to_vec(&seal).map_err(unfit)?;
        bytes.push(b'\n');
        bytes.append(&mut content);
        Ok(bytes)
    }

    /// Reads the snapshot at `head` from `bytes`, or returns why it cannot be used.
    pub(crate) fn from_bytes(bytes: &[u8], binding: &Binding, head: u64) -> Result<Self, String> {
        let (seal, content) = split_line(bytes).ok_or("it is not a snapshot")?;
        let seal: Seal = serde_json::from_slice(seal)
            .map_err(|error| format!("it is not a snapshot ({error})"))?;
        if seal.annals_snapshot != FORMAT {
            return Err(format!(
                "it has format {}; this annals reads {FORMAT}",
                seal.annals_snapshot
            ));
        }
        if Fingerprint::of(content) != seal.sha256 {
            return Err("it is damaged: its checksum is wrong".into());
        }
        let (first, state) = split_line(content).ok_or("it has no state")?;
        let found: About = serde_json::from_slice(first)
            .map_err(|error| format!("its second line cannot be read ({error})"))?;
        if let Some(difference) = binding.difference(&found.binding) {
            return Err(difference);
        }
        if found.head != head {
            return Err(format!("it has the head {}; expected {head}", found.head));
        }
        if found.end.offset.checked_add(1) != Some(head) {
            return Err(format!(
                "it has the head {head}, but names event {} as the last before it",
                found.end.offset
            ));
        }
        let state = from_json(state, &found.state_sha256)?;
        Ok(Self { head, end: found.end, last: found.last, state })
    }
}

fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(version: u32) -> Binding {
        Binding::new(Some([7; 16]), "shop::Seat<12A>", version, &Query::tag("seat:12A"))
    }

    fn end(head: u64) -> Mark {
        Mark { offset: head - 1, time_ms: 5, sha256: "5ea1".into() }
    }

    fn bytes() -> Vec<u8> {
        Snapshot { head: 10, end: end(10), last: None, state: (1_u8, "ö".to_owned()) }
            .to_bytes(&binding(1))
            .unwrap()
    }

    fn read(bytes: &[u8], binding: &Binding, head: u64) -> Result<(u8, String), String> {
        Snapshot::from_bytes(bytes, binding, head).map(|snapshot| snapshot.state)
    }

    #[test]
    fn a_snapshot_is_read_back_and_any_changed_or_lost_byte_is_detected() {
        let whole = bytes();
        assert_eq!(read(&whole, &binding(1), 10).unwrap(), (1, "ö".into()));
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            assert!(read(&damaged, &binding(1), 10).is_err(), "byte {at} changed");
            assert!(read(&whole[..at], &binding(1), 10).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_snapshot_with_another_binding_is_refused() {
        let error = |binding: &Binding, head| read(&bytes(), binding, head).unwrap_err();
        assert!(error(&binding(2), 10).contains("version 1 of"));
        assert!(error(&binding(1), 11).contains("head 10"));
        let other = |store, name: &str, query| Binding::new(store, name, 1, &query);
        let seat = || Query::tag("seat:12A");
        assert!(error(&other(None, "shop::Seat<12A>", seat()), 10).contains("another store"));
        assert!(error(&other(Some([7; 16]), "Row", seat()), 10).contains("shop::Seat<12A>"));
        assert!(
            error(&other(Some([7; 16]), "shop::Seat<12A>", Query::all()), 10).contains("query")
        );
        assert!(Snapshot::<bool>::from_bytes(&bytes(), &binding(1), 10).is_err());
    }

    #[test]
    fn a_snapshot_must_end_with_the_event_before_its_head() {
        let wrong = Snapshot { head: 10, end: end(9), last: None, state: (1_u8, "ö".to_owned()) };
        let error = read(&wrong.to_bytes(&binding(1)).unwrap(), &binding(1), 10).unwrap_err();
        assert!(error.contains("names event 8"), "{error}");
    }

    #[test]
    fn a_snapshot_of_another_format_is_refused() {
        let text = String::from_utf8(bytes()).unwrap();
        let older = text.replacen(":2,", ":1,", 1);
        let error = read(older.as_bytes(), &binding(1), 10).unwrap_err();
        assert!(error.contains("format 1"), "{error}");
    }

    #[test]
    fn a_state_that_is_read_back_differently_is_refused() {
        let written =
            |state| Snapshot { head: 1, end: end(1), last: None, state }.to_bytes(&binding(1));
        assert!(written(Some(f64::MAX)).is_ok());
        assert!(written(Some(f64::INFINITY)).unwrap_err().contains("as a different state"));
    }

    #[test]
    fn a_series_is_a_file_name_and_depends_on_the_query() {
        let series = binding(1).series();
        assert!(series.starts_with("Seat-12A--"), "{series}");
        crate::snapshot::series_name::check_series(&series).unwrap();
        assert_eq!(series, binding(2).series());
        let of = |query| Binding::new(None, "shop::Seat<12A>", 1, &query);
        assert_ne!(series, of(Query::all()).series());
        assert_ne!(of(Query::none()).series(), of(Query::all()).series());
        // Snapshots that an older annals took of all events are still found.
        assert!(of(Query::all()).query.is_empty());
    }
}
