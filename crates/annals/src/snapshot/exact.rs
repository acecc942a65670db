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

use std::any::type_name;

use serde::Serialize;
use serde::ser::Serializer;
use serde_json::{Error, Result};

use super::several::Several;

/// The exact form of `value`.
pub(crate) fn exact<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    form(value, false)
}

/// The form of `value` in which no order counts, that of sequences neither.
pub(crate) fn without_order<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    form(value, true)
}

/// Returns the path in `value` of the first part whose exact form is not that in `other`, the exact form of another
/// value. The path is empty if it is the value as a whole; inside a map or a set, it is that of the map or set.
pub(crate) fn difference<T: Serialize + ?Sized>(value: &T, other: Vec<u8>) -> String {
    let other = Other { form: other, same: 0, any_order: 0, path: Vec::new() };
    let mut writer =
        Writer { bytes: Vec::new(), without_order: false, in_set: false, other: Some(other) };
    // An error is how it stops at the first difference.
    let _ = writer.value(value);
    let mut path = writer.other.map_or_else(Vec::new, |other| other.path);
    path.reverse();
    path.join(".").replace(".[", "[")
}

fn form<T: Serialize + ?Sized>(value: &T, without_order: bool) -> Result<Vec<u8>> {
    let mut writer = Writer { bytes: Vec::new(), without_order, in_set: false, other: None };
    writer.value(value)?;
    Ok(writer.bytes)
}

/// The form of another value, with which the one that is written is compared.
struct Other {
    form: Vec<u8>,
    /// Bytes that are the same in both.
    same: usize,
    /// How many values without an order are being written, each in the one before.
    any_order: usize,
    /// Where the difference is, the innermost name first.
    path: Vec<String>,
}

/// What the form is written to.
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
    without_order: bool,
    /// Whether the value being written is a set.
    in_set: bool,
    other: Option<Other>,
}

impl Writer {
    pub(super) fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.in_set = is_set(type_name::<T>());
        value.serialize(&mut *self)?;
        self.compare()
    }

    /// Fails if what is written is not the same in the other form.
    fn compare(&mut self) -> Result<()> {
        let Some(other) = self.other.as_mut().filter(|other| other.any_order == 0) else {
            return Ok(());
        };
        let end = self.bytes.len();
        if other.form.get(other.same..end) != Some(&self.bytes[other.same..]) {
            return Err(serde::ser::Error::custom("it differs"));
        }
        other.same = end;
        Ok(())
    }

    /// Notes that values without an order begin (`true`) or end.
    pub(super) fn any_order(&mut self, begin: bool) {
        if let Some(other) = &mut self.other {
            other.any_order = if begin { other.any_order + 1 } else { other.any_order - 1 };
        }
    }

    /// Writes a value that has a name in what it is in.
    pub(super) fn part<T: Serialize + ?Sized>(
        &mut self,
        value: &T,
        name: impl FnOnce() -> String,
    ) -> Result<()> {
        let written = self.value(value);
        if let (Err(_), Some(other)) = (&written, &mut self.other) {
            other.path.push(name());
        }
        written
    }

    fn mark(&mut self, mark: u8, content: &[u8]) {
        self.bytes.push(mark);
        self.bytes.extend_from_slice(content);
    }

    fn sized(&mut self, content: &[u8]) {
        self.bytes.extend_from_slice(&(content.len() as u64).to_be_bytes());
        self.bytes.extend_from_slice(content);
    }

    pub(super) fn named(&mut self, mark: u8, name: &str) {
        self.bytes.push(mark);
        self.sized(name.as_bytes());
    }

    fn variant(&mut self, mark: u8, name: &str, index: u32, variant: &str) {
        self.named(mark, name);
        // Names can be given twice, indexes cannot.
        self.bytes.extend_from_slice(&index.to_be_bytes());
        self.sized(variant.as_bytes());
    }

    fn several(&mut self, any_order: bool) -> Several<'_> {
        Several::new(self, any_order)
    }
}

/// Whether a type of this name is the standard library's set, which writes its values in any order. Where a name tells
/// nothing, order counts: such a state may be taken for another, but never another for it.
fn is_set(mut name: &str) -> bool {
    const AROUND: [&str; 4] = ["&", "alloc::boxed::Box<", "alloc::rc::Rc<", "alloc::sync::Arc<"];
    while let Some(inner) = AROUND.iter().find_map(|around| name.strip_prefix(around)) {
        name = inner;
    }
    name.starts_with("std::collections::hash::set::HashSet<")
}

macro_rules! numbers {
    ($($method:ident $type:ty, $mark:literal;)*) => {
        $(fn $method(self, value: $type) -> Result<()> {
            self.mark($mark, &value.to_be_bytes());
            Ok(())
        })*
    };
}

impl<'a> Serializer for &'a mut Writer {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Several<'a>;
    type SerializeTuple = Several<'a>;
    type SerializeTupleStruct = Several<'a>;
    type SerializeTupleVariant = Several<'a>;
    type SerializeMap = Several<'a>;
    type SerializeStruct = Several<'a>;
    type SerializeStructVariant = Several<'a>;

    numbers! {
        serialize_i8 i8, b'a';
        serialize_i16 i16, b'b';
        serialize_i32 i32, b'c';
        serialize_i64 i64, b'd';
        serialize_i128 i128, b'e';
        serialize_u8 u8, b'f';
        serialize_u16 u16, b'g';
        serialize_u32 u32, b'h';
        serialize_u64 u64, b'i';
        serialize_u128 u128, b'j';
        serialize_f32 f32, b'k';
        serialize_f64 f64, b'l';
    }

    fn serialize_bool(self, value: bool) -> Result<()> {
        self.mark(b'm', &[u8::from(value)]);
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<()> {
        self.mark(b'n', &u32::from(value).to_be_bytes());
        Ok(())
    }

    fn serialize_str(self, value: &str) -> Result<()> {
        self.named(b'o', value);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<()> {
        self.mark(b'p', &[]);
        self.sized(value);
        Ok(())
    }

    fn serialize_none(self) -> Result<()> {
        self.mark(b'q', &[]);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        self.mark(b'r', &[]);
        self.value(value)
    }

    fn serialize_unit(self) -> Result<()> {
        self.mark(b's', &[]);
        Ok(())
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<()> {
        self.named(b't', name);
        Ok(())
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<()> {
        self.variant(b'u', name, index, variant);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<()> {
        self.named(b'v', name);
        self.value(value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<()> {
        self.variant(b'w', name, index, variant);
        self.value(value)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Several<'a>> {
        self.mark(b'x', &[]);
        let any_order = self.in_set || self.without_order;
        Ok(self.several(any_order))
    }

    fn serialize_tuple(self, _: usize) -> Result<Several<'a>> {
        self.mark(b'y', &[]);
        Ok(self.several(false))
    }

    fn serialize_tuple_struct(self, name: &'static str, _: usize) -> Result<Several<'a>> {
        self.named(b'z', name);
        Ok(self.several(false))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Several<'a>> {
        self.variant(b'A', name, index, variant);
        Ok(self.several(false))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Several<'a>> {
        self.mark(b'B', &[]);
        Ok(self.several(true))
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Several<'a>> {
        self.named(b'C', name);
        Ok(self.several(false))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Several<'a>> {
        self.variant(b'D', name, index, variant);
        Ok(self.several(false))
    }
}
