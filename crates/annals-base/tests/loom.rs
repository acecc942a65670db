//! Tests of the publication protocol under loom, which tries every interleaving and every value that the memory model
//! lets a load see. Under loom the first segment holds two items, so that few items are enough for a second segment.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p annals-base --release --test loom
//! ```
//!
//! Each item holds a loom cell that is written before the item is staged. A read that is not ordered after that write
//! is a data race, which loom reports. A segment pointer that is not visible yet fails an assertion.

#![cfg(loom)]

use annals_base::{SegmentedList, segmented_list};
use loom::{
    cell::UnsafeCell,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// An item for which loom reports a read that is too early.
struct Item(UnsafeCell<usize>);

// SAFETY: the cell is written before it is shared, and only read afterwards. Loom checks that.
unsafe impl Sync for Item {}

impl Item {
    fn new(value: usize) -> Self {
        let item = Self(UnsafeCell::new(0));
        // SAFETY: no other thread has the item yet.
        item.0.with_mut(|cell| unsafe { *cell = value });
        item
    }

    fn value(&self) -> usize {
        // SAFETY: the cell is not written any more. Loom checks that.
        self.0.with(|cell| unsafe { *cell })
    }
}

/// Asserts that item `n` holds `n`, for all items in the list. Returns their number.
fn check(list: &SegmentedList<Item>) -> usize {
    let items = list.iter();
    let len = items.len();
    for (index, item) in items.enumerate() {
        assert_eq!(item.value(), index);
    }
    len
}

#[test]
fn an_item_below_the_length_is_there() {
    loom::model(|| {
        let (mut writer, list) = segmented_list::<Item>();
        let reader = thread::spawn(move || {
            let len = list.len();
            for index in 0..len {
                assert_eq!(list.get(index).expect("below the length").value(), index);
            }
            assert!(list.len() >= len);
        });
        writer.push(Item::new(0));
        writer.push(Item::new(1));
        reader.join().expect("the reader");
    });
}

#[test]
fn a_reader_sees_segments_that_are_added_meanwhile() {
    loom::model(|| {
        let (mut writer, list) = segmented_list();
        writer.push(Item::new(0));
        writer.push(Item::new(1));
        let reader = thread::spawn(move || {
            let first = list.get(0).expect("published before");
            let len = check(&list);
            assert!((2..=4).contains(&len));
            assert!(list.last().expect("not empty").value() + 1 >= len);
            assert_eq!(first.value(), 0);
        });
        writer.push(Item::new(2));
        writer.push(Item::new(3));
        reader.join().expect("the reader");
    });
}

#[test]
fn a_batch_is_seen_whole_or_not_at_all() {
    loom::model(|| {
        let (mut writer, list) = segmented_list();
        let reader = thread::spawn(move || {
            let len = check(&list);
            assert!(len == 0 || len == 3, "{len} items of a batch of 3");
        });
        // Crosses from the first segment into the second.
        for value in 0..3 {
            writer.stage(Item::new(value));
        }
        writer.publish();
        reader.join().expect("the reader");
    });
}

#[test]
fn what_was_discarded_is_never_seen() {
    loom::model(|| {
        let (mut writer, list) = segmented_list();
        let reader = thread::spawn(move || check(&list));
        for _ in 0..3 {
            writer.stage(Item::new(99));
        }
        writer.discard();
        writer.push(Item::new(0));
        writer.stage(Item::new(99));
        drop(writer);
        assert!(reader.join().expect("the reader") <= 1);
    });
}

#[test]
fn two_readers_never_see_the_list_shrink() {
    loom::model(|| {
        let (mut writer, list) = segmented_list();
        // The segment is allocated already, so loom can only find an item that is read too early.
        writer.push(Item::new(0));
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let list = list.clone();
                thread::spawn(move || {
                    let before = check(&list);
                    assert!(list.len() >= before);
                })
            })
            .collect();
        writer.push(Item::new(1));
        for reader in readers {
            reader.join().expect("a reader");
        }
    });
}

#[test]
fn the_last_handle_drops_every_item_once() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    loom::model(|| {
        let dropped = Arc::new(AtomicUsize::new(0));
        let (mut writer, list) = segmented_list();
        let reader = thread::spawn(move || drop(list));
        for _ in 0..3 {
            writer.push(Counted(Arc::clone(&dropped)));
        }
        writer.stage(Counted(Arc::clone(&dropped)));
        drop(writer);
        reader.join().expect("the reader");
        assert_eq!(dropped.load(Ordering::Relaxed), 4);
    });
}
