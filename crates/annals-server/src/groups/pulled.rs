//! The deliveries of one pull.

use std::io::Write as _;
use std::time::Duration;

use annals::{Backend, RawEvent, Recorded};
use annals_consumer::{ConsumerError, Delivery, Nack};

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
    ///
    /// An event that cannot be written as a line is parked with the reason when its turn comes, like one that cannot be
    /// decoded, and the pull goes on behind it. If it was given back instead, each pull would meet it again, and the
    /// group would never get past it.
    pub(super) fn pull(
        &mut self,
        group: &OpenGroup,
        worker: &str,
        max: u32,
        deadline: Option<Duration>,
    ) -> Result<(), Fault> {
        self.pull_lines(group, worker, max, deadline, line)
    }

    /// Pulls events, and writes each as a line with `to_line`.
    fn pull_lines(
        &mut self,
        group: &OpenGroup,
        worker: &str,
        max: u32,
        deadline: Option<Duration>,
        to_line: impl Fn(&Recorded<WireEvent>) -> Result<Vec<u8>, Fault>,
    ) -> Result<(), Fault> {
        let mut left = max;
        while left > 0 {
            let wanted = left.min(STEP);
            let (mut lines, mut bytes) = (Vec::new(), self.bytes);
            // Each event becomes a line before the next one is read, so that few large ones are in memory at once.
            let fits = |event: &Recorded<WireEvent>| {
                let line = to_line(event);
                let size = line.as_ref().map_or(0, Vec::len);
                if size > 0 && bytes > 0 && bytes + size > MAX_BYTES {
                    return false;
                }
                bytes += size;
                lines.push(line);
                true
            };
            let deliveries = match group.pull_while(worker, wanted, deadline, fits) {
                Err(_) if !self.is_empty() => break,
                deliveries => deliveries?,
            };
            let all = deliveries.len() == wanted as usize;
            let mut outcome = Ok(());
            for (delivery, line) in deliveries.into_iter().zip(lines) {
                match self.add(delivery, line) {
                    Ok(true) => left -= 1,
                    Ok(false) => {}
                    Err(error) => outcome = Err(error),
                }
            }
            match outcome {
                Err(error) if self.is_empty() => return Err(error.into()),
                Ok(()) if all => {}
                _ => break,
            }
        }
        Ok(())
    }

    /// Adds the delivery that a worker waited for. If the event cannot be written as a line, it is parked instead.
    /// Returns whether the delivery was added.
    pub(super) fn push(&mut self, delivery: Leased) -> Result<bool, Fault> {
        let line = line(&delivery);
        Ok(self.add(delivery, line)?)
    }

    /// Adds a delivery with its line, or parks the event if it has none. Returns whether it was added.
    fn add(
        &mut self,
        delivery: Leased,
        line: Result<Vec<u8>, Fault>,
    ) -> Result<bool, ConsumerError> {
        let fault = match line {
            Ok(line) => {
                self.bytes += line.len();
                self.deliveries.push((delivery, line));
                return Ok(true);
            }
            Err(fault) => fault,
        };
        match delivery.nack(Nack::Park, &fault.message) {
            // After a short deadline, the event is delivered again, and then parked.
            Ok(()) | Err(ConsumerError::LeaseLost { .. }) => Ok(false),
            Err(error) => Err(error),
        }
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
        pulled.pull(&group, "a", 1, Some(Duration::from_secs(3_600))).unwrap();
        // Ends when the clock moves on: how long that takes makes no difference.
        while pulled.deliveries[0].0.time_left() >= Some(Duration::from_secs(3_600)) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let body: serde_json::Value = serde_json::from_slice(&pulled.sent()).unwrap();
        assert!(body["deliveries"][0]["deadline_ms"].as_u64().unwrap() < 3_600_000, "{body}");
    }

    /// Returns the line of an event, or a fault for the events at these offsets.
    fn line_except(faulty: &[u64]) -> impl Fn(&Recorded<WireEvent>) -> Result<Vec<u8>, Fault> + '_ {
        |event| {
            if faulty.contains(&event.offset) {
                return Err(Fault::new(Kind::Internal, "it has no line"));
            }
            line(event)
        }
    }

    #[test]
    fn an_event_without_a_line_is_parked_and_costs_the_others_no_attempt() {
        let group = group(&[1; 20]);
        let mut pulled = Pulled::default();
        pulled.pull_lines(&group, "a", 18, MINUTE, line_except(&[0, 2, 16])).unwrap();
        let offsets: Vec<u64> = pulled.deliveries.iter().map(|(it, _)| it.offset).collect();
        assert_eq!(offsets, [1].into_iter().chain(3..16).chain(17..20).collect::<Vec<_>>());
        let parked: Vec<_> =
            group.parked(0, 9).into_iter().map(|it| (it.offset, it.reason)).collect();
        assert_eq!(parked, [0, 2, 16].map(|offset| (offset, "it has no line".to_owned())));
        // The client is gone, so the events are delivered again at once.
        drop(pulled);
        let mut pulled = Pulled::default();
        pulled.pull(&group, "a", 20, MINUTE).unwrap();
        assert_eq!(pulled.deliveries.len(), 17);
        assert!(pulled.deliveries.iter().all(|(it, _)| it.attempt() == 1), "the first attempt");
    }

    #[test]
    fn a_worker_that_waited_does_not_get_an_event_without_a_line() {
        let group = group(&[1]);
        let delivery = group.pull("a", 1, MINUTE).unwrap().remove(0);
        let mut pulled = Pulled::default();
        let fault = Fault::new(Kind::Internal, "it has no line");
        assert!(!pulled.add(delivery, Err(fault)).unwrap());
        assert!(pulled.is_empty());
        assert_eq!((group.status().parked, group.status().position), (1, 1));
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
