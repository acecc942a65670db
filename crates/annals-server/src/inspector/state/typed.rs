//! Projections of a program, on the raw log: the program's event type decodes the events.

use std::sync::Arc;

use annals::{CodecError, Event, Projection, Query, QueryItem, RawEvent, ReadError, Recorded};
use serde::Serialize;

use super::view::{Fold, State, View};
use crate::fault::{Fault, Kind};

/// One projection of a program.
pub(crate) struct One<P> {
    pub(crate) name: String,
    pub(crate) projection: Arc<P>,
}

/// A family of projections of a program: one for each value behind the prefix of a tag.
pub(crate) struct Family<F> {
    pub(crate) prefix: String,
    pub(crate) open: F,
}

impl<P> View for One<P>
where
    P: Projection + Send + Sync + 'static,
    P::State: Serialize + Send,
{
    fn name(&self) -> &str {
        &self.name
    }

    fn open(&self, _: &str) -> Option<Box<dyn Fold>> {
        Some(Box::new(Typed(Arc::clone(&self.projection))))
    }
}

impl<P, F> View for Family<F>
where
    P: Projection + Send + Sync + 'static,
    P::State: Serialize + Send,
    F: Fn(&str) -> Option<P> + Send + Sync,
{
    fn name(&self) -> &str {
        self.prefix.trim_end_matches(':')
    }

    fn parameter(&self) -> Option<String> {
        Some(format!("{} (what follows {:?} in a tag, or the tag)", self.name(), self.prefix))
    }

    fn tag_prefix(&self) -> &str {
        &self.prefix
    }

    fn open(&self, of: &str) -> Option<Box<dyn Fold>> {
        let projection = (self.open)(of.strip_prefix(&self.prefix).unwrap_or(of))?;
        Some(Box::new(Typed(Arc::new(projection))))
    }
}

struct Typed<P>(Arc<P>);

impl<P> Fold for Typed<P>
where
    P: Projection + Send + Sync + 'static,
    P::State: Serialize + Send,
{
    fn query(&self) -> Query {
        with_older_names::<P::Event>(&self.0.query())
    }

    fn initial(&self) -> Box<dyn State> {
        let state = self.0.initial();
        Box::new(Folded { projection: Arc::clone(&self.0), state, skipped: 0 })
    }
}

/// Returns a query that also finds the events under the older names of its types.
fn with_older_names<E: Event>(query: &Query) -> Query {
    let item = |item: &QueryItem| {
        let older = item.types().iter().flat_map(|name| E::aliases(name)).copied();
        item.clone().event_types(older)
    };
    query.items().iter().map(item).collect()
}

struct Folded<P: Projection> {
    projection: Arc<P>,
    state: P::State,
    skipped: u64,
}

impl<P> State for Folded<P>
where
    P: Projection + Send + Sync + 'static,
    P::State: Serialize + Send,
{
    fn apply(&mut self, event: &Recorded<RawEvent>) -> Result<(), Fault> {
        let Recorded { offset, time_ms, event: raw } = event;
        let event = match Recorded::<P::Event>::decode(*offset, *time_ms, raw.clone()) {
            Ok(event) => event,
            Err(ReadError::Decode { source: CodecError::UnknownType { .. }, .. }) => {
                self.skipped += 1;
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        self.projection.apply(&mut self.state, &event);
        Ok(())
    }

    fn to_json(&self) -> Result<String, Fault> {
        serde_json::to_string(&self.state).map_err(|error| {
            Fault::new(Kind::Internal, format!("the state cannot be written as JSON: {error}"))
        })
    }

    fn skipped(&self) -> u64 {
        self.skipped
    }

    fn copy(&self) -> Box<dyn State> {
        let (projection, state) = (Arc::clone(&self.projection), self.state.clone());
        Box::new(Self { projection, state, skipped: self.skipped })
    }
}
