//! Reads: pages of events, those at the head on the reactor and all others on threads for blocking work.

use std::ops::Range;
use std::sync::Arc;

use annals::{Backend, Query, RawEvent, ReadError, Recorded, Selection};

use crate::event::WireEvent;
use crate::fault::{Fault, Kind};
use crate::shared::Shared;

/// The number of newest events that a request reads on the reactor. They were just written, so they and their index are
/// in memory, and a subscription that has caught up reads a few of them after each append: that costs microseconds, and
/// moving to another thread tens of them. Any other read may wait for the disk, which would stop all requests of the
/// reactor's thread: the index of an old segment, or its events, may not be in memory, and a search by several names
/// may look into every segment before it finds its first event.
const ON_REACTOR: u64 = 64;

/// The number of types and tags of a query up to which a read at the head takes microseconds.
const NAMES_ON_REACTOR: usize = 64;

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

    /// Returns whether the cursor reads only the newest events below a head, and its query is small.
    fn is_at_head(&self, head: u64) -> bool {
        let names =
            self.query.items().iter().map(|item| item.types().len() + item.tags().len() + 1);
        self.range.start >= head.saturating_sub(ON_REACTOR)
            && names.sum::<usize>() <= NAMES_ON_REACTOR
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
        let mut here = cursor.clone();
        let page;
        if here.is_at_head(self.head().get()) {
            page = self.next_page(&mut here, room)?;
        } else {
            let reader = Arc::clone(self);
            let read = move || {
                let page = reader.next_page(&mut here, room)?;
                Ok((here, page))
            };
            (here, page) = self.blocking(read).await?;
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
