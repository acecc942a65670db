//! Queries and names, compared with a scan of all events.

use std::collections::BTreeMap;

use annals::{Event, NameCount, Query, QueryItem};

use super::tools::{Store, open};
use crate::check::{Check, CheckError, Outcome, ensure, same};
use crate::{Random, Sample, Subject};

const COUNT: usize = 400;

/// Returns events of a few types with a few tags, one of them rare.
fn events(random: &mut Random) -> Vec<Sample> {
    let event = |n: usize| {
        let mut event = Sample::new(format!("type-{}", random.below(4))).data(n.to_string());
        let mut tags: Vec<u64> = (0..random.below(5)).map(|_| random.below(12)).collect();
        tags.sort_unstable();
        tags.dedup();
        for tag in tags {
            event = event.tag(format!("tag:{tag}"));
        }
        if random.once_in(40) {
            event = event.tag("rare");
        }
        event
    };
    (0..COUNT).map(event).collect()
}

fn query(random: &mut Random) -> Query {
    // One in four has no items and matches nothing.
    let mut query = if random.once_in(4) { Query::all() } else { Query::none() };
    for _ in 0..random.below(4) {
        let mut item = QueryItem::new();
        for _ in 0..random.below(3) {
            item = item.event_type(format!("type-{}", random.below(5)));
        }
        for _ in 0..random.below(3) {
            item = if random.once_in(8) {
                item.tag("rare")
            } else {
                item.tag(format!("tag:{}", random.below(13)))
            };
        }
        query = query.or(item);
    }
    query
}

fn matching(events: &[Sample], query: &Query) -> Vec<u64> {
    let matches = |event: &Sample| {
        query.matches(event.event_type(), event.tag_list().iter().map(String::as_str))
    };
    (0..).zip(events).filter(|(_, event)| matches(event)).map(|(offset, _)| offset).collect()
}

fn fill<S: Subject + ?Sized>(
    store: &Store<S>,
    events: &[Sample],
    random: &mut Random,
) -> Result<(), CheckError> {
    let mut rest = events;
    while !rest.is_empty() {
        let (batch, after) = rest.split_at((1 + random.index(20)).min(rest.len()));
        store.append_batch(batch.iter().cloned())?;
        rest = after;
    }
    Ok(())
}

pub(super) fn queries_answer_what_matches<S: Subject + ?Sized>(subject: &S) -> Check {
    let fixture = subject.fixture();
    let mut random = Random::new(11);
    let events = events(&mut random);
    let mut store = open::<S>(&fixture)?;
    fill::<S>(&store, &events, &mut random)?;
    for round in 0..300 {
        if round == 150 && fixture.keeps() {
            drop(store);
            store = open::<S>(&fixture)?;
        }
        let query = query(&mut random);
        let (from, to) = (random.below(COUNT as u64 + 5), random.below(COUNT as u64 + 5));
        let (from, to) = if random.once_in(2) { (0, COUNT as u64) } else { (from, to) };
        let limit = if random.once_in(2) { COUNT } else { random.index(30) };
        let expected: Vec<u64> = matching(&events, &query)
            .into_iter()
            .filter(|offset| (from..to).contains(offset))
            .collect();
        let forwards: Vec<u64> = expected.iter().copied().take(limit).collect();
        let backwards: Vec<u64> = expected.iter().rev().copied().take(limit).collect();
        let read = |reverse: bool| -> Result<Vec<u64>, CheckError> {
            let found = store.query(&query).range(from..to);
            let found: Box<dyn Iterator<Item = _>> =
                if reverse { Box::new(found.rev()) } else { Box::new(found) };
            let mut offsets = Vec::new();
            for event in found.take(limit) {
                let event = event?;
                let expected =
                    usize::try_from(event.offset).ok().and_then(|offset| events.get(offset));
                ensure!(Some(&event.event) == expected, "another event at {}", event.offset);
                offsets.push(event.offset);
            }
            Ok(offsets)
        };
        for (reverse, expected) in [(false, forwards), (true, backwards)] {
            let found = read(reverse)?;
            ensure!(
                found == expected,
                "round {round}: {query:?} in {from}..{to}, reverse {reverse}: found {found:?}, expected {expected:?}"
            );
        }
        let mut cursor = store.subscription(query, from);
        let mut seen = Vec::new();
        while let Some(event) = cursor.try_next() {
            seen.push(event?.offset);
        }
        seen.retain(|&offset| offset < to);
        ensure!(
            seen == expected,
            "round {round}: a cursor from {from} found {seen:?}, expected {expected:?}"
        );
    }
    Ok(Outcome::Held)
}

pub(super) fn names_are_counted<S: Subject + ?Sized>(subject: &S) -> Check {
    let fixture = subject.fixture();
    let mut random = Random::new(12);
    let events = events(&mut random);
    let mut store = open::<S>(&fixture)?;
    same("the types of an empty log", store.types()?, Vec::new())?;
    fill::<S>(&store, &events, &mut random)?;
    let counted = |names: &mut dyn Iterator<Item = String>| {
        let mut counts = BTreeMap::new();
        names.for_each(|name| *counts.entry(name).or_insert(0) += 1);
        counts.into_iter().map(|(name, count)| NameCount { name, count }).collect::<Vec<_>>()
    };
    let types = counted(&mut events.iter().map(|event| event.event_type().to_owned()));
    let tags = counted(&mut events.iter().flat_map(|event| event.tag_list().to_vec()));
    for _ in 0..2 {
        same("types", store.types()?, types.clone())?;
        for prefix in ["", "tag:", "tag:1", "r", "none", "tag:11x"] {
            let expected: Vec<_> =
                tags.iter().filter(|tag| tag.name.starts_with(prefix)).cloned().collect();
            same("tags", store.tags(prefix)?, expected)?;
        }
        if !fixture.keeps() {
            break;
        }
        drop(store);
        store = open::<S>(&fixture)?;
    }
    Ok(Outcome::Held)
}
