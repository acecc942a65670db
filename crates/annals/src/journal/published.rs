//! Published events that are read from the log for the callbacks.

use std::ops::Range;
use std::sync::Arc;

use super::log::Log;
use crate::backend::head::callbacks::Published;
use crate::event::event::Event;

/// Returns a publication of the events at these offsets. An event that cannot be read, or that the callbacks' type does
/// not know, is logged, and the callbacks do not receive it.
pub(crate) fn published<E: Event>(log: Arc<Log>, range: Range<u64>) -> Published<E> {
    Published::read(move |see| {
        for offset in range.clone() {
            match log.get::<E>(offset) {
                Ok(event) => see(&event),
                Err(error) => {
                    tracing::error!(%error, "an event cannot be read; callback subscribers do not receive it");
                }
            }
        }
    })
}
