//! Writes the exact form of a value, and compares it with the form of another value.

use std::any::type_name;

use serde::Serialize;
use serde_json::Result;

/// The form of another value, with which the written form is compared.
struct Other {
    form: Vec<u8>,
    /// The number of bytes that are known to be the same in both forms.
    same: usize,
    /// The number of nested values without an order that are being written.
    any_order: usize,
    /// The path of the difference, innermost name first.
    path: Vec<String>,
}

/// Writes the exact form of one value.
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
    pub(super) without_order: bool,
    /// Whether the value that is being written is a set.
    pub(super) in_set: bool,
    other: Option<Other>,
}

impl Writer {
    pub(super) fn write<T: Serialize + ?Sized>(value: &T, without_order: bool) -> Result<Vec<u8>> {
        let mut writer = Self { bytes: Vec::new(), without_order, in_set: false, other: None };
        writer.value(value)?;
        Ok(writer.bytes)
    }

    /// Returns the path of the first part of `value` that differs from the value with the form `other`.
    pub(super) fn difference<T: Serialize + ?Sized>(value: &T, other: Vec<u8>) -> String {
        let other = Other { form: other, same: 0, any_order: 0, path: Vec::new() };
        let mut writer =
            Self { bytes: Vec::new(), without_order: false, in_set: false, other: Some(other) };
        // The writer stops with an error at the first difference, so the error is expected.
        let _ = writer.value(value);
        let mut path = writer.other.map_or_else(Vec::new, |other| other.path);
        path.reverse();
        path.join(".").replace(".[", "[")
    }

    pub(super) fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.in_set = is_set(type_name::<T>());
        value.serialize(&mut *self)?;
        self.compare()
    }

    /// Fails if the bytes written so far differ from the other form.
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

    /// Notes that a value without an order begins (`true`) or ends (`false`). Inside it, nothing is compared.
    pub(super) fn any_order(&mut self, begin: bool) {
        if let Some(other) = &mut self.other {
            other.any_order = if begin { other.any_order + 1 } else { other.any_order - 1 };
        }
    }

    /// Writes a part of a compound value. `name` returns its name for the path of a difference.
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

    pub(super) fn mark(&mut self, mark: u8, content: &[u8]) {
        self.bytes.push(mark);
        self.bytes.extend_from_slice(content);
    }

    pub(super) fn sized(&mut self, content: &[u8]) {
        self.bytes.extend_from_slice(&(content.len() as u64).to_be_bytes());
        self.bytes.extend_from_slice(content);
    }

    pub(super) fn named(&mut self, mark: u8, name: &str) {
        self.bytes.push(mark);
        self.sized(name.as_bytes());
    }

    pub(super) fn variant(&mut self, mark: u8, name: &str, index: u32, variant: &str) {
        self.named(mark, name);
        // Two variants may have the same name, but never the same index.
        self.bytes.extend_from_slice(&index.to_be_bytes());
        self.sized(variant.as_bytes());
    }
}

/// Returns whether a type of this name is a `HashSet`, which has no order. If the name does not show it, the order
/// counts. Then two equal values may have different forms, but different values never have the same form.
fn is_set(mut name: &str) -> bool {
    const AROUND: [&str; 4] = ["&", "alloc::boxed::Box<", "alloc::rc::Rc<", "alloc::sync::Arc<"];
    while let Some(inner) = AROUND.iter().find_map(|around| name.strip_prefix(around)) {
        name = inner;
    }
    name.starts_with("std::collections::hash::set::HashSet<")
}
