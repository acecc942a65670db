//! A consumer against a model: the set of the events that are not finished, and those of them that are with the
//! program.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use annals::EventStore;
use annals_consumer::Consumers as _;
use common::append;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Append(u64),
    Next,
    Ack(usize),
    Drop(usize),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (1..100_u64).prop_map(Step::Append),
        12 => Just(Step::Next),
        8 => (0..6_usize).prop_map(Step::Ack),
        3 => (0..6_usize).prop_map(Step::Drop),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 1..300)
}

proptest! {
    #[test]
    fn a_consumer_delivers_the_first_event_that_is_not_finished(steps in steps()) {
        let store = EventStore::in_memory();
        let start = || store.consumer("mailer").retry_after(Duration::ZERO).start().unwrap();
        let (mut consumer, mut held) = (start(), Vec::new());
        let (mut open, mut head) = (BTreeSet::new(), 0);
        for step in steps {
            match step {
                Step::Append(count) => {
                    append(&store, head..head + count);
                    open.extend(head..head + count);
                    head += count;
                }
                Step::Next => {
                    let is_held = |offset: &u64| {
                        held.iter().any(|it: &annals_consumer::Delivery<_, _>| it.offset == *offset)
                    };
                    let expected = open.iter().find(|&offset| !is_held(offset)).copied();
                    let next = consumer.try_next().map(Result::unwrap);
                    prop_assert_eq!(next.as_ref().map(|delivery| delivery.offset), expected);
                    held.extend(next);
                }
                Step::Ack(at) if at < held.len() => {
                    let delivery = held.remove(at);
                    open.remove(&delivery.offset);
                    delivery.ack().unwrap();
                }
                Step::Drop(at) if at < held.len() => drop(held.remove(at)),
                Step::Ack(_) | Step::Drop(_) => {}
                Step::Restart => {
                    held.clear();
                    drop(consumer);
                    consumer = start();
                    // What was acknowledged behind the position comes again.
                    open = (open.first().copied().unwrap_or(head)..head).collect();
                }
            }
            prop_assert_eq!(consumer.position(), open.first().copied().unwrap_or(head));
        }
    }
}
