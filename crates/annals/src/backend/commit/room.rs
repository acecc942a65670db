//! The bound on asynchronous batches in the queue. A batch that finds no room waits outside the queue.
//!
//! ```text
//!   submit ─ room ────────────────────────────────────────▶ queue ─▶ commit, which frees room
//!          └ no room: held by the future ─ polled ─▶ outside ─┘ in order, as room is freed
//! ```
//! The leader moves a batch from outside into the queue, not the batch's future. So a future that is not polled again
//! delays no other batch.

use std::collections::{BTreeMap, VecDeque};

use super::request::Request;
use crate::event::limits::MAX_QUEUED_BYTES;

/// The size of the asynchronous batches in the queue, and the batches that wait outside it.
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
    /// Returns whether the queue has room for a batch of this size. If it has no asynchronous batch, it has room
    /// for any size. If a batch waits outside, it has no room.
    pub(crate) fn has(&self, bytes: usize) -> bool {
        self.outside.is_empty() && self.fits(bytes)
    }

    fn fits(&self, bytes: usize) -> bool {
        self.bytes == 0 || self.bytes + bytes <= self.limit
    }

    /// Takes room for a batch that joins the queue.
    pub(crate) fn enter(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// Frees the room of committed batches. Returns the batches from outside that have room now, and takes room for
    /// them.
    pub(super) fn leave(&mut self, bytes: usize) -> VecDeque<Request<E>> {
        assert!(bytes <= self.bytes, "{bytes} bytes leave a queue of {} bytes", self.bytes);
        self.bytes -= bytes;
        let mut admitted = VecDeque::new();
        while let Some(first) = self.outside.first_entry() {
            let bytes = first.get().bytes;
            if self.bytes > 0 && self.bytes + bytes > self.limit {
                break;
            }
            self.bytes += bytes;
            admitted.push_back(first.remove());
        }
        admitted
    }

    /// Puts a batch outside the queue, behind the others. Returns its number there.
    pub(super) fn wait_outside(&mut self, request: Request<E>) -> u64 {
        let number = self.next;
        self.next += 1;
        self.outside.insert(number, request);
        number
    }

    /// Removes a batch from outside and returns it. Returns `None` if it has joined the queue.
    pub(super) fn withdraw(&mut self, number: u64) -> Option<Request<E>> {
        self.outside.remove(&number)
    }

    /// Removes all batches from outside and returns them.
    pub(crate) fn take_outside(&mut self) -> Vec<Request<E>> {
        std::mem::take(&mut self.outside).into_values().collect()
    }

    /// Frees all room, after the queue was emptied. Removes all batches from outside and returns them.
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
    use crate::backend::batch::Batch;
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
