//! The events before and after an event that have a tag of it.

use annals::NameKind;

use crate::fault::Fault;
use crate::shared::Shared;

/// The neighbours of an event among the events of one of its tags.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Neighbours {
    pub(super) tag: String,
    /// The number of events with the tag before this one.
    pub(super) rank: u64,
    /// The number of all events with the tag.
    pub(super) count: u64,
    pub(super) before: Option<u64>,
    pub(super) after: Option<u64>,
}

/// Returns the neighbours of the event at `offset` among the events with a tag.
pub(super) fn neighbours(shared: &Shared, tag: &str, offset: u64) -> Result<Neighbours, Fault> {
    let (backend, head) = (shared.backend(), shared.head().get());
    let rank = backend.count(NameKind::Tag, tag, 0..offset)?;
    let count = backend.count(NameKind::Tag, tag, 0..head)?;
    let before = match rank.checked_sub(1) {
        Some(before) => backend.nth(NameKind::Tag, tag, before)?,
        None => None,
    };
    let after = backend.nth(NameKind::Tag, tag, rank + 1)?;
    Ok(Neighbours { tag: tag.to_owned(), rank, count, before, after })
}
