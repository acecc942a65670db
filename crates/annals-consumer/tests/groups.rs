//! Groups: order, leases, retries, parked events, and the state that survives.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use annals::{Backend, EventStore, Journal, Query, RawEvent, Waited};
use annals_consumer::{
    ConsumerAdmin, ConsumerError, ConsumerKind, Consumers as _, Group, GroupBuilder, LeaseId, Nack,
    ParkedEvents,
};
use common::{append, boxed, copy_directory};
use futures_executor::block_on;
use futures_util::StreamExt as _;

type Boxed = Box<dyn Backend<RawEvent>>;
type Store = EventStore<RawEvent, Boxed>;

/// Runs a test on a log in memory and on one in files. `open` returns the store, again and again.
fn on_every_backend(test: impl Fn(&dyn Fn() -> Store)) {
    let memory = Arc::new(annals::Memory::<RawEvent>::new());
    test(&|| boxed(Arc::clone(&memory)));
    let directory = tempfile::tempdir().unwrap();
    test(&|| boxed(Journal::options().open(directory.path().join("log.store")).unwrap()));
}

/// The group of most tests: keys, and no pauses.
fn billing(store: &Store) -> GroupBuilder<'_, RawEvent, Boxed> {
    store.group("billing").key("key:").pauses(Duration::ZERO, Duration::ZERO)
}

fn offsets<B: Backend<RawEvent> + 'static>(
    group: &Group<RawEvent, B>,
    worker: &str,
    max: u32,
) -> Vec<LeaseId> {
    let deliveries = group.pull(worker, max, None).unwrap();
    deliveries.into_iter().map(annals_consumer::Delivery::into_lease).collect()
}

#[test]
fn events_of_a_key_are_handled_in_order_one_at_a_time() {
    let store = EventStore::in_memory();
    append(&store, 0..2_000);
    store.close().unwrap();
    let group = store.group("billing").key("key:").open().unwrap();
    let seen: Mutex<BTreeMap<String, (bool, Vec<u64>)>> = Mutex::default();
    std::thread::scope(|scope| {
        for worker in ["a", "b", "c", "d"] {
            let (group, seen) = (&group, &seen);
            scope.spawn(move || {
                for delivery in group.worker(worker).prefetch(3) {
                    let delivery = delivery.unwrap();
                    let key = delivery.event.tags().next().unwrap().to_owned();
                    {
                        let mut seen = seen.lock().unwrap();
                        let (busy, list) = seen.entry(key.clone()).or_default();
                        assert!(!*busy, "one at a time");
                        *busy = true;
                        list.push(delivery.offset);
                    }
                    std::thread::yield_now();
                    seen.lock().unwrap().get_mut(&key).unwrap().0 = false;
                    delivery.ack().unwrap();
                }
            });
        }
    });
    let seen = seen.into_inner().unwrap();
    assert_eq!(seen.len(), 5);
    for (_, list) in seen.values() {
        assert_eq!(list.len(), 400);
        assert!(list.is_sorted());
    }
    let status = group.status();
    assert_eq!((status.position, status.lag, status.in_flight, status.parked), (2_000, 0, 0, 0));
}

#[test]
fn a_worker_that_hangs_loses_its_lease_and_its_late_answer_is_refused() {
    on_every_backend(|open| {
        let store = open();
        append(&store, 0..1);
        let group = billing(&store).deadline(Duration::from_millis(1)).open().unwrap();
        let hung = group.worker("hangs").next().unwrap().unwrap();
        assert_eq!(hung.attempt(), 1);
        // Waits until the deadline of the other.
        let again =
            group.worker("works").deadline(Duration::from_secs(3_600)).next().unwrap().unwrap();
        assert_eq!((again.offset, again.attempt()), (0, 2));
        assert!(matches!(hung.ack(), Err(ConsumerError::LeaseLost { offset: 0 })));
        again.ack().unwrap();
        assert_eq!(group.status().position, 1);
    });
}

#[test]
fn an_answer_after_the_deadline_counts_until_the_event_is_delivered_again() {
    let store = EventStore::in_memory();
    append(&store, 0..1);
    let group = store.group("billing").deadline(Duration::from_millis(1)).open().unwrap();
    let late = offsets(&group, "late", 1);
    // At its end at the latest, the deadline has passed. The pause is longer.
    let other = group.worker("other").next_timeout(Duration::from_millis(5));
    assert!(matches!(other, Ok(Waited::TimedOut)));
    let settled = group.ack(&late).unwrap();
    assert_eq!((settled.done, settled.lost), (late.clone(), vec![]));
    // An answer can be repeated.
    assert_eq!(group.ack(&late).unwrap().done, late);
    assert_eq!(group.status().position, 1);
}

