//! What the page of states can show: projections by their names, whatever their types are.

use annals::{Query, RawEvent, Recorded};

use crate::fault::Fault;

/// A projection, or a family with one for each value of a parameter.
pub(crate) trait View: Send + Sync {
    /// Returns the name. The URL of the page contains it.
    fn name(&self) -> &str;

    /// Returns the label of the field that chooses one of a family; `None` if this is one projection.
    fn parameter(&self) -> Option<String> {
        None
    }

    /// Returns the beginning of the tags that complete the parameter.
    #[expect(clippy::unnecessary_literal_bound, reason = "a family has a prefix of its own")]
    fn tag_prefix(&self) -> &str {
        ""
    }

    /// Returns the projection for a value of the parameter; `None` if the value names none.
    fn open(&self, of: &str) -> Option<Box<dyn Fold>>;
}

/// One projection of stored events.
pub(crate) trait Fold: Send {
    /// Returns the query that selects its events.
    fn query(&self) -> Query;

    /// Returns the state before the first event.
    fn initial(&self) -> Box<dyn State>;
}

/// A state of a projection.
pub(crate) trait State: Send {
    /// Applies an event. An event that the projection does not know is skipped.
    fn apply(&mut self, event: &Recorded<RawEvent>) -> Result<(), Fault>;

    /// Returns the state as JSON.
    fn to_json(&self) -> Result<String, Fault>;

    /// Returns the number of events that were skipped.
    fn skipped(&self) -> u64 {
        0
    }

    /// Returns about how many bytes of memory the state takes: by default, as many as its JSON has.
    fn size(&self) -> Result<usize, Fault> {
        Ok(self.to_json()?.len())
    }

    /// Returns a copy.
    fn copy(&self) -> Box<dyn State>;
}
