//! Checks that an encoded event decodes to the same event: decodes it once, and compares everything that serde sees of
//! the two events.
//!
//! ```text
//!   event ──encode──▶ body ──decode──▶ the event that a reader would get
//!     └──── exact form ──── = ? ──── exact form ────┘
//! ```
//! A hand-written implementation of `Event` may have no exact form. Then its own encodings are compared.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::codec::Codec;
use super::event::Event;
use super::json::notes::Doubts;
use super::raw::RawEvent;
use crate::event::error::{CodecError, InvalidEvent};
use crate::util::exact_form::{TRIES, difference, exact, without_order};

/// Returns the event that `body`, the encoding of `event`, decodes to.
///
/// # Errors
/// [`InvalidEvent`] if `body` cannot be decoded, or decodes to a different event.
pub(crate) fn read_back<E: Event>(
    event: &E,
    body: &[u8],
    doubts: Doubts,
) -> Result<E, InvalidEvent> {
    let event_type = || event.event_type().to_owned();
    let raw = match RawEvent::from_body(Bytes::copy_from_slice(body)) {
        Ok(raw) => raw,
        Err(problem) => panic!("a body that was just written must be valid: {problem}"),
    };
    let decode = || E::decode(&raw);
    let read = decode()
        .map_err(|source| InvalidEvent::NotReadBack { event_type: event_type(), source })?;
    if read.event_type() != event.event_type() {
        let at = format!("its type, {:?},", read.event_type());
        return Err(InvalidEvent::ReadBackChanged { event_type: event_type(), at });
    }
    if doubts.some_is_null && !E::ANY_CODEC {
        // `Some` and `None` both encode to null, so a comparison of their encodings would not notice a difference.
        let problem = "a `Some` in it is written as null, which most types read back as `None`; serialize its content \
                       as something other than null, or derive `Event`, so that the append can check the event";
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

/// Returns the form of an event: the form that `C` writes if the event supports it, its own encoding otherwise.
fn form<E: Event, C: Codec>(event: &E) -> Result<Vec<u8>, CodecError> {
    let mut form = Vec::new();
    event.encode_as::<C>(&mut form)?;
    Ok(form)
}

/// Returns whether two events differ only in an order that the type does not preserve, such as that of a `HashMap`.
fn differs_in_order<E: Event>(
    event: &E,
    read: &E,
    decode: impl Fn() -> Result<E, CodecError>,
) -> Result<bool, CodecError> {
    if E::ANY_CODEC {
        // Serde does not show whether a type preserves the order of its sequences. Repeated decoding cannot find out
        // either: a set with a fixed hasher has the same order each time. So no order counts.
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

/// Returns a description of the first difference between two events.
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

/// Codecs that write a form of a payload, which is compared and never decoded.
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

    /// The path of the first difference between the payload and the exact form in `data`. Replaces the content of
    /// `data`.
    Difference payload data {
        *data = difference(payload, std::mem::take(data)).into_bytes();
        Ok(())
    }
}
