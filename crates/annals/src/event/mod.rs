//! Events: the trait that a program's own events implement, and the bytes that a log stores.
//!
//! ```text
//!   event       the trait `Event`, and an event in the log: `Recorded`, `EventRef`
//!   codec       encodes and decodes payloads; JSON by default
//!   payload     the bound of `#[derive(Event)]` on the types in a payload
//!   metadata_field   the bound of `#[derive(Event)]` on the type of a field with metadata
//!   json/       encodes JSON, and refuses values that could not be read back
//!   read_back   checks that an encoded event decodes to the same event
//!   raw         an event as bytes: `RawEvent`, and the body of a record
//!   stored      encodes an event as a log stores it
//!   labels      the types, tags and ids of a batch, checked and hashed once
//!   tags        tags and metadata
//!   name        a name (type, tag or id), its limits and its hash
//!   limits      every limit on an event and a batch
//!   error       the errors of an event and its payload
//! ```

pub(crate) mod codec;
pub(crate) mod error;
#[expect(clippy::module_inception, reason = "the file of the trait that the folder is named after")]
pub(crate) mod event;
pub(crate) mod json;
pub(crate) mod labels;
pub(crate) mod limits;
pub(crate) mod metadata_field;
pub(crate) mod name;
pub(crate) mod payload;
pub(crate) mod raw;
pub(crate) mod read_back;
mod stored;
pub(crate) mod tags;
