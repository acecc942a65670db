//! The names of the files that are named by offsets.

/// Returns the name of the file of the segment that begins at `first`.
pub(crate) fn log_name(first: u64) -> String {
    format!("{first:020}.log")
}

/// Returns the name of a sealed segment's index file.
pub(crate) fn index_name(first: u64) -> String {
    format!("{first:020}.idx")
}
