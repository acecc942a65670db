//! Writes JSON that `serde_json` reads back. A serializer around that of `serde_json` refuses some values and notes
//! doubts about others.
//!
//! ```text
//!   refused   numbers that are not finite; nesting deeper than serde_json reads
//!   doubted   integers of 128 bits, keys that are not text, two equal keys: not every type reads them back
//!             `null` inside `Some`: most types read it back as `None`
//! ```
//! Whether a doubted value can be read back depends on the type around it, which a serializer does not see. So the
//! value is written, and the append takes the doubts ([`take_doubts`]) and decodes the event once to check it.

use std::cell::Cell;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::Formatter;

use super::notes::{Doubts, Notes};
use super::value::Checked;
use crate::event::error::CodecError;

/// The deepest nesting of arrays and objects that `serde_json` reads.
const MAX_DEPTH: u8 = 127;

/// Returns whether `serde_json` was built with its feature `arbitrary_precision`, which any crate of a program may
/// switch on. With the feature, a number keeps all its digits.
pub(crate) fn is_arbitrary_precision_on() -> bool {
    const MORE_DIGITS: &str = "1.00000000000000000000000000000000000000001";
    serde_json::from_str::<serde_json::Number>(MORE_DIGITS)
        .is_ok_and(|number| number.to_string() == MORE_DIGITS)
}

thread_local! {
    /// The doubts about all payloads that this thread wrote since the last call of `take_doubts`.
    static DOUBTS: Cell<Doubts> = const { Cell::new(Doubts { readable: false, some_is_null: false }) };
}

/// Returns and clears the doubts about all payloads that this thread wrote since the last call.
pub(crate) fn take_doubts() -> Doubts {
    DOUBTS.take()
}

/// Appends the JSON of `payload` to `data`.
pub(crate) fn write<T: Serialize>(payload: &T, data: &mut Vec<u8>) -> Result<(), CodecError> {
    let notes = Notes::default();
    let written = payload.serialize(Checked::new(&mut serializer(data, &notes), &notes));
    if written.is_ok() {
        let doubts = notes.doubts.get();
        if doubts.any() {
            DOUBTS.set(DOUBTS.get().and(doubts));
        }
        return Ok(());
    }
    Err(locate(payload))
}

/// Returns the error of a refused payload with the path of the refused value. Writes the payload again for that, with a
/// serializer that records the path: it is slower, so only a refused payload pays for it.
fn locate<T: Serialize>(payload: &T) -> CodecError {
    let notes = Notes::default();
    let mut nowhere = serializer(io::sink(), &notes);
    match serde_path_to_error::serialize(payload, Checked::new(&mut nowhere, &notes)) {
        Ok(()) => CodecError::payload(io::Error::other(
            "its Serialize implementation failed, but succeeded when repeated; it must depend on the value only",
        )),
        Err(error) => match notes.problem.take() {
            Some(problem) => CodecError::Unreadable { at: error.path().to_string(), problem },
            None => CodecError::payload(error),
        },
    }
}

fn serializer<W: Write>(to: W, notes: &Notes) -> serde_json::Serializer<W, Bounded<'_>> {
    serde_json::Serializer::with_formatter(to, Bounded { depth: 0, notes })
}

/// The formatter of compact JSON that refuses nesting deeper than [`MAX_DEPTH`].
struct Bounded<'n> {
    depth: u8,
    notes: &'n Notes,
}

impl Bounded<'_> {
    fn enter<W: Write + ?Sized>(&mut self, to: &mut W, bracket: u8) -> io::Result<()> {
        if self.depth == MAX_DEPTH {
            self.notes.problem.replace(Some(format!(
                "arrays and objects are nested more than {MAX_DEPTH} deep, and such JSON cannot be read back; flatten \
                 the value, or store its inner part as text"
            )));
            return Err(io::Error::other("nested too deep"));
        }
        self.depth += 1;
        to.write_all(&[bracket])
    }

    fn leave<W: Write + ?Sized>(&mut self, to: &mut W, bracket: u8) -> io::Result<()> {
        self.depth -= 1;
        to.write_all(&[bracket])
    }
}

impl Formatter for Bounded<'_> {
    fn begin_array<W: Write + ?Sized>(&mut self, to: &mut W) -> io::Result<()> {
        self.enter(to, b'[')
    }

    fn end_array<W: Write + ?Sized>(&mut self, to: &mut W) -> io::Result<()> {
        self.leave(to, b']')
    }

    fn begin_object<W: Write + ?Sized>(&mut self, to: &mut W) -> io::Result<()> {
        self.enter(to, b'{')
    }

    fn end_object<W: Write + ?Sized>(&mut self, to: &mut W) -> io::Result<()> {
        self.leave(to, b'}')
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::value::RawValue;

    use super::*;

    fn doubts<T: Serialize>(payload: &T) -> (bool, bool) {
        take_doubts();
        let mut data = Vec::new();
        write(payload, &mut data).unwrap();
        assert_eq!(data, serde_json::to_vec(payload).unwrap());
        let Doubts { readable, some_is_null } = take_doubts();
        (readable, some_is_null)
    }

    #[derive(Serialize)]
    struct Flat<T> {
        name: u8,
        #[serde(flatten)]
        rest: T,
    }

    #[derive(Serialize)]
    #[serde(tag = "kind")]
    enum Internal<T> {
        Inner(T),
    }

    #[test]
    fn only_what_some_types_do_not_read_back_is_doubted() {
        let map = |key: &str| BTreeMap::from([("a".to_owned(), 1), (key.to_owned(), 2)]);
        let none = (false, false);
        assert_eq!(doubts(&("x", 1_u64, 'c', (), None::<u8>, Some(Some(1)), -0.5, map("b"))), none);
        assert_eq!(doubts(&Flat { name: 1, rest: map("b") }), none);
        assert_eq!(doubts(&Internal::Inner(map("b"))), none);
        assert_eq!(doubts(&BTreeMap::from([('a', Internal::Inner(map("b")))])), none);

        let readable = (true, false);
        assert_eq!(doubts(&[1_u128]), readable);
        assert_eq!(doubts(&Some(1_i128)), readable);
        assert_eq!(doubts(&BTreeMap::from([(1, 2)])), readable);
        assert_eq!(doubts(&BTreeMap::from([(true, 2)])), readable);
        assert_eq!(doubts(&Flat { name: 1, rest: map("name") }), readable);
        assert_eq!(doubts(&Internal::Inner(map("kind"))), readable);

        let some_is_null = (false, true);
        assert_eq!(doubts(&[Some(None::<u8>)]), some_is_null);
        assert_eq!(doubts(&Some(())), some_is_null);
        assert_eq!(doubts(&Some(RawValue::NULL)), some_is_null);
    }

    #[test]
    fn the_depth_is_that_of_what_is_open() {
        let wide = vec![vec![vec![0_u8]; 3]; 200];
        assert_eq!(doubts(&wide), (false, false));
    }
}
