//! Salvage: copying every whole event of a damaged Journal to a new one.
//!
//! ```text
//!   files    the readable files of the damaged store     scan     whole events in one segment's bytes
//!   merge    the events of all segments, in order        target   the new store
//!   report   what was saved, and what is missing
//! ```
//! The damaged store is opened read-only and not changed. Its segments are read one after the other. In memory, an
//! event is a slice of its segment's bytes.

pub(crate) mod files;
pub(crate) mod merge;
pub(crate) mod report;
pub(crate) mod scan;
pub(crate) mod target;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fs::{FileSystem, StoreDirectory};
use super::options::{Durability, JournalOptions};
use super::segment::file::SegmentFile;
use super::{Journal, absolute};
use crate::error::OpenError;
use files::{Files, SegmentFileName, read_segment};
use merge::Merge;
use report::{SalvageError, SalvageReport};
use scan::{Lost, Scan, scan};
use target::Target;

/// Copies every whole event of the damaged Journal in the directory `from` to a new Journal at `to`, and reports what
/// is missing. Nothing in `from` is changed.
///
/// An event is whole if its own record is: its checksum, its offset, and its distance to its frame's head. Events
/// behind damage are therefore saved too, which neither opening nor copying a damaged store does. Saved events keep
/// their content, ids, tags, metadata, times and order. Their offsets in the new log have no gaps; the report maps old
/// offsets to new ones.
///
/// A batch is saved in part if some of its events are damaged. Events of a commit that a crash interrupted are saved if
/// they are whole; [`SalvageReport::never_durable`] counts those that opening the store would erase. No process may
/// write to the store in the meantime.
///
/// # Errors
/// [`SalvageError`]: `from` is not a Journal, `to` exists or is inside `from`, or the system fails. Damage is not
/// an error: the report lists it. If no event is found, `to` is not created.
///
/// # Examples
///
/// ```no_run
/// let report = annals::salvage("data/log", "data/saved")?;
/// for gap in &report.gaps {
///     eprintln!("from offset {} on: {} in {}", gap.from, gap.found, gap.file.display());
/// }
/// # Ok::<(), annals::SalvageError>(())
/// ```
/// The report about a log of ten events, in which bytes 200 to 399 were overwritten:
///
/// ```
/// use annals::{EventStore, RawEvent, SalvageReport, salvage};
///
/// # let directory = tempfile::tempdir()?;
/// # let [damaged, saved] = ["damaged", "saved"].map(|name| directory.path().join(name));
/// let store = EventStore::open(&damaged)?;
/// for _ in 0..10 {
///     store.append(RawEvent::builder("seat-sold").build()?)?;
/// }
/// drop(store);
/// # let log = damaged.join("00000000000000000000.log");
/// # let mut bytes = std::fs::read(&log)?;
/// # bytes[200..400].fill(0);
/// # std::fs::write(&log, bytes)?;
/// let report: SalvageReport = salvage(&damaged, &saved)?;
/// assert!(!report.is_complete());
/// assert_eq!(report.events + report.lost_events(), 10);
/// assert_eq!(report.new_offset(report.gaps[0].from), None);
/// assert_eq!(report.new_offset(9), Some(report.events - 1)); // the new log has no gaps
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn salvage(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
) -> Result<SalvageReport, SalvageError> {
    Journal::options().salvage(from, to)
}

impl JournalOptions {
    /// Salvages like the function [`salvage`], with these options for the new Journal. Its durability makes no
    /// difference: the new Journal is synced once, at the end.
    ///
    /// # Errors
    /// As the function [`salvage`], and [`OpenError::BadOption`] if an option is out of bounds.
    pub fn salvage(
        self,
        from: impl AsRef<Path>,
        to: impl AsRef<Path>,
    ) -> Result<SalvageReport, SalvageError> {
        self.check()?;
        let (from, to) = (absolute(from.as_ref())?, absolute(to.as_ref())?);
        let system = Arc::clone(&self.file_system);
        let files = Files::look(&*system, &from)?;
        if is_inside(&from, &to) {
            return Err(SalvageError::IntoItself { from, to });
        }
        refuse_taken(&*system, &to)?;
        let target = Target::new(self.durability(Durability::Buffered), to);
        salvage_files(files, target)
    }
}

/// Returns whether a path is a directory or will be inside it.
fn is_inside(directory: &Path, path: &Path) -> bool {
    let resolved = |path: &Path| std::fs::canonicalize(path).ok();
    let place = path.ancestors().find_map(|above| {
        let rest = path.strip_prefix(above).ok()?;
        Some(resolved(above)?.join(rest))
    });
    let is_in = |path: PathBuf, directory: PathBuf| path.starts_with(directory);
    path.starts_with(directory)
        || place.zip(resolved(directory)).is_some_and(|(path, directory)| is_in(path, directory))
}

fn refuse_taken(system: &dyn FileSystem, to: &Path) -> Result<(), SalvageError> {
    match system.open_directory(to).and_then(|directory| directory.list()) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Ok(names) if names.is_empty() => Ok(()),
        Err(error) if error.kind() != ErrorKind::NotADirectory => {
            Err(OpenError::io("list", to)(error).into())
        }
        _ => Err(SalvageError::TargetTaken { to: to.to_owned() }),
    }
}

fn salvage_files(files: Files, target: Target) -> Result<SalvageReport, SalvageError> {
    let Files { path, directory, store_id, segments, closed, mut notes } = files;
    let mut merge = Merge::new(target, path.clone(), closed);
    for (at, segment) in segments.iter().enumerate() {
        let next = segments.get(at + 1).map(|next| next.first);
        let scan = match segment.head.filter(|head| !head.is_of(store_id)) {
            Some(head) => {
                let id = uuid::Uuid::from_bytes(head.store_id);
                Scan::nothing(segment.first, format!("a segment of store {id}"))
            }
            None => scan_file(&*directory, &path, segment, store_id, &mut notes),
        };
        if let Some(head) = segment.head.filter(|head| head.is_of(store_id)) {
            merge.begin_segment(segment.first, head.time_before_ms);
        }
        // The head of the next segment also has the time of the last event of this one.
        let mut later = segments[at + 1..].iter().filter_map(|segment| segment.head);
        let later = later.find(|head| head.is_of(store_id) && head.first > segment.first);
        merge.add(&segment.name, scan, next, later.map(|head| head.time_before_ms))?;
    }
    merge.finish(notes)
}

/// Finds the whole events of a segment's file. A file that cannot be read has none.
fn scan_file(
    directory: &dyn StoreDirectory,
    path: &Path,
    segment: &SegmentFileName,
    store_id: Option<[u8; 16]>,
    notes: &mut Vec<String>,
) -> Scan {
    let file = path.join(&segment.name);
    let mut unreadable = Vec::new();
    let opened = directory.open_read_only(&segment.name);
    let read = opened.and_then(|open| read_segment(&*open, &mut unreadable));
    notes.extend(unreadable.iter().map(|note| format!("{}: {note}", file.display())));
    match read {
        Ok(bytes) => {
            // Without the store's id, no frame can be checked, but records can.
            let id = store_id.unwrap_or_default();
            scan(&SegmentFile::new(file, &id, segment.first, bytes.into()))
        }
        Err(error) => Scan::nothing(segment.first, format!("a file that cannot be read: {error}")),
    }
}

impl Scan {
    /// Returns the scan of a file in which no event was found.
    fn nothing(first: u64, found: String) -> Self {
        let lost = vec![Lost { offsets: first..u64::MAX, bytes: 0..0, found, is_blank: false }];
        Self { lost, ..Self::default() }
    }
}
