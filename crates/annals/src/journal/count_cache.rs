//! The numbers of events of names that were counted, which are cached, since sealed segments do not change.

use std::collections::HashMap;
use std::sync::Arc;

use annals_base::Mutex;

use crate::index::lookup::Kind;

/// The number of names of a kind whose totals are cached. With one more, the cache begins anew.
const CACHED_NAMES: usize = 1_024;

/// The totals of names that were counted, for types and for tags.
#[derive(Debug, Default)]
pub(crate) struct CountCache {
    types: Mutex<HashMap<Box<str>, Totals>>,
    tags: Mutex<HashMap<Box<str>, Totals>>,
}

/// The number of events that have a name in the sealed segments up to each one.
pub(super) type Totals = Arc<[u64]>;

impl CountCache {
    fn of(&self, kind: Kind) -> &Mutex<HashMap<Box<str>, Totals>> {
        match kind {
            Kind::Type => &self.types,
            _ => &self.tags,
        }
    }

    pub(super) fn get(&self, kind: Kind, name: &str) -> Option<Totals> {
        self.of(kind).lock().get(name).cloned()
    }

    pub(super) fn put(&self, kind: Kind, name: &str, totals: &Totals) {
        let mut known = self.of(kind).lock();
        if known.len() >= CACHED_NAMES && !known.contains_key(name) {
            known.clear();
        }
        known.insert(name.into(), Arc::clone(totals));
    }
}
