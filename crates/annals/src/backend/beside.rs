//! The place beside a log where other crates store what belongs to the log.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use annals_base::Mutex;

/// The place beside a log where other crates store what belongs to the log but is not part of it: the positions of
/// consumers, for example. [`Backend::beside`](crate::Backend::beside) returns it, and [`BesideValues`] has an example.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Beside {
    /// The directory of a log in files, by its path when the store was opened. A crate creates one subdirectory in it,
    /// with a name that the backend does not use.
    Directory(PathBuf),
    /// Values that live as long as a log in memory.
    Memory(Arc<BesideValues>),
}

/// Values of other crates that live as long as a log in memory: at most one of each type.
///
/// ```
/// use annals::{Backend, EventStore, RawEvent, backend::Beside};
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// let store = EventStore::<RawEvent>::in_memory();
/// let Some(Beside::Memory(values)) = store.backend().beside() else { panic!("it is in memory") };
/// values.get_or_default::<AtomicU64>().fetch_add(1, Ordering::Relaxed);
/// assert_eq!(values.get_or_default::<AtomicU64>().load(Ordering::Relaxed), 1);
/// ```
#[derive(Default)]
pub struct BesideValues(Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl BesideValues {
    /// Returns the value of type `T`, which is its default until a caller changes it.
    ///
    /// # Panics
    /// Never: a value is stored under its own type.
    #[must_use]
    pub fn get_or_default<T: Any + Send + Sync + Default>(&self) -> Arc<T> {
        let mut values = self.0.lock();
        let value = values.entry(TypeId::of::<T>()).or_insert_with(|| Arc::<T>::default());
        Arc::clone(value).downcast().expect("a value is stored under its own type")
    }
}

impl fmt::Debug for BesideValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BesideValues").field("count", &self.0.lock().len()).finish()
    }
}
