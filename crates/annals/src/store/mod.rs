//! What a program uses: the store, its iterators, and its subscriptions and streams.

pub(crate) mod events;
#[expect(clippy::module_inception, reason = "the file of the type that the folder is named after")]
pub(crate) mod store;
pub(crate) mod subscription;
