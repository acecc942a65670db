//! The records of an import: events with a line number, and a time if the input has one.
//!
//! ```text
//!   input     a file, or a temporary copy of a pipe: it is read twice
//!   record    a record, and the reader of either format
//!   exported  CSV that `annals export` wrote      foreign   CSV of other programs
//!   check     the checks of the whole input before anything is appended
//!   ids       finds events of different types with one id
//! ```

pub(crate) mod check;
mod exported;
mod foreign;
mod ids;
pub(crate) mod input;
pub(crate) mod record;
