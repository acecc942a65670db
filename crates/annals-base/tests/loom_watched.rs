//! Tests of the handshake between a number that grows and its sleepers, under loom, which tries every interleaving and
//! every value that the memory model lets a load see.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p annals-base --release --test loom_watched
//! ```
//!
//! A wake-up that is lost leaves a sleeper parked for ever, which loom reports as a deadlock.

#![cfg(loom)]

use std::task::{Poll, Wake, Waker};

use annals_base::{Sleeper, Watched};
use loom::{
    cell::UnsafeCell,
    sync::Arc,
    thread::{self, JoinHandle, Thread},
};

/// Runs a model as `loom::model` does, but with at most two preemptions in each run. Three threads have too many
/// interleavings to try all.
fn model_of_three(check: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(check);
}

/// Wakes a thread of the model.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.unpark();
    }
}

/// Sleeps until the number is beyond `seen` or has ended, and returns it.
fn sleep_beyond(watched: &Arc<Watched>, seen: u64) -> u64 {
    let mut sleeper = Sleeper::new(Arc::clone(watched));
    let waker = Waker::from(std::sync::Arc::new(Unpark(thread::current())));
    loop {
        match sleeper.poll_beyond(seen, &waker) {
            Poll::Ready(number) => return number,
            Poll::Pending => thread::park(),
        }
    }
}

fn spawn_sleeper(watched: &Arc<Watched>, seen: u64) -> JoinHandle<u64> {
    let watched = Arc::clone(watched);
    thread::spawn(move || sleep_beyond(&watched, seen))
}

fn advance(watched: &Watched, number: u64) {
    watched.advance(number);
    watched.take_sleepers().into_iter().for_each(Waker::wake);
}

fn end(watched: &Watched) {
    watched.end();
    watched.take_sleepers().into_iter().for_each(Waker::wake);
}

#[test]
fn a_sleeper_is_woken_and_sees_what_was_done_before() {
    struct Written(UnsafeCell<u64>);
    // SAFETY: the cell is written before the number advances, and read after that. Loom checks that.
    unsafe impl Sync for Written {}
    // SAFETY: the value is a number.
    unsafe impl Send for Written {}
    loom::model(|| {
        let watched = Arc::new(Watched::new(0));
        let written = Arc::new(Written(UnsafeCell::new(0)));
        let sleeper = {
            let (watched, written) = (Arc::clone(&watched), Arc::clone(&written));
            thread::spawn(move || {
                assert_eq!(sleep_beyond(&watched, 0), 1);
                // SAFETY: the cell is not written any more. Loom checks that.
                assert_eq!(written.0.with(|cell| unsafe { *cell }), 7);
            })
        };
        // SAFETY: no other thread reads the cell before the number advances. Loom checks that.
        written.0.with_mut(|cell| unsafe { *cell = 7 });
        advance(&watched, 1);
        sleeper.join().expect("the sleeper");
        assert_eq!(watched.sleeper_count(), 0);
    });
}

#[test]
fn two_sleepers_are_woken() {
    model_of_three(|| {
        let watched = Arc::new(Watched::new(0));
        let sleepers = [spawn_sleeper(&watched, 0), spawn_sleeper(&watched, 0)];
        advance(&watched, 1);
        for sleeper in sleepers {
            assert_eq!(sleeper.join().expect("a sleeper"), 1);
        }
        assert_eq!(watched.sleeper_count(), 0);
    });
}

#[test]
fn a_sleeper_that_is_dropped_takes_no_other_ones_wake_up() {
    model_of_three(|| {
        let watched = Arc::new(Watched::new(0));
        let sleeper = spawn_sleeper(&watched, 0);
        let passing = {
            let watched = Arc::clone(&watched);
            thread::spawn(move || {
                let mut sleeper = Sleeper::new(watched);
                let _ = sleeper.poll_beyond(0, Waker::noop());
            })
        };
        advance(&watched, 1);
        assert_eq!(sleeper.join().expect("the sleeper"), 1);
        passing.join().expect("the one that passes");
        assert_eq!(watched.sleeper_count(), 0);
    });
}

#[test]
fn the_end_comes_after_the_last_number() {
    loom::model(|| {
        let watched = Arc::new(Watched::new(0));
        let sleeper = {
            let watched = Arc::clone(&watched);
            thread::spawn(move || {
                let first = sleep_beyond(&watched, 0);
                assert_eq!(first, 1, "the end was seen before the number");
                assert_eq!(sleep_beyond(&watched, 1), 1);
            })
        };
        advance(&watched, 1);
        end(&watched);
        sleeper.join().expect("the sleeper");
    });
}

#[test]
fn a_number_and_an_end_from_two_threads_wake_the_sleeper() {
    model_of_three(|| {
        let watched = Arc::new(Watched::new(0));
        let sleeper = spawn_sleeper(&watched, 1);
        let ending = {
            let watched = Arc::clone(&watched);
            thread::spawn(move || end(&watched))
        };
        advance(&watched, 1);
        ending.join().expect("the one that ends");
        sleeper.join().expect("the sleeper");
    });
}

#[test]
fn a_writer_sees_what_was_written_before_or_is_seen() {
    use loom::sync::atomic::{AtomicBool, Ordering};
    loom::model(|| {
        let watched = Arc::new(Watched::new(0));
        let subscribed = Arc::new(AtomicBool::new(false));
        let subscriber = {
            let (watched, subscribed) = (Arc::clone(&watched), Arc::clone(&subscribed));
            thread::spawn(move || {
                // Relaxed, here and below: `get_behind_sleepers` and `take_sleepers` order it.
                subscribed.store(true, Ordering::Relaxed);
                watched.get_behind_sleepers()
            })
        };
        advance(&watched, 1);
        let seen = subscribed.load(Ordering::Relaxed);
        let from = subscriber.join().expect("the subscriber");
        assert!(
            seen || from == 1,
            "the subscriber begins at {from}, and the writer did not see it"
        );
    });
}
