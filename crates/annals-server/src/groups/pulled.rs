//! The deliveries of one pull.

use std::io::Write as _;
use std::time::Duration;

use annals::{Backend, RawEvent, Recorded};
use annals_consumer::Delivery;

use super::registry::OpenGroup;
use crate::event::WireEvent;
use crate::fault::{Fault, Kind};

/// The largest response to a pull, in bytes, unless its first event alone is larger.
const MAX_BYTES: usize = 8 << 20;

/// The number of events that are leased at once: an event that cannot be read gives those before it back, and an event
/// that the response has no room for gives those behind it back.
const STEP: u32 = 16;

/// A delivery to a worker.
type Leased = Delivery<WireEvent, Box<dyn Backend<WireEvent>>>;

/// The deliveries of one pull, each with its event as a line. If it is dropped before [`sent`](Self::sent), because the
/// client is gone, the events are given back, and the pull was no attempt.
#[derive(Default)]
pub(crate) struct Pulled {
    deliveries: Vec<(Leased, Vec<u8>)>,
    bytes: usize,
}

impl Pulled {
    /// Pulls at most `max` events for a worker, without waiting for one. It may wait for the disk. A failure behind the
    /// first events ends the pull, and the next pull meets it again. Otherwise the events before one that cannot be
    /// read would be given back each time.
    pub(super) fn pull(
        &mut self,
        group: &OpenGroup,
        worker: &str,
        max: u32,
        deadline: Option<Duration>,
    ) -> Result<(), Fault> {
        let mut left = max;
        while left > 0 {
            let wanted = left.min(STEP);
            let (mut lines, mut bytes, mut outcome) = (Vec::new(), self.bytes, Ok(()));
            // Each event becomes a line before the next one is read, so that few large ones are in memory at once.
            let fits = |event: &Recorded<WireEvent>| match line(event) {
                Ok(line) if bytes > 0 && bytes + line.len() > MAX_BYTES => false,
                Ok(line) => {
                    bytes += line.len();
                    lines.push(line);
                    true
                }
                Err(fault) => {
                    outcome = Err(fault);
                    false
                }
            };
            let deliveries = match group.pull_while(worker, wanted, deadline, fits) {
                Err(_) if !self.is_empty() => break,
                deliveries => deliveries?,
            };
            outcome?;
            let all = deliveries.len() == wanted as usize;
            self.deliveries.extend(deliveries.into_iter().zip(lines));
            self.bytes = bytes;
            if !all {
                break;
            }
            left -= wanted;
        }
        Ok(())
    }

    /// Adds the delivery that a worker waited for.
    pub(super) fn push(&mut self, delivery: Leased) -> Result<(), Fault> {
        let line = line(&delivery)?;
        self.bytes += line.len();
        self.deliveries.push((delivery, line));
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
    }

    /// Returns the body of the response. From now on only an answer or the deadline ends the leases.
    pub(super) fn sent(mut self) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.bytes + 128 * self.deliveries.len() + 32);
        body.extend_from_slice(br#"{"deliveries":["#);
        for (index, (delivery, line)) in self.deliveries.drain(..).enumerate() {
            let (comma, attempt) = (if index == 0 { "" } else { "," }, delivery.attempt());
            let left_ms = delivery.time_left().unwrap_or_default().as_millis();
            let lease = delivery.into_lease();
            // Writing into a vector does not fail. The text of a lease needs no escapes.
            let _ = write!(
                body,
                r#"{comma}{{"lease":"{lease}","attempt":{attempt},"deadline_ms":{left_ms},"event":"#
            );
            body.extend_from_slice(line.trim_ascii_end());
            body.push(b'}');
        }
        body.extend_from_slice(b"]}");
        body
    }
}

impl Drop for Pulled {
    fn drop(&mut self) {
        self.deliveries.drain(..).for_each(|(delivery, _)| delivery.give_back());
    }
}

/// Returns an event of a group as a line.
pub(crate) fn line(event: &Recorded<WireEvent>) -> Result<Vec<u8>, Fault> {
    let internal = |error: String| Fault::new(Kind::Internal, error);
    let raw = event.event.to_raw().map_err(|problem| internal(problem.to_string()))?;
    let recorded: Recorded<RawEvent> =
        Recorded { offset: event.offset, time_ms: event.time_ms, event: raw };
    let mut bytes = Vec::new();
    annals_lines::write_line(&recorded, &mut bytes).map_err(|error| internal(error.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use annals::{EventStore, Memory};
    use annals_consumer::Consumers as _;

    use super::*;

    const MINUTE: Option<Duration> = Some(Duration::from_secs(60));

    fn group(sizes: &[usize]) -> OpenGroup {
        let backend: Box<dyn Backend<WireEvent>> = Box::new(Memory::<WireEvent>::encoded());
        let store = EventStore::on(backend);
        for &size in sizes {
            let text = format!("\"{}\"", "a".repeat(size));
            let event = RawEvent::builder("a").data(text).build().unwrap();
            store.append(event.into()).unwrap();
        }
        store.group("billing").open().unwrap()
    }

    #[test]
    fn a_response_has_the_time_that_is_left_of_the_deadline() {
        let group = group(&[1]);
        let mut pulled = Pulled::default();
        pulled.pull(&group, "a", 1, MINUTE).unwrap();
        std::thread::sleep(Duration::from_millis(2));
        let body: serde_json::Value = serde_json::from_slice(&pulled.sent()).unwrap();
        assert!(body["deliveries"][0]["deadline_ms"].as_u64().unwrap() <= 59_998, "{body}");
    }

    #[test]
    fn a_response_ends_before_an_event_that_it_has_no_room_for() {
        let group = group(&[10 << 20, 3 << 20, 3 << 20, 3 << 20, 1]);
        // The first event of a response may be larger than it.
        for expected in [&[0][..], &[1, 2], &[3, 4], &[]] {
            let mut pulled = Pulled::default();
            pulled.pull(&group, "a", 10, MINUTE).unwrap();
            let offsets: Vec<u64> = pulled.deliveries.iter().map(|(it, _)| it.offset).collect();
            assert_eq!(offsets, expected);
            assert!(pulled.deliveries.iter().all(|(it, _)| it.attempt() == 1), "the first attempt");
            drop(pulled.sent());
        }
        assert_eq!(group.status().in_flight, 5);
    }
}
