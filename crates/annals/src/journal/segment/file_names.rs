//! The names of a store's files that are named by offsets.

/// The name of the segment's file that begins at `first`.
pub(crate) fn log_name(first: u64) -> String {
    format!("{first:020}.log")
}

/// The name of a sealed segment's index file.
pub(crate) fn index_name(first: u64) -> String {
    format!("{first:020}.idx")
}

/// The name of the filter of so many segments, of which `first` is the first offset.
pub(crate) fn filter_name(first: u64, segments: usize) -> String {
    format!("{first:020}.{segments}.flt")
}
