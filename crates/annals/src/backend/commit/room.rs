//! The bound on asynchronous appends that are queued: a batch that finds no room waits outside of the line.
//!
//! ```text
//!   submit ─ room ───────────────────────────────▶ line ─▶ commit, which gives room
//!          └ no room: the future has it ─ polled ─▶ outside, in order ─┘ as room is given
//! ```
//! What waits outside is let in by the leader, not by its future: a future that is not polled again keeps nobody out.

use std::collections::{BTreeMap, VecDeque};

use super::request::Request;
use crate::event::limits::MAX_QUEUED_BYTES;

/// How many bytes the asynchronous batches of the line hold, and those that wait outside.
pub(crate) struct Room<E> {
    bytes: usize,
    limit: usize,
    outside: BTreeMap<u64, Request<E>>,
    next: u64,
}

impl<E> Default for Room<E> {
    fn default() -> Self {
        Self { bytes: 0, limit: MAX_QUEUED_BYTES, outside: BTreeMap::new(), next: 0 }
    }
}

impl<E> Room<E> {
    /// Returns whether there is room for a batch: for one of any size where there is none, and behind those outside for
    /// none.
    pub(crate) fn has(&self, bytes: usize) -> bool {
        self.outside.is_empty() && self.fits(bytes)
    }

    fn fits(&self, bytes: usize) -> bool {
        self.bytes == 0 || self.bytes + bytes <= self.limit
    }

    /// A batch joins the line.
    pub(crate) fn enter(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// Batches of so many bytes were committed; returns those from outside that have room now.
    pub(super) fn leave(&mut self, bytes: usize) -> VecDeque<Request<E>> {
        assert!(bytes <= self.bytes, "{bytes} bytes leave a line of {} bytes", self.bytes);
        self.bytes -= bytes;
        let mut let_in = VecDeque::new();
        while let Some(first) = self.outside.first_entry() {
            let bytes = first.get().bytes;
            if self.bytes > 0 && self.bytes + bytes > self.limit {
                break;
            }
            self.bytes += bytes;
            let_in.push_back(first.remove());
        }
        let_in
    }

    pub(super) fn wait_outside(&mut self, request: Request<E>) -> u64 {
        let number = self.next;
        self.next += 1;
        self.outside.insert(number, request);
        number
    }

    /// Returns a batch that waits outside, which is not let in any more; `None` if it was let in.
    pub(super) fn withdraw(&mut self, number: u64) -> Option<Request<E>> {
        self.outside.remove(&number)
    }

    /// Returns all that wait outside, which are not let in any more.
    pub(crate) fn take_outside(&mut self) -> Vec<Request<E>> {
        std::mem::take(&mut self.outside).into_values().collect()
    }

    /// Forgets the batches of a line that was emptied, and returns all that wait outside.
    pub(crate) fn clear(&mut self) -> Vec<Request<E>> {
        self.bytes = 0;
        self.take_outside()
    }

    #[cfg(test)]
    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    #[cfg(test)]
    pub(crate) fn outside_count(&self) -> usize {
        self.outside.len()
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::event_bytes;
    use super::*;
    use crate::backend::backend::Batch;
    use crate::backend::encode::Encoded;
    use crate::event::raw::RawEvent;

    fn request(bytes: usize) -> Request<RawEvent> {
        Request { bytes, ..Request::new(Batch::new(Vec::new()), Encoded::default()) }
    }

    #[test]
    fn as_many_are_let_in_as_there_is_room_for() {
        let mut room = Room::default();
        room.set_limit(10);
        room.enter(4);
        room.enter(6);
        for bytes in [5, 5, 1, 20, 1] {
            assert!(!room.has(bytes));
            room.wait_outside(request(bytes));
        }
        for (leave, expected) in
            [(4, &[][..]), (6, &[5, 5]), (5, &[1]), (5, &[]), (1, &[20]), (20, &[1])]
        {
            let let_in = room.leave(leave);
            assert_eq!(let_in.iter().map(|request| request.bytes).collect::<Vec<_>>(), expected);
        }
        assert_eq!((room.bytes(), room.outside_count()), (1, 0));
        assert!(room.has(9) && !room.has(10));
    }

    #[test]
    fn by_default_there_is_room_for_64_mib() {
        let mut room = Room::<RawEvent>::default();
        room.enter(32 << 20);
        assert!(room.has(32 << 20) && !room.has((32 << 20) + 1));
    }

    #[test]
    fn an_event_counts_with_the_bytes_that_are_known() {
        let event = RawEvent::builder("paid").data(vec![b'0'; 1 << 20]).build().unwrap();
        assert!(event_bytes(&event) > 1 << 20);
        assert_eq!(event_bytes(&7_u64), 8);
    }
}
