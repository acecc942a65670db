//! Whether an event comes back from what it encodes to: decoded once, and compared in whatever serde sees of the two.
//!
//! ```text
//!   event ──encode──▶ body ──decode──▶ event that would be read
//!     └──── exact form ──── = ? ──── exact form ────┘
//! ```
//! An event that is written by hand may have no exact form; its own encodings are compared then.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::codec::Codec;
use super::event::Event;
use super::json::notes::Doubts;
use super::raw::RawEvent;
use crate::event::error::{CodecError, InvalidEvent};
use crate::util::exact_form::{TRIES, difference, exact, without_order};

/// Returns the event that is read back from `body`, the encoding of `event`.
///
/// # Errors
/// [`InvalidEvent`] if it cannot be decoded, or is another event.
pub(crate) fn read_back<E: Event>(
    event: &E,
    body: &[u8],
    doubts: Doubts,
) -> Result<E, InvalidEvent> {
    let event_type = || event.event_type().to_owned();
    let raw = match RawEvent::from_body(Bytes::copy_from_slice(body)) {
        Ok(raw) => raw,
        Err(problem) => panic!("a body that was just written is whole: {problem}"),
    };
    let decode = || E::decode(&raw);
    let read = decode()
        .map_err(|source| InvalidEvent::NotReadBack { event_type: event_type(), source })?;
    if read.event_type() != event.event_type() {
        let at = format!("its type, {:?},", read.event_type());
        return Err(InvalidEvent::ReadBackChanged { event_type: event_type(), at });
    }
    if doubts.some_is_null && !E::ANY_CODEC {
        // Both encode to null, so their encodings would not tell them apart.
        let problem = "a `Some` in it is written as null, which is read back as `None`; serialize what is inside as \
                       something else, or derive `Event`, so that it can be checked whether it comes back";
        return Err(CodecError::Unreadable { at: ".".into(), problem: problem.into() }.into());
    }
    if form::<E, Exact>(event)? == form::<E, Exact>(&read)?
        || differs_in_order(event, &read, decode)?
    {
        return Ok(read);
    }
    Err(InvalidEvent::ReadBackChanged {
        event_type: event_type(),
        at: first_difference(event, &read)?,
    })
}

/// The form of an event: that of `C` if it has one, its own encoding otherwise.
fn form<E: Event, C: Codec>(event: &E) -> Result<Vec<u8>, CodecError> {
    let mut form = Vec::new();
    event.encode_as::<C>(&mut form)?;
    Ok(form)
}

/// Whether two events differ only in an order that the event does not keep by itself, as that of a `HashMap`.
fn differs_in_order<E: Event>(
    event: &E,
    read: &E,
    decode: impl Fn() -> Result<E, CodecError>,
) -> Result<bool, CodecError> {
    if E::ANY_CODEC {
        // Which order a sequence has by itself cannot be seen: that of a set with a fixed hasher is the same each time.
        return Ok(form::<E, WithoutOrder>(event)? == form::<E, WithoutOrder>(read)?);
    }
    let first = form::<E, Exact>(read)?;
    for _ in 0..TRIES {
        if form::<E, Exact>(&decode()?)? != first {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Where two events differ first.
fn first_difference<E: Event>(event: &E, read: &E) -> Result<String, CodecError> {
    let mut path = form::<E, Exact>(read)?;
    if E::ANY_CODEC {
        event.encode_as::<Difference>(&mut path)?;
    } else {
        path.clear();
    }
    let path = String::from_utf8_lossy(&path);
    Ok(if path.is_empty() { "its payload".to_owned() } else { format!("the field `{path}`") })
}

/// Codecs that write a form of a payload, to be compared and not to be decoded.
macro_rules! forms {
    ($($(#[$doc:meta])* $name:ident $payload:ident $data:ident $write:block)*) => {
        $($(#[$doc])*
        struct $name;

        impl Codec for $name {
            fn encode<T: Serialize>($payload: &T, $data: &mut Vec<u8>) -> Result<(), CodecError> $write

            fn decode<T: DeserializeOwned>(_: &[u8]) -> Result<T, CodecError> {
                Err(CodecError::payload(std::io::Error::other("a form is not decoded")))
            }
        })*
    };
}

forms! {
    /// The exact form.
    Exact payload data {
        data.extend(exact(payload).map_err(CodecError::payload)?);
        Ok(())
    }

    /// The form in which no order counts.
    WithoutOrder payload data {
        data.extend(without_order(payload).map_err(CodecError::payload)?);
        Ok(())
    }

    /// The path of the first difference from the exact form that is in `data`, in its place.
    Difference payload data {
        *data = difference(payload, std::mem::take(data)).into_bytes();
        Ok(())
    }
}
