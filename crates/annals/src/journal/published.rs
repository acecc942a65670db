//! Published events that are read from the log for the callbacks.

use std::ops::Range;
use std::sync::Arc;

use super::log::Log;
use crate::backend::head::callbacks::Published;
use crate::event::event::Event;

/// Returns a publication of the events at these offsets.
pub(crate) fn published<E: Event>(log: Arc<Log>, range: Range<u64>) -> Published<E> {
    Published::stored(range, move |offset| log.get(offset))
}
