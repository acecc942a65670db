//! The checks for each kind of value that is written as JSON. They refuse numbers that are not finite.

use std::fmt::Display;

use serde::{Serialize, Serializer};

use super::compound::Parts;
use super::value::{Checked, RAW_VALUE, Role};

macro_rules! forward {
    ($($method:ident $type:ty $(, $check:ident)?;)*) => {
        $(fn $method(self, value: $type) -> Result<S::Ok, S::Error> {
            $(self.$check();)?
            self.json.$method(value)
        })*
    };
}

macro_rules! floats {
    ($($method:ident $type:ty;)*) => {
        $(fn $method(self, value: $type) -> Result<S::Ok, S::Error> {
            if !value.is_finite() {
                return Err(self.notes.refuse(format!(
                    "{value} cannot be written as JSON; append finite numbers only, and use an `Option` for a number \
                     that may be missing"
                )));
            }
            self.number();
            self.json.$method(value)
        })*
    };
}

macro_rules! wide {
    ($($method:ident $type:ty;)*) => {
        $(fn $method(self, value: $type) -> Result<S::Ok, S::Error> {
            self.notes.doubt_readable();
            self.json.$method(value)
        })*
    };
}

impl<'n, S: Serializer> Serializer for Checked<'n, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Parts<'n, S::SerializeSeq>;
    type SerializeTuple = Parts<'n, S::SerializeTuple>;
    type SerializeTupleStruct = Parts<'n, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Parts<'n, S::SerializeTupleVariant>;
    type SerializeMap = Parts<'n, S::SerializeMap>;
    type SerializeStruct = Parts<'n, S::SerializeStruct>;
    type SerializeStructVariant = Parts<'n, S::SerializeStructVariant>;

    forward! {
        serialize_bool bool, number;
        serialize_i8 i8, number;
        serialize_i16 i16, number;
        serialize_i32 i32, number;
        serialize_i64 i64, number;
        serialize_u8 u8, number;
        serialize_u16 u16, number;
        serialize_u32 u32, number;
        serialize_u64 u64, number;
        serialize_bytes &[u8];
    }

    floats! {
        serialize_f32 f32;
        serialize_f64 f64;
    }

    wide! {
        serialize_i128 i128;
        serialize_u128 u128;
    }

    fn serialize_str(self, value: &str) -> Result<S::Ok, S::Error> {
        self.key(value);
        self.json.serialize_str(value)
    }

    fn serialize_char(self, value: char) -> Result<S::Ok, S::Error> {
        self.key(value.encode_utf8(&mut [0; 4]));
        self.json.serialize_char(value)
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        match self.role {
            Role::Key => self.serialize_str(&value.to_string()),
            Role::Plain | Role::InSome => self.json.collect_str(value),
        }
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.null();
        self.json.serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        let value =
            self.inner(value, if self.role == Role::Key { Role::Key } else { Role::InSome });
        self.json.serialize_some(&value)
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.null();
        self.json.serialize_unit()
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<S::Ok, S::Error> {
        self.null();
        self.json.serialize_unit_struct(name)
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.key(variant);
        self.json.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let value = self.inner(value, self.role);
        self.json.serialize_newtype_struct(name, &value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let value = self.inner(value, Role::Plain);
        self.json.serialize_newtype_variant(name, index, variant, &value)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        Ok(Parts::new(self.notes, self.json.serialize_seq(length)?))
    }

    fn serialize_tuple(self, length: usize) -> Result<Self::SerializeTuple, S::Error> {
        Ok(Parts::new(self.notes, self.json.serialize_tuple(length)?))
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        Ok(Parts::new(self.notes, self.json.serialize_tuple_struct(name, length)?))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        let json = self.json.serialize_tuple_variant(name, index, variant, length)?;
        Ok(Parts::new(self.notes, json))
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        Ok(Parts::of_map(self.notes, self.json.serialize_map(length)?, length))
    }

    fn serialize_struct(
        self,
        name: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStruct, S::Error> {
        if self.role == Role::InSome && name == RAW_VALUE {
            // A raw value may be a null.
            self.notes.doubt_some();
        }
        Ok(Parts::new(self.notes, self.json.serialize_struct(name, length)?))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        let json = self.json.serialize_struct_variant(name, index, variant, length)?;
        Ok(Parts::new(self.notes, json))
    }

    fn is_human_readable(&self) -> bool {
        self.json.is_human_readable()
    }
}
