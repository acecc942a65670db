//! What is needed of a commit's body, besides the events that the replica has.

use crate::format::body::Content;
use crate::format::commit::Commit;

/// The size of a batch in the details of a commit, in bytes: its number of events, less one.
const BATCH: usize = 2;

/// Returns the details of a commit. A commit with events has the sizes of its batches, or nothing if it has one batch.
/// A genesis and an epoch have their body.
pub(super) fn of(commit: &Commit) -> Vec<u8> {
    match commit.content() {
        Content::Events(batches) if batches.len() > 1 => {
            let sizes = batches.iter().map(|batch| batch.events.len() - 1);
            let sizes = sizes.map(|size| u16::try_from(size).expect("a batch has 65,536 events"));
            sizes.flat_map(u16::to_le_bytes).collect()
        }
        Content::Events(_) | Content::Barrier => Vec::new(),
        Content::Genesis(_) | Content::Epoch(_) => commit.body().to_vec(),
    }
}

/// Returns the numbers of events in the batches of a commit with `events` events.
pub(super) fn batches(details: &[u8], events: u32) -> Vec<u32> {
    if details.is_empty() {
        return vec![events];
    }
    let sizes = details.chunks_exact(BATCH).map(|size| u16::from_le_bytes([size[0], size[1]]));
    sizes.map(|size| u32::from(size) + 1).collect()
}