#[test]
fn what_always_fails_is_parked_and_the_others_go_on() {
    on_every_backend(|open| {
        let store = open();
        append(&store, 0..12);
        let group = billing(&store).max_attempts(3).open().unwrap();
        let mut handled = Vec::new();
        let mut worker = group.worker("a");
        while let Some(delivery) = worker.next_timeout(Duration::ZERO).unwrap().event() {
            if delivery.offset == 1 {
                delivery.nack(Nack::Retry, "no such customer").unwrap();
            } else {
                handled.push(delivery.offset);
                delivery.ack().unwrap();
            }
        }
        drop(worker);
        handled.sort_unstable();
        assert_eq!(handled, [0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
        let parked = group.parked(0, 10);
        assert_eq!((parked.len(), parked[0].offset, parked[0].attempts), (1, 1, 3));
        assert_eq!(parked[0].reason, "no such customer");
        assert_eq!((group.status().position, group.status().parked), (12, 1));

        // It survives, is replayed with all its attempts, and does not move the position.
        drop(group);
        let group = billing(&store).max_attempts(3).open().unwrap();
        assert!(matches!(
            group.replay_parked(ParkedEvents::At(&[1, 2])),
            Err(ConsumerError::NotParked { offset: 2 })
        ));
        assert_eq!(group.replay_parked(ParkedEvents::All).unwrap(), 1);
        assert_eq!(group.status().position, 12);
        let delivery = group.worker("a").next().unwrap().unwrap();
        assert_eq!((delivery.offset, delivery.attempt()), (1, 1));
        delivery.nack(Nack::Park, "still not").unwrap();
        assert_eq!(group.drop_parked(ParkedEvents::At(&[1])).unwrap(), 1);
        assert_eq!((group.status().position, group.status().parked), (12, 0));
    });
}

#[test]
fn a_group_can_park_a_key_so_that_a_replay_keeps_its_order() {
    on_every_backend(|open| {
        let store = open();
        append(&store, 0..12); // the key of 1, 6 and 11 is key:1
        let group = billing(&store).park_key(true).open().unwrap();
        let handle = |group: &Group<RawEvent, Boxed>, fails: Option<u64>| {
            let mut handled = Vec::new();
            let mut worker = group.worker("a");
            while let Some(delivery) = worker.next_timeout(Duration::ZERO).unwrap().event() {
                if fails == Some(delivery.offset) {
                    delivery.nack(Nack::Park, "no").unwrap();
                } else {
                    handled.push(delivery.offset);
                    delivery.ack().unwrap();
                }
            }
            handled
        };
        assert_eq!(handle(&group, Some(1)), [0, 2, 3, 4, 5, 7, 8, 9, 10]);
        // Also those that are appended later, also after a restart.
        drop(group);
        append(&store, 12..18);
        let group = billing(&store).park_key(true).open().unwrap();
        assert_eq!(handle(&group, None), [12, 13, 14, 15, 17]);
        let parked: Vec<_> =
            group.parked(0, 10).into_iter().map(|parked| (parked.offset, parked.reason)).collect();
        let behind = "waits behind the parked event at offset 1".to_owned();
        let expected = [(1, "no".into()), (6, behind.clone()), (11, behind.clone()), (16, behind)];
        assert_eq!(parked, expected);
        assert_eq!(group.status().position, 18);
        group.replay_parked(ParkedEvents::All).unwrap();
        assert_eq!(handle(&group, None), [1, 6, 11, 16]);
        append(&store, 18..22);
        assert_eq!(handle(&group, None), [18, 19, 20, 21], "the key goes on");
    });
}

#[test]
fn leases_survive_the_process_for_workers_that_outlive_it() {
    on_every_backend(|open| {
        let store = open();
        append(&store, 0..4);
        let group = billing(&store).open().unwrap();
        let leases: Vec<String> =
            offsets(&group, "far", 3).iter().map(ToString::to_string).collect();
        drop(group);
        drop(store);

        let store = open();
        let group = billing(&store).keep_leases().open().unwrap();
        assert_eq!(group.status().in_flight, 3);
        let leases: Vec<LeaseId> = leases.iter().map(|lease| lease.parse().unwrap()).collect();
        assert_eq!(group.ack(&leases[..1]).unwrap().done.len(), 1);
        drop(group);

        // Without that, the workers ended with the process: their events come again at once.
        let group = billing(&store).open().unwrap();
        let status = group.status();
        assert_eq!((status.position, status.in_flight), (1, 0));
        let again = group.pull("near", 2, None).unwrap();
        let attempts: Vec<_> = again.iter().map(|it| (it.offset, it.attempt())).collect();
        assert_eq!(attempts, [(1, 2), (2, 2)]);
        assert_eq!(group.ack(&leases[1..]).unwrap().lost, leases[1..]);
        assert_eq!(group.ack(&leases[..1]).unwrap().done, leases[..1]);
    });
}

#[test]
fn an_event_during_which_the_process_ends_again_and_again_is_parked() {
    let directory = tempfile::tempdir().unwrap();
    let store: Store = boxed(Journal::options().open(directory.path().join("log.store")).unwrap());
    append(&store, 0..2);
    for attempt in 1..=3 {
        let group = billing(&store).max_attempts(3).max_in_flight(1).open().unwrap();
        let delivery = group.pull("a", 1, None).unwrap().remove(0);
        assert_eq!((delivery.offset, delivery.attempt()), (0, attempt));
        let _ = delivery.into_lease(); // as if the process ended here
    }
    let group = billing(&store).max_attempts(3).open().unwrap();
    let parked = group.parked(0, 9);
    assert_eq!(parked[0].reason, "the process ended during the delivery");
    assert_eq!((parked.len(), group.status().position), (1, 1));
}

#[test]
fn a_reset_goes_back_and_loses_every_lease() {
    on_every_backend(|open| {
        let store = open();
        append(&store, 0..6);
        let group = billing(&store).open().unwrap();
        let leases = offsets(&group, "a", 4);
        group.ack(&leases[..2]).unwrap();
        group.nack(&leases[2..3], Nack::Park, "no").unwrap();
        assert!(matches!(group.reset(7), Err(ConsumerError::ResetBeyondHead { to: 7, head: 6 })));
        group.reset(1).unwrap();
        assert_eq!(group.ack(&leases).unwrap().lost.len(), 4);
        assert_eq!((group.status().position, group.status().parked), (1, 0));
        let again: Vec<u64> =
            group.pull("a", 9, None).unwrap().iter().map(|delivery| delivery.offset).collect();
        assert_eq!(again, [1, 2, 3, 4, 5]);
    });
}

#[test]
fn one_process_runs_a_group_with_one_query_and_key() {
    on_every_backend(|open| {
        let store = open();
        append(&store, 0..1);
        let group = billing(&store).open().unwrap();
        assert!(matches!(billing(&store).open(), Err(ConsumerError::Running { .. })));
        let admin = ConsumerAdmin::of(&store).unwrap();
        let running = |error| matches!(error, ConsumerError::Running { .. });
        assert!(running(admin.reset("billing", 0).unwrap_err()));
        assert!(running(admin.replay_parked("billing", ParkedEvents::All).unwrap_err()));
        assert!(running(admin.delete("billing").unwrap_err()));
        assert_eq!(admin.list().unwrap().len(), 1, "listing works beside it");
        drop(group);
        let error = billing(&store).query(Query::tag("key:1")).open().unwrap_err();
        assert!(matches!(error, ConsumerError::OtherSettings { what: "query", .. }), "{error}");
        let error = store.group("billing").key("other:").open().unwrap_err();
        assert!(matches!(error, ConsumerError::OtherSettings { what: "key", .. }), "{error}");
        let error = store.consumer("billing").start().unwrap_err();
        assert!(matches!(error, ConsumerError::OtherKind { found: "group", .. }), "{error}");
        drop(store.consumer("mailer").from(1).start().unwrap());
        let error = store.group("mailer").open().unwrap_err();
        assert!(matches!(error, ConsumerError::OtherKind { found: "consumer", .. }), "{error}");
        // The other settings may change.
        let group = billing(&store).max_attempts(9).open().unwrap();
        assert_eq!(group.settings().max_attempts, 9);
    });
}

#[test]
fn options_out_of_bounds_are_refused() {
    let store = EventStore::<RawEvent>::in_memory();
    let group = || store.group("billing");
    for (builder, name) in [
        (group().max_in_flight(0), "max_in_flight"),
        (group().max_attempts(0), "max_attempts"),
        (group().deadline(Duration::ZERO), "deadline"),
        (group().read_ahead(0), "read_ahead"),
        (group().read_ahead(1_000_001), "read_ahead"),
        (group().key(""), "key"),
    ] {
        let error = builder.open().unwrap_err();
        assert!(error.to_string().starts_with(&format!("the option {name} is ")), "{error}");
    }
    assert!(matches!(group().query(Query::tag("")).open(), Err(ConsumerError::Read(_))));
    let error = group().from(1).open().unwrap_err();
    assert!(matches!(error, ConsumerError::ResetBeyondHead { .. }), "{error}");
}

#[test]
fn tasks_wait_for_events_and_for_pauses_without_a_runtime() {
    let store = EventStore::in_memory();
    let group = store.group("billing").pauses(Duration::from_millis(2), Duration::from_millis(2));
    let group = group.open().unwrap();
    let mut deliveries = group.worker("task").stream();
    std::thread::scope(|scope| {
        scope.spawn(|| append(&store, 0..1));
        let first = block_on(deliveries.next()).unwrap().unwrap();
        drop(first); // without an answer: it comes again after the pause
        let again = block_on(deliveries.next()).unwrap().unwrap();
        assert_eq!((again.offset, again.attempt()), (0, 2));
        again.ack().unwrap();
        scope.spawn(|| store.close().unwrap());
        assert!(block_on(deliveries.next()).is_none());
    });
}

#[test]
fn a_stopped_group_ends_its_waiting_workers() {
    let store = EventStore::<RawEvent>::in_memory();
    let group = store.group("billing").open().unwrap();
    std::thread::scope(|scope| {
        let group = &group;
        let workers =
            ["a", "b"].map(|name| scope.spawn(move || group.worker(name).next().is_none()));
        group.stop();
        for worker in workers {
            assert!(worker.join().unwrap());
        }
    });
}

#[test]
fn a_worker_gets_no_more_than_its_limit_and_waits_until_it_has_answered() {
    let store = EventStore::in_memory();
    append(&store, 0..5);
    let group = store.group("billing").max_in_flight(2).open().unwrap();
    let held = group.pull("a", 9, None).unwrap();
    assert_eq!(held.len(), 2);
    assert!(group.pull("a", 9, None).unwrap().is_empty());
    assert_eq!(group.pull("b", 1, None).unwrap()[0].offset, 2);
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| group.worker("a").next().unwrap().unwrap().into_lease());
        for delivery in held {
            delivery.ack().unwrap();
        }
        assert!(waits.join().unwrap().offset() >= 2);
    });
}

