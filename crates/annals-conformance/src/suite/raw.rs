//! The bytes of events, as the log stores them.

use std::ops::Range;

use annals::{Backend, RawEvent, Recorded};

use super::tools::{Store, fresh, nths};
use crate::check::{Check, CheckError, Outcome, ensure, same};
use crate::{Sample, Subject};

pub(super) fn raw_is_what_was_appended<S: Subject + ?Sized>(subject: &S) -> Check {
    let store = fresh(subject)?;
    let full =
        Sample::new("full").tag("a:1").tag("ö").id("i-1").metadata("k", "v").data(vec![0; 9]);
    let mut events = nths(0..20);
    events.extend([full, Sample::new("empty"), Sample::newer()]);
    store.append_batch(events.clone())?;
    store.append(Sample::new("later"))?;
    events.push(Sample::new("later"));
    let mut expected = Vec::new();
    for (offset, event) in (0..).zip(&events) {
        let time_ms = store.backend().time_ms(offset)?;
        let time_ms = time_ms.ok_or_else(|| CheckError::new(format!("no time at {offset}")))?;
        expected.push(Recorded { offset, time_ms, event: stored(event)? });
    }
    for limit in [1, 2, 7, 1_000] {
        same(
            "the stored bytes of the events",
            raw::<S>(&store, 0..u64::MAX, limit)?,
            expected.clone(),
        )?;
    }
    same("the stored bytes of a range", raw::<S>(&store, 3..9, 4)?, expected[3..9].to_vec())?;
    for beyond in [24, 25, u64::MAX] {
        same(
            "the number of events beyond the head",
            raw::<S>(&store, beyond..u64::MAX, 9)?.len(),
            0,
        )?;
    }
    if subject.encodes() {
        let older = Sample::as_an_older_program(|| raw::<S>(&store, 0..24, 5));
        same("the stored bytes, read by an older program", older?, expected)?;
    }
    Ok(Outcome::Held)
}

/// Returns the bytes that a log stores of an event.
fn stored(event: &Sample) -> Result<RawEvent, CheckError> {
    let mut builder =
        RawEvent::builder(annals::Event::event_type(event)).data(event.payload().to_vec());
    for tag in event.tag_list() {
        builder = builder.tag(tag);
    }
    if let Some(id) = annals::Event::id(event) {
        builder = builder.id(id);
    }
    let mut metadata = annals::Metadata::default();
    annals::Event::metadata(event, &mut metadata);
    for (name, value) in metadata.iter() {
        builder = builder.metadata(name, value);
    }
    Ok(builder.build()?)
}

/// Reads a range in pages. Each page must have at least one event and at most `limit`.
fn raw<S: Subject + ?Sized>(
    store: &Store<S>,
    mut range: Range<u64>,
    limit: usize,
) -> Result<Vec<Recorded<RawEvent>>, CheckError> {
    let mut events = Vec::new();
    while !range.is_empty() {
        let before = events.len();
        range = store.backend().read_raw(range, limit, &mut events)?;
        let added = events.len() - before;
        ensure!(added <= limit, "a page has {added} events, with a limit of {limit}");
        ensure!(added > 0 || range.is_empty(), "a page has no event, and {range:?} is left");
    }
    Ok(events)
}
