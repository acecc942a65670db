//! Reading: held events stay, from either end, nothing beyond the head.

use std::collections::{HashSet, VecDeque};

use annals::{Backend, EventDigest, EventRef, ReadError, Recorded};

use super::tools::{Store, fresh, nth, nths, open};
use crate::check::{Check, CheckError, Outcome, ensure, same};
use crate::{Random, Sample, Subject};

pub(super) fn references_stay<S: Subject + ?Sized>(subject: &S) -> Check {
    const HELD: u64 = 60;
    let store = fresh(subject)?;
    store.append_batch(nths(0..HELD))?;
    let mut held: Vec<EventRef<'_, Sample>> = Vec::new();
    for n in 0..HELD {
        held.push(store.get(n)?.ok_or_else(|| CheckError::new(format!("no event at {n}")))?);
    }
    for event in store.read(..).rev() {
        held.push(event?);
    }
    let before: Vec<(Recorded<Sample>, Option<*const Recorded<Sample>>)> =
        held.iter().map(|event| (Recorded::clone(event), address(event))).collect();
    let mut reading = store.read(..);
    let first = reading.next().transpose()?.map(EventRef::into_owned);
    same("the first event", first.as_ref(), before.first().map(|(event, _)| event))?;
    for round in 1..=60 {
        store.append_batch(nths(round * HELD..(round + 1) * HELD))?;
    }
    for (event, (was, at)) in held.iter().zip(&before) {
        ensure!(**event == *was, "a held event changed from {was:?} to {:?}", **event);
        same("the address of a held event", address(event), *at)?;
        let again = store
            .get(was.offset)?
            .ok_or_else(|| CheckError::new(format!("no event at {} any more", was.offset)))?;
        ensure!(*again == *was, "the event at {} changed from {was:?} to {:?}", was.offset, *again);
        if let (Some(was), Some(is)) = (at, address(&again)) {
            ensure!(*was == is, "an event moved from {was:p} to {is:p}");
        }
    }
    // An iterator goes on where it was, up to the head at its start.
    let rest: Vec<_> =
        reading.map(|event| event.map(EventRef::into_owned)).collect::<Result<_, _>>()?;
    ensure!(
        rest.iter()
            .eq(before[1..usize::try_from(HELD).unwrap_or(1)].iter().map(|(event, _)| event)),
        "an iterator from before the appends returns other events after them"
    );
    Ok(Outcome::Held)
}

/// Returns the address of a borrowed event. An event that was copied for its reader has no fixed address.
fn address(event: &EventRef<'_, Sample>) -> Option<*const Recorded<Sample>> {
    match event {
        EventRef::Borrowed(event) => Some(std::ptr::from_ref(*event)),
        EventRef::Owned(_) | EventRef::Shared(_) => None,
    }
}

pub(super) fn reading_goes_from_both_ends<S: Subject + ?Sized>(subject: &S) -> Check {
    const COUNT: u64 = 300;
    let store = fresh(subject)?;
    for start in (0..COUNT).step_by(25) {
        store.append_batch(nths(start..start + 25))?;
    }
    let mut random = Random::new(3);
    for round in 0..80 {
        let (start, end) = (random.below(COUNT + 20), random.below(COUNT + 20));
        let steps = if random.once_in(2) { u64::MAX } else { random.below(COUNT) };
        let mut expected: VecDeque<u64> = (start..end.min(COUNT)).collect();
        let mut events = store.read(start..end);
        let switch = 1 + random.below(5);
        for step in 0..steps {
            // Read mostly from one end for a while, then from the other.
            let back = (step / (switch * 10)) % 2 == 1 || random.once_in(9);
            let (least, most) = events.size_hint();
            ensure!(
                least <= expected.len() && most.is_some_and(|most| most >= expected.len()),
                "round {round}: the size hint is {least}..{most:?} with {} events left",
                expected.len()
            );
            let found = if back { events.next_back() } else { events.next() };
            let wanted = if back { expected.pop_back() } else { expected.pop_front() };
            let found = found.transpose()?;
            let same_event = found.as_ref().map(|event| (event.offset, event.event.clone()));
            ensure!(
                same_event == wanted.map(|wanted| (wanted, nth(wanted))),
                "round {round}: {start}..{end}, step {step} (back {back}): \
                 found {same_event:?}, expected {wanted:?}"
            );
            if wanted.is_none() {
                break;
            }
        }
    }
    let some = |events: Vec<u64>, expected: &[u64]| same("offsets", &events[..], expected);
    some(taken(store.read(297..))?, &[297, 298, 299])?;
    some(taken(store.read(..=2))?, &[0, 1, 2])?;
    some(taken(store.read(..).range(298..))?, &[298, 299])?;
    some(taken(store.read(..).range(..=2).range(1..).rev())?, &[2, 1])?;
    some(taken(store.read(..).rev().take(2))?, &[299, 298])?;
    some(taken(store.read(5..5))?, &[])?;
    some(taken(store.read(..).take(0))?, &[])?;
    some(taken(store.read(..).rev().rev().take(1))?, &[0])?;
    some(taken(store.read(..).last().into_iter())?, &[299])?;
    Ok(Outcome::Held)
}

