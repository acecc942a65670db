//! The model of a log: the acknowledged batches, which it must have, and the others, which it may have.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use annals::{Condition, Event, NameCount, Query};
use annals_conformance::{Random, Sample};

use crate::schedule::Store;

/// The batches of a log, in order.
#[derive(Debug, Default)]
pub(super) struct Model {
    batches: Vec<Vec<Sample>>,
    /// The number of acknowledged batches.
    acknowledged: usize,
    /// The number of batches that a loss of power cannot remove.
    durable: usize,
    events: Vec<Sample>,
    ids: HashMap<String, u64>,
    /// The batches that the log may have behind the acknowledged ones, in this order.
    maybe: Vec<(Vec<Sample>, Option<Condition>)>,
    numbers: u64,
}

/// The expected result of an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    New(Range<u64>),
    Recorded(Range<u64>),
    Conflict(u64),
    IdConflict,
}

impl Verdict {
    pub(super) fn range(&self) -> Option<Range<u64>> {
        match self {
            Self::New(range) | Self::Recorded(range) => Some(range.clone()),
            Self::Conflict(_) | Self::IdConflict => None,
        }
    }
}

impl Model {
    pub(super) fn len(&self) -> u64 {
        self.events.len() as u64
    }

    pub(super) fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Returns an event with an id of the log, possibly with other content.
    pub(super) fn named(&self, random: &mut Random) -> Option<Sample> {
        let named: Vec<&Sample> = self.events.iter().filter(|event| event.id().is_some()).collect();
        let event = (*named.get(random.index(named.len()))?).clone();
        let id = Event::id(&event).map(std::borrow::Cow::into_owned).unwrap_or_default();
        Some(match random.below(8) {
            0 => event.data("other content"),
            1 => event.metadata("attempt", "2"),
            2 => Sample::new("another type").id(id),
            _ => event,
        })
    }

    pub(super) fn judge(&self, events: &[Sample], condition: Option<&Condition>) -> Verdict {
        if let Some(&at) = events.first().and_then(Event::id).and_then(|id| self.ids.get(&*id)) {
            let range = at..at + events.len() as u64;
            let is_known = |known: &Sample, event: &Sample| {
                (Event::id(known), known.event_type()) == (Event::id(event), event.event_type())
            };
            let same = (range.clone())
                .zip(events)
                .all(|(at, event)| self.at(at).is_some_and(|known| is_known(known, event)));
            return if same { Verdict::Recorded(range) } else { Verdict::IdConflict };
        }
        let matches = |event: &Sample, query: &Query| {
            query.matches(event.event_type(), event.tag_list().iter().map(String::as_str))
        };
        if let Some(condition) = condition {
            let mut looked_at =
                (condition.head()..self.len()).filter_map(|at| Some((at, self.at(at)?)));
            if let Some((at, _)) = looked_at.find(|(_, event)| matches(event, condition.query())) {
                return Verdict::Conflict(at);
            }
        }
        Verdict::New(self.len()..self.len() + events.len() as u64)
    }

    fn at(&self, offset: u64) -> Option<&Sample> {
        self.events.get(usize::try_from(offset).ok()?)
    }

    /// Records an acknowledged append.
    pub(super) fn take(&mut self, events: Vec<Sample>, verdict: &Verdict) {
        if matches!(verdict, Verdict::New(_)) {
            self.push(events);
        }
    }

    fn push(&mut self, events: Vec<Sample>) {
        for event in &events {
            if let Some(id) = event.id() {
                self.ids.insert(id.into_owned(), self.events.len() as u64);
            }
            self.events.push(event.clone());
        }
        self.batches.push(events);
        self.acknowledged = self.batches.len();
    }

    /// Records a failed append, which may be in the log when it is opened again.
    pub(super) fn maybe(&mut self, events: Vec<Sample>, condition: Option<Condition>) {
        self.maybe.push((events, condition));
    }

    /// Records that everything so far is durable.
    pub(super) fn all_durable(&mut self) {
        self.durable = self.acknowledged;
    }

    /// Records a loss of power: buffered batches may be lost, from some batch on.
    pub(super) fn power_was_cut(&mut self) {
        let lost = self.batches.split_off(self.durable);
        let maybe = std::mem::take(&mut self.maybe);
        self.rebuild();
        self.maybe = lost.into_iter().map(|batch| (batch, None)).chain(maybe).collect();
    }

