//! Reads: pages of events, small ones on the reactor and the rest on threads for blocking work.

use std::ops::Range;
use std::sync::Arc;

use annals::{Backend, Query, RawEvent, ReadError, Recorded, Selection};

use crate::event::WireEvent;
use crate::fault::{Fault, Kind};
use crate::shared::Shared;

/// The number of events that a request reads on the reactor before it moves to a thread for blocking work. Mapped
/// events cost microseconds; moving costs tens of them.
const ON_REACTOR: usize = 64;

/// Where a read is: the query, the offsets that are left, the direction, and the number of events still wanted.
#[derive(Debug, Clone)]
pub(crate) struct Cursor {
    pub(crate) query: Arc<Query>,
    pub(crate) range: Range<u64>,
    pub(crate) reverse: bool,
    pub(crate) left: u64,
}

impl Cursor {
    pub(crate) fn new(query: Arc<Query>, range: Range<u64>) -> Self {
        Self { query, range, reverse: false, left: u64::MAX }
    }

    /// Returns whether nothing is left to read.
    pub(crate) fn is_done(&self) -> bool {
        self.range.is_empty() || self.left == 0
    }
}

/// How much one page may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
}

/// The events of a page.
pub(crate) type Page = Vec<Recorded<RawEvent>>;

/// Returns an upper bound of the size of an event on the wire, in bytes.
pub(crate) fn wire_size(event: &RawEvent) -> usize {
    // Each name and each value has at most 5 bytes around it; the rest is the position, the uuid and the lengths.
    event.body().len() + 96 + 4 * event.tags().len() + event.body().len() / 64
}

/// Reads until the page has no room or the cursor is done. An event that alone has no room is a page of its own.
fn fill(
    backend: &dyn Backend<WireEvent>,
    cursor: &mut Cursor,
    page: &mut Page,
    room: Room,
) -> Result<(), Fault> {
    let mut bytes: usize = page.iter().map(|recorded| wire_size(&recorded.event)).sum();
    let mut refs = Vec::new();
    while !cursor.is_done() && page.len() < room.events && bytes < room.bytes {
        let wanted = usize::try_from(cursor.left).unwrap_or(usize::MAX);
        let limit = (room.events - page.len()).min(wanted).min(backend.page_limit().max(16));
        let selection = Selection {
            query: &cursor.query,
            range: cursor.range.clone(),
            reverse: cursor.reverse,
            limit,
        };
        let rest = match backend.read(selection, &mut refs) {
            Ok(rest) => rest,
            // The events before the damage are a page; the next read meets the damage again.
            Err(_) if !page.is_empty() => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let mut cut = None;
        for event in refs.drain(..) {
            if cut.is_some() {
                continue;
            }
            let raw = event.event.to_raw().map_err(|problem| unreadable(event.offset, &problem))?;
            let size = wire_size(&raw);
            if !page.is_empty() && bytes + size > room.bytes {
                cut = Some(event.offset);
                continue;
            }
            bytes += size;
            page.push(Recorded { offset: event.offset, time_ms: event.time_ms, event: raw });
            cursor.left -= 1;
        }
        match cut {
            None => cursor.range = rest,
            Some(at) => {
                if cursor.reverse {
                    cursor.range.end = at + 1;
                } else {
                    cursor.range.start = at;
                }
                return Ok(());
            }
        }
    }
    Ok(())
}

fn unreadable(offset: u64, problem: &annals::InvalidEvent) -> Fault {
    let message = format!("cannot read the event at offset {offset}: {problem}");
    Fault::new(Kind::Damaged, message).with("offset", offset)
}

impl Shared {
    /// Reads the next page: empty only if the cursor is done.
    pub(crate) async fn read_page(
        self: &Arc<Self>,
        cursor: &mut Cursor,
        room: Room,
    ) -> Result<Page, Fault> {
        // The caller's cursor moves at the end, so that a call that is dropped before loses no event.
        let (mut here, mut page) = (cursor.clone(), Page::new());
        let small = Room { events: room.events.min(ON_REACTOR), ..room };
        fill(self.backend(), &mut here, &mut page, small)?;
        if !here.is_done() && page.len() < room.events {
            let shared = Arc::clone(self);
            (here, page) = self
                .blocking(move || {
                    fill(shared.backend(), &mut here, &mut page, room)?;
                    Ok((here, page))
                })
                .await?;
        }
        *cursor = here;
        Ok(page)
    }

    /// Runs work that may wait for the disk, on a thread for blocking work. Waits until fewer than the allowed number
    /// of requests do so.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let permit =
            Arc::clone(&self.readers).acquire_owned().await.map_err(|_| Fault::closing())?;
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        });
        done.await.unwrap_or_else(|_| Err(Fault::new(Kind::Internal, "the read panicked")))
    }

    /// Returns the event at an offset.
    pub(crate) fn event_at(&self, offset: u64) -> Result<Option<Recorded<RawEvent>>, Fault> {
        let Some(event) = self.backend().get(offset).map_err(|error: ReadError| error)? else {
            return Ok(None);
        };
        let raw = event.event.to_raw().map_err(|problem| unreadable(offset, &problem))?;
        Ok(Some(Recorded { offset, time_ms: event.time_ms, event: raw }))
    }

    /// Returns the last event with a tag.
    pub(crate) fn last_with_tag(&self, tag: &str) -> Result<Option<Recorded<RawEvent>>, Fault> {
        let mut cursor = Cursor {
            query: Arc::new(Query::tag(tag)),
            range: 0..self.head().get(),
            reverse: true,
            left: 1,
        };
        let mut page = Page::new();
        fill(self.backend(), &mut cursor, &mut page, Room { events: 1, bytes: usize::MAX })?;
        Ok(page.pop())
    }

    /// Reads the next page as [`read_page`](Self::read_page) does, on the caller's thread, which may wait for the disk.
    pub(crate) fn next_page(&self, cursor: &mut Cursor, room: Room) -> Result<Page, Fault> {
        let mut page = Page::new();
        fill(self.backend(), cursor, &mut page, room)?;
        Ok(page)
    }
}
