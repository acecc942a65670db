//! The batches that the processes append.

use annals::{Condition, Query, QueryItem, RawEvent};
use annals_replicated::sim::Random;
use annals_replicated::{NewBatch, Replica};

use crate::replica::MemoryReplica;

/// Makes batches whose events all differ.
#[derive(Debug)]
pub(crate) struct Workload {
    events: u64,
    payload: usize,
    /// Batches with ids, to be appended again.
    sent: Vec<NewBatch>,
}

impl Workload {
    pub(crate) fn new(payload: usize) -> Self {
        Self { events: 0, payload, sent: Vec::new() }
    }

    fn event(&mut self, random: &mut Random, id: bool) -> RawEvent {
        self.events += 1;
        let event_type = ["a", "b", "c"][random.index(3)];
        let mut event = RawEvent::builder(event_type);
        for tag in ["x", "y", "z"] {
            if random.chance(40) {
                event = event.tag(tag);
            }
        }
        if id {
            event = event.id(format!("id-{}", self.events));
        }
        let mut data = self.events.to_le_bytes().to_vec();
        data.resize(8 + random.index(self.payload + 1), 7);
        event.data(data).build().expect("an event")
    }

    /// Returns a batch: new, known, or a barrier; often with a condition on what the process has read.
    pub(crate) fn batch(&mut self, random: &mut Random, replica: &MemoryReplica) -> NewBatch {
        if random.chance(8) {
            return NewBatch::default();
        }
        if random.chance(10)
            && let Some(batch) = self.again(random)
        {
            return batch;
        }
        let id = random.chance(50);
        let events = (0..=random.index(3)).map(|_| self.event(random, id)).collect();
        let mut conditions = Vec::new();
        let head = replica.head();
        while random.chance(50) && conditions.len() < 2 {
            let tag = ["x", "y", "z"][random.index(3)];
            let query = match random.index(4) {
                0 => Query::all(),
                1 => Query::event_type(["a", "b", "c"][random.index(3)]),
                2 => Query::item(QueryItem::new().event_type("a").tag(tag)),
                _ => Query::tag(tag),
            };
            let after = head.saturating_sub(random.below(3));
            conditions.push(Condition::fail_if(query).after(after));
        }
        NewBatch { events, conditions, ..NewBatch::default() }
    }

    /// Remembers a batch whose events all have ids.
    pub(crate) fn remember(&mut self, batch: &NewBatch) {
        if !batch.events.is_empty() {
            self.sent.push(batch.clone());
        }
    }

    /// Returns a batch that was appended before, or was tried.
    pub(crate) fn again(&self, random: &mut Random) -> Option<NewBatch> {
        self.sent.get(random.index(self.sent.len())).cloned()
    }
}