fn reopen(path: &Path) -> Result<u64, ConsumerError> {
    let store: Store = boxed(Journal::options().open(path).unwrap());
    let group = billing(&store).open()?;
    Ok(group.status().position)
}

#[test]
fn the_state_is_refused_when_the_log_was_restored_from_an_older_copy() {
    let directory = tempfile::tempdir().unwrap();
    let [path, older, other] =
        ["log.store", "older.store", "other.store"].map(|name| directory.path().join(name));
    append(&EventStore::open(&path).unwrap(), 0..3);
    append(&EventStore::open(&other).unwrap(), 0..9);
    copy_directory(&path, &older);
    append(&EventStore::open(&path).unwrap(), 3..8);
    let store: Store = boxed(Journal::options().open(&path).unwrap());
    let group = billing(&store).open().unwrap();
    let leases = offsets(&group, "a", 9);
    group.ack(&leases[1..]).unwrap();
    group.nack(&leases[..1], Nack::Park, "no").unwrap();
    drop((group, store));
    for restored in [&older, &other] {
        copy_directory(&path.join("consumers"), &restored.join("consumers"));
    }
    let error = reopen(&older).unwrap_err();
    assert!(matches!(error, ConsumerError::BeyondHead { position: 8, head: 3, .. }), "{error}");
    append(&EventStore::open(&older).unwrap(), 100..110);
    let error = reopen(&older).unwrap_err();
    assert!(matches!(error, ConsumerError::OtherHistory { position: 8, .. }), "{error}");
    let error = reopen(&other).unwrap_err();
    assert!(matches!(error, ConsumerError::OtherStore { .. }), "{error}");
    for restored in [&older, &other] {
        let store: Store = boxed(Journal::options().open(restored).unwrap());
        let admin = ConsumerAdmin::of(&store).unwrap();
        assert!(admin.get("billing").unwrap().problem.is_some());
        admin.reset("billing", 2).unwrap();
        let info = admin.get("billing").unwrap();
        assert!(info.problem.is_none());
        assert_eq!(info.parked, 1, "the other log may be a copy, which has the same event there");
        drop(store);
        assert_eq!(reopen(restored).unwrap(), 2);
    }
}

