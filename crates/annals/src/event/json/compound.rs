//! Compound values: sequences, maps and structs.

use serde::{Serialize, ser};

use super::notes::Notes;
use super::value::{Part, Role};

/// The elements, entries or fields of a compound value, with checks.
pub(crate) struct Parts<'n, C> {
    json: C,
    notes: &'n Notes,
    keys: Keys,
}

/// The hashes of those keys of a map that another key may equal.
///
/// Serde writes flattened fields as a map of unknown length, in which any two keys may be equal. It writes the tag of
/// an internally tagged enum as the first key of the tagged map. In all other maps, each key occurs once.
enum Keys {
    First(Option<u64>),
    All(Vec<u64>),
}

impl<'n, C> Parts<'n, C> {
    /// Begins a sequence or a struct.
    pub(crate) fn new(notes: &'n Notes, json: C) -> Self {
        Self { json, notes, keys: Keys::First(None) }
    }

    /// Begins a map of this length.
    pub(crate) fn of_map(notes: &'n Notes, json: C, length: Option<usize>) -> Self {
        let keys =
            if length.is_some() { Keys::First(None) } else { Keys::All(Vec::with_capacity(8)) };
        Self { json, notes, keys }
    }

    fn add_key(&mut self, key: u64) {
        match &mut self.keys {
            Keys::First(Some(first)) if *first == key => self.notes.doubt_readable(),
            Keys::First(Some(_)) => {}
            Keys::First(first) => *first = Some(key),
            Keys::All(keys) => keys.push(key),
        }
    }

    fn check_keys(&mut self) {
        if let Keys::All(keys) = &mut self.keys {
            keys.sort_unstable();
            if keys.windows(2).any(|pair| pair[0] == pair[1]) {
                self.notes.doubt_readable();
            }
        }
    }
}

macro_rules! sequences {
    ($($sequence:ident $method:ident;)*) => {
        $(impl<C: ser::$sequence> ser::$sequence for Parts<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
                let value = Part { value, notes: self.notes, role: Role::Plain };
                self.json.$method(&value)
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.json.end()
            }
        })*
    };
}

sequences! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
}

macro_rules! structs {
    ($($structure:ident;)*) => {
        $(impl<C: ser::$structure> ser::$structure for Parts<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), C::Error> {
                let value = Part { value, notes: self.notes, role: Role::Plain };
                self.json.serialize_field(name, &value)
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), C::Error> {
                self.json.skip_field(name)
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.json.end()
            }
        })*
    };
}

structs! {
    SerializeStruct;
    SerializeStructVariant;
}

impl<C: ser::SerializeMap> ser::SerializeMap for Parts<'_, C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), C::Error> {
        let key = Part { value: key, notes: self.notes, role: Role::Key };
        self.json.serialize_key(&key)?;
        self.add_key(self.notes.key.get());
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        let value = Part { value, notes: self.notes, role: Role::Plain };
        self.json.serialize_value(&value)
    }

    fn end(mut self) -> Result<C::Ok, C::Error> {
        self.check_keys();
        self.json.end()
    }
}
