//! What an event is: the trait that a program's own events implement, and the bytes that a log stores.
//!
//! ```text
//!   event       the trait `Event`, and an event as it is read: `Recorded`, `EventRef`
//!   codec       how a payload becomes bytes; JSON by default
//!   json/       JSON that refuses at encoding what it could not read back
//!   read_back   whether an encoded event decodes to what it was
//!   raw         an event as bytes: `RawEvent`, and the body of a record
//!   labels      the types, tags and ids of a batch, checked and hashed once
//!   tags, name  tags and metadata; a name, its limits and its hash
//!   limits      every limit on an event and a batch
//!   error       why an event is refused
//! ```

pub(crate) mod codec;
pub(crate) mod error;
#[expect(clippy::module_inception, reason = "the file of the trait that the folder is named after")]
pub(crate) mod event;
pub(crate) mod json;
pub(crate) mod labels;
pub(crate) mod limits;
pub(crate) mod name;
pub(crate) mod raw;
pub(crate) mod read_back;
pub(crate) mod tags;
