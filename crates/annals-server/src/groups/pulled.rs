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

/// The number of events that are pulled at once: those behind the end of the response are read for nothing.
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
            let deliveries = match group.pull(worker, wanted, deadline) {
                Err(_) if !self.is_empty() => break,
                deliveries => deliveries?,
            };
            let all = deliveries.len() == wanted as usize;
            if !self.push_all(deliveries)? || !all {
                break;
            }
            left -= wanted;
        }
        Ok(())
    }

    /// Adds deliveries, and gives those back that the response has no room for. Returns whether it had room for all.
    fn push_all(&mut self, deliveries: Vec<Leased>) -> Result<bool, Fault> {
        let mut deliveries = deliveries.into_iter();
        let mut outcome = Ok(true);
        for delivery in deliveries.by_ref() {
            match self.push(delivery) {
                Ok(None) => {}
                Ok(Some(unused)) => {
                    unused.give_back();
                    outcome = Ok(false);
                    break;
                }
                Err(fault) => {
                    outcome = Err(fault);
                    break;
                }
            }
        }
        deliveries.for_each(Delivery::give_back);
        outcome
    }

    /// Adds a delivery. Returns it if the response has no room for it.
    pub(super) fn push(&mut self, delivery: Leased) -> Result<Option<Leased>, Fault> {
        let line = line(&delivery)?;
        if !self.is_empty() && self.bytes + line.len() > MAX_BYTES {
            return Ok(Some(delivery));
        }
        self.bytes += line.len();
        self.deliveries.push((delivery, line));
        Ok(None)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
    }

    /// Returns the body of the response. From now on only an answer or the deadline ends the leases.
    pub(super) fn sent(mut self, deadline_ms: u64) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.bytes + 128 * self.deliveries.len() + 32);
        body.extend_from_slice(br#"{"deliveries":["#);
        for (index, (delivery, line)) in self.deliveries.drain(..).enumerate() {
            let (comma, attempt) = (if index == 0 { "" } else { "," }, delivery.attempt());
            let lease = delivery.into_lease();
            // Writing into a vector does not fail. The text of a lease needs no escapes.
            let _ = write!(
                body,
                r#"{comma}{{"lease":"{lease}","attempt":{attempt},"deadline_ms":{deadline_ms},"event":"#
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
