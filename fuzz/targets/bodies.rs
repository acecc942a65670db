//! Any bytes are a body that reads back, or none.

#![no_main]

use annals::RawEvent;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(event) = RawEvent::from_body(Bytes::copy_from_slice(input)) else { return };
    assert!(!event.event_type().is_empty());
    assert!(event.tags().all(|tag| !tag.is_empty()));
    assert!(event.id().is_none_or(|id| !id.is_empty()));
    assert_eq!(event.data(), event.data_bytes());
    let mut builder = RawEvent::builder(event.event_type()).data(event.data());
    for tag in event.tags() {
        builder = builder.tag(tag);
    }
    for (name, value) in event.metadata() {
        builder = builder.metadata(name, value);
    }
    if let Some(id) = event.id() {
        builder = builder.id(id);
    }
    // Refused for a limit that a body as such does not have, or made: then it says the same.
    let Ok(made) = builder.build() else { return };
    assert_eq!((made.event_type(), made.id()), (event.event_type(), event.id()));
    assert_eq!(made.data(), event.data());
    assert!(made.tags().all(|tag| event.tags().any(|known| known == tag)));
    assert!(event.tags().all(|tag| made.tags().any(|known| known == tag)));
    let again = RawEvent::from_body(made.body().clone());
    assert_eq!(again.as_ref(), Ok(&made));
});
