//! Decisions: each is made on the state at the time of its append, even if many threads decide at once.

mod common;

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};

use annals::{
    Backend, DecideError, Durability, Event, EventStore, Journal, Projection, Query, Recorded,
    Rejection, given,
};
use common::{Booking, Seat, freed, sold};

fn sell(seat: u32, price: u64) -> impl Fn(&Option<u64>) -> Result<Vec<Booking>, Rejection> {
    move |known| {
        // Lets other threads run between the read of the state and the append.
        std::thread::yield_now();
        match known {
            None => Ok(vec![sold(seat, price)]),
            Some(_) => Err(Rejection::new(format!("seat {seat} is sold already"))),
        }
    }
}

/// Every thread tries to sell every seat. Each seat must be sold once.
fn check_each_seat_is_sold_once<B: Backend<Booking>>(store: &EventStore<Booking, B>, seats: u32) {
    let (sales, rejections) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for buyer in 0..8 {
            let (sales, rejections) = (&sales, &rejections);
            scope.spawn(move || {
                for seat in 0..seats {
                    let counter = match store.decide(&Seat(seat), sell(seat, buyer)) {
                        Ok(_) => sales,
                        Err(DecideError::Rejected(_)) => rejections,
                        Err(error) => panic!("{error}"),
                    };
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(sales.into_inner(), u64::from(seats));
    assert_eq!(rejections.into_inner(), 7 * u64::from(seats));
    assert_eq!(store.len(), u64::from(seats));
    for seat in 0..seats {
        assert_eq!(store.query(&Query::tag(format!("seat:{seat}"))).count(), 1);
    }
}

#[test]
fn a_seat_is_sold_once_in_memory() {
    check_each_seat_is_sold_once(&EventStore::in_memory(), 3_000);
}

#[test]
fn a_seat_is_sold_once_in_files() {
    let directory = tempfile::tempdir().unwrap();
    let journal = Journal::options().durability(Durability::Buffered);
    let journal = journal.open(directory.path().join("log.store")).unwrap();
    check_each_seat_is_sold_once(&EventStore::on(journal), 300);
}

#[derive(Event, Debug, Clone, PartialEq)]
enum Money {
    PaidIn { amount: u64 },
    Withdrawn { amount: u64 },
}

struct Balance;

impl Projection for Balance {
    type Event = Money;
    type State = u64;

    fn initial(&self) -> u64 {
        0
    }

    fn query(&self) -> Query {
        Query::all()
    }

    fn apply(&self, balance: &mut u64, event: &Recorded<Money>) {
        match event.event {
            Money::PaidIn { amount } => *balance += amount,
            Money::Withdrawn { amount } => {
                *balance = balance.checked_sub(amount).expect("the balance is never below zero");
            }
        }
    }
}

#[test]
fn a_balance_is_never_below_zero() {
    let store = EventStore::in_memory();
    let withdrawn = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let (store, withdrawn) = (store.clone(), &withdrawn);
            scope.spawn(move || {
                let mut balance = store.reconstruct(Balance);
                for round in 0..1_000 {
                    if thread == 0 {
                        store.append(Money::PaidIn { amount: 3 }).unwrap();
                    }
                    let amount = 1 + (thread + round) % 5;
                    let decided = balance.decide(|balance| {
                        std::thread::yield_now();
                        if *balance < amount {
                            return Err(());
                        }
                        Ok(vec![Money::Withdrawn { amount }])
                    });
                    match decided {
                        Ok(_) => drop(withdrawn.fetch_add(amount, Ordering::Relaxed)),
                        Err(DecideError::Rejected(())) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                }
            });
        }
    });
    // The fold panics if an event takes the balance below zero.
    assert_eq!(*store.reconstruct(Balance).now().unwrap(), 3_000 - withdrawn.into_inner());
}

#[test]
fn of_two_decisions_on_the_same_balance_one_is_repeated() {
    for patience in [u32::MAX, 1] {
        let store = EventStore::in_memory();
        store.append(Money::PaidIn { amount: 3 }).unwrap();
        // Both threads read the balance before one of them withdraws.
        let both = Barrier::new(2);
        let withdraw = || {
            let mut seen = Vec::new();
            let decided = store.reconstruct(Balance).decide_within(patience, |balance| {
                seen.push(*balance);
                if seen.len() == 1 {
                    both.wait();
                }
                if *balance < 2 { Err(()) } else { Ok(vec![Money::Withdrawn { amount: 2 }]) }
            });
            (decided, seen)
        };
        let mut answers = std::thread::scope(|scope| {
            let threads = [scope.spawn(withdraw), scope.spawn(withdraw)];
            threads.map(|thread| thread.join().unwrap())
        });
        answers.sort_by_key(|(decided, _)| decided.is_err());
        let [(one, first), (other, second)] = answers;
        assert_eq!((one.unwrap().retries, first), (0, vec![3]));
        assert!(matches!(other, Err(DecideError::Rejected(()))), "{other:?}");
        assert_eq!(second, [3, 1]);
        assert_eq!(*store.reconstruct(Balance).now().unwrap(), 1);
    }
}

#[test]
fn retries_are_counted_and_bounded() {
    let store = EventStore::in_memory();
    // Another append comes first, three times.
    let mut rivals = 3;
    let mut seen = Vec::new();
    let decided = store.decide(&Seat(1), |state| {
        seen.push(*state);
        if rivals > 0 {
            rivals -= 1;
            store.append(sold(1, rivals)).unwrap();
        }
        Ok::<_, Rejection>(vec![freed(1)])
    });
    let decided = decided.unwrap();
    assert_eq!((decided.offsets, decided.retries), (3..4, 3));
    assert_eq!(seen, [None, Some(2), Some(1), Some(0)]);

    let mut seat = store.reconstruct(Seat(1));
    let always = seat.decide_within(2, |_| {
        store.append(sold(1, 0)).unwrap();
        Ok::<_, Rejection>(vec![freed(1)])
    });
    assert!(matches!(always, Err(DecideError::Contended { retries: 2, offset: 6 })), "{always:?}");
    assert_eq!(store.len(), 7);
}

#[test]
fn a_decision_inside_a_decision_does_not_hang_and_fails_after_the_limit() {
    let store = EventStore::in_memory();
    let mut rivals = 12;
    let decided = store.decide(&Seat(1), |_| {
        store.decide(&Seat(2), |_| Ok::<_, Rejection>(vec![sold(2, 1)])).unwrap();
        if rivals > 0 {
            rivals -= 1;
            store.append(sold(1, rivals)).unwrap();
        }
        Ok::<_, Rejection>(vec![freed(1)])
    });
    assert_eq!(decided.unwrap().retries, 12);
}

#[test]
fn other_events_do_not_conflict_and_a_decision_without_events_appends_nothing() {
    let store = EventStore::in_memory();
    let decided = store.decide(&Seat(1), |_| {
        store.append(sold(2, 5)).unwrap();
        Ok::<_, Rejection>(vec![sold(1, 5)])
    });
    assert_eq!(decided.unwrap().retries, 0);
    let nothing = store.decide(&Seat(1), |_| Ok::<_, Rejection>(Vec::new())).unwrap();
    assert_eq!((nothing.offsets, store.len()), (2..2, 2));
    let error = store.decide(&Seat(1), sell(1, 9)).unwrap_err();
    assert_eq!(error.to_string(), "rejected: seat 1 is sold already");
    store.close().unwrap();
    let error = store.decide(&Seat(3), sell(3, 9)).unwrap_err();
    assert!(matches!(error, DecideError::Append(annals::AppendError::Closed)));
}

#[test]
fn given_tests_a_decision_without_a_store() {
    given([]).when(&Seat(1), sell(1, 9)).then([sold(1, 9)]);
    given([sold(2, 9)]).when(&Seat(1), sell(1, 9)).then([sold(1, 9)]);
    given([sold(1, 9), freed(1)]).when(&Seat(1), sell(1, 8)).then([sold(1, 8)]);
    given([sold(1, 9)]).when(&Seat(1), sell(1, 9)).then_rejected("seat 1 is sold already");
    given([]).when(&Seat(1), |_| Ok::<_, u8>(vec![])).then_nothing();
    given([]).when(&Seat(1), |_| Err(7)).then_rejected_with(&7);
}

#[test]
fn a_failed_test_reports_the_given_the_expected_and_the_found_events() {
    let failed =
        |test: fn()| *std::panic::catch_unwind(test).unwrap_err().downcast::<String>().unwrap();
    let report = failed(|| {
        given([sold(1, 9), sold(2, 9)]).when(&Seat(1), sell(1, 9)).then([sold(1, 9)]);
    });
    let expected = "the decision differs
given
  SeatSold { seat: 1, price: 9 }
  SeatSold { seat: 2, price: 9 }   (not in the query)
expected
  SeatSold { seat: 1, price: 9 }
found
  rejected: Rejection { reason: \"seat 1 is sold already\" }
";
    assert_eq!(report, expected);
    let report = failed(|| given([]).when(&Seat(1), sell(1, 9)).then_rejected("no"));
    assert!(
        report.ends_with("expected\n  rejected: no\nfound\n  SeatSold { seat: 1, price: 9 }\n")
    );
}
