//! A value that is checked before another serializer writes it.

use serde::{Serialize, Serializer};

use super::notes::Notes;

/// The name under which `RawValue` serializes itself. `serde_json` copies a struct of this name unchanged.
pub(super) const RAW_VALUE: &str = "$serde_json::private::RawValue";

/// The position of a value in the value that contains it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Plain,
    /// The value of a `Some`.
    InSome,
    /// The key of a map.
    Key,
}

/// A serializer that checks values and passes them on to `json`.
pub(crate) struct Checked<'n, S> {
    pub(super) json: S,
    pub(super) notes: &'n Notes,
    pub(super) role: Role,
}

impl<'n, S> Checked<'n, S> {
    pub(crate) fn new(json: S, notes: &'n Notes) -> Self {
        Self { json, notes, role: Role::Plain }
    }

    /// Returns a value inside this one, to be serialized with the same checks.
    pub(super) fn inner<'a, T: ?Sized>(&self, value: &'a T, role: Role) -> Part<'a, 'n, T> {
        Part { value, notes: self.notes, role }
    }

    pub(super) fn key(&self, text: &str) {
        if self.role == Role::Key {
            self.notes.key(text);
        }
    }

    /// Notes that the value is a number. A number as a key is written as text, which not every type reads back.
    pub(super) fn number(&self) {
        if self.role == Role::Key {
            self.notes.doubt_readable();
        }
    }

    pub(super) fn null(&self) {
        if self.role == Role::InSome {
            self.notes.doubt_some();
        }
    }
}

/// A value that serializes itself with [`Checked`].
pub(crate) struct Part<'a, 'n, T: ?Sized> {
    pub(crate) value: &'a T,
    pub(crate) notes: &'n Notes,
    pub(crate) role: Role,
}

impl<T: Serialize + ?Sized> Serialize for Part<'_, '_, T> {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Checked { json, notes: self.notes, role: self.role })
    }
}
