//! The steps of a fold: the state after each event.

use std::ops::RangeBounds;

use super::folded::Folded;
use super::reconstructor::Reconstructor;
use super::{Parts, Projection};
use crate::backend::backend::Backend;
use crate::error::ReadError;
use crate::event::event::EventRef;
use crate::store::bounds::bounds;
use crate::store::events::Events;

/// An event, and the state after it. [`Reconstructor`] has an example.
#[derive(Debug)]
pub struct Step<'a, E, S> {
    /// The event.
    pub event: EventRef<'a, E>,
    /// The state after the event.
    pub state: S,
}

/// An iterator over the states of a projection after each event. [`Reconstructor::steps`] returns it, and
/// [`Reconstructor`] has an example.
///
/// It ends after an error, since every state without the event that cannot be read might be wrong.
#[must_use = "an iterator folds nothing until it is used"]
pub struct Steps<'a, P: Projection, B: Backend<P::Event>> {
    projection: &'a P,
    parts: &'a Parts,
    events: Events<'a, P::Event, B>,
    state: P::State,
    failed: bool,
}

impl<P: Projection, B: Backend<P::Event>> Reconstructor<P, B> {
    /// Returns an iterator over the events at these offsets that the projection reads, each with the state after it, in
    /// order. It shows how a state came about. The events before the range are folded first.
    ///
    /// # Errors
    /// [`ReadError`] for an event before the range that cannot be read. The iterator returns the error of an event in
    /// the range.
    pub fn steps(&self, range: impl RangeBounds<u64>) -> Result<Steps<'_, P, B>, ReadError> {
        let range = bounds(&range, self.store.len());
        let Folded { state, .. } = self.folded_to(range.start)?;
        let events = self.events(range);
        let (projection, parts) = (&self.projection, &self.parts);
        Ok(Steps { projection, parts, events, state, failed: false })
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
            self.projection.apply_parts(self.parts, &mut self.state, &event);
            Step { event, state: self.state.clone() }
        }))
    }
}

impl<P: Projection, B: Backend<P::Event>> std::fmt::Debug for Steps<'_, P, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Steps").field("projection", &self.projection.name()).finish_non_exhaustive()
    }
}
