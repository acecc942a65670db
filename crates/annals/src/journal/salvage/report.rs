//! What a salvage saved, what it did not, and why it saved nothing.

use std::ops::Range;
use std::path::PathBuf;

use crate::error::{AppendError, OpenError};

/// What [`salvage`](crate::salvage) saved and what it did not find.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SalvageReport {
    /// Events that are in the new log.
    pub events: u64,
    /// Where they were and where they are now, in ascending order. Neither offsets nor times change their order.
    pub ranges: Vec<SalvagedRange>,
    /// What is missing, in ascending order.
    pub gaps: Vec<SalvageGap>,
    /// The old offsets of saved events whose time is lost. Each has the time of the nearest saved event before it; at the
    /// log's beginning, of the nearest behind it.
    pub without_time: Vec<Range<u64>>,
    /// Of the saved events, those that stand behind an unfinished commit and that nothing says were ever durable. Opening the
    /// old store would have cut them off. None of them was acknowledged as durable.
    pub never_durable: u64,
    /// What else was found, for people.
    pub notes: Vec<String>,
}

impl SalvageReport {
    /// Returns how many events are known to be missing that were durable once.
    #[must_use]
    pub fn lost_events(&self) -> u64 {
        let lost = self.gaps.iter().filter(|gap| gap.was_durable);
        lost.map(|gap| gap.to.map_or(0, |to| to - gap.from)).sum()
    }

    /// Reports whether every event that was durable once is in the new log, as far as the old files tell.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        !self.gaps.iter().any(|gap| gap.was_durable)
    }

    /// Returns the offset in the new log of the event that had this offset in the old one.
    #[must_use]
    pub fn new_offset(&self, old: u64) -> Option<u64> {
        let at = self.ranges.partition_point(|range| range.old <= old).checked_sub(1)?;
        let SalvagedRange { old: first, new, count } = self.ranges[at];
        (old - first < count).then(|| new + (old - first))
    }
}

/// Neighbouring events that were saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SalvagedRange {
    /// The offset of the first of them in the old log.
    pub old: u64,
    /// Its offset in the new log.
    pub new: u64,
    /// How many events.
    pub count: u64,
}

/// A place of the old log where events are missing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SalvageGap {
    /// The first offset that is missing.
    pub from: u64,
    /// The offset after the last that is missing; `None` at the log's end, if nothing tells how many events stood there.
    pub to: Option<u64>,
    /// The file in which they stood, or would have.
    pub file: PathBuf,
    /// The bytes of the file in which no whole event was found in their place.
    pub bytes: Range<u64>,
    /// What stands there instead.
    pub found: String,
    /// Whether something says that the first of them was durable. If not, it may be a commit that a crash left unfinished and
    /// that was never acknowledged.
    pub was_durable: bool,
}

/// Why nothing was salvaged, or not all that was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SalvageError {
    /// The damaged store cannot be looked at, or the new one not be made.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The path for the new store is the damaged store or lies in it.
    #[error("{} is the damaged store {} or inside it; give a path outside", to.display(), from.display())]
    IntoItself {
        /// The damaged store.
        from: PathBuf,
        /// The path for the new one.
        to: PathBuf,
    },
    /// Something is at the path for the new store.
    #[error("something is at {} already; give a path where nothing is yet", to.display())]
    TargetTaken {
        /// The path for the new store.
        to: PathBuf,
    },
    /// Writing the new store failed. It has the first `events` events that were found; remove it and salvage again.
    #[error("the new store at {} cannot be written: {source}", to.display())]
    Write {
        /// The path of the new store.
        to: PathBuf,
        /// How many events it has.
        events: u64,
        /// What happened.
        source: Box<AppendError>,
    },
}
