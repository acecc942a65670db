//! Tests under faults: kills between two steps, clocks that go back, disks that fail, events that cannot be decoded.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;

use std::collections::VecDeque;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use annals::backend::Beside;
use annals::{
    AppendError, AppendFuture, Appended, Backend, Batch, EventRef, EventStore, Head, Journal,
    Memory, NameCount, NameKind, Query, RawEvent, ReadError, Selection, Stats, Waited,
};
use annals_consumer::{ConsumerAdmin, ConsumerError, Consumers as _, Nack, ParkedEvents};
use common::{Counting, append, copy_directory};

const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn a_consumer_of_new_events_that_is_killed_at_once_loses_none() {
    let store = EventStore::in_memory();
    append(&store, 0..5);
    let storage = Arc::new(Counting::default());
    let start = || {
        let consumer = store.consumer("mailer").from(store.len());
        consumer.checkpoints(Arc::clone(&storage) as _).start().unwrap()
    };
    let mut mailer = start();
    append(&store, 5..7);
    let delivery = mailer.try_next().unwrap().unwrap();
    // As a kill: nothing is dropped.
    std::mem::forget((delivery, mailer));
    assert_eq!(start().try_next().unwrap().unwrap().offset, 5);
}

#[test]
fn events_that_never_match_cost_no_save_each() {
    let store = EventStore::in_memory();
    let storage = Arc::new(Counting::default());
    let mailer = store.consumer("mailer").query(Query::event_type("never"));
    let mut mailer = mailer.checkpoints(Arc::clone(&storage) as _).start().unwrap();
    for number in 0..50 {
        append(&store, number..number + 1);
        assert!(mailer.try_next().is_none());
    }
    assert_eq!((mailer.position(), storage.saves.load(Ordering::Relaxed)), (50, 0));
    drop(mailer);
    assert_eq!(storage.saves.load(Ordering::Relaxed), 1);
}

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

#[test]
fn a_clock_that_went_back_keeps_no_dead_lease_alive() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.store");
    let store = EventStore::<RawEvent>::open(&path).unwrap();
    append(&store, 0..1);
    drop(store.group("billing").open().unwrap());
    // A process whose clock was an hour ahead leased the event, and was killed.
    let ahead_ms = now_ms() + 3_600_000;
    let state = path.join("consumers/billing.group/00000001");
    let state = EventStore::<RawEvent>::open(state).unwrap();
    for (kind, data) in [
        ("events-admitted", r#"{"to":1,"offsets":[0]}"#.to_owned()),
        (
            "events-leased",
            format!(
                r#"{{"worker":"a","pull":"6c84fb9012c411e1840d7b25c5ee775a","deadline_ms":{},"offsets":[0]}}"#,
                ahead_ms + 1
            ),
        ),
    ] {
        let event = RawEvent::builder(kind).data(data).build().unwrap();
        state.append_as(Batch::new(vec![event]).time_ms(ahead_ms)).unwrap();
    }
    drop(state);
    let pauses = |group: annals_consumer::GroupBuilder<'_, _, _>| {
        group.pauses(Duration::ZERO, Duration::ZERO).keep_leases().open().unwrap()
    };
    let group = pauses(store.group("billing"));
    let again = group.worker("b").next_timeout(Duration::from_secs(60)).unwrap().event().unwrap();
    assert_eq!(again.attempt(), 2);
}

#[derive(annals::Event, Debug)]
enum Known {
    Fine {
        #[event(tag = "order")]
        order: u64,
    },
}

