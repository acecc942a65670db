//! Sends commits: gathers batches, sends entries, and sends them again while the outcome is in doubt.

use annals::Appended;

use super::admit::{Admission, View};
use super::flight::{Admitted, Flight, Waiting};
use super::messages::{Output, Refusal, SendId};
use super::replica::Replica;
use super::settings::{FIRST_PAUSE_MS, MAX_CLOCK_AHEAD_MS, MAX_GATHERED_BYTES};
use super::state::{Send, State};
use crate::format::body::{CommitBatch, Content, encoded_bytes};
use crate::format::header::MAX_COMMIT_BATCHES;

impl State {
    /// Gathers waiting batches and sends them, as far as the engine takes appends.
    pub(super) fn launch(&mut self, replica: &dyn Replica) {
        self.send_entries();
        while self.may_launch() {
            let Some(mut flight) = self.gather(replica) else { break };
            flight.ends_doubt = std::mem::take(&mut self.abandoned);
            if self.flights.is_empty() {
                self.predicted = self.chain.read_to();
            }
            self.flights.push_back(flight);
            self.send_entries();
        }
        self.confirm_early();
    }

    fn may_launch(&self) -> bool {
        self.end.is_none()
            && self.caught_up
            && self.chain.tip().is_some()
            && self.anchor.is_none()
            && self.resend_ms.is_none()
            && self.open < self.window()
            && self.flights.iter().all(|flight| flight.sent == flight.entries.len())
            && self.now.steady_ms >= self.hold_until_ms
            && (self.abandoned || !self.queue.is_empty())
    }

