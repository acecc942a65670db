//! Notes that the serializer takes while it writes a payload: doubts about values, and why a value was refused.

use std::cell::{Cell, RefCell};

use serde::ser;

/// Doubts whether a written payload can be read back as the same value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Doubts {
    /// Whether the payload has a value that only some types read back.
    pub(crate) readable: bool,
    /// Whether a `Some` was written as `null`.
    pub(crate) some_is_null: bool,
}

impl Doubts {
    /// Returns whether there are any doubts.
    pub(crate) fn any(self) -> bool {
        self.readable || self.some_is_null
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self {
            readable: self.readable || other.readable,
            some_is_null: self.some_is_null || other.some_is_null,
        }
    }
}

/// The notes about one payload.
#[derive(Default)]
pub(crate) struct Notes {
    pub(super) doubts: Cell<Doubts>,
    /// The hash of the last key that was written.
    pub(super) key: Cell<u64>,
    /// Why a value was refused.
    pub(super) problem: RefCell<Option<String>>,
}

impl Notes {
    pub(super) fn doubt_readable(&self) {
        self.doubts.set(Doubts { readable: true, ..self.doubts.get() });
    }

    pub(super) fn doubt_some(&self) {
        self.doubts.set(Doubts { some_is_null: true, ..self.doubts.get() });
    }

    pub(super) fn key(&self, text: &str) {
        // FxHash, 8 bytes at a time. A collision of two keys costs one needless decode and nothing else.
        let mut hash = text.len() as u64;
        for part in text.as_bytes().chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            hash = (hash.rotate_left(5) ^ u64::from_le_bytes(word))
                .wrapping_mul(0x517c_c1b7_2722_0a95);
        }
        self.key.set(hash);
    }

    pub(super) fn refuse<E: ser::Error>(&self, problem: String) -> E {
        self.problem.replace(Some(problem));
        E::custom("refused")
    }
}
