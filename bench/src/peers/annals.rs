//! Annals itself, on whatever backend.

use std::path::Path;

use annals::{Backend, EventStore, Query, RawEvent};

use super::{Candidate, Peer};

pub const JOURNAL: Candidate = Candidate { name: "annals Journal", open: open_journal };

fn open_journal(path: &Path) -> Box<dyn Peer> {
    Box::new(EventStore::<RawEvent>::open(path.join("log")).expect("the store opens"))
}

impl<B: Backend<RawEvent>> Peer for EventStore<RawEvent, B> {
    fn append(&self, events: Vec<RawEvent>) {
        self.append_batch(events).expect("appends");
    }

    fn scan(&self, see: &mut dyn FnMut(&[u8])) -> Option<u64> {
        Some(self.read(..).map(|event| see(event.expect("reads").event.data_bytes())).count() as u64)
    }

    fn get(&self, offset: u64, see: &mut dyn FnMut(&[u8])) {
        see(self.get(offset).expect("reads").expect("is there").event.data_bytes());
    }

    fn tag(&self, tag: &str, see: &mut dyn FnMut(&[u8])) -> u64 {
        let events = self.query(&Query::tag(tag));
        events.map(|event| see(event.expect("reads").event.data_bytes())).count() as u64
    }
}
