//! A thread that has the system give memory to large segments ahead of their writers (*prefaulting*).
//!
//! The first write to a huge page of 2 MiB waits while the kernel fills it with zeroes: a quarter of a millisecond, and
//! more than a millisecond on a virtual machine whose host has to find the memory. That thread waits instead.
//!
//! ```text
//!   stretches of 2 MiB
//!   │ [item][item]    │                 │                 │
//!          ▲          └─ when the writer entered the first, the thread was asked to prefault these two
//!          the writer
//! ```
//!
//! One thread of the process does this for all lists. It starts when a list first has a segment of 4 MiB. If the thread
//! is behind or cannot start, the writer waits for the kernel as it would without the thread.

use std::ops::Range;

use crate::segment::{HUGE_FROM_BYTES, HUGE_PAGE_BYTES};
use crate::slot::{Slot, capacity_of};

/// The length of a stretch in bytes.
const STRETCH_BYTES: usize = HUGE_PAGE_BYTES;

/// The number of stretches ahead of the writer that have memory.
const STRETCHES_AHEAD: usize = 2;

/// Returns how many items the writer may write, beginning at `slot`, until it enters the next stretch.
pub(crate) fn room_in_stretch<T>(slot: &Slot) -> usize {
    if !is_prefaulted::<T>(slot.segment) {
        return slot.room;
    }
    let items = items_in_stretch::<T>();
    (items - slot.local_offset % items).min(slot.room)
}

/// Returns the items that should have memory before the writer comes to them, as offsets from the item at `slot`, where
/// the writer enters a stretch. The range is empty if the segment is small or ends in this stretch.
pub(crate) fn items_ahead<T>(slot: &Slot) -> Range<usize> {
    let room = room_in_stretch::<T>(slot);
    room..(room + STRETCHES_AHEAD * items_in_stretch::<T>()).min(slot.room)
}

fn is_prefaulted<T>(segment: usize) -> bool {
    size_of::<T>() != 0 && capacity_of(segment) >= HUGE_FROM_BYTES.div_ceil(size_of::<T>())
}

/// Returns the number of items in a stretch, at least one.
const fn items_in_stretch<T>() -> usize {
    let items = STRETCH_BYTES / if size_of::<T>() == 0 { 1 } else { size_of::<T>() };
    if items == 0 { 1 } else { items }
}

pub(crate) use system::Prefault;

/// Linux 5.14 has the call. An older kernel refuses it, and then nothing is gained.
#[cfg(all(target_os = "linux", not(any(miri, loom))))]
mod system {
    use std::ops::Range;
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
    use std::sync::{Arc, OnceLock};
    use std::thread;

    use rustix::mm::{Advice, madvise};

    use crate::locks::Mutex;
    use crate::process_id::process_id;
    use crate::segment::HUGE_PAGE_BYTES;

    /// The number of requests that wait for the thread. More are dropped.
    const QUEUE_LEN: usize = 16;

    /// One list's way to the thread.
    #[derive(Debug)]
    pub(crate) struct Prefault {
        /// Whether the list still has its memory. The thread holds the lock while it works on a stretch.
        is_live: Arc<Mutex<bool>>,
        /// The process that made the list. A forked process does not have the thread, so no thread may release the lock.
        process: u32,
    }

    /// Addresses that should have memory.
    struct Request {
        addresses: Range<usize>,
        is_live: Arc<Mutex<bool>>,
    }

    /// The way to the thread, in the process that started it. A forked process does not have the thread.
    struct Prefaulter {
        requests: SyncSender<Request>,
        process: u32,
    }

    impl Prefault {
        pub(crate) fn new() -> Self {
            Self { is_live: Arc::new(Mutex::new(true)), process: process_id() }
        }

        /// Asks the thread to have the system give memory to this part of a segment, and does not wait. The caller frees
        /// the segment only after [`end`](Self::end).
        pub(crate) fn ask<T>(&self, memory: Range<*mut T>) {
            static PREFAULTER: OnceLock<Option<Prefaulter>> = OnceLock::new();
            let Some(prefaulter) = PREFAULTER.get_or_init(start) else { return };
            if prefaulter.process == process_id() {
                let addresses = memory.start.expose_provenance()..memory.end.addr();
                let request = Request { addresses, is_live: Arc::clone(&self.is_live) };
                // A full queue means that the thread is behind. Then the writer takes the pages itself.
                drop(prefaulter.requests.try_send(request));
            }
        }

