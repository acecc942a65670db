//! The exact form of each kind of simple value.

use serde::Serialize;
use serde::ser::Serializer;
use serde_json::{Error, Result};

use super::compound::Compound;
use super::writer::Writer;

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
    type SerializeSeq = Compound<'a>;
    type SerializeTuple = Compound<'a>;
    type SerializeTupleStruct = Compound<'a>;
    type SerializeTupleVariant = Compound<'a>;
    type SerializeMap = Compound<'a>;
    type SerializeStruct = Compound<'a>;
    type SerializeStructVariant = Compound<'a>;

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

    fn serialize_seq(self, _: Option<usize>) -> Result<Compound<'a>> {
        self.mark(b'x', &[]);
        let any_order = self.in_set || self.without_order;
        Ok(Compound::new(self, any_order))
    }

    fn serialize_tuple(self, _: usize) -> Result<Compound<'a>> {
        self.mark(b'y', &[]);
        Ok(Compound::new(self, false))
    }

    fn serialize_tuple_struct(self, name: &'static str, _: usize) -> Result<Compound<'a>> {
        self.named(b'z', name);
        Ok(Compound::new(self, false))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Compound<'a>> {
        self.variant(b'A', name, index, variant);
        Ok(Compound::new(self, false))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Compound<'a>> {
        self.mark(b'B', &[]);
        Ok(Compound::new(self, true))
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Compound<'a>> {
        self.named(b'C', name);
        Ok(Compound::new(self, false))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Compound<'a>> {
        self.variant(b'D', name, index, variant);
        Ok(Compound::new(self, false))
    }
}
