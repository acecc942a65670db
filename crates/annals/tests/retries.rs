//! Repeated appends: an id means "this event, once", even if other parts of the event differ the second time.

use std::borrow::Cow;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::mpsc::channel;

use annals::{
    AppendError, Backend, Batch, CodecError, Condition, Event, EventStore, Journal, Metadata,
    Projection, Query, RawEvent, ReadError, Recorded, Tags,
};
use futures_executor::block_on;

/// Runs a check on a store in memory, and on one in files that is reopened after each part.
macro_rules! on_both {
    ($event:ty, $check:expr) => {{
        $check(&EventStore::<$event>::in_memory());
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        $check(&EventStore::<$event>::open(&path).unwrap());
        // Known ids are found in a sealed index and in a rebuilt index.
        let store = EventStore::<$event>::open(&path).unwrap();
        let head = store.len();
        $check(&store);
        assert_eq!(store.len(), head, "the second time all is known");
    }};
}

#[derive(Event, Debug, Clone, PartialEq)]
enum Shop {
    Ordered {
        #[event(id)]
        order: String,
        lines: HashMap<String, u32>,
    },
}

#[test]
fn a_map_in_another_order_is_the_same_event() {
    fn check<B: Backend<Shop>>(store: &EventStore<Shop, B>) {
        for n in 0..50 {
            // Each map has a different order.
            let lines = (0..8).map(|n| (format!("sku-{n}"), n)).collect::<HashMap<_, _>>();
            let ordered = || Shop::Ordered { order: format!("order-{n}"), lines: lines.clone() };
            let again = Shop::Ordered { order: format!("order-{n}"), lines: HashMap::new() };
            assert_eq!(store.append(ordered()).unwrap(), n);
            assert_eq!(store.append(again).unwrap(), n);
            assert_eq!(store.append(ordered()).unwrap(), n);
        }
        assert_eq!(store.len(), 50);
    }
    on_both!(Shop, check);
}

/// An event with all labels and metadata.
#[derive(Debug, Clone)]
struct Said {
    event_type: String,
    id: String,
    tags: Vec<String>,
    attempt: String,
    data: String,
}

impl Event for Said {
    fn event_type(&self) -> &str {
        &self.event_type
    }

    fn tags(&self, tags: &mut Tags) {
        self.tags.iter().for_each(|tag| tags.push(tag));
    }

    fn id(&self) -> Option<Cow<'_, str>> {
        Some(self.id.as_str().into())
    }

    fn metadata(&self, metadata: &mut Metadata) {
        metadata.set("attempt", &self.attempt);
    }

    fn encode(&self, data: &mut Vec<u8>) -> Result<(), CodecError> {
        data.extend_from_slice(self.data.as_bytes());
        Ok(())
    }

    fn aliases(event_type: &str) -> &'static [&'static str] {
        if event_type == "paid" { &["payed", "payment"] } else { &[] }
    }

    fn decode(raw: &RawEvent) -> Result<Self, CodecError> {
        let metadata = raw.metadata();
        let attempt = metadata.iter().find(|(name, _)| *name == "attempt");
        Ok(Self {
            event_type: raw.event_type().to_owned(),
            id: raw.id().unwrap_or_default().to_owned(),
            tags: raw.tags().map(str::to_owned).collect(),
            attempt: attempt.map_or(String::new(), |(_, attempt)| (*attempt).to_owned()),
            data: String::from_utf8_lossy(raw.data_bytes()).into_owned(),
        })
    }
}

fn said(event_type: &str, id: &str) -> Said {
    Said {
        event_type: event_type.to_owned(),
        id: id.to_owned(),
        tags: vec!["a".to_owned(), "b".to_owned()],
        attempt: "1".to_owned(),
        data: "{}".to_owned(),
    }
}

#[test]
fn an_append_and_a_decision_tell_whether_the_log_knew_their_events() {
    struct All;
    impl Projection for All {
        type Event = Said;
        type State = ();
        fn initial(&self) {}
        fn query(&self) -> Query {
            Query::all()
        }
        fn apply(&self, (): &mut (), _: &Recorded<Said>) {}
    }

    fn check<B: Backend<Said>>(store: &EventStore<Said, B>) {
        let batch = || Batch::new(vec![said("paid", "new"), said("paid", "next")]);
        let is_new = store.is_empty();
        let first = store.append_as(batch()).unwrap();
        assert_eq!((first.offsets, first.known), (0..2, !is_new));
        let never = Condition::fail_if(Query::all());
        let again = store.append_as(batch().condition(never)).unwrap();
        assert_eq!((again.offsets, again.known), (0..2, true));
        let again = block_on(store.append_as_async(batch())).unwrap();
        assert_eq!((again.offsets, again.known), (0..2, true));

        let decide = |id: &'static str| {
            store.decide(&All, |()| Ok::<_, Infallible>(vec![said("paid", id)])).unwrap()
        };
        assert_eq!((decide("new").offsets, decide("new").known), (0..1, true));
        let decided = decide("decided");
        assert_eq!((decided.offsets, decided.known), (2..3, !is_new));
        let nothing = store.append_as(Batch::new(Vec::new())).unwrap();
        assert_eq!((nothing.offsets, nothing.known), (3..3, false));
    }
    on_both!(Said, check);
}

