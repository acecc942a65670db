//! The report of a salvage, and its errors.

use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use crate::error::{AppendError, OpenError};

/// The report of a [`salvage`](crate::salvage()), which has an example: what was saved and what is missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SalvageReport {
    /// The number of events in the new log.
    pub events: u64,
    /// The old and new offsets of the saved events, in ascending order. Events keep their order.
    pub ranges: Vec<SalvagedRange>,
    /// The missing events, in ascending order.
    pub gaps: Vec<SalvageGap>,
    /// The old offsets of saved events whose time is lost. Each has the time of the nearest saved event before it, or
    /// at the log's start, of the nearest one behind it.
    pub without_time: Vec<Range<u64>>,
    /// The number of saved events behind an interrupted commit that nothing in the store reports as durable. Opening
    /// the old store would erase them. None of them was acknowledged as durable.
    pub never_durable: u64,
    /// Further findings, for people.
    pub notes: Vec<String>,
}

impl SalvageReport {
    /// Returns the number of missing events that are known to have been durable once.
    #[must_use]
    pub fn lost_events(&self) -> u64 {
        let lost = self.gaps.iter().filter(|gap| gap.was_durable);
        lost.map(|gap| gap.to.map_or(0, |to| to - gap.from)).sum()
    }

    /// Returns whether every event that was durable once is in the new log, as far as the old files show.
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

/// A range of consecutive events that were saved. [`SalvageGap`] has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SalvagedRange {
    /// The offset of the first event in the old log.
    pub old: u64,
    /// Its offset in the new log.
    pub new: u64,
    /// The number of events.
    pub count: u64,
}

/// A range of missing events.
///
/// ```
/// use annals::{EventStore, RawEvent, SalvageGap, SalvagedRange, salvage};
///
/// # let directory = tempfile::tempdir()?;
/// # let [damaged, saved] = ["damaged", "saved"].map(|name| directory.path().join(name));
/// # let store = EventStore::open(&damaged)?;
/// # for n in 0..5 {
/// #     store.append(RawEvent::builder("noted").data(format!("note {n}")).build()?)?;
/// # }
/// # drop(store);
/// // A log of five events. The one at offset 2 is damaged.
/// # let log = damaged.join("00000000000000000000.log");
/// # let mut bytes = std::fs::read(&log)?;
/// # let at = bytes.windows(6).position(|window| window == b"note 2").expect("it is there");
/// # bytes[at] ^= 1;
/// # std::fs::write(&log, bytes)?;
/// let report = salvage(&damaged, &saved)?;
/// let [gap @ SalvageGap { from: 2, to: Some(3), was_durable: true, .. }] = &report.gaps[..] else {
///     panic!("{:?}", report.gaps)
/// };
/// println!("bytes {:?} of {}: {}", gap.bytes, gap.file.display(), gap.found);
/// let [_, SalvagedRange { old: 3, new: 2, count: 2, .. }] = report.ranges[..] else {
///     panic!("{:?}", report.ranges)
/// };
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SalvageGap {
    /// The first missing offset.
    pub from: u64,
    /// The offset after the last missing one; `None` at the log's end if the number of events is not known.
    pub to: Option<u64>,
    /// The file that contained the events, or should have.
    pub file: PathBuf,
    /// The bytes of the file in which no whole event was found.
    pub bytes: Range<u64>,
    /// A description of the content of these bytes.
    pub found: String,
    /// Whether the first missing event is known to have been durable. If not, it may belong to a commit that a crash
    /// interrupted and that was never acknowledged.
    pub was_durable: bool,
}

/// Why a salvage failed.
///
/// ```
/// use annals::{EventStore, RawEvent, SalvageError, salvage};
///
/// # let directory = tempfile::tempdir()?;
/// let [damaged, saved] = ["damaged", "saved"].map(|name| directory.path().join(name));
/// EventStore::open(&damaged)?.append(RawEvent::builder("noted").build()?)?;
/// salvage(&damaged, &saved)?;
/// assert!(matches!(salvage(&damaged, &saved), Err(SalvageError::TargetTaken { .. })));
/// assert!(matches!(salvage(&damaged, damaged.join("in")), Err(SalvageError::IntoItself { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum SalvageError {
    /// The damaged store cannot be read, or the new one cannot be created.
    Open(OpenError),
    /// The path for the new store is the damaged store or is inside it.
    IntoItself {
        /// The damaged store.
        from: PathBuf,
        /// The path for the new one.
        to: PathBuf,
    },
    /// The path for the new store is taken.
    TargetTaken {
        /// The path for the new store.
        to: PathBuf,
    },
    /// Writing the new store failed. It has the first `events` events that were found. Remove it and salvage again.
    Write {
        /// The path of the new store.
        to: PathBuf,
        /// The number of events in the new store.
        events: u64,
        /// The error of the append.
        source: Box<AppendError>,
    },
}

impl fmt::Display for SalvageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => fmt::Display::fmt(error, f),
            Self::IntoItself { from, to } => write!(
                f,
                "{} is the damaged store {} or inside it; give a path outside",
                to.display(),
                from.display()
            ),
            Self::TargetTaken { to } => {
                write!(f, "{} exists already; give a path where nothing is yet", to.display())
            }
            Self::Write { to, source, .. } => {
                write!(f, "the new store at {} cannot be written: {source}", to.display())
            }
        }
    }
}

impl Error for SalvageError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Open(error) => error.source(),
            Self::Write { source, .. } => Some(&**source),
            _ => None,
        }
    }
}

impl From<OpenError> for SalvageError {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}