        /// Ends the work of the thread for this list. Waits while the thread is in a stretch.
        pub(crate) fn end(&self) {
            if self.process == process_id() {
                *self.is_live.lock() = false;
            }
        }
    }

    /// Starts the thread. Returns `None` if the system has none to give.
    fn start() -> Option<Prefaulter> {
        let (requests, queue) = sync_channel(QUEUE_LEN);
        let thread = thread::Builder::new().name("annals-prefault".to_owned());
        thread.spawn(move || serve(&queue)).ok()?;
        Some(Prefaulter { requests, process: process_id() })
    }

    fn serve(queue: &Receiver<Request>) {
        for Request { addresses, is_live } in queue {
            // A large segment begins at a huge page, so the start of any huge page with one of its items lies in it.
            let mut from = addresses.start - addresses.start % HUGE_PAGE_BYTES;
            while from < addresses.end {
                let to = (from + HUGE_PAGE_BYTES).min(addresses.end);
                let is_live = is_live.lock();
                if !*is_live {
                    break;
                }
                populate(from..to);
                from = to;
            }
        }
    }

    /// Has the system give memory to these addresses of a segment. Does nothing if it refuses.
    fn populate(addresses: Range<usize>) {
        let memory = std::ptr::with_exposed_provenance_mut(addresses.start);
        // SAFETY: the advice gives memory to pages that have none, and changes no contents, also while the writer writes
        // to them. The caller holds the lock, so the segment is not freed.
        let _ = unsafe { madvise(memory, addresses.len(), Advice::LinuxPopulateWrite) };
    }
}

/// Does nothing: the writer takes the pages itself.
#[cfg(not(all(target_os = "linux", not(any(miri, loom)))))]
mod system {
    use std::ops::Range;

    #[derive(Debug)]
    pub(crate) struct Prefault;

    impl Prefault {
        pub(crate) fn new() -> Self {
            Self
        }

        #[expect(clippy::unused_self, reason = "Linux needs it")]
        pub(crate) fn ask<T>(&self, _memory: Range<*mut T>) {}

        #[expect(clippy::unused_self, reason = "Linux needs it")]
        pub(crate) fn end(&self) {}
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// An item of 200 bytes.
    type Item = [u64; 25];

    #[test]
    fn stretches_cover_a_segment_without_a_gap() {
        for segment in [3, 14, 16] {
            let first = crate::slot::first_of(segment);
            let (mut at, mut covered, mut stretches) = (first, first, 0);
            while at < first + capacity_of(segment) {
                let slot = Slot::of(at);
                let (room, ahead) = (room_in_stretch::<Item>(&slot), items_ahead::<Item>(&slot));
                assert!((1..=slot.room).contains(&room));
                assert_eq!(ahead.start.min(slot.room), room, "it begins where the writer stops");
                assert!(at + ahead.end >= covered, "what is ahead only grows");
                if !ahead.is_empty() {
                    covered = at + ahead.end;
                }
                (at, stretches) = (at + room, stretches + 1);
            }
            let is_large = capacity_of(segment) * size_of::<Item>() >= HUGE_FROM_BYTES;
            let wanted = capacity_of(segment).div_ceil(items_in_stretch::<Item>());
            assert_eq!(stretches, if is_large { wanted } else { 1 });
            assert_eq!(covered == first + capacity_of(segment), is_large, "all of it or nothing");
        }
    }

    #[test]
    fn lists_are_dropped_while_the_thread_works_for_them() {
        let lists = if cfg!(miri) { 1 } else { 30 };
        for list in 0..lists {
            let (mut writer, reader) = crate::segmented_list::<Item>();
            // Large segments begin after 31,744 items.
            let count = 31_744 + list * 500;
            for n in 0..count {
                writer.push([n; 25]);
            }
            assert!(reader.iter().map(|item| item[24]).eq(0..count));
        }
    }

    #[test]
    fn items_without_a_size_and_items_above_a_stretch() {
        type Large = [u8; STRETCH_BYTES + 1];
        let slot = Slot::of(crate::slot::first_of(20) + 7);
        assert_eq!(room_in_stretch::<()>(&slot), slot.room);
        assert!(items_ahead::<()>(&slot).is_empty());
        assert_eq!(room_in_stretch::<Large>(&slot), 1);
        assert_eq!(items_ahead::<Large>(&slot), 1..1 + STRETCHES_AHEAD);
    }
}