    /// Admits waiting batches and makes a commit of them. The batches that one commit cannot hold stay in the queue.
    /// Returns `None` if nothing is to be sent.
    fn gather(&mut self, replica: &dyn Replica) -> Option<Flight> {
        let tip = self.staged_tip()?;
        let (mut head, mut time_ms) = (tip.head, tip.time_ms);
        let (mut batches, mut requests, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut barrier = self.abandoned;
        while let Some(waiting) = self.queue.front() {
            let batch = waiting.batch.clone();
            let size = encoded_bytes(&CommitBatch { time_ms: 0, events: batch.events.clone() });
            let is_full = batches.len() == MAX_COMMIT_BATCHES;
            if is_full || (bytes > 0 && bytes + size > MAX_GATHERED_BYTES) {
                break;
            }
            let waiting = self.queue.pop_front()?;
            // A barrier needs no time.
            let needs_clock = batch.time_ms.is_none() && !batch.events.is_empty();
            if needs_clock && self.clock_ahead_ms > MAX_CLOCK_AHEAD_MS {
                let ahead_ms = self.clock_ahead_ms;
                self.answer(waiting.request, Err(Refusal::ClockAhead { ahead_ms }));
                self.read_now();
                continue;
            }
            let overlay = &self.overlay;
            let wall_ms = self.now.wall_ms;
            match (View { replica, overlay, head, time_ms, wall_ms }).admit(&batch) {
                Admission::Stage { time_ms: time } => {
                    let end = head + batch.events.len() as u64;
                    requests.push(admitted(waiting, Ok(Appended::new(head..end))));
                    barrier = true;
                    if batch.events.is_empty() {
                        continue;
                    }
                    for (event, offset) in batch.events.iter().zip(head..) {
                        self.overlay.push(offset, event.clone());
                    }
                    (head, time_ms, bytes) = (end, time, bytes + size);
                    batches.push(CommitBatch { time_ms: time, events: batch.events.clone() });
                }
                Admission::Confirm { reply } => {
                    requests.push(admitted(waiting, reply));
                    barrier = true;
                }
                Admission::Reply { reply, rests: false } => self.answer(waiting.request, reply),
                Admission::Reply { reply, rests: true } => {
                    let admitted = admitted(waiting, reply);
                    match (batches.is_empty(), self.flights.back_mut(), self.landed.back_mut()) {
                        (false, ..) => requests.push(admitted),
                        (true, Some(flight), _) => flight.requests.push(admitted),
                        (true, None, Some(landed)) => landed.requests.push(admitted),
                        (true, None, None) => {
                            self.answer(admitted.waiting.request, admitted.reply);
                        }
                    }
                }
            }
        }
        if !barrier {
            return None;
        }
        let content = if batches.is_empty() { Content::Barrier } else { Content::Events(batches) };
        let commit = tip.next(self.settings.writer_id, content);
        let next = tip.after(&commit).expect("a commit on the tip follows it");
        self.flight_count += 1;
        let entry_bytes = self.settings.limits.entry_bytes;
        Some(Flight::new(self.flight_count, commit, next, entry_bytes, requests))
    }

    /// Returns the number of entries that may be under way. After a doubt it is one until a commit lands: entries that
    /// overtake each other are refused, and a commit of many parts would never land.
    fn window(&self) -> usize {
        if self.pause_ms > FIRST_PAUSE_MS { 1 } else { self.settings.limits.under_way }
    }

    /// Sends the entries of the flights that were not sent in this attempt, as far as the engine takes them.
    fn send_entries(&mut self) {
        if self.resend_ms.is_some() || self.end.is_some() {
            return;
        }
        let (window, asked) = (self.window(), self.asked());
        for flight in &mut self.flights {
            while flight.sent < flight.entries.len() {
                if self.open >= window {
                    return;
                }
                self.send_count += 1;
                let send = SendId(self.send_count);
                let (after, expected) = (self.predicted, self.predicted.next());
                let (part, attempt, wall_ms) = (flight.sent, self.attempt, self.now.wall_ms);
                let details = Send { flight: flight.id, part, expected, attempt, wall_ms, asked };
                self.sends.insert(send, details);
                self.predicted = expected;
                flight.sent += 1;
                flight.open += 1;
                self.open += 1;
                flight.sent_ms = self.now.steady_ms;
                let entry = flight.entry(part);
                self.outputs.push(Output::Append { send, after, entry });
            }
        }
    }

    /// Begins to settle the flights: reads what the record shows, and sends them again after a pause.
    pub(super) fn settle(&mut self) {
        if self.flights.is_empty() {
            return;
        }
        if self.resend_ms.is_none() {
            self.resend_ms = Some(self.now.steady_ms + self.next_pause());
        }
        self.read_now();
    }

    /// Sends the flights again, the same bytes, behind the last slot that was read.
    pub(super) fn resend(&mut self) {
        self.resend_ms = None;
        self.counts.resends += 1;
        self.begin_attempt();
        self.send_entries();
    }
}

fn admitted(waiting: Waiting, reply: Result<Appended, Refusal>) -> Admitted {
    Admitted { waiting, reply, told: false }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use annals::{Condition, RawEvent, ReadError};
    use uuid::Uuid;

    use super::*;
    use crate::chain::chain::Chain;
    use crate::core::messages::{NewBatch, Now, RequestId};
    use crate::core::settings::CoreSettings;
    use crate::log::commit_log::LogLimits;
    use crate::sim::SimRecord;

    struct Empty;

    impl Replica for Empty {
        fn head(&self) -> u64 {
            0
        }

        fn conflict(&self, _: &Condition) -> Result<Option<u64>, ReadError> {
            Ok(None)
        }

        fn find_id(&self, _: &str) -> Result<Option<u64>, ReadError> {
            Ok(None)
        }

        fn event_type(&self, offset: u64) -> Result<String, ReadError> {
            panic!("there is no event at {offset}")
        }
    }

    /// Returns the state of a core that has read a new record to its end.
    fn state() -> State {
        let record = SimRecord::new(Uuid::from_u128(1));
        let mut chain = Chain::new(None);
        chain.push(record.last(), &record.entries()[0]);
        let limits = LogLimits { entry_bytes: 1 << 20, under_way: 8 };
        let settings = CoreSettings::new(Uuid::from_u128(2), limits);
        let mut state = State::new(settings, chain, Now::default());
        state.caught_up = true;
        state
    }

    #[test]
    fn more_batches_than_a_commit_may_have_become_two_commits() {
        let mut state = state();
        let events = vec![RawEvent::builder("counted").build().expect("an event")];
        let batch = Arc::new(NewBatch { events, ..NewBatch::default() });
        for request in (0..).map(RequestId).take(MAX_COMMIT_BATCHES + 3) {
            let batch = Arc::clone(&batch);
            state.queue.push_back(Waiting { request, batch, deadline_ms: 1_000 });
        }
        state.launch(&Empty);
        let batches = state.flights.iter().map(|flight| flight.commit.content().batches().len());
        assert_eq!(batches.collect::<Vec<_>>(), [MAX_COMMIT_BATCHES, 3]);
    }
}
