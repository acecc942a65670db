//! A number for everything that decides what a core does next, so that a model checker knows states again.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::flight::{Admitted, Waiting};
use super::state::State;

impl State {
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash_into(&mut hasher);
        hasher.finish()
    }

    /// Hashes all fields, so that none is forgotten, but the settings that stay, and the counters.
    fn hash_into(&self, hasher: &mut impl Hasher) {
        let Self { now, outputs, chain, caught_up, queue, flights, landed, overlay, sends, .. } =
            self;
        let Self { settings: _, counts: _, voids_to: _, .. } = self;
        assert!(outputs.is_empty(), "a step returns all outputs");
        chain.hash_into(hasher);
        (now.steady_ms, now.wall_ms, caught_up).hash(hasher);
        queue.len().hash(hasher);
        for waiting in queue {
            waiting_into(waiting, hasher);
        }
        for flight in flights {
            (flight.id, flight.commit.hash(), flight.tip.hash, &flight.slots).hash(hasher);
            (flight.sent, flight.open, flight.split_at, flight.may_be_stored).hash(hasher);
            (flight.sent_ms, flight.ends_doubt).hash(hasher);
            flight.entries.len().hash(hasher);
            all_into(&flight.requests, hasher);
        }
        for landed in landed {
            (landed.number, landed.head, landed.bytes).hash(hasher);
            all_into(&landed.requests, hasher);
        }
        let (first, events) = overlay.events();
        (first, events.len()).hash(hasher);
        for event in events {
            event.body().hash(hasher);
        }
        let mut sends: Vec<_> = sends.iter().collect();
        sends.sort_unstable_by_key(|(id, _)| **id);
        sends.hash(hasher);
        self.hash_rest(hasher);
    }

    fn hash_rest(&self, hasher: &mut impl Hasher) {
        let Self { send_count, flight_count, attempt, open, predicted, resend_ms, .. } = self;
        (send_count, flight_count, attempt, open, predicted, resend_ms).hash(hasher);
        let Self { pause_ms, hold_until_ms, abandoned, anchor, recent, rejoin, .. } = self;
        (pause_ms, hold_until_ms, abandoned, anchor, recent, rejoin).hash(hasher);
        let Self { replica_head, shorter, want_now, reading_now, watching, .. } = self;
        (replica_head, shorter, want_now, reading_now, watching).hash(hasher);
        (self.read_asked, self.read_wall_ms, self.watch_asked).hash(hasher);
        (self.connection, self.confirmed_ms, self.learned_ms, &self.held).hash(hasher);
        (self.land_from, self.rewind_again_ms, self.last_before).hash(hasher);
        (&self.doubted, self.settings.writer_id).hash(hasher);
        let Self { read_again_ms, hinted, round_trip_ms, clock_ahead_ms, end, random, .. } = self;
        (read_again_ms, hinted, round_trip_ms, clock_ahead_ms, end, random).hash(hasher);
    }
}

fn waiting_into(waiting: &Waiting, hasher: &mut impl Hasher) {
    (waiting.request, waiting.deadline_ms).hash(hasher);
}

fn all_into(requests: &[Admitted], hasher: &mut impl Hasher) {
    for admitted in requests {
        admitted_into(admitted, hasher);
    }
}

fn admitted_into(admitted: &Admitted, hasher: &mut impl Hasher) {
    waiting_into(&admitted.waiting, hasher);
    (admitted.told, format!("{:?}", admitted.reply)).hash(hasher);
}
