//! Every item is dropped exactly once, whichever handle is dropped last and whichever item panics.

#![cfg(not(loom))]

use std::{
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use annals_base::{ListWriter, SegmentedList, segmented_list};

/// Counts the drops of each item.
struct Drops(Vec<Arc<AtomicUsize>>);

impl Drops {
    fn of(count: usize) -> Self {
        Self((0..count).map(|_| Arc::default()).collect())
    }

    fn item(&self, number: usize, panics: bool) -> Item {
        Item { number, panics, drops: Arc::clone(&self.0[number]) }
    }

    /// Returns whether exactly the items of `range` were dropped, each once.
    fn are(&self, range: Range<usize>) -> bool {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        counts.enumerate().all(|(number, count)| count == usize::from(range.contains(&number)))
    }
}

struct Item {
    number: usize,
    panics: bool,
    drops: Arc<AtomicUsize>,
}

impl Drop for Item {
    fn drop(&mut self) {
        self.drops.fetch_add(1, Ordering::Relaxed);
        assert!(!self.panics, "item {} panics", self.number);
    }
}

/// The number of items: enough for four segments, or for three under Miri, which is slow.
const COUNT: usize = if cfg!(miri) { 3_200 } else { 8_000 };

/// Makes a list of `COUNT` items. The first `published` are published, and the rest are staged. Item number `panics`
/// panics in its drop.
fn filled(
    drops: &Drops,
    published: usize,
    panics: Option<usize>,
) -> (ListWriter<Item>, SegmentedList<Item>) {
    let (mut writer, list) = segmented_list();
    for number in 0..COUNT {
        if number == published {
            writer.publish();
        }
        writer.stage(drops.item(number, panics == Some(number)));
    }
    assert_eq!(list.len(), published);
    (writer, list)
}

#[test]
fn the_writer_drops_what_is_staged_and_the_last_handle_the_rest() {
    let drops = Drops::of(COUNT);
    let (writer, list) = filled(&drops, 1_500, None);
    let clone = list.clone();
    drop(list);
    assert!(drops.are(0..0));
    drop(writer);
    assert!(drops.are(1_500..COUNT));
    assert_eq!(clone.iter().filter(|item| item.number < 1_500).count(), 1_500);
    thread::spawn(move || drop(clone)).join().unwrap();
    assert!(drops.are(0..COUNT));
}

#[test]
fn the_writer_may_be_the_last() {
    let drops = Drops::of(COUNT);
    let (writer, list) = filled(&drops, 1_500, None);
    drop(list);
    drop(writer);
    assert!(drops.are(0..COUNT));
}

#[test]
fn discarded_items_are_dropped_at_once() {
    let drops = Drops::of(COUNT + 1);
    let (mut writer, list) = filled(&drops, 1_500, None);
    assert_eq!(
        (writer.staged(), writer.discard(), writer.discard()),
        (COUNT - 1_500, COUNT - 1_500, 0)
    );
    assert!(drops.are(1_500..COUNT));
    assert!(writer.get(1_500).is_none());
    assert_eq!(writer.push(drops.item(COUNT, false)), 1_500);
    assert_eq!(list.last().unwrap().number, COUNT);
}

#[test]
fn a_panic_in_discard_drops_nothing_twice_and_forgets_nothing() {
    let drops = Drops::of(COUNT + 1);
    let (mut writer, list) = filled(&drops, 10, Some(2_000));
    catch_unwind(AssertUnwindSafe(|| writer.discard())).unwrap_err();
    assert!(drops.are(10..COUNT));
    assert_eq!((writer.staged(), list.len()), (0, 10));
    assert_eq!(writer.push(drops.item(COUNT, false)), 10);
    assert_eq!(list.last().unwrap().number, COUNT);
    drop((writer, list));
    assert!(drops.are(0..COUNT + 1));
}

#[test]
fn a_panic_in_the_last_drop_drops_nothing_twice_and_forgets_nothing() {
    for panics in [0, 1_023, 1_024, 3_100, COUNT - 1] {
        let drops = Drops::of(COUNT);
        let (writer, list) = filled(&drops, 3_000, Some(panics));
        catch_unwind(AssertUnwindSafe(|| drop((list, writer)))).unwrap_err();
        assert!(drops.are(0..COUNT));
    }
}
