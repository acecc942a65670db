//! A named position that is durable and bound to its log.

use std::sync::Arc;
use std::time::SystemTime;

use annals::{Backend, Event, EventStore};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::binding::{Bound, digest_before, store_id};
use crate::error::ConsumerError;
use crate::storage::checkpoint_store::CheckpointStore;
use crate::storage::storage::{Storage, check_name};

/// The newest format of a stored position.
const FORMAT: u64 = 1;

/// A stored position, as JSON. Its line is followed by a line with the checksum.
#[derive(Debug, Serialize, Deserialize)]
struct Content {
    format: u64,
    name: String,
    /// The id of the log.
    store_id: Option<Uuid>,
    position: u64,
    /// The digest of the event before the position.
    before: Option<String>,
    saved: String,
}

/// A named position in a log: the offset of the next event to handle. It survives the process.
///
/// [`Consumer`](crate::Consumer) uses one. A program that follows the log by a subscription of its own can use one
/// directly:
///
/// ```
/// use annals::{EventStore, Query, RawEvent};
/// use annals_consumer::Checkpoint;
///
/// let store = EventStore::in_memory();
/// store.append(RawEvent::builder("order-placed").build()?)?;
///
/// let checkpoint = Checkpoint::of(&store, "report")?;
/// let from = checkpoint.load(&store)?.unwrap_or(0);
/// let mut events = store.subscription(Query::all(), from);
/// while let Some(event) = events.try_next() {
///     println!("{}", event?.event.event_type());
/// }
/// checkpoint.save(&store, events.position())?; // what is lost at most is the work since the last save
/// assert_eq!(checkpoint.load(&store)?, Some(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A position is bound to its log: [`load`](Self::load) refuses one that belongs to another log, that is beyond the end
/// of the log, or whose event before it is not the same event any more. That happens when the log was restored from an
/// older copy.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    name: String,
    store: Arc<dyn CheckpointStore>,
}

impl Checkpoint {
    /// Returns the position `name` in the storage beside the log: files for a log in files, memory for one in memory.
    ///
    /// # Errors
    /// [`ConsumerError::NoStorage`] if the backend has no such storage, [`ConsumerError::BadName`].
    pub fn of<E: Event, B: Backend<E>>(
        store: &EventStore<E, B>,
        name: impl Into<String>,
    ) -> Result<Self, ConsumerError> {
        Self::in_store(Storage::of(store)?.checkpoints(), name)
    }

