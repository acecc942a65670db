//! What the passing of time does.

use super::flight::Flight;
use super::messages::Refusal;
use super::state::State;
use uuid::Uuid;

impl State {
    /// Answers callers whose time is up, and sends again what is in doubt.
    pub(super) fn tick(&mut self) {
        let now = self.now.steady_ms;
        self.expire(now);
        let limit = self.settings.answer_timeout_ms;
        let late = |flight: &Flight| flight.open > 0 && now.saturating_sub(flight.sent_ms) >= limit;
        if self.resend_ms.is_none() && self.flights.iter().any(late) {
            self.settle();
        }
        // While an anchor is checked, the record may not be the one that was read.
        if self.anchor.is_none() && self.resend_ms.is_some_and(|resend_ms| now >= resend_ms) {
            self.resend();
        }
    }

    fn expire(&mut self, now: u64) {
        let mut index = 0;
        while index < self.queue.len() {
            if self.queue[index].deadline_ms > now {
                index += 1;
            } else if let Some(waiting) = self.queue.remove(index) {
                // What was sent of it before is dead: it lost its race.
                self.answer(waiting.request, Err(Refusal::Unavailable));
            }
        }
        let mut told = Vec::new();
        for admitted in self.flights.iter_mut().flat_map(|flight| &mut flight.requests) {
            if !admitted.told && admitted.waiting.deadline_ms <= now {
                admitted.told = true;
                told.push(admitted.waiting.request);
            }
        }
        for request in told {
            self.counts.doubts += 1;
            self.answer(request, Err(Refusal::InDoubt));
        }
        self.abandon();
    }

    /// Gives up the commits under way, if no caller waits for them any more. A barrier takes their place: it lands and
    /// they are dead, or one of them lands.
    fn abandon(&mut self) {
        let mut requests = self.flights.iter().flat_map(|flight| &flight.requests).peekable();
        if requests.peek().is_none() || !requests.all(|admitted| admitted.told) {
            return;
        }
        let last = self.flights.back().map(|flight| flight.commit.hash());
        self.doubted.extend(last.map(|last| (self.settings.writer_id, last)));
        // So that no later commit has the header of one that may still land: parts of the two might make a third commit.
        let id = (self.random.number(), self.random.number());
        self.settings.writer_id = Uuid::from_u64_pair(id.0, id.1);
        self.flights.clear();
        self.overlay.truncate(self.chain.tip().map_or(0, |tip| tip.head));
        self.resend_ms = None;
        self.abandoned = true;
        self.begin_attempt();
        self.read_now();
    }

    /// Returns the steady time of the next [`tick`](Self::tick) that has something to do, in ms.
    pub(super) fn next_wakeup(&self) -> Option<u64> {
        let flights = self.flights.iter();
        let requests = flights.clone().flat_map(|flight| &flight.requests);
        let told = requests.filter(|admitted| !admitted.told);
        let limit = self.settings.answer_timeout_ms;
        let waits = !self.queue.is_empty() || self.abandoned;
        (told.map(|admitted| admitted.waiting.deadline_ms))
            .chain(self.queue.iter().map(|waiting| waiting.deadline_ms))
            .chain(flights.filter(|flight| flight.open > 0).map(|flight| flight.sent_ms + limit))
            .chain(self.resend_ms)
            .chain(
                (self.anchor.iter().chain(&self.recent.check))
                    .filter(|check| check.asked.is_none())
                    .map(|check| check.again_ms),
            )
            .chain((waits && self.hold_until_ms > 0).then_some(self.hold_until_ms))
            .chain((self.read_again_ms > self.now.steady_ms).then_some(self.read_again_ms))
            .filter(|&time| time > self.now.steady_ms)
            .min()
    }
}
