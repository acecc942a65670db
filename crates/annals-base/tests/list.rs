//! Tests of the segmented list through its public interface: references stay valid, segments join without gaps, readers
//! see consistent items while the writer appends, and the types are `Send` and `Sync`.

#![cfg(not(loom))]

use std::{
    iter::repeat_n,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use annals_base::{Iter, ListWriter, SegmentedList, Slices, segmented_list};

/// The number of appends of a large list, or a small number under Miri, which is slow.
const MANY: usize = if cfg!(miri) { 4_000 } else { 2_000_000 };

const fn is_send_and_sync<T: Send + Sync>() {}
const _: () = {
    is_send_and_sync::<ListWriter<String>>();
    is_send_and_sync::<SegmentedList<String>>();
    is_send_and_sync::<Slices<'_, String>>();
    is_send_and_sync::<Iter<'_, String>>();
};

/// Makes a list of `0..count`.
fn numbers(count: usize) -> SegmentedList<usize> {
    let (mut writer, list) = segmented_list();
    for number in 0..count {
        assert_eq!(writer.push(number), number);
    }
    list
}

#[test]
fn references_stay() {
    let (mut writer, list) = segmented_list();
    for number in 0..1_000 {
        writer.push(Box::new(number));
    }
    let held: Vec<&Box<usize>> = list.iter().collect();
    for number in 1_000..MANY {
        writer.push(Box::new(number));
    }
    assert_eq!(list.len(), MANY);
    for (index, item) in held.into_iter().enumerate() {
        assert_eq!(**item, index);
        assert!(std::ptr::eq(item, list.get(index).unwrap()));
    }
}

#[test]
fn segments_join_without_a_seam() {
    let list = numbers(MANY);
    // Segments begin at 0, 1,024, 3,072, 7,168, ...
    let mut begins =
        (0..).map(|segment| 1_024 * ((1 << segment) - 1)).take_while(|&begin| begin < MANY);
    for slice in list.slices(..) {
        assert_eq!(slice[0], begins.next().unwrap());
    }
    assert_eq!(begins.next(), None);

    for begin in list.slices(..).map(|slice| slice[0]).skip(1) {
        let around = begin - 2..begin + 2;
        assert!(around.clone().all(|index| list.get(index) == Some(&index)));
        assert!(list.range(around.clone()).copied().eq(around.clone()));
        assert!(list.range(around.clone()).rev().copied().eq(around.clone().rev()));
        let halves: Vec<&[usize]> = list.slices(around).collect();
        assert_eq!(halves, [[begin - 2, begin - 1], [begin, begin + 1]]);
    }
}

#[test]
fn the_end_is_at_the_length() {
    for count in [0, 1, 1_023, 1_024, 1_025, 3_071, 3_072, 3_073] {
        let list = numbers(count);
        assert_eq!((list.len(), list.is_empty()), (count, count == 0));
        assert_eq!(list.last().copied(), count.checked_sub(1));
        assert_eq!((list.get(count), list.get(usize::MAX)), (None, None));
        assert!(list.iter().copied().eq(0..count));
        assert!((&list).into_iter().rev().copied().eq((0..count).rev()));
    }
}

#[test]
#[expect(clippy::reversed_empty_ranges, reason = "they are the point")]
fn ranges_are_clamped() {
    let list = numbers(1_500);
    assert_eq!(list.range(1_499..=usize::MAX).copied().collect::<Vec<_>>(), [1_499]);
    assert_eq!(list.range(1_500..).next(), None);
    assert_eq!(list.range(usize::MAX..).next_back(), None);
    assert_eq!(list.range(20..10).len(), 0);
    assert_eq!(list.slices(2_000..1_000).next(), None);
    assert_eq!(list.slices(7..7).next_back(), None);
    assert_eq!(numbers(0).slices(..).next(), None);
}

#[test]
fn an_iteration_keeps_the_length_it_began_with() {
    let (mut writer, list) = segmented_list();
    (0..10).for_each(|number| _ = writer.push(number));
    let mut items = list.iter();
    let mut slices = list.slices(..);
    writer.push(10);
    assert_eq!((items.len(), slices.next().unwrap().len()), (10, 10));
    assert_eq!((items.by_ref().count(), slices.next()), (10, None));
    assert_eq!(items.next(), None);
}

#[test]
fn memory_is_reported() {
    let (mut writer, list) = segmented_list();
    assert_eq!((list.segment_count(), list.allocated_bytes()), (0, 0));
    writer.stage(1_u64);
    assert_eq!((list.segment_count(), list.allocated_bytes()), (1, 1_024 * 8));
    repeat_n(1, 1_024).for_each(|item| _ = writer.stage(item));
    assert_eq!((list.segment_count(), list.allocated_bytes()), (2, 3_072 * 8));
    assert_eq!(writer.discard(), 1_025);
    repeat_n(1, 1_025).for_each(|item| _ = writer.push(item));
    assert_eq!(list.segment_count(), 2, "the memory of discarded items is used again");
}

#[test]
fn items_without_a_size() {
    let (mut writer, list) = segmented_list();
    repeat_n((), 5_000).for_each(|item| _ = writer.push(item));
    writer.stage(());
    assert_eq!((list.len(), list.iter().count(), list.allocated_bytes()), (5_000, 5_000, 0));
    assert_eq!(list.slices(..).map(<[()]>::len).collect::<Vec<_>>(), [1_024, 2_048, 1_928]);
    assert_eq!((list.get(4_999), list.get(5_000), writer.get(5_000)), (Some(&()), None, Some(&())));
}

#[test]
fn readers_do_not_wait() {
    let (mut writer, list) = segmented_list();
    let done = AtomicBool::new(false);
    let done = &done;
    thread::scope(|scope| {
        for _ in 0..3 {
            let list = list.clone();
            scope.spawn(move || {
                let mut seen = 0;
                loop {
                    let finished = done.load(Ordering::Acquire); // pairs with the Release store after the last push
                    let len = list.len();
                    assert!(len >= seen);
                    // Reads all new items, some old ones and the newest.
                    assert!(list.range(seen..len).map(|item: &[usize; 2]| item[1]).eq(seen..len));
                    assert!(list.range(..len).step_by(len / 64 + 1).all(|item| item[0] == item[1]));
                    assert!(len == 0 || list.get(len - 1).is_some_and(|item| item[0] == len - 1));
                    seen = len;
                    if finished {
                        break assert_eq!(seen, MANY);
                    }
                }
            });
        }
        scope.spawn(move || {
            for number in 0..MANY {
                writer.push([number; 2]);
            }
            done.store(true, Ordering::Release); // pairs with the Acquire load in the readers
        });
    });
}

#[test]
fn batches_are_atomic() {
    const BATCH: usize = 7;
    let (mut writer, list) = segmented_list();
    thread::scope(|scope| {
        let reader = list.clone();
        scope.spawn(move || {
            while reader.len() < MANY / BATCH * BATCH {
                assert_eq!(reader.iter().len() % BATCH, 0);
            }
        });
        for batch in 0..MANY / BATCH {
            repeat_n(batch, BATCH).for_each(|item| _ = writer.stage(item));
            assert_eq!((writer.staged(), writer.publish()), (BATCH, (batch + 1) * BATCH));
        }
    });
}

#[test]
fn debug_shows_the_size_and_not_the_items() {
    struct NotDebug;
    let (mut writer, list) = segmented_list();
    writer.push(NotDebug);
    writer.stage(NotDebug);
    assert_eq!(format!("{list:?}"), "SegmentedList { len: 1, segment_count: 1, .. }");
    assert_eq!(format!("{writer:?}"), "ListWriter { len: 1, staged: 1, .. }");
    assert_eq!(format!("{:?}", list.iter()), "Iter { remaining: 1, .. }");
    assert_eq!(format!("{:?}", list.slices(..)), "Slices { from: 0, to: 1, .. }");
}