#[test]
fn an_event_is_found_by_its_id_in_sealed_segments_too_and_beside_a_writer() {
    let directory = tempfile::tempdir().unwrap();
    let options = Journal::options().segment_bytes(4 << 10);
    let path = directory.path().join("store");
    let store = EventStore::<RawEvent, _>::on(options.open(&path).unwrap());
    let event = |n: u64| RawEvent::builder("paid").id(format!("id-{n}")).data(vec![b'0'; 500]);
    store.append_batch((0..10).map(|n| event(n).build().unwrap())).unwrap();
    let reader = EventStore::<RawEvent>::open_read_only(&path).unwrap();
    let mut followed = reader.subscription(Query::all(), 0);
    for n in 10..100 {
        store.append(event(n).build().unwrap()).unwrap();
    }
    assert!(store.stats().segments > 3);
    assert_eq!(followed.by_ref().nth(99).unwrap().unwrap().offset, 99);
    let all = |find: &dyn Fn(&str) -> Option<u64>| {
        for n in 0..100 {
            assert_eq!(find(&format!("id-{n}")), Some(n));
        }
        assert_eq!(find("id-100"), None);
    };
    all(&|id| store.find(id).unwrap());
    all(&|id| reader.find(id).unwrap());
    let refused = store.find("").unwrap_err();
    assert!(matches!(refused, ReadError::InvalidQuery(_)), "{refused:?}");
    assert!(store.find(&"x".repeat(256)).is_err());
}

#[test]
fn metadata_tags_and_data_do_not_matter_and_older_names_are_the_same_type() {
    fn check<B: Backend<Said>>(store: &EventStore<Said, B>) {
        store.append_batch([said("paid", "new"), said("payed", "old")]).unwrap();
        let first = said("paid", "new");
        for again in [
            Said { attempt: "2".to_owned(), ..first.clone() },
            Said { tags: vec!["b".to_owned(), "a".to_owned()], ..first.clone() },
            Said { tags: vec![], ..first.clone() },
            Said { data: "{\"more\":1}".to_owned(), ..first.clone() },
            said("payed", "new"),
            said("payment", "new"),
        ] {
            assert_eq!(store.append(again.clone()).unwrap(), 0, "{again:?}");
        }
        assert_eq!(store.append(said("paid", "old")).unwrap(), 1);
        assert_eq!(store.append(said("payed", "old")).unwrap(), 1);
        let renamed = [said("payment", "new"), said("paid", "old")];
        assert_eq!(store.append_batch(renamed).unwrap(), 0..2);
        let other = store.append(said("refunded", "old")).unwrap_err();
        assert!(matches!(&other, AppendError::IdConflict { offset: 1, .. }), "{other:?}");
        let text = other.to_string();
        assert!(text.contains("\"payed\"") && text.contains("\"refunded\""), "{text}");
        assert_eq!(store.len(), 2);
    }
    on_both!(Said, check);
}

#[test]
fn a_known_id_comes_before_the_condition() {
    fn check<B: Backend<Said>>(store: &EventStore<Said, B>) {
        let none = Condition::fail_if(Query::all());
        for _ in 0..2 {
            assert_eq!(store.append_if([said("paid", "new")], &none).unwrap(), 0..1);
        }
        // The id comes first even if the condition alone would be refused.
        let beyond = none.after(9);
        assert_eq!(store.append_if([said("paid", "new")], &beyond).unwrap(), 0..1);
        let refused = store.append_if([said("paid", "other")], &beyond);
        assert!(
            matches!(refused, Err(AppendError::ConditionBeyondHead { after: 9, head: 1 })),
            "{refused:?}"
        );
    }
    on_both!(Said, check);
}

/// A batch sees the batches that were staged before it in the same commit: for retries, types and conditions.
#[test]
fn a_retry_in_the_same_commit_is_known() {
    fn check<B: Backend<Said> + 'static>(store: &EventStore<Said, B>) {
        if !store.is_empty() {
            return;
        }
        let (entered, is_in) = channel();
        let (go_on, may_go_on) = channel();
        let callback = store.subscribe(move |event| {
            if event.offset == 0 {
                entered.send(()).unwrap();
                may_go_on.recv().unwrap();
            }
        });
        let beyond = |after| Condition::fail_if(Query::event_type("never")).after(after);
        let answers = std::thread::scope(|scope| {
            scope.spawn(|| store.append(said("paid", "first")).unwrap());
            is_in.recv().unwrap();
            let futures = [
                Batch::new(vec![said("paid", "second")]),
                Batch::new(vec![Said { attempt: "2".to_owned(), ..said("payed", "second") }]),
                Batch::new(vec![said("refunded", "second")]),
                Batch::new(vec![said("paid", "third")]).condition(beyond(2)),
                Batch::new(vec![said("paid", "fourth")]).condition(beyond(4)),
            ]
            .map(|batch| store.append_as_async(batch));
            go_on.send(()).unwrap();
            futures.map(block_on)
        });
        assert!(store.unsubscribe(callback));
        let [second, again, other, third, fourth] = answers;
        let appended = [second, again, third].map(|appended| {
            let appended = appended.unwrap();
            (appended.offsets, appended.known)
        });
        // In files reopened after the first check, all was known before.
        let [_, (_, known), _] = &appended;
        assert!(known, "the second append of an id");
        assert_eq!(appended.map(|(offsets, _)| offsets), [1..2, 1..2, 2..3]);
        assert!(matches!(other, Err(AppendError::IdConflict { offset: 1, .. })), "{other:?}");
        assert!(
            matches!(fourth, Err(AppendError::ConditionBeyondHead { after: 4, head: 3 })),
            "{fourth:?}"
        );
    }
    on_both!(Said, check);
}
