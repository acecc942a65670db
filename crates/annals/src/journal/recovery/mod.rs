//! Opening a log: judging what is at its end, and repairing what a crash left.
//!
//! ```text
//!   recover    opens a log for appending or for reading
//!   active     the last segment, which is appended to or followed
//!   tail       classifies the bytes behind the last whole frame
//!   segments   lists, checks and opens the sealed segments
//! ```
//!
//! | found | meaning | action |
//! |---|---|---|
//! | zeroes or the file's end after a whole frame | clean end | open |
//! | a bad frame; no whole later frame says that the log was durable beyond it | torn by a crash | erase it |
//! | a bad frame; a whole later frame says so | damage | refuse |
//! | fewer events than at the last clean close | damage | refuse |
//! | a segment with a bad head, a missing segment, or one of another store | damage | refuse |
//! | a sealed segment without a valid index of its own | see below | rebuild the index |
//!
//! An index may be missing after a crash while its segment was sealed. It may be damaged, or belong to another segment
//! after a return to an older copy of the log.
//!
//! The log is judged first. Only if it is good is anything changed: files that a crash left are removed, missing
//! indexes are written, and the active file is lengthened. A store that is refused therefore stays byte for byte as it
//! was.
//!
//! Opening read-only changes nothing. Of a damaged log, it opens the events before the damage.

pub(crate) mod active;
pub(crate) mod recover;
pub(crate) mod segments;
pub(crate) mod tail;