    fn rebuild(&mut self) {
        let batches = std::mem::take(&mut self.batches);
        (self.events, self.ids) = (Vec::new(), HashMap::new());
        for batch in batches {
            self.push(batch);
        }
        self.acknowledged = self.batches.len();
    }

    /// Checks a log that was opened again: it has all acknowledged batches, and the first few of the others.
    pub(super) fn settle(&mut self, store: &Store, note: &str) {
        assert!(
            store.len() >= self.len(),
            "{note}: {} events, of which {} were acknowledged",
            store.len(),
            self.len()
        );
        for (batch, condition) in std::mem::take(&mut self.maybe) {
            if self.len() == store.len() {
                break;
            }
            // A batch that was submitted twice is recorded once.
            if let verdict @ Verdict::New(_) = self.judge(&batch, condition.as_ref()) {
                self.take(batch, &verdict);
            }
        }
        self.check(store, note);
        // Opening a log makes its events durable.
        self.all_durable();
    }

    /// Checks that a log has exactly these events, in every way of reading.
    pub(super) fn check(&self, store: &Store, note: &str) {
        assert_eq!(store.len(), self.len(), "{note}: the head");
        let mut time = 0;
        for (expected, (offset, event)) in self.events.iter().zip((0..).zip(store.read(..))) {
            let event = event.unwrap_or_else(|error| panic!("{note}: {error}"));
            assert_eq!(event.offset, offset, "{note}");
            assert!(
                event.event == *expected,
                "{note}: at {offset} {:?}, and not {expected:?}",
                event.event
            );
            assert!(event.time_ms >= time, "{note}: time goes back at {offset}");
            time = event.time_ms;
        }
        assert_eq!(store.read(..).rev().count() as u64, self.len(), "{note}: read from the end");
        for key in 0..7 {
            let tag = format!("key:{key}");
            let expected: Vec<u64> = self.having(&tag).collect();
            let found: Vec<u64> =
                store.query(&Query::tag(&tag)).map(|event| event.expect("read").offset).collect();
            assert_eq!(found, expected, "{note}: {tag}");
        }
        let mut types: BTreeMap<&str, u64> = BTreeMap::new();
        self.events.iter().for_each(|event| *types.entry(event.event_type()).or_default() += 1);
        let types: Vec<_> = types
            .into_iter()
            .map(|(name, count)| NameCount { name: name.to_owned(), count })
            .collect();
        assert_eq!(store.types().expect("types"), types, "{note}");
    }

    fn having<'a>(&'a self, tag: &'a str) -> impl Iterator<Item = u64> + 'a {
        let has = move |event: &Sample| event.tag_list().iter().any(|known| known == tag);
        (0..).zip(&self.events).filter(move |(_, event)| has(event)).map(|(offset, _)| offset)
    }
}

/// Checks that every acknowledged batch is at its offset, and that the log consists of whole batches.
pub(super) fn check_race(store: &Store, acknowledged: &[(u64, Vec<Sample>)], seed: u64) {
    let events: Vec<Sample> =
        store.read(..).map(|event| event.expect("read").into_owned().event).collect();
    for (start, batch) in acknowledged {
        let start = usize::try_from(*start).expect("small");
        assert_eq!(
            events.get(start..start + batch.len()),
            Some(&batch[..]),
            "seed {seed}: acknowledged at {start}"
        );
    }
    let mut at = 0;
    while at < events.len() {
        let text = String::from_utf8_lossy(events[at].payload()).into_owned();
        let numbers: Vec<usize> =
            text.split(' ').filter_map(|number| number.parse().ok()).collect();
        let &[number, 0, count] = &numbers[..] else {
            panic!("seed {seed}: no batch begins at {at}: {text}")
        };
        for index in 0..count {
            let found = events
                .get(at + index)
                .map(|event| String::from_utf8_lossy(event.payload()).trim_end().to_owned());
            assert_eq!(
                found,
                Some(format!("{number} {index} {count}")),
                "seed {seed}: a batch is not whole"
            );
        }
        at += count;
    }
}