/// Returns a store with events of two orders. The second and the third event cannot be decoded.
fn with_broken_events(path: &Path) -> EventStore<Known, Journal<Known>> {
    let event = |order: u64, data: String| {
        RawEvent::builder("fine").tag(format!("order:{order}")).data(data).build().unwrap()
    };
    let fine = |order: u64| event(order, format!(r#"{{"order":{order}}}"#));
    let broken = |order: u64| event(order, "{}".into());
    let events = [fine(1), broken(1), broken(2), fine(1), fine(2), fine(3)];
    EventStore::<RawEvent>::open(path).unwrap().append_batch(events).unwrap();
    EventStore::<Known>::open(path).unwrap()
}

#[test]
fn an_event_that_cannot_be_decoded_keeps_its_place_in_its_key() {
    let directory = tempfile::tempdir().unwrap();
    let store = with_broken_events(&directory.path().join("log.store"));
    let group = store.group("billing").key("order:").open().unwrap();
    let first = group.pull("a", 9, None).unwrap();
    // Event 1 waits for event 0, which has its key. Event 2 is the first of its key.
    let offsets: Vec<u64> = first.iter().map(|delivery| delivery.offset).collect();
    assert_eq!(offsets, [0, 5]);
    assert_eq!(group.parked(0, 9).iter().map(|it| it.offset).collect::<Vec<_>>(), [2]);
    for delivery in first {
        delivery.ack().unwrap();
    }
    let mut offsets = Vec::new();
    let mut worker = group.worker("a");
    while let Some(delivery) = worker.next_timeout(Duration::ZERO).unwrap().event() {
        offsets.push(delivery.offset);
        delivery.ack().unwrap();
    }
    offsets.sort_unstable();
    assert_eq!(offsets, [3, 4]);
    assert_eq!(group.parked(0, 9).iter().map(|it| it.offset).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_key_is_parked_behind_an_event_that_cannot_be_decoded() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.store");
    let store = with_broken_events(&path);
    let open = || store.group("billing").key("order:").park_key(true).open().unwrap();
    let handle = |group: &annals_consumer::Group<_, _>| {
        let (mut offsets, mut worker) = (Vec::new(), group.worker("a"));
        while let Some(delivery) = worker.next_timeout(Duration::ZERO).unwrap().event() {
            offsets.push(delivery.offset);
            delivery.ack().unwrap();
        }
        offsets.sort_unstable();
        offsets
    };
    let group = open();
    assert_eq!(handle(&group), [0, 5]);
    let parked: Vec<u64> = group.parked(0, 9).iter().map(|it| it.offset).collect();
    assert_eq!(parked, [1, 2, 3, 4]);
    drop(group);
    let group = open(); // the keys of parked events are known again
    store.append(Known::Fine { order: 2 }).unwrap();
    assert!(handle(&group).is_empty());
    assert_eq!(group.status().parked, 5);
}

/// A log in memory whose reads fail while they are told to.
struct Failing {
    inner: Memory<RawEvent>,
    fails: Arc<AtomicBool>,
}

impl Failing {
    fn store() -> (EventStore<RawEvent, Self>, Arc<AtomicBool>) {
        let fails = Arc::new(AtomicBool::new(false));
        let failing = Self { inner: Memory::new(), fails: Arc::clone(&fails) };
        (EventStore::<RawEvent, _>::on(failing), fails)
    }

    fn check(&self) -> Result<(), ReadError> {
        if !self.fails.load(Ordering::SeqCst) {
            return Ok(());
        }
        let source = Arc::new(std::io::Error::other("the disk fails"));
        Err(ReadError::Io { path: "log".into(), source })
    }
}

impl Backend<RawEvent> for Failing {
    fn append(&self, batch: Batch<RawEvent>) -> Result<Appended, AppendError> {
        self.inner.append(batch)
    }

    fn submit(&self, batch: Batch<RawEvent>) -> AppendFuture {
        self.inner.submit(batch)
    }

    fn head(&self) -> &Head<RawEvent> {
        self.inner.head()
    }

    fn get(&self, offset: u64) -> Result<Option<EventRef<'_, RawEvent>>, ReadError> {
        self.check()?;
        self.inner.get(offset)
    }

    fn read<'a>(
        &'a self,
        selection: Selection<'_>,
        page: &mut Vec<EventRef<'a, RawEvent>>,
    ) -> Result<Range<u64>, ReadError> {
        self.check()?;
        self.inner.read(selection, page)
    }

    fn names(&self, kind: NameKind, prefix: &str) -> Result<Vec<NameCount>, ReadError> {
        self.inner.names(kind, prefix)
    }

    fn stats(&self) -> Stats {
        self.inner.stats()
    }

    fn sync(&self) -> Result<(), AppendError> {
        self.inner.sync()
    }

    fn close(&self) -> Result<(), AppendError> {
        self.inner.close()
    }

    fn beside(&self) -> Option<Beside> {
        self.inner.beside()
    }
}

#[test]
fn a_worker_whose_log_cannot_be_read_reports_it_once_in_each_pause() {
    let (store, fails) = Failing::store();
    append(&store, 0..2);
    let group = store.group("billing").pauses(HOUR, HOUR).open().unwrap();
    fails.store(true, Ordering::SeqCst);
    let mut worker = group.worker("a");
    assert!(matches!(
        worker.next_timeout(Duration::ZERO),
        Err(ConsumerError::Read(ReadError::Io { .. }))
    ));
    // A loop that logs errors and goes on does not spin.
    assert!(matches!(worker.next_timeout(Duration::ZERO), Ok(Waited::TimedOut)));
}

#[test]
fn a_log_that_cannot_be_read_costs_no_attempt_and_parks_nothing() {
    let (store, fails) = Failing::store();
    append(&store, 0..2);
    let group = store.group("billing").pauses(Duration::ZERO, Duration::ZERO).max_attempts(2);
    let group = group.open().unwrap();
    drop(group.pull("a", 1, None).unwrap()); // to be read alone the next time
    fails.store(true, Ordering::SeqCst);
    for _ in 0..5 {
        let error = group.pull("a", 1, None).unwrap_err();
        assert!(matches!(error, ConsumerError::Read(ReadError::Io { .. })), "{error}");
        assert_eq!((group.status().in_flight, group.status().parked), (0, 0));
    }
    fails.store(false, Ordering::SeqCst);
    let delivery = group.pull("a", 1, None).unwrap().remove(0);
    assert_eq!((delivery.offset, delivery.attempt()), (0, 2));
    delivery.ack().unwrap();
}

#[test]
fn an_event_that_cannot_be_read_keeps_no_other_from_being_delivered() {
    let (store, fails) = Failing::store();
    append(&store, 0..2);
    let group = store.group("billing").pauses(Duration::ZERO, HOUR).open().unwrap();
    drop(group.pull("a", 1, None).unwrap()); // to be read alone the next time
    drop(group);
    let group = store.group("billing").pauses(HOUR, HOUR).open().unwrap();
    fails.store(true, Ordering::SeqCst);
    group.pull("a", 1, None).unwrap_err();
    fails.store(false, Ordering::SeqCst);
    let others = group.pull("a", 9, None).unwrap();
    assert_eq!((others.len(), others[0].offset, group.status().retrying), (1, 1, 1));
}

#[test]
fn an_event_that_could_not_be_read_again_comes_again_later() {
    let (store, fails) = Failing::store();
    append(&store, 0..2);
    let mut mailer = store.consumer("mailer").retry_after(Duration::ZERO).start().unwrap();
    drop(mailer.try_next().unwrap().unwrap());
    fails.store(true, Ordering::SeqCst);
    assert!(mailer.try_next().unwrap().is_err());
    fails.store(false, Ordering::SeqCst);
    let delivery = mailer.try_next().unwrap().unwrap();
    assert_eq!(delivery.offset, 0);
    delivery.ack().unwrap();
    assert_eq!(mailer.try_next().unwrap().unwrap().offset, 1);
}

#[test]
fn a_position_after_a_reset_belongs_to_its_log_too() {
    let directory = tempfile::tempdir().unwrap();
    let [path, older] = ["log.store", "older.store"].map(|name| directory.path().join(name));
    append(&EventStore::open(&path).unwrap(), 0..3);
    copy_directory(&path, &older);
    let store = EventStore::<RawEvent>::open(&path).unwrap();
    append(&store, 3..8);
    let group = store.group("billing").open().unwrap();
    group.reset(8).unwrap();
    drop((group, store));
    copy_directory(&path.join("consumers"), &older.join("consumers"));
    let store = EventStore::<RawEvent>::open(&older).unwrap();
    append(&store, 100..110);
    let error = store.group("billing").open().unwrap_err();
    assert!(matches!(error, ConsumerError::OtherHistory { position: 8, .. }), "{error}");
}

#[test]
fn more_events_than_one_batch_holds_are_parked_and_replayed() {
    const COUNT: u64 = 70_000; // a batch has at most 65,536
    let store = EventStore::in_memory();
    let same_key = |_| RawEvent::builder("counted").tag("key:1").build().unwrap();
    for _ in 0..10 {
        store.append_batch((0..COUNT / 10).map(same_key)).unwrap();
    }
    let group = store.group("billing").key("key:").park_key(true).read_ahead(1_000_000);
    let group = group.open().unwrap();
    let first = group.pull("a", 2, None).unwrap().remove(0);
    first.nack(Nack::Park, "no").unwrap();
    assert_eq!(group.status().parked, COUNT);
    assert_eq!(group.replay_parked(ParkedEvents::All).unwrap(), COUNT);
    assert_eq!(group.status().parked, 0);
}

#[cfg(unix)]
#[test]
fn a_group_whose_lock_file_was_removed_changes_nothing_any_more() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.store");
    let store = EventStore::<RawEvent>::open(&path).unwrap();
    append(&store, 0..4);
    let first = store.group("billing").open().unwrap();
    first.pull("a", 1, None).unwrap().remove(0).ack().unwrap();
    fs::remove_dir_all(path.join("consumers")).unwrap();
    let second = store.group("billing").open().unwrap();
    assert_eq!(second.status().position, 0);
    let error = first.pull("a", 1, None).unwrap_err();
    assert!(matches!(error, ConsumerError::LockRemoved { .. }), "{error}");
    assert_eq!(second.pull("a", 1, None).unwrap().len(), 1);
}

