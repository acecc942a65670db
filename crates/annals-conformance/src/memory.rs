//! The memory backend as a subject.

use std::error::Error;
use std::sync::Arc;

use annals::Memory;

use crate::{Fixture, Sample, Subject};

/// A [`Memory`], which keeps nothing when it is dropped, and in which nothing can fail.
#[derive(Debug, Clone, Copy, Default)]
pub struct MemorySubject;

impl Subject for MemorySubject {
    type Backend = Memory<Sample>;

    fn fixture(&self) -> Arc<dyn Fixture<Self::Backend>> {
        Arc::new(*self)
    }

    fn encodes(&self) -> bool {
        false
    }
}

impl Fixture<Memory<Sample>> for MemorySubject {
    fn open(&self) -> Result<Memory<Sample>, Box<dyn Error + Send + Sync>> {
        Ok(Memory::new())
    }
}