    /// Returns the position `name` in the program's own storage.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use annals::{EventStore, RawEvent};
    /// use annals_consumer::{Checkpoint, MemoryCheckpoints};
    ///
    /// let store = EventStore::in_memory();
    /// store.append(RawEvent::builder("order-placed").build()?)?;
    /// let storage = Arc::new(MemoryCheckpoints::default()); // for example the database that the program writes to
    /// let checkpoint = Checkpoint::in_store(storage, "report")?;
    /// checkpoint.save(&store, 1)?;
    /// assert_eq!((checkpoint.name(), checkpoint.load(&store)?), ("report", Some(1)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ConsumerError::BadName`].
    pub fn in_store(
        store: Arc<dyn CheckpointStore>,
        name: impl Into<String>,
    ) -> Result<Self, ConsumerError> {
        let name = name.into();
        check_name(&name)?;
        Ok(Self { name, store })
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the stored position, or `None` if none was stored.
    ///
    /// # Errors
    /// * [`ConsumerError::DamagedPosition`]: it was cut short or changed.
    /// * [`ConsumerError::OtherStore`], [`ConsumerError::BeyondHead`], [`ConsumerError::OtherHistory`]: it does not
    ///   belong to the log as it is now.
    /// * [`ConsumerError::Position`]: the storage failed.
    pub fn load<E: Event, B: Backend<E>>(
        &self,
        store: &EventStore<E, B>,
    ) -> Result<Option<u64>, ConsumerError> {
        let Some(content) = self.content()? else { return Ok(None) };
        let Content { store_id, position, before, .. } = content;
        let (name, before) = (self.name.as_str(), before.as_deref());
        Bound { name, source: store_id, position, read: position, before }.check(store)?;
        Ok(Some(position))
    }

    /// Returns whether anything is stored under the name.
    pub(crate) fn exists(&self) -> Result<bool, ConsumerError> {
        Ok(self.store.load(&self.name).map_err(self.failed("read"))?.is_some())
    }

    /// Returns the stored position, whether or not it belongs to a log.
    pub(crate) fn peek(&self) -> Result<Option<u64>, ConsumerError> {
        Ok(self.content()?.map(|content| content.position))
    }

    /// Stores a position of the log. When this returns, it survives the loss of power if the log is in files.
    ///
    /// # Errors
    /// [`ConsumerError::ResetBeyondHead`] if it is beyond the end of the log, [`ConsumerError::Position`] if the storage
    /// failed.
    pub fn save<E: Event, B: Backend<E>>(
        &self,
        store: &EventStore<E, B>,
        position: u64,
    ) -> Result<(), ConsumerError> {
        let head = store.len();
        if position > head {
            return Err(ConsumerError::ResetBeyondHead { to: position, head });
        }
        let content = Content {
            format: FORMAT,
            name: self.name.clone(),
            store_id: store_id(store),
            position,
            before: digest_before(store, position),
            saved: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
        };
        self.store.save(&self.name, &encode(&content)).map_err(self.failed("save"))
    }

    /// Removes the position.
    pub(crate) fn remove(&self) -> Result<(), ConsumerError> {
        self.store.remove(&self.name).map_err(self.failed("remove"))
    }

    fn content(&self) -> Result<Option<Content>, ConsumerError> {
        let bytes = self.store.load(&self.name).map_err(self.failed("read"))?;
        let damaged = |problem| ConsumerError::DamagedPosition { name: self.name.clone(), problem };
        bytes.map(|bytes| decode(&bytes, &self.name).map_err(damaged)).transpose()
    }

    fn failed(&self, action: &'static str) -> impl FnOnce(std::io::Error) -> ConsumerError {
        let name = self.name.clone();
        move |source| ConsumerError::Position { action, name, source: Arc::new(source) }
    }
}

fn checksum(line: &str) -> String {
    let checksum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, line.as_bytes());
    format!("crc32c {checksum:08x}\n")
}

fn encode(content: &Content) -> Vec<u8> {
    let line = serde_json::to_string(content).expect("names and numbers are valid JSON") + "\n";
    let checksum = checksum(&line);
    (line + &checksum).into_bytes()
}

fn decode(bytes: &[u8], name: &str) -> Result<Content, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not text".to_owned())?;
    let (line, rest) = text.split_once('\n').ok_or("it is cut short")?;
    if checksum(&format!("{line}\n")) != rest {
        let cut = rest.len() < "crc32c 00000000\n".len();
        return Err(if cut { "it is cut short" } else { "its checksum is wrong" }.into());
    }
    let value: serde_json::Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    match value.get("format").and_then(serde_json::Value::as_u64) {
        Some(FORMAT) => {}
        Some(newer) => {
            return Err(format!("it has format {newer}; this program reads format {FORMAT}"));
        }
        None => return Err("it has no format number".into()),
    }
    let content: Content = serde_json::from_value(value).map_err(|error| error.to_string())?;
    if content.name != name {
        return Err(format!("it is the position of {:?}", content.name));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content() -> Content {
        Content {
            format: FORMAT,
            name: "mailer".into(),
            store_id: Some(Uuid::from_u128(7)),
            position: 42,
            before: Some("ab".repeat(16)),
            saved: "2026-01-05T09:30:00.000Z".into(),
        }
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_found() {
        let bytes = encode(&content());
        assert_eq!(decode(&bytes, "mailer").unwrap().position, 42);
        for end in 0..bytes.len() {
            decode(&bytes[..end], "mailer").unwrap_err();
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            decode(&changed, "mailer").unwrap_err();
        }
        let mut longer = bytes.clone();
        longer.push(b'\n');
        decode(&longer, "mailer").unwrap_err();
    }

    #[test]
    fn a_position_of_another_name_or_a_newer_format_is_refused() {
        let error = decode(&encode(&content()), "billing").unwrap_err();
        assert_eq!(error, "it is the position of \"mailer\"");
        let newer = Content { format: 2, ..content() };
        let error = decode(&encode(&newer), "mailer").unwrap_err();
        assert_eq!(error, "it has format 2; this program reads format 1");
    }
}
