//! The backend that a subscription reads: borrowed, or shared and kept alive.

use std::collections::VecDeque;
use std::ops::{Deref, Range};
use std::sync::Arc;

use annals_base::{Keeper, keep};

use crate::backend::backend::{Backend, Selection};
use crate::error::ReadError;
use crate::event::event::{Event, EventRef, Recorded};

/// Reads a page from a shared backend. The events keep the backend alive if they point into it, so they may have any
/// lifetime.
type ReadShared<E, B> = for<'p> fn(
    &Arc<B>,
    Selection<'_>,
    &mut VecDeque<EventRef<'p, E>>,
) -> Result<Range<u64>, ReadError>;

/// A backend that is borrowed or shared.
pub(super) enum Source<'a, E: Event, B> {
    /// Borrowed, with an empty page whose memory is used again.
    Borrowed(&'a B, Vec<EventRef<'a, E>>),
    /// The function is a value, because only a backend that is `'static` can be shared, and [`Source::shared`] alone
    /// knows that this one is.
    Shared(Arc<B>, ReadShared<E, B>),
}

impl<E: Event, B: Backend<E> + 'static> Source<'_, E, B> {
    pub(super) fn shared(backend: Arc<B>) -> Self {
        Self::Shared(backend, read_shared)
    }
}

impl<'a, E: Event, B: Backend<E>> Source<'a, E, B> {
    pub(super) fn borrowed(backend: &'a B) -> Self {
        Self::Borrowed(backend, Vec::new())
    }

    /// Reads a page as [`Backend::read`] does, and adds its events to `ready`.
    pub(super) fn read(
        &mut self,
        selection: Selection<'_>,
        ready: &mut VecDeque<EventRef<'a, E>>,
    ) -> Result<Range<u64>, ReadError> {
        match self {
            Self::Borrowed(backend, page) => {
                let left = backend.read(selection, page);
                ready.extend(page.drain(..));
                left
            }
            Self::Shared(backend, read) => read(backend, selection, ready),
        }
    }
}

impl<E: Event, B> Deref for Source<'_, E, B> {
    type Target = B;

    fn deref(&self) -> &B {
        match self {
            Self::Borrowed(backend, _) => backend,
            Self::Shared(backend, _) => backend,
        }
    }
}

fn read_shared<E: Event, B: Backend<E> + 'static>(
    backend: &Arc<B>,
    selection: Selection<'_>,
    ready: &mut VecDeque<EventRef<'_, E>>,
) -> Result<Range<u64>, ReadError> {
    keep(backend, |backend, keeper| {
        let most = selection.range.end.saturating_sub(selection.range.start);
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(selection.limit);
        let mut borrowed = Vec::with_capacity(most);
        let left = backend.read(selection, &mut borrowed);
        ready.extend(borrowed.into_iter().map(|event| kept(event, keeper)));
        left
    })
}

/// Reads one event from a shared backend, which the event keeps alive if it points into it.
pub(super) fn get_shared<E: Event, B: Backend<E> + 'static>(
    backend: &Arc<B>,
    offset: u64,
) -> Result<Option<EventRef<'static, E>>, ReadError> {
    keep(backend, |backend, keeper| Ok(backend.get(offset)?.map(|event| kept(event, keeper))))
}

fn kept<'b, 'k, E: Event>(
    event: EventRef<'b, E>,
    keeper: &mut Keeper<'b, Recorded<E>>,
) -> EventRef<'k, E> {
    match event {
        EventRef::Borrowed(recorded) => EventRef::Shared(keeper.share(recorded)),
        EventRef::Shared(recorded) => EventRef::Shared(recorded),
        EventRef::Owned(recorded) => EventRef::Owned(recorded),
    }
}
