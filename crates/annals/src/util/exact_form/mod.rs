//! The exact form of a state: bytes that two states share only if serde sees no difference between them.
//!
//! JSON is no such form: it writes `Some(None)` and infinities like `None`, and variants without their names.
//!
//! ```text
//!   value      a mark, and what the value is: numbers in full, texts and bytes behind their length
//!   sequence   a mark, its values in their order, the mark of the end
//!   map, set   the same, but in the order of the values' bytes, for a HashMap and a HashSet have none of their own
//! ```
//! No form is the beginning of another, so what stands side by side can be told apart.
//!
//! ```text
//!   writer       writes the form, and finds where it differs from another
//!   compound     sequences, maps and structs
//!   serializer   each kind of value, as serde shows it
//! ```

pub(crate) mod compound;
pub(crate) mod serializer;
pub(crate) mod writer;

use serde::Serialize;
use serde_json::Result;

use writer::Writer;

/// How often a value is written before the same order each time counts as an order that the value keeps.
pub(crate) const TRIES: usize = 16;

/// Returns the exact form of `value`.
pub(crate) fn exact<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    Writer::write(value, false)
}

/// Returns the form of `value` in which no order counts, not even that of sequences.
pub(crate) fn without_order<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    Writer::write(value, true)
}

/// Returns the path in `value` of the first part whose exact form is not that in `other`, the exact form of another
/// value. The path is empty if it is the value as a whole; inside a map or a set, it is that of the map or set.
pub(crate) fn difference<T: Serialize + ?Sized>(value: &T, other: Vec<u8>) -> String {
    Writer::difference(value, other)
}
