//! The bound that `#[derive(Event)]` places on the type of a field with metadata.

use super::raw::RawEvent;
use super::tags::Metadata;

/// The type of a field `#[event(metadata)]`.
#[diagnostic::on_unimplemented(
    message = "a field with `#[event(metadata)]` has the type `annals::Metadata`, not `{Self}`",
    label = "this is not `annals::Metadata`",
    note = "put values of other types into the payload, or convert them: `Metadata::from([(\"user\", user.to_string())])`"
)]
pub trait MetadataField: Sized {
    /// Adds the entries to `metadata`.
    fn add_to(&self, metadata: &mut Metadata);

    /// Returns the metadata of `raw`.
    fn of(raw: &RawEvent) -> Self;
}

impl MetadataField for Metadata {
    fn add_to(&self, metadata: &mut Metadata) {
        for (name, value) in self.iter() {
            metadata.set(name, value);
        }
    }

    fn of(raw: &RawEvent) -> Self {
        raw.metadata().into_iter().collect()
    }
}
