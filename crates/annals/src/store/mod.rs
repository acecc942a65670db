//! The types that a program uses: the store, its iterators, subscriptions and streams.

pub(crate) mod append;
pub(crate) mod bounds;
pub(crate) mod events;
pub(crate) mod fairness;
mod ordinals;
pub(crate) mod read;
mod source;
#[expect(clippy::module_inception, reason = "the file of the type that the folder is named after")]
pub(crate) mod store;
pub(crate) mod stream;
pub(crate) mod subscription;
pub(crate) mod waited;
