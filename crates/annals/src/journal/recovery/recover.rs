//! Opening a log for appending, with the repairs that a crash makes necessary, and for reading.

use std::io;

use super::active::{Active, lengthen, open_active, open_to_follow, write_again};
use super::segments::{check_starts, open_sealed};
use super::tail::{End, classify_tail};
use crate::error::{Corruption, OpenError};
use crate::journal::directory::Directory;
use crate::journal::fs::tools::erase;
use crate::journal::options::JournalOptions;
use crate::journal::segment::file_names::{index_name, log_name};
use crate::journal::segment::index_file::seal;
use crate::journal::segment::segment::{Segment, SegmentIndex};

/// The segments of a log that was opened.
pub(crate) struct Recovered {
    pub(crate) sealed: Vec<Segment>,
    pub(crate) active: Active,
}

/// Opens a log for appending.
///
/// Afterwards the files have exactly the events that are returned, and these are durable. The active segment's file is
/// as long as a segment may become, or longer.
pub(crate) fn recover(
    directory: &Directory,
    options: &JournalOptions,
) -> Result<Recovered, OpenError> {
    // Nothing is changed until the log was found good.
    let starts = check_starts(directory)?;
    let sealed = starts.windows(2).map(|pair| open_sealed(directory, pair[0], pair[1]));
    let sealed: Vec<Segment> = sealed.collect::<Result<_, _>>()?;
    let first = starts[starts.len() - 1];
    let path = directory.at(&log_name(first));
    let opened = directory.handle.open(&log_name(first));
    let file = opened.map_err(OpenError::io("open", &path))?;
    let mut active = open_active(directory, first, file)?;
    let closed = directory.closed_head()?;
    let left = match classify_tail(
        &*active.file,
        &active.segment,
        active.end,
        active.next_offset,
        closed,
    )? {
        End::Clean => None,
        End::Unfinished(left) => Some(left),
        End::Damaged(damage) => return Err(damage.into()),
    };
    // The log is good. From here on files are changed.
    directory.remove_leftovers()?;
    let ends = starts[1..].iter();
    let sealed = sealed
        .into_iter()
        .zip(ends)
        .map(|(segment, &end)| with_index_file(directory, options, segment, end))
        .collect::<Result<_, _>>()?;
    lengthen(&mut active, options.capacity())?;
    if let Some(left) = left {
        tracing::warn!(
            segment = %path.display(), position = active.end, offset = active.next_offset,
            bytes = left - active.end, "erasing a commit that a crash interrupted"
        );
        erase(&*active.file, active.end, left).map_err(OpenError::io("cut", &path))?;
    }
    write_again(&mut active, closed).map_err(OpenError::io("sync", &path))?;
    Ok(Recovered { sealed, active })
}

/// Writes the index file of a sealed segment if it has none. The segment's events end at the offset `end`.
fn with_index_file(
    directory: &Directory,
    options: &JournalOptions,
    segment: Segment,
    end: u64,
) -> Result<Segment, OpenError> {
    let SegmentIndex::Mem(index) = &segment.index else { return Ok(segment) };
    let (first, most) = (segment.first, options.index_limits.most);
    let error = match seal(&*directory.handle, &directory.store_id, first, end - first, index, most)
    {
        Ok(written) => {
            tracing::info!(segment = %segment.path.display(), "wrote the missing index file of a segment");
            return Ok(Segment::new(segment.file, SegmentIndex::sealed(written)));
        }
        Err(error) => error,
    };
    // The index file is derived data: the log can be read and written without it. On a full disk it has to be.
    tracing::warn!(
        %error, segment = %segment.path.display(),
        "cannot write the index file of a segment; the index stays in memory"
    );
    if error.kind() == io::ErrorKind::FileTooLarge {
        // A file of that name is not a valid index: an older annals wrote larger files, with positions that wrapped.
        let name = index_name(first);
        match directory.handle.remove(&name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed.map_err(OpenError::io("remove", directory.at(&name)))?,
        }
    }
    Ok(segment)
}

/// Opens a log for reading, without changing anything. Of a damaged log, it opens the events before the damage and
/// returns the damage too. The frames of the last segment are not read yet: the follower does that.
pub(crate) fn recover_read_only(
    directory: &Directory,
) -> Result<(Recovered, Option<Corruption>), OpenError> {
    let mut damage = None;
    let starts = match check_starts(directory) {
        Err(OpenError::Corrupt(found)) if directory.segments()?.0.first() == Some(&0) => {
            damage = Some(found);
            directory.segments()?.0
        }
        checked => checked?,
    };
    let mut sealed = Vec::new();
    let mut last = starts.len() - 1;
    for (at, pair) in starts.windows(2).enumerate() {
        match open_sealed(directory, pair[0], pair[1]) {
            Ok(segment) => sealed.push(segment),
            Err(OpenError::Corrupt(found)) => {
                damage = Some(found);
                last = at;
                break;
            }
            Err(error) => return Err(error),
        }
    }
    loop {
        match open_to_follow(directory, starts[last]) {
            Ok(active) => return Ok((Recovered { sealed, active }, damage)),
            // The segment's head is damaged, so the segment before it is the last good one.
            Err(OpenError::Corrupt(found)) if sealed.pop().is_some() => {
                damage.get_or_insert(found);
                last -= 1;
            }
            Err(error) => return Err(error),
        }
    }
}
