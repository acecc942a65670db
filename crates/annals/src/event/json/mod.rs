//! Encodes JSON. Refuses values that could not be read back: numbers that are not finite, and nesting that is too deep.
//! Notes values that some types read back as different values.
//!
//! ```text
//!   writer       writes a payload as JSON text
//!   checked      a serializer that checks each value, and its checks of simple values
//!   compound     its checks for sequences, maps and structs
//!   notes        the doubts about a payload, and why a value was refused
//! ```

pub(crate) mod checked;
pub(crate) mod compound;
pub(crate) mod notes;
pub(crate) mod writer;
