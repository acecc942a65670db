//! The segmented list against a model of two `Vec`s, under random operations.

#![cfg(not(loom))]

use annals_base::segmented_list;
use proptest::{collection::vec, prelude::*};

#[derive(Clone, Debug)]
enum Op {
    Push,
    /// Stages this number of items, to reach the next segment in few operations.
    Stage(usize),
    Publish,
    Discard,
    Get(usize),
    Range(usize, usize),
    Slices(usize, usize),
    Nth(usize, usize),
}

fn op() -> impl Strategy<Value = Op> {
    // Indexes are mostly within the list and sometimes beyond it.
    let index = || 0..12_000_usize;
    prop_oneof![
        3 => Just(Op::Push),
        3 => (0..1_500_usize).prop_map(Op::Stage),
        2 => Just(Op::Publish),
        1 => Just(Op::Discard),
        2 => index().prop_map(Op::Get),
        2 => (index(), index()).prop_map(|(from, to)| Op::Range(from, to)),
        2 => (index(), index()).prop_map(|(from, to)| Op::Slices(from, to)),
        2 => (index(), 0..5_000_usize).prop_map(|(from, n)| Op::Nth(from, n)),
    ]
}

/// Takes items from both ends in turn, and joins the items from the front and from the back.
fn from_both_ends<I: DoubleEndedIterator + ExactSizeIterator>(mut items: I) -> Vec<I::Item> {
    let (mut front, mut back) = (Vec::new(), Vec::new());
    while items.len() > 0 {
        let len = items.len();
        front.extend(items.next());
        back.extend(items.next_back());
        assert_eq!(items.len(), len.saturating_sub(2));
    }
    assert!(items.next().is_none() && items.next_back().is_none());
    front.extend(back.into_iter().rev());
    front
}

fn clamped(model: &[u32], from: usize, to: usize) -> &[u32] {
    let to = to.min(model.len());
    &model[from.min(to)..to]
}

fn run(ops: Vec<Op>) {
    let (mut writer, list) = segmented_list();
    let (mut published, mut staged): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
    let mut fresh = 0_u32..;
    for op in ops {
        match op {
            Op::Push => {
                let item = fresh.next().expect("endless");
                assert_eq!(writer.push(item), published.len() + staged.len());
                published.append(&mut staged);
                published.push(item);
            }
            Op::Stage(count) => {
                for item in fresh.by_ref().take(count) {
                    assert_eq!(writer.stage(item), published.len() + staged.len());
                    staged.push(item);
                }
            }
            Op::Publish => {
                published.append(&mut staged);
                assert_eq!(writer.publish(), published.len());
            }
            Op::Discard => {
                assert_eq!(writer.discard(), staged.len());
                staged.clear();
            }
            Op::Get(index) => {
                assert_eq!(list.get(index), published.get(index));
                assert_eq!(writer.get(index), published.iter().chain(&staged).nth(index));
            }
            Op::Range(from, to) => {
                let expected = clamped(&published, from, to);
                assert!(list.range(from..to).eq(expected));
                assert!(list.range(from..to).rev().eq(expected.iter().rev()));
                assert!(from_both_ends(list.range(from..to)).into_iter().eq(expected));
                let (mut folded, mut rfolded) = (Vec::new(), Vec::new());
                list.range(from..to).for_each(|item| folded.push(*item));
                list.range(from..to).rev().for_each(|item| rfolded.push(*item));
                rfolded.reverse();
                assert_eq!((&folded[..], &rfolded[..]), (expected, expected));
            }
            Op::Slices(from, to) => {
                let expected = clamped(&published, from, to);
                let slices: Vec<&[u32]> = list.slices(from..to).collect();
                assert_eq!(slices.concat(), expected);
                assert!(slices.iter().all(|slice| !slice.is_empty()));
                assert_eq!(slices.len(), list.slices(from..to).len());
                assert!(list.slices(from..to).rev().eq(slices.iter().rev().copied()));
                assert_eq!(from_both_ends(list.slices(from..to)).concat(), expected);
            }
            Op::Nth(from, n) => {
                // The iterator has started at both ends, so that `nth` has a front and a back to skip.
                let (mut items, mut expected) =
                    (list.range(from..), clamped(&published, from, usize::MAX).iter());
                assert_eq!(
                    (items.next(), items.next_back()),
                    (expected.next(), expected.next_back())
                );
                assert_eq!(items.clone().nth(n), expected.clone().nth(n));
                assert_eq!(items.clone().nth_back(n), expected.clone().nth_back(n));
                assert_eq!(
                    (items.nth(n), items.nth_back(n)),
                    (expected.nth(n), expected.nth_back(n))
                );
                assert!(items.eq(expected));
            }
        }
        assert_eq!((list.len(), writer.staged()), (published.len(), staged.len()));
        assert_eq!(list.last(), published.last());
    }
}

proptest! {
    // Miri cannot read a file of earlier failures, and is slow.
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 2 } else { 256 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn behaves_as_a_vec(ops in vec(op(), 0..if cfg!(miri) { 12 } else { 60 })) {
        run(ops);
    }
}
