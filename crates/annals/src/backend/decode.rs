//! Decodes the stored bytes of an event into the caller's own type.

use crate::error::ReadError;
use crate::event::event::{Event, Recorded};
use crate::event::raw::RawEvent;

impl<E: Event> Recorded<E> {
    /// Decodes the event in the log at `offset`.
    ///
    /// # Errors
    /// [`ReadError::Decode`] if the event does not fit the type.
    pub fn decode(offset: u64, time_ms: u64, mut raw: RawEvent) -> Result<Self, ReadError> {
        let event = E::decode_taking(&mut raw).map_err(|source| ReadError::Decode {
            offset,
            event_type: raw.event_type().to_owned(),
            source,
        })?;
        Ok(Self { offset, time_ms, event })
    }
}
