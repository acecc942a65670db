//! The digest of an event's stored bytes. It shows whether the log still has the same event at an offset.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::event::error::InvalidEvent;
use crate::event::event::Event;
use crate::event::raw::RawEvent;

/// The SHA-256 of an event as a backend stores it: its type, tags, id, metadata and payload.
///
/// A snapshot contains the digests of two events, and is used only while the log has these events. A digest does not
/// cover the offset and the time of the event.
///
/// ```
/// use annals::{EventDigest, RawEvent};
///
/// let event = RawEvent::builder("seat-sold").tag("seat:12A").build()?;
/// let other = RawEvent::builder("seat-sold").tag("seat:12B").build()?;
/// assert_ne!(EventDigest::of(event.body()), EventDigest::of(other.body()));
/// # Ok::<(), annals::InvalidEvent>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventDigest([u8; 32]);

impl EventDigest {
    /// Returns the digest of an event that is stored as these bytes, for example
    /// [`RawEvent::body`](crate::RawEvent::body).
    #[must_use]
    pub fn of(stored: &[u8]) -> Self {
        Self(Sha256::digest(stored).into())
    }

    /// Returns the digest of an event as it would be stored today.
    pub(crate) fn of_event<E: Event>(event: &E) -> Result<Self, InvalidEvent> {
        Ok(Self::of(RawEvent::of(event)?.body()))
    }

    /// Returns the 32 bytes of the hash.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Writes 64 hexadecimal digits.
impl fmt::Display for EventDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for EventDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventDigest({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_the_digest_of_its_stored_bytes_and_each_part_counts() {
        let builder = || RawEvent::builder("sold").tag("a:1").id("i").metadata("m", "v").data("d");
        let event = builder().build().unwrap();
        let digest = EventDigest::of(event.body());
        assert_eq!(EventDigest::of_event(&event).unwrap(), digest);
        assert_eq!(digest.to_string().len(), 64);
        let others = [builder().tag("b:2"), builder().id("j"), builder().metadata("m", "w")];
        for other in others.into_iter().chain([builder().data("e")]) {
            assert_ne!(EventDigest::of_event(&other.build().unwrap()).unwrap(), digest);
        }
    }
}
