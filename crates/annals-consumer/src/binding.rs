//! The binding of a position to its log: the log's id, and the event before the position.

use annals::{Backend, Event, EventStore};
use uuid::Uuid;

use crate::error::ConsumerError;

/// Returns the id of a log.
pub(crate) fn store_id<E: Event, B: Backend<E>>(store: &EventStore<E, B>) -> Option<Uuid> {
    store.backend().store_id().map(Uuid::from_bytes)
}

/// Returns the digest of the event before a position, 32 hexadecimal digits. `None` if the position is 0, or if it
/// cannot be read or encoded.
pub(crate) fn digest_before<E: Event, B: Backend<E>>(
    store: &EventStore<E, B>,
    position: u64,
) -> Option<String> {
    let digest = store.backend().digest(position.checked_sub(1)?).ok()??;
    let mut text = digest.to_string();
    text.truncate(32);
    Some(text)
}

/// A stored position, to be checked against a log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound<'a> {
    pub(crate) name: &'a str,
    pub(crate) source: Option<Uuid>,
    pub(crate) position: u64,
    /// The offset behind the last event that was read. At least the position.
    pub(crate) read: u64,
    /// The digest of the event before `read`.
    pub(crate) before: Option<&'a str>,
}

impl Bound<'_> {
    /// Checks that the position belongs to the log as it is now.
    pub(crate) fn check<E: Event, B: Backend<E>>(
        self,
        store: &EventStore<E, B>,
    ) -> Result<(), ConsumerError> {
        let Self { position, read, .. } = self;
        let name = self.name.to_owned();
        let here = store_id(store);
        if let (Some(found), Some(expected)) = (self.source, here)
            && found != expected
        {
            let (found, expected) = (found.to_string(), expected.to_string());
            return Err(ConsumerError::OtherStore { name, position, found, expected });
        }
        let head = store.len();
        if read > head {
            return Err(ConsumerError::BeyondHead { name, position: read, head });
        }
        match (self.before, digest_before(store, read)) {
            (Some(then), Some(now)) if then != now => {
                Err(ConsumerError::OtherHistory { name, position: read })
            }
            _ => Ok(()),
        }
    }
}
