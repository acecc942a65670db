//! Encodes JSON. Refuses values that could not be read back: numbers that are not finite, and nesting that is too deep.
//! Notes values that some types read back as different values.
//!
//! ```text
//!   writer       writes a payload as JSON text
//!   value        a value that is checked before it is written
//!   checks       the checks for each kind of simple value
//!   compound     its checks for sequences, maps and structs
//!   notes        the doubts about a payload, and why a value was refused
//! ```

pub(crate) mod checks;
pub(crate) mod compound;
pub(crate) mod notes;
pub(crate) mod value;
pub(crate) mod writer;
