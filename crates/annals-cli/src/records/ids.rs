//! The ids of an input, to find two events of different types with one id before anything is appended.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use annals::RawEvent;

use crate::failure::Failure;

/// The number of ids that are compared with each other, which takes 70 MB of memory. A later event with the id of
/// another one is found when it is appended.
pub(super) const COMPARED_IDS: usize = 1_800_000;

/// The ids of the events so far.
#[derive(Default)]
pub(super) struct Ids {
    /// Two hash functions with random keys. Together they are as good as the id itself.
    hashers: [RandomState; 2],
    /// The event with each id, by the two hashes of the id.
    seen: HashMap<[u64; 2], Seen>,
}

/// The first event with an id.
struct Seen {
    line: u64,
    /// The hash of its type.
    event_type: u64,
}

impl Ids {
    /// Adds the id of the event on a line. Fails if an earlier line has the id, and another type.
    pub(super) fn add(&mut self, event: &RawEvent, line: u64) -> Result<(), Failure> {
        let Some(id) = event.id() else { return Ok(()) };
        let key = [0, 1].map(|at| self.hashers[at].hash_one(id));
        let event_type = self.hashers[0].hash_one(event.event_type());
        match self.seen.get(&key) {
            Some(seen) if seen.event_type != event_type => {
                Err(Failure::IdInBatch { line, id: id.to_owned(), first_line: seen.line })
            }
            Some(_) => Ok(()),
            None => {
                if self.seen.len() < COMPARED_IDS {
                    self.seen.insert(key, Seen { line, event_type });
                }
                Ok(())
            }
        }
    }
}