#[test]
fn an_operator_lists_replays_resets_and_deletes() {
    on_every_backend(|open| {
        let store = open();
        append(&store, 0..4);
        let group = billing(&store).open().unwrap();
        let leases = offsets(&group, "a", 4);
        group.nack(&leases[..2], Nack::Park, "no").unwrap();
        drop(group);
        let mut mailer = store.consumer("mailer").start().unwrap();
        mailer.next().unwrap().unwrap().ack().unwrap();
        drop(mailer);

        let admin = ConsumerAdmin::of(&store).unwrap();
        let list = admin.list().unwrap();
        let rows: Vec<_> = list
            .iter()
            .map(|it| (it.name.as_str(), it.kind, it.position, it.lag, it.in_flight, it.parked))
            .collect();
        let expected = [
            ("billing", ConsumerKind::Group, 2, 2, 2, 2),
            ("mailer", ConsumerKind::Consumer, 1, 3, 0, 0),
        ];
        assert_eq!(rows, expected);
        assert_eq!(admin.parked("billing", 1, 9).unwrap()[0].offset, 1);
        assert_eq!(admin.drop_parked("billing", ParkedEvents::At(&[0])).unwrap(), 1);
        assert_eq!(admin.replay_parked("billing", ParkedEvents::All).unwrap(), 1);
        let group = billing(&store).open().unwrap();
        let again: Vec<u64> =
            group.pull("a", 9, None).unwrap().iter().map(|delivery| delivery.offset).collect();
        assert_eq!(again, [1, 2, 3]);
        drop(group);
        admin.reset("billing", 0).unwrap();
        admin.reset("mailer", 4).unwrap();
        assert!(matches!(admin.reset("mailer", 5), Err(ConsumerError::ResetBeyondHead { .. })));
        let positions: Vec<u64> = admin.list().unwrap().iter().map(|it| it.position).collect();
        assert_eq!(positions, [0, 4]);
        for name in ["billing", "mailer"] {
            admin.delete(name).unwrap();
            assert!(matches!(admin.delete(name), Err(ConsumerError::NotFound { .. })));
            assert!(matches!(admin.reset(name, 0), Err(ConsumerError::NotFound { .. })));
        }
        assert!(admin.list().unwrap().is_empty());
    });
}

