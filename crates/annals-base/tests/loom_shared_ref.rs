//! Tests under loom of references that keep their owner alive: the owner is dropped once, after every use.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p annals-base --release --test loom_shared_ref
//! ```

#![cfg(loom)]

use std::sync::Arc;

use annals_base::keep;
use loom::{cell::UnsafeCell, thread};

/// An owner whose drop writes to the cell that its references read. Loom reports a drop that is not ordered after every
/// read.
struct Owner(Item);

struct Item(UnsafeCell<usize>);

// SAFETY: the cell is only read until the owner is dropped. Loom checks that.
unsafe impl Send for Item {}

// SAFETY: as for `Send`.
unsafe impl Sync for Item {}

impl Item {
    fn value(&self) -> usize {
        // SAFETY: the cell is written only when the owner is dropped. Loom checks that.
        self.0.with(|cell| unsafe { *cell })
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // SAFETY: nothing reads any more. Loom checks that.
        self.0.0.with_mut(|cell| unsafe { *cell = 0 });
    }
}

#[test]
fn the_owner_is_dropped_after_every_use() {
    loom::model(|| {
        let owner = Arc::new(Owner(Item(UnsafeCell::new(7))));
        let (one, two) =
            keep(&owner, |owner, keeper| (keeper.share(&owner.0), keeper.share(&owner.0)));
        drop(owner);
        let reader = thread::spawn(move || assert_eq!(one.value(), 7));
        assert_eq!(two.value(), 7);
        drop(two);
        reader.join().expect("the reader");
    });
}

#[test]
fn a_reference_may_be_dropped_before_the_call_ends() {
    loom::model(|| {
        let owner = Arc::new(Owner(Item(UnsafeCell::new(7))));
        let reader = keep(&owner, |owner, keeper| {
            let item = keeper.share(&owner.0);
            let reader = thread::spawn(move || assert_eq!(item.value(), 7));
            assert_eq!(keeper.share(&owner.0).value(), 7);
            reader
        });
        drop(owner);
        reader.join().expect("the reader");
    });
}
