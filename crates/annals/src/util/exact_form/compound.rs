//! The exact form of a compound value: the forms of its values in order, and an end mark.

use serde::Serialize;
use serde::ser;
use serde_json::{Error, Result};

use super::writer::Writer;

/// The mark after the last value.
const END: u8 = 0;

/// Writes the values of a sequence, a map or a struct.
pub(super) struct Compound<'a> {
    writer: &'a mut Writer,
    /// The position of each value in the written bytes; `None` if the order of the values counts.
    starts: Option<Vec<usize>>,
    /// The number of values that were written.
    count: usize,
}

impl<'a> Compound<'a> {
    /// Begins a compound value. If `any_order` is true, the order of its values does not count.
    pub(super) fn new(writer: &'a mut Writer, any_order: bool) -> Self {
        if any_order {
            writer.any_order(true);
        }
        Self { writer, starts: any_order.then(Vec::new), count: 0 }
    }

    fn begin(&mut self) {
        if let Some(starts) = &mut self.starts {
            starts.push(self.writer.bytes.len());
        }
    }

    fn finish(self) {
        if self.starts.is_some() {
            self.writer.any_order(false);
        }
        let bytes = &mut self.writer.bytes;
        if let Some((first, starts)) =
            self.starts.as_ref().and_then(|starts| Some((*starts.first()?, starts)))
        {
            let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
            let mut values: Vec<&[u8]> =
                starts.iter().zip(ends).map(|(&start, end)| &bytes[start..end]).collect();
            if !values.is_sorted() {
                values.sort_unstable();
                let sorted = values.concat();
                bytes.truncate(first);
                bytes.extend(sorted);
            }
        }
        bytes.push(END);
    }
}

macro_rules! sequences {
    ($($sequence:ident $method:ident;)*) => {
        $(impl ser::$sequence for Compound<'_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
                self.begin();
                let at = self.count;
                self.count += 1;
                self.writer.part(value, || format!("[{at}]"))
            }

            fn end(self) -> Result<()> {
                self.finish();
                Ok(())
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
        $(impl ser::$structure for Compound<'_> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<()> {
                self.writer.named(b'E', name);
                self.writer.part(value, || name.to_owned())
            }

            fn end(self) -> Result<()> {
                self.finish();
                Ok(())
            }
        })*
    };
}

structs! {
    SerializeStruct;
    SerializeStructVariant;
}

impl ser::SerializeMap for Compound<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.begin();
        self.writer.value(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.writer.value(value)
    }

    fn end(self) -> Result<()> {
        self.finish();
        Ok(())
    }
}
