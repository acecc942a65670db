//! The replica of tests that drive a core by hand.

use annals::{Condition, ReadError};
use annals_replicated::Replica;

/// A replica that knows only the number of its events. The tests read none of them.
pub(crate) struct Count(pub(crate) u64);

impl Replica for Count {
    fn head(&self) -> u64 {
        self.0
    }

    fn conflict(&self, _: &Condition) -> Result<Option<u64>, ReadError> {
        Ok(None)
    }

    fn find_id(&self, _: &str) -> Result<Option<u64>, ReadError> {
        Ok(None)
    }

    fn event_type(&self, offset: u64) -> Result<String, ReadError> {
        panic!("the type of event {offset} was read")
    }
}
