//! The exact form of a value: bytes that are the same for two values only if serde sees no difference between them.
//!
//! JSON cannot be used for that: it writes `Some(None)` and infinities like `None`, and untagged variants without their
//! names.
//!
//! ```text
//!   simple value   a mark and the value; numbers have a fixed size, texts and bytes are preceded by their length
//!   sequence       a mark, the values in their order, an end mark
//!   map, set       the same, but the values are sorted by their forms, because a HashMap and a HashSet have no order
//! ```
//! No form is a prefix of another form, so concatenated forms are unambiguous.
//!
//! ```text
//!   writer       writes the form, and finds the first difference from another form
//!   simple       each kind of simple value
//!   compound     sequences, maps and structs
//! ```

pub(crate) mod compound;
pub(crate) mod simple;
pub(crate) mod writer;

use serde::Serialize;
use serde_json::Result;

use writer::Writer;

/// How often a value is read back before the order of its values counts as preserved. A type that does not preserve the
/// order, such as a `HashMap`, may have the same order a few times by chance.
pub(crate) const TRIES: usize = 16;

/// Returns the exact form of `value`.
pub(crate) fn exact<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    Writer::write(value, false)
}

/// Returns the form of `value` in which no order counts, not even that of sequences. Values that differ only in the
/// order of their parts have the same form.
pub(crate) fn without_order<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    Writer::write(value, true)
}

/// Returns the path of the first part of `value` that differs from another value, whose exact form is `other`. The path
/// is empty if the value as a whole differs. For a difference inside a map or a set, it is the path of the map or set.
pub(crate) fn difference<T: Serialize + ?Sized>(value: &T, other: Vec<u8>) -> String {
    Writer::difference(value, other)
}
