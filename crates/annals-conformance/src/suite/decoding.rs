//! Events that this program cannot decode, because a newer program wrote them.

use annals::{EventRef, Query, ReadError, Recorded, UnknownEvents};

use super::tools::{Store, fresh, nth};
use crate::check::{Check, CheckError, Outcome, ensure, same};
use crate::{Sample, Subject};

const COUNT: u64 = 300;

/// Returns whether the event at `offset` cannot be decoded: at either end, many in a row, and some alone.
fn is_newer(offset: u64) -> bool {
    offset == 0 || offset == COUNT - 1 || (100..180).contains(&offset) || offset % 37 == 5
}

pub(super) fn what_cannot_be_decoded_is_one_error<S: Subject + ?Sized>(subject: &S) -> Check {
    if !subject.encodes() {
        return Ok(Outcome::Skipped("events are stored as they are, and not decoded"));
    }
    let store = fresh(subject)?;
    let newer = |n| Sample::newer().tag(format!("digit:{}", n % 10));
    let event = |n| if is_newer(n) { newer(n) } else { nth(n) };
    store.append_batch((0..COUNT / 2).map(event))?;
    store.append_batch((COUNT / 2..COUNT).map(event))?;
    Sample::as_an_older_program(|| {
        for n in 0..COUNT {
            let read = store.get(n).transpose();
            let read = read.ok_or_else(|| CheckError::new(format!("no event at {n}")))?;
            same("the event at an offset", outcome(read)?, (n, !is_newer(n)))?;
        }
        check_walks::<S>(&store, &Query::all(), &(0..COUNT).collect::<Vec<_>>())?;
        let fives: Vec<u64> = (0..COUNT).filter(|n| n % 10 == 5).collect();
        check_walks::<S>(&store, &Query::tag("digit:5"), &fives)
    })?;
    Ok(Outcome::Held)
}

/// Checks that iterators and cursors read the events at these offsets, and no others, each once.
fn check_walks<S: Subject + ?Sized>(
    store: &Store<S>,
    query: &Query,
    offsets: &[u64],
) -> Result<(), CheckError> {
    let expected: Vec<_> = offsets.iter().map(|&offset| (offset, !is_newer(offset))).collect();
    let backwards: Vec<_> = expected.iter().rev().copied().collect();
    let known: Vec<_> = expected.iter().filter(|(_, known)| *known).copied().collect();
    same("the events read", walk(store.query(query))?, expected.clone())?;
    same("the events read from the end", walk(store.query(query).rev())?, backwards)?;
    let pass = UnknownEvents::PassOver;
    let passing = store.query(query).unknown_events(pass);
    same("the events read without undecodable ones", walk(passing)?, known.clone())?;
    let mut cursor = store.subscription(query.clone(), 0);
    let reads = std::iter::from_fn(|| cursor.try_next());
    same("the events of a cursor", walk(reads)?, expected.clone())?;
    ensure!(!cursor.is_stopped(), "a cursor stops at an event that cannot be decoded");
    let mut cursor = store.subscription(query.clone(), 0).unknown_events(pass);
    let reads = std::iter::from_fn(|| cursor.try_next());
    same("the events of a cursor without undecodable ones", walk(reads)?, known.clone())?;
    let passed_over = (expected.len() - known.len()) as u64;
    same("the number of events that a cursor passed over", cursor.passed_over(), passed_over)
}

type Read<'a> = Result<EventRef<'a, Sample>, ReadError>;

/// Returns the offset of each result, and whether it is an event and not an error. Stops reading that does not end.
fn walk<'a>(reads: impl Iterator<Item = Read<'a>>) -> Result<Vec<(u64, bool)>, CheckError> {
    let most = usize::try_from(2 * COUNT).unwrap_or(usize::MAX);
    reads.take(most).map(outcome).collect()
}

fn outcome(read: Read<'_>) -> Result<(u64, bool), CheckError> {
    match read {
        Ok(event) => {
            let Recorded { offset, event, .. } = &*event;
            ensure!(*event == nth(*offset), "another event at {offset}: {event:?}");
            Ok((*offset, true))
        }
        Err(ReadError::Decode { offset, .. }) => Ok((offset, false)),
        Err(error) => Err(CheckError::new(format!("another error than one of decoding: {error}"))),
    }
}
