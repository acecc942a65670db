//! JSON that refuses at encoding what it could not read back: numbers that are not finite, nesting that is too deep,
//! values that come back as others.
//!
//! ```text
//!   writer       a payload to JSON text
//!   checked      a value on its way, and what it is in: a key, a `Some`
//!   compound     sequences, maps and structs on their way
//!   serializer   each other kind of value on its way
//!   notes        what may not come back, and why something was refused
//! ```

pub(crate) mod checked;
pub(crate) mod compound;
pub(crate) mod notes;
pub(crate) mod serializer;
pub(crate) mod writer;