/// Returns the offsets of events.
fn taken<'a>(
    events: impl Iterator<Item = Result<EventRef<'a, Sample>, ReadError>>,
) -> Result<Vec<u64>, CheckError> {
    events.map(|event| Ok(event?.offset)).collect()
}

pub(super) fn past_the_head_is_none<S: Subject + ?Sized>(subject: &S) -> Check {
    let store = fresh(subject)?;
    for count in 0..3 {
        same("the head", (store.len(), store.is_empty()), (count, count == 0))?;
        for beyond in
            [count, count + 1, u64::from(u32::MAX), u64::from(u32::MAX) + 1, u64::MAX - 1, u64::MAX]
        {
            ensure!(store.get(beyond)?.is_none(), "something at {beyond}, of {count} events");
            let digest = store.backend().digest(beyond)?;
            ensure!(digest.is_none(), "a digest at {beyond}, of {count} events");
            same("the number of events read from there", store.read(beyond..).count(), 0)?;
            same(
                "the number of events read backwards from there",
                store.read(beyond..).rev().count(),
                0,
            )?;
            same(
                "the number of events that a query finds there",
                store.query(&annals::Query::tag("digit:0")).range(beyond..).count(),
                0,
            )?;
            let mut cursor = store.subscription(annals::Query::all(), beyond);
            ensure!(cursor.try_next().is_none(), "a cursor from {beyond} returns an event");
        }
        same(
            "the number of events read up to the largest offset",
            store.read(..u64::MAX).count() as u64,
            count,
        )?;
        same(
            "the number of events read of the largest range",
            store.read(0..=u64::MAX).rev().count() as u64,
            count,
        )?;
        store.append(nth(count))?;
    }
    Ok(Outcome::Held)
}

pub(super) fn digests_tell_events_apart<S: Subject + ?Sized>(subject: &S) -> Check {
    const COUNT: u64 = 10;
    let fixture = subject.fixture();
    let (store, other) = (open::<S>(&fixture)?, fresh(subject)?);
    store.append_batch(nths(0..COUNT))?;
    other.append_batch(nths(COUNT..2 * COUNT))?;
    let first = digests::<S>(&store)?;
    let all: HashSet<_> = first.iter().chain(&digests::<S>(&other)?).copied().collect();
    same("how many digests two logs with different events have", all.len() as u64, 2 * COUNT)?;
    store.append_batch(nths(2 * COUNT..3 * COUNT))?;
    let again = digests::<S>(&store)?;
    same("the digests after more appends", again.get(..first.len()), Some(&first[..]))?;
    if fixture.keeps() {
        drop(store);
        same("the digests of the log opened again", digests::<S>(&open::<S>(&fixture)?)?, again)?;
    }
    Ok(Outcome::Held)
}

/// Returns the digests of all events of a log.
fn digests<S: Subject + ?Sized>(store: &Store<S>) -> Result<Vec<EventDigest>, CheckError> {
    let digest = |offset| {
        let digest = store.backend().digest(offset)?;
        digest.ok_or_else(|| CheckError::new(format!("no digest at {offset}")))
    };
    (0..store.len()).map(digest).collect()
}
