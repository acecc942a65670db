//! Step by step: the state after each event, for whoever wants to see how it came about.

use std::ops::RangeBounds;

use super::Projection;
use super::folded::Folded;
use super::reconstructor::Reconstructor;
use crate::backend::backend::Backend;
use crate::error::ReadError;
use crate::event::event::EventRef;
use crate::store::events::Events;
use crate::store::read::bounds;

/// An event, and the state after it.
#[derive(Debug)]
pub struct Step<'a, E, S> {
    /// What happened.
    pub event: EventRef<'a, E>,
    /// The state then, this event included.
    pub state: S,
}

/// The states of a projection after each event that it reads: what [`Reconstructor::steps`] answers.
///
/// After an error it ends: without the event that cannot be read, each later state might be wrong.
#[must_use = "an iterator folds nothing until it is used"]
pub struct Steps<'a, P: Projection, B: Backend<P::Event>> {
    projection: &'a P,
    events: Events<'a, P::Event, B>,
    state: P::State,
    failed: bool,
}

impl<P: Projection, B: Backend<P::Event>> Reconstructor<P, B> {
    /// The state after each event of these offsets that the projection reads, in order: a debugger for what
    /// happened. What lies before the range is folded first.
    ///
    /// # Errors
    /// [`ReadError`] for an event before the range that cannot be read.
    pub fn steps(&self, range: impl RangeBounds<u64>) -> Result<Steps<'_, P, B>, ReadError> {
        let range = bounds(&range, self.store.len());
        let Folded { state, .. } = self.folded_to(range.start)?;
        let events = self.events(range);
        Ok(Steps { projection: &self.projection, events, state, failed: false })
    }
}

impl<'a, P: Projection, B: Backend<P::Event>> Iterator for Steps<'a, P, B> {
    type Item = Result<Step<'a, P::Event, P::State>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let event = self.events.next()?;
        self.failed = event.is_err();
        Some(event.map(|event| {
            self.projection.apply(&mut self.state, &event);
            Step { event, state: self.state.clone() }
        }))
    }
}

impl<P: Projection, B: Backend<P::Event>> std::fmt::Debug for Steps<'_, P, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Steps").field("projection", &self.projection.name()).finish_non_exhaustive()
    }
}
