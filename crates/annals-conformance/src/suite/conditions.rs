//! Conditions and ids, on which an append can depend.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use annals::{AppendError, Batch, Condition, Query, QueryItem};

use super::tools::{Seen, Store, fresh, nth, nths, open, wait_for};
use crate::check::{Check, CheckError, Outcome, ensure, same, says};
use crate::{Sample, Subject};

const THREADS: usize = 8;

pub(super) fn condition_and_append_are_one_step<S: Subject + ?Sized>(subject: &S) -> Check {
    only_one_of_a_race_wins(subject)?;
    a_counter_loses_no_step(subject)
}

fn only_one_of_a_race_wins<S: Subject + ?Sized>(subject: &S) -> Result<(), CheckError> {
    const ROUNDS: usize = 40;
    let store = fresh(subject)?;
    let barrier = Barrier::new(THREADS);
    let results = thread::scope(|scope| {
        let racers: Vec<_> = (0..THREADS)
            .map(|racer| {
                let (store, barrier) = (&store, &barrier);
                scope.spawn(move || {
                    let mut results = Vec::new();
                    for round in 0..ROUNDS {
                        let tag = format!("round:{round}");
                        let free = Condition::fail_if(Query::tag(&tag));
                        let event = Sample::new("claimed").tag(tag).data(racer.to_string());
                        barrier.wait();
                        results.push(store.append_if([event], &free));
                    }
                    results
                })
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().unwrap_or_default()).collect::<Vec<_>>()
    });
    for round in 0..ROUNDS {
        let of_round: Vec<_> = results.iter().filter_map(|results| results.get(round)).collect();
        let winners: Vec<u64> = of_round
            .iter()
            .filter_map(|result| result.as_ref().ok())
            .map(|range| range.start)
            .collect();
        ensure!(
            winners.len() == 1,
            "round {round}: {} of {THREADS} appends succeeded, and one should",
            winners.len()
        );
        for result in of_round {
            if let Err(error) = result {
                ensure!(
                    matches!(error, AppendError::Conflict { offset, .. } if *offset == winners[0]),
                    "round {round}: {error:?}"
                );
            }
        }
    }
    same("the head", store.len(), ROUNDS as u64)
}

/// Has each thread read the count and append the next one, unless another thread did so since.
fn a_counter_loses_no_step<S: Subject + ?Sized>(subject: &S) -> Check {
    const STEPS: usize = 30;
    let store = fresh(subject)?;
    let counter = Query::tag("counter");
    let barrier = Barrier::new(4);
    let results: Vec<Result<(), CheckError>> = thread::scope(|scope| {
        let counting: Vec<_> = (0..4)
            .map(|_| {
                let (store, counter, barrier) = (&store, &counter, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    for _ in 0..STEPS {
                        loop {
                            let seen = store.len();
                            let last =
                                store.query(counter).range(..seen).next_back().transpose()?;
                            let count: u64 = last.map_or(0, |event| {
                                String::from_utf8_lossy(event.event.payload()).parse().unwrap_or(0)
                            });
                            let next =
                                Sample::new("counted").tag("counter").data((count + 1).to_string());
                            match store
                                .append_if([next], &Condition::fail_if(counter.clone()).after(seen))
                            {
                                Ok(_) => break,
                                Err(AppendError::Conflict { .. }) => {}
                                Err(error) => return Err(error.into()),
                            }
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        counting
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    results.into_iter().collect::<Result<(), CheckError>>()?;
    for (expected, event) in (1..).zip(store.read(..)) {
        let event = event?;
        same(
            "the count",
            String::from_utf8_lossy(event.event.payload()).into_owned(),
            expected.to_string(),
        )?;
    }
    same("the head", store.len(), 4 * STEPS as u64)?;
    Ok(Outcome::Held)
}

pub(super) fn conditions_see_what_they_say<S: Subject + ?Sized>(subject: &S) -> Check {
    let fixture = subject.fixture();
    let mut store = open::<S>(&fixture)?;
    store.append_batch(nths(0..50))?;
    let mut head = 50;
    let both = Query::item(QueryItem::new().event_type("type-1").tag("digit:7"));
    let neither = Query::item(QueryItem::new().event_type("type-2").tag("number:7"));
    // A query, the offset that it starts at, and the first conflicting event.
    let cases = [
        (Query::all(), 0, Some(0)),
        (Query::all(), 49, Some(49)),
        (Query::all(), 50, None),
        (Query::tag("number:20"), 0, Some(20)),
        (Query::tag("number:20"), 20, Some(20)),
        (Query::tag("number:20"), 21, None),
        (Query::tag("number:200"), 0, None),
        (Query::event_type("type-0"), 46, Some(48)),
        (Query::event_type("type-0"), 49, None),
        (both.clone(), 8, Some(37)),
        (both, 38, None),
        (neither, 0, None),
        (Query::tag("number:48").or(QueryItem::new().tag("number:47")), 0, Some(47)),
    ];
    for keeps in [false, true] {
        if keeps && fixture.keeps() {
            drop(store);
            store = open::<S>(&fixture)?;
        }
        for (case, (query, after, expected)) in cases.iter().enumerate() {
            // The events of the cases before are never in conflict.
            let after = if *after < 50 { *after } else { (*after).max(head) };
            let condition = Condition::fail_if(query.clone()).after(after);
            let event = Sample::new("decided").tag(format!("case:{case}"));
            match (store.append_if([event], &condition), expected) {
                (Ok(range), None) => {
                    same("the offset of an append", range, head..head + 1)?;
                    head += 1;
                }
                (Err(AppendError::Conflict { offset, .. }), Some(expected)) => {
                    same("the conflicting event", offset, *expected)?;
                }
                (result, expected) => {
                    return Err(CheckError::new(format!(
                        "case {case}: {result:?}, and the conflict should be {expected:?}"
                    )));
                }
            }
            same("the head", store.len(), head)?;
        }
    }
    special_conditions::<S>(&store)?;
    Ok(Outcome::Held)
}

/// Checks the message of a conflict, the conditions of whole and empty batches, and conditions at and beyond the head.
fn special_conditions<S: Subject + ?Sized>(store: &Store<S>) -> Result<(), CheckError> {
    let error = store.append_if([nth(1)], &Condition::fail_if(Query::tag("number:3"))).err();
    says(
        &error.ok_or_else(|| CheckError::new("an append succeeded against its condition"))?,
        &["condition", "offset 3"],
    )?;
    // The events of a batch do not conflict with each other. The condition of an empty batch is checked.
    let own = Condition::fail_if(Query::tag("own"));
    store.append_if([Sample::new("a").tag("own"), Sample::new("b").tag("own")], &own)?;
    ensure!(store.append_if([], &own).is_err(), "an empty batch succeeded against its condition");
    let (head, tag) = (store.len(), Query::tag("digit:1"));
    let beyond = Condition::fail_if(tag.clone()).after(head + 1);
    let refused = store.append_if([nth(1)], &beyond);
    ensure!(
        matches!(refused, Err(AppendError::ConditionBeyondHead { after, head: at }) if after == head + 1 && at == head),
        "a condition from beyond the head {head} on: {refused:?}"
    );
    same("the head", store.len(), head)?;
    same(
        "the offset of an append with a condition from the head on",
        store.append_if([nth(1)], &Condition::fail_if(tag).after(head))?,
        head..head + 1,
    )
}

pub(super) fn every_condition_of_a_batch_holds<S: Subject + ?Sized>(subject: &S) -> Check {
    let fixture = subject.fixture();
    let store = open::<S>(&fixture)?;
    store.append_batch(nths(0..40))?;
    let fail_if = |tag: &str, after| Condition::fail_if(Query::tag(tag)).after(after);
    // Conditions, and the expected conflict: its offset, and the position of the condition.
    let cases = [
        (vec![fail_if("digit:7", 38), fail_if("digit:8", 39), fail_if("digit:9", 40)], None),
        (vec![fail_if("digit:7", 38), fail_if("number:8", 0)], Some((8, 1))),
        (vec![fail_if("number:8", 0), fail_if("digit:7", 38)], Some((8, 0))),
        (
            vec![fail_if("digit:9", 20), fail_if("digit:4", 20), fail_if("digit:6", 9)],
            Some((16, 2)),
        ),
        (vec![fail_if("none", 0), fail_if("number:5", 0), fail_if("digit:5", 0)], Some((5, 1))),
    ];
    let mut head = 40;
    for (conditions, expected) in cases {
        let what = format!("{conditions:?}");
        let batch = Batch::new(vec![Sample::new("decided")]).conditions(conditions);
        let result = store.append_as(batch.clone());
        let awaited = wait_for(store.append_as_async(batch), subject.patience())?;
        for result in [result, awaited] {
            let found = match result {
                Ok(_) => None,
                Err(AppendError::Conflict { offset, condition }) => Some((offset, condition)),
                Err(error) => return Err(CheckError::new(format!("{what}: {error:?}"))),
            };
            ensure!(
                found == expected,
                "{what}: the conflict should be {expected:?}, and is {found:?}"
            );
            head += u64::from(found.is_none());
        }
        same("the head", store.len(), head)?;
    }
    // A condition that guards nothing is reported, whatever the others find.
    let beyond = Batch::new(vec![nth(1)]).condition(fail_if("digit:1", 0));
    let refused = store.append_as(beyond.condition(fail_if("digit:1", head + 1)));
    ensure!(
        matches!(refused, Err(AppendError::ConditionBeyondHead { .. })),
        "a condition from beyond the head {head} on, behind another: {refused:?}"
    );
    same("the head", store.len(), head)?;
    Ok(Outcome::Held)
}

pub(super) fn ids_are_recorded_once<S: Subject + ?Sized>(subject: &S) -> Check {
    let fixture = subject.fixture();
    let mut store = open::<S>(&fixture)?;
    let named = |n: u64| nth(n).id(format!("id-{n}"));
    let first = store.append_as(Batch::new((0..30).map(named).collect()))?;
    same("the range of new ids", first.offsets, 0..30)?;
    same("whether the log had new ids", first.known, false)?;
    let seen = Seen::subscribed::<S>(&store);
    for again in 0..2 {
        same("the offset of a known id", store.append(named(7))?, 7)?;
        same("the range of known ids", store.append_batch((10..14).map(named))?, 10..14)?;
        let unless = Batch::new(vec![named(3)]).condition(Condition::fail_if(Query::all()));
        let known = store.append_as(unless.clone())?;
        same("the range of known ids, whatever the condition", known.offsets, 3..4)?;
        same("whether the log had the batch", known.known, true)?;
        let awaited = wait_for(store.append_as_async(unless), subject.patience())??;
        same("whether the log had the batch, asynchronously", awaited.known, true)?;
        same("the head", store.len(), 30)?;
        let refused = |events: Vec<Sample>, words: &[&str]| -> Result<(), CheckError> {
            let error = store.append_batch(events.clone()).err();
            let error = error.ok_or_else(|| CheckError::new(format!("{events:?} was appended")))?;
            says(&error, words)?;
            same("the head", store.len(), 30)
        };
        known_whatever_the_content::<S>(&store)?;
        let other_type = Sample::new("another-type").id("id-7");
        refused(vec![other_type], &["\"id-7\"", "offset 7", "\"another-type\"", "\"type-1\""])?;
        refused(vec![named(29), named(30)], &["\"id-29\"", "offset 29", "not all of this batch"])?;
        refused(vec![named(30), named(29)], &["\"id-29\"", "offset 29"])?;
        refused(vec![named(5), named(7)], &["\"id-7\"", "offset 7"])?;
        refused(vec![named(5), nth(6)], &["\"id-5\"", "offset 5"])?;
        refused(vec![nth(5), named(0)], &["\"id-0\"", "offset 0"])?;
        let error = store.append_batch([named(40), named(41), named(40)]).err();
        let error =
            error.ok_or_else(|| CheckError::new("a batch with the same id twice was appended"))?;
        ensure!(matches!(&error, AppendError::IdTwice { id } if id == "id-40"), "{error:?}");
        says(&error, &["\"id-40\"", "duplicate id"])?;
        same("the events that a callback saw", seen.offsets(), Vec::new())?;
        if again == 0 && fixture.keeps() {
            drop(store);
            store = open::<S>(&fixture)?;
        }
    }
    race_with_one_id(subject)
}

pub(super) fn ids_are_found<S: Subject + ?Sized>(subject: &S) -> Check {
    let fixture = subject.fixture();
    let mut store = open::<S>(&fixture)?;
    same("the event with an id, in an empty log", store.find("id-0")?, None)?;
    let named = |n: u64| if n % 3 == 1 { nth(n) } else { nth(n).id(format!("id-{n}")) };
    store.append_batch((0..40).map(named))?;
    for n in 40..60 {
        store.append(named(n))?;
    }
    // An id is not a tag or a type, and a refused append leaves no id behind.
    let refused = Sample::new("refused").id("id-refused");
    let refused = store.append_if([refused], &Condition::fail_if(Query::all()));
    ensure!(refused.is_err(), "an append succeeded against its condition");
    for again in 0..2 {
        for n in 0..61 {
            let expected = (n < 60 && n % 3 != 1).then_some(n);
            let found = store.find(&format!("id-{n}"))?;
            ensure!(found == expected, "the event with the id id-{n}: {found:?}");
        }
        for unknown in ["id-refused", "id", "number:7", "type-1"] {
            same("the event with an unknown id", store.find(unknown)?, None)?;
        }
        if again == 0 && fixture.keeps() {
            drop(store);
            store = open::<S>(&fixture)?;
        }
    }
    an_id_is_found_with_its_event::<S>(&store)
}

/// Has a thread look for ids while another appends. An id that is found is that of a readable event.
fn an_id_is_found_with_its_event<S: Subject + ?Sized>(store: &Store<S>) -> Check {
    const NEW: u64 = 200;
    let first = store.len();
    let named = |n: u64| (format!("new-{n}"), Sample::new("new").id(format!("new-{n}")));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let looking = scope.spawn(|| -> Result<(), CheckError> {
            let mut n = 0;
            // Acquire: pairs with the Release below, so the last round looks at a log with all events.
            while n < NEW && !done.load(Ordering::Acquire) {
                let (id, expected) = named(n);
                if let Some(offset) = store.find(&id)? {
                    let event = store.get(offset)?.map(|event| event.into_owned().event);
                    same("the event that was found by its id", event, Some(expected))?;
                    n += 1;
                }
            }
            Ok(())
        });
        let appended = (0..NEW).try_for_each(|n| -> Result<(), CheckError> {
            let (id, event) = named(n);
            same("the offset of an append", store.append(event)?, first + n)?;
            same("the event with an id that was just appended", store.find(&id)?, Some(first + n))
        });
        // Release: pairs with the Acquire above.
        done.store(true, Ordering::Release);
        appended.and(looking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    Ok(Outcome::Held)
}

/// Checks that a retry is recognized by its ids and types, whatever else differs: the payload, which may be encoded in
/// another order or with a new field, the tags and their order, and the metadata.
fn known_whatever_the_content<S: Subject + ?Sized>(store: &Store<S>) -> Result<(), CheckError> {
    let retries = [
        ("other content", nth(7).data("{\"b\":1,\"a\":2}")),
        ("no content", Sample::new("type-1")),
        ("one tag more", nth(7).tag("new")),
        ("its tags in another order", Sample::new("type-1").tag("number:7").tag("digit:7")),
        ("other metadata", nth(7).metadata("trace", "another")),
    ];
    for (what, event) in retries {
        let known = store.append(event.id("id-7"));
        ensure!(matches!(known, Ok(7)), "the offset of a known id, with {what}: {known:?}");
    }
    let batch = (10..14).map(|n| nth(n).metadata("attempt", "2").id(format!("id-{n}")));
    same("the range of known ids, with other metadata", store.append_batch(batch)?, 10..14)?;
    same("the head", store.len(), 30)
}

/// Has threads append the same ids. The first one records the event, and all get its offset.
fn race_with_one_id<S: Subject + ?Sized>(subject: &S) -> Check {
    let store = fresh(subject)?;
    let barrier = Barrier::new(THREADS);
    let offsets = thread::scope(|scope| {
        let racers: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    (0..30)
                        .map(|n| {
                            barrier.wait();
                            store.append(nth(n).id(format!("id-{n}")))
                        })
                        .collect::<Result<Vec<u64>, AppendError>>()
                })
            })
            .collect();
        racers
            .into_iter()
            .map(|racer| racer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect::<Vec<_>>()
    });
    for offsets in offsets {
        same("the offsets that each thread got", offsets?, (0..30).collect::<Vec<_>>())?;
    }
    same("the head", store.len(), 30)?;
    Ok(Outcome::Held)
}