#[test]
fn a_workers_name_of_any_length_is_taken() {
    let store = EventStore::in_memory();
    append(&store, 0..1);
    let group = store.group("billing").open().unwrap();
    let name = "é".repeat(10 << 20);
    assert_eq!(group.pull(&name, 1, None).unwrap().len(), 1);
}

#[test]
fn a_group_whose_deletion_was_interrupted_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.store");
    let store = EventStore::<RawEvent>::open(&path).unwrap();
    append(&store, 0..4);
    let group = store.group("billing").open().unwrap();
    group.pull("a", 1, None).unwrap().remove(0).ack().unwrap();
    drop(group);
    let admin = ConsumerAdmin::of(&store).unwrap();
    admin.delete("billing").unwrap();
    assert!(admin.list().unwrap().is_empty());
    // What a kill leaves behind has another name, and is removed when the name is used again.
    let left = path.join("consumers").join(format!("billing.{}.deleted", "0".repeat(32)));
    fs::create_dir_all(left.join("00000001")).unwrap();
    assert!(admin.list().unwrap().is_empty());
    assert_eq!(store.group("billing").open().unwrap().status().position, 0);
    assert!(!left.exists());
}

#[test]
fn a_query_that_no_event_can_match_is_refused_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = EventStore::<Known>::open(directory.path().join("log.store")).unwrap();
    let query = Query::event_type("fien");
    let error = store.group("billing").query(query.clone()).open().unwrap_err();
    assert!(matches!(error, ConsumerError::Read(ReadError::InvalidQuery(_))), "{error}");
    let error = store.consumer("mailer").query(query).start().unwrap_err();
    assert!(matches!(error, ConsumerError::Read(ReadError::InvalidQuery(_))), "{error}");
}

#[test]
fn deliveries_come_in_the_order_of_the_log_when_many_are_dropped() {
    let store = EventStore::in_memory();
    append(&store, 0..6);
    let mut mailer = store.consumer("mailer").retry_after(Duration::ZERO).start().unwrap();
    let mut held: VecDeque<_> = (0..4).map(|_| mailer.try_next().unwrap().unwrap()).collect();
    held.remove(3);
    held.remove(1);
    let offsets: Vec<u64> = (0..4)
        .map(|_| mailer.try_next().unwrap().unwrap())
        .map(|delivery| {
            let offset = delivery.offset;
            delivery.ack().unwrap();
            offset
        })
        .collect();
    assert_eq!(offsets, [1, 3, 4, 5]);
    assert_eq!(mailer.position(), 0);
    for delivery in held {
        delivery.ack().unwrap();
    }
    assert_eq!(mailer.position(), 6);
}
