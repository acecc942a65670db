//! The events that the bench appends: of one type, with one tag each, and a payload that is hard to compress.

use annals::RawEvent;

use crate::failure::Failure;

/// The number of consecutive events over which the events of a tag are spread.
const SPREAD: u64 = 1000;
/// The number of events with the same tag.
const PER_TAG: u64 = 10;

/// Returns the tag of event `n` of the bulk test.
pub(super) fn tag(n: u64) -> String {
    let tags = SPREAD / PER_TAG;
    format!("bench:{}", n / SPREAD * tags + n % tags)
}

/// Returns an event with this tag. Its payload is a JSON string of `payload_bytes` bytes, if there are at least two.
pub(super) fn event(n: u64, tag: &str, payload_bytes: usize) -> Result<RawEvent, Failure> {
    let mut data = Vec::with_capacity(payload_bytes);
    let mut state = n;
    for at in 0..payload_bytes {
        if payload_bytes >= 2 && (at == 0 || at == payload_bytes - 1) {
            data.push(b'"');
            continue;
        }
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        data.push(b"0123456789abcdef"[(state >> 60) as usize]);
    }
    let event = RawEvent::builder("bench").tag(tag).data(data).build();
    event.map_err(|problem| {
        Failure::Append(annals::AppendError::Invalid { index: 0, source: problem })
    })
}
