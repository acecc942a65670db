//! A pointer to a backend is a backend: `Box<dyn Backend<E>>`, and an `Arc` that the program also uses elsewhere.

use std::ops::Range;
use std::sync::Arc;

use super::backend::{Backend, NameCount, NameKind, Selection};
use super::batch::{AppendFuture, Appended, Batch};
use super::beside::Beside;
use super::head::Head;
use super::health::Health;
use crate::error::{AppendError, ReadError};
use crate::event::event::{Event, EventRef, Recorded};
use crate::event::raw::RawEvent;
use crate::event::tags::Tags;
use crate::metrics::stats::{SegmentStats, Stats};
#[cfg(feature = "snapshots")]
use crate::snapshot::{SnapshotStore, digest::EventDigest};

/// Implements [`Backend`] for a pointer to a backend.
macro_rules! pointer_is_backend {
    ($pointer:ident) => {
        impl<E: Event, B: Backend<E> + ?Sized> Backend<E> for $pointer<B> {
            fn append(&self, batch: Batch<E>) -> Result<Appended, AppendError> {
                (**self).append(batch)
            }

            fn append_one(&self, event: E) -> Result<u64, AppendError> {
                (**self).append_one(event)
            }

            fn submit(&self, batch: Batch<E>) -> AppendFuture {
                (**self).submit(batch)
            }

            fn head(&self) -> &Head<E> {
                (**self).head()
            }

            fn get(&self, offset: u64) -> Result<Option<EventRef<'_, E>>, ReadError> {
                (**self).get(offset)
            }

            fn time_ms(&self, offset: u64) -> Result<Option<u64>, ReadError> {
                (**self).time_ms(offset)
            }

            #[cfg(feature = "snapshots")]
            fn digest(&self, offset: u64) -> Result<Option<EventDigest>, ReadError> {
                (**self).digest(offset)
            }

            fn tags(&self, offset: u64) -> Result<Option<Tags>, ReadError> {
                (**self).tags(offset)
            }

            fn find_id(&self, id: &str) -> Result<Option<u64>, ReadError> {
                (**self).find_id(id)
            }

            fn page_limit(&self) -> usize {
                (**self).page_limit()
            }

            fn read<'a>(
                &'a self,
                selection: Selection<'_>,
                page: &mut Vec<EventRef<'a, E>>,
            ) -> Result<Range<u64>, ReadError> {
                (**self).read(selection, page)
            }

            fn read_raw(
                &self,
                range: Range<u64>,
                limit: usize,
                page: &mut Vec<Recorded<RawEvent>>,
            ) -> Result<Range<u64>, ReadError> {
                (**self).read_raw(range, limit, page)
            }

            fn names(&self, kind: NameKind, prefix: &str) -> Result<Vec<NameCount>, ReadError> {
                (**self).names(kind, prefix)
            }

            fn count(
                &self,
                kind: NameKind,
                name: &str,
                range: Range<u64>,
            ) -> Result<u64, ReadError> {
                (**self).count(kind, name, range)
            }

            fn nth(&self, kind: NameKind, name: &str, n: u64) -> Result<Option<u64>, ReadError> {
                (**self).nth(kind, name, n)
            }

            fn stats(&self) -> Stats {
                (**self).stats()
            }

            fn segments(&self) -> Vec<SegmentStats> {
                (**self).segments()
            }

            fn sync(&self) -> Result<(), AppendError> {
                (**self).sync()
            }

            fn close(&self) -> Result<(), AppendError> {
                (**self).close()
            }

            fn health(&self) -> Health {
                (**self).health()
            }

            fn store_id(&self) -> Option<[u8; 16]> {
                (**self).store_id()
            }

            #[cfg(feature = "snapshots")]
            fn snapshots(&self) -> Option<Arc<dyn SnapshotStore>> {
                (**self).snapshots()
            }

            fn beside(&self) -> Option<Beside> {
                (**self).beside()
            }
        }
    };
}

pointer_is_backend!(Box);
pointer_is_backend!(Arc);