#[test]
fn the_state_log_stays_bounded_and_is_a_store_like_any_other() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.store");
    let store: Store = boxed(Journal::options().open(&path).unwrap());
    (0..13).for_each(|part| append(&store, part * 10_000..(part + 1) * 10_000));
    let group = store.group("billing").open().unwrap();
    let first = group.pull("slow", 1, Some(Duration::from_secs(86_400))).unwrap().remove(0);
    let mut handled = 0;
    while let Some(delivery) = group.worker("a").next_timeout(Duration::ZERO).unwrap().event() {
        delivery.ack().unwrap();
        handled += 1;
        if handled == 110_000 {
            break;
        }
    }
    let status = group.status();
    assert_eq!((status.position, status.in_flight), (0, 1));
    first.ack().unwrap();
    let position = group.status().position;
    drop(group);
    let mut logs: Vec<_> = fs::read_dir(path.join("consumers/billing.group"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    logs.sort();
    assert_eq!(logs.len(), 2, "{logs:?}");
    for log in &logs {
        assert!(annals::verify(log).unwrap().problems.is_empty());
        let state = EventStore::<RawEvent>::open_read_only(log).unwrap();
        assert!(state.len() <= 100_100, "{}", state.len());
        let first = state.get(0).unwrap().unwrap();
        assert_eq!(first.event.event_type(), "group-configured");
    }
    let group = store.group("billing").open().unwrap();
    assert_eq!(group.status().position, position);
}

#[derive(annals::Event, Debug)]
enum Known {
    Fine { number: u64 },
}

#[test]
fn an_event_that_cannot_be_decoded_is_parked() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.store");
    let fine = RawEvent::builder("fine").data(r#"{"number":1}"#).build().unwrap();
    let broken = RawEvent::builder("fine").data("{}").build().unwrap();
    EventStore::open(&path).unwrap().append_batch([broken, fine]).unwrap();
    let store = EventStore::<Known>::open(&path).unwrap();
    let group = store.group("billing").key("key:").open().unwrap();
    let delivery = group.worker("a").next().unwrap().unwrap();
    assert!(matches!(delivery.event, Known::Fine { number: 1 }));
    delivery.ack().unwrap();
    let parked = group.parked(0, 9);
    assert!(parked[0].reason.contains("cannot decode the event at offset 0"), "{parked:?}");
    assert_eq!(group.status().position, 2);
}
