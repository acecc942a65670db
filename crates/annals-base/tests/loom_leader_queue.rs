//! Tests of the hand-over of the queue's lead under loom, which tries every interleaving.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p annals-base --release --test loom_leader_queue
//! ```
//!
//! A request that no thread leads, or an answer that is lost, leaves a thread parked for ever, which loom reports as a
//! deadlock. Two leaders at the same time race on the data that a leader writes, which loom reports as well.

#![cfg(loom)]

use std::task::{Poll, Wake, Waker};

use annals_base::{Bell, LeaderQueue, Waiter};
use loom::{
    cell::UnsafeCell,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, Thread},
};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.unpark();
    }
}

struct Request {
    number: usize,
    waiter: Arc<Waiter<usize>>,
    /// The bell of a caller that blocks, and so may lead.
    bell: Option<Arc<Bell>>,
}

/// A log whose leader appends, as in the commit path.
struct Log {
    /// The queue, with the bell of the callers that join it now. Its target is the events: loom checks that one thread
    /// at a time accesses them.
    queue: LeaderQueue<Request, Arc<Bell>, UnsafeCell<Vec<usize>>>,
    helper: Mutex<bool>,
    called: Condvar,
    end: AtomicBool,
    /// Set by a thread that then waits until no thread leads. The queue orders it before the next leader's look.
    closed: AtomicBool,
}

impl Log {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            queue: LeaderQueue::new(Arc::default(), UnsafeCell::new(Vec::new())),
            helper: Mutex::new(false),
            called: Condvar::new(),
            end: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        })
    }

    fn commit(&self, number: usize) -> usize {
        push(&self.queue.target(), number)
    }

    /// Returns the number of events, as a thread reads it that does not lead.
    fn count(&self) -> usize {
        // SAFETY: this thread has the target. Loom checks that no other has.
        self.queue.borrow_target().with(|events| unsafe { (*events).len() })
    }

    /// Appends for a caller that waits and may lead.
    fn append(&self, number: usize) -> usize {
        if let Some(answer) = self.append_alone(number) {
            return answer;
        }
        let mut queue = self.queue.lock();
        if queue.try_lead() {
            drop(queue);
            let answer = self.commit(number);
            self.pass_on();
            return answer;
        }
        let waiter = Arc::new(Waiter::default());
        let bell = Arc::clone(&queue.extra);
        let request = Request { number, waiter: Arc::clone(&waiter), bell: Some(bell.clone()) };
        let unled = queue.push(request);
        drop(queue);
        if unled {
            // The leader resigned without the lock meanwhile.
            self.lead();
        }
        loop {
            let rings = bell.rings();
            if let Some(answer) = waiter.take() {
                return answer;
            }
            if bell.take_lead() {
                self.lead();
            } else {
                bell.wait(rings);
            }
        }
    }

    /// Appends without the lock, if no thread leads.
    fn append_alone(&self, number: usize) -> Option<usize> {
        let target = self.queue.try_lead_alone()?;
        assert!(self.queue.is_led_here());
        let answer = if self.closed.load(Ordering::Relaxed) { 0 } else { push(&target, number) };
        if !target.resign_alone() {
            self.pass_on();
        }
        Some(answer)
    }

    /// Appends as [`append_alone`](Self::append_alone) does, and gives the target back before it ends the lead.
    fn append_and_call_back(&self, number: usize) -> Option<usize> {
        let target = self.queue.try_lead_alone()?;
        let answer = push(&target, number);
        drop(target);
        if !self.queue.resign_alone() {
            self.pass_on();
        }
        Some(answer)
    }

    /// Appends for a caller that must not wait.
    fn submit(&self, number: usize) -> Arc<Waiter<usize>> {
        let waiter = Arc::new(Waiter::default());
        let request = Request { number, waiter: Arc::clone(&waiter), bell: None };
        if self.queue.lock().push(request) {
            self.call_helper();
        }
        waiter
    }

    fn lead(&self) {
        let mut queue = self.queue.lock();
        queue.take_lead();
        let count = queue.waiting().count();
        queue.extra = Arc::default();
        let group = queue.take(count);
        drop(queue);
        let mut bell: Option<Arc<Bell>> = None;
        for request in group {
            let answer = self.commit(request.number);
            if let Some(waker) = request.waiter.complete(answer) {
                waker.wake();
            }
            bell = request.bell.or(bell);
        }
        // All callers of the group have the same bell.
        bell.into_iter().for_each(|bell| bell.ring());
        self.pass_on();
    }

    fn pass_on(&self) {
        let mut queue = self.queue.lock();
        if !self.queue.resign(&mut queue) {
            return;
        }
        let first = queue.waiting().next().expect("something waits");
        let bell = first.bell.clone();
        drop(queue);
        match bell {
            Some(bell) => bell.offer_lead(),
            None => self.call_helper(),
        }
    }

    fn call_helper(&self) {
        *self.helper.lock().expect("no panic") = true;
        self.called.notify_one();
    }

    /// Runs the helper until the end.
    fn help(&self) {
        while !self.end.load(Ordering::SeqCst) {
            self.help_once();
        }
    }

    fn help_once(&self) {
        let mut called = self.helper.lock().expect("no panic");
        while !*called {
            called = self.called.wait(called).expect("no panic");
        }
        *called = false;
        drop(called);
        if !self.end.load(Ordering::SeqCst) {
            self.lead();
        }
    }
}

/// Adds an event to the target, which this thread has. Returns the number of events.
fn push(target: &UnsafeCell<Vec<usize>>, number: usize) -> usize {
    target.with_mut(|events| {
        // SAFETY: this thread has the target. Loom checks that no other has.
        let events = unsafe { &mut *events };
        events.push(number);
        events.len()
    })
}

fn wait(waiter: &Waiter<usize>) -> usize {
    let waker = Waker::from(std::sync::Arc::new(Unpark(thread::current())));
    loop {
        match waiter.poll(&waker) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => thread::park(),
        }
    }
}

fn model(preemptions: Option<usize>, check: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = preemptions;
    model.check(check);
}

#[test]
fn two_callers_are_each_answered_once() {
    model(None, || {
        let log = Log::new();
        let other = {
            let log = Arc::clone(&log);
            thread::spawn(move || log.append(1))
        };
        let mine = log.append(0);
        let theirs = other.join().expect("the other");
        assert_eq!(mine + theirs, 3, "both got offset {mine}");
    });
}

#[test]
fn three_callers_are_each_answered_once() {
    model(Some(2), || {
        let log = Log::new();
        let others = [1, 2].map(|number| {
            let log = Arc::clone(&log);
            thread::spawn(move || log.append(number))
        });
        let mut answers = vec![log.append(0)];
        answers.extend(others.map(|other| other.join().expect("another")));
        answers.sort_unstable();
        assert_eq!(answers, [1, 2, 3]);
    });
}

#[test]
fn the_helper_leads_for_a_caller_that_must_not_wait() {
    model(Some(2), || {
        let log = Log::new();
        let helper = {
            let log = Arc::clone(&log);
            thread::spawn(move || log.help())
        };
        let other = {
            let log = Arc::clone(&log);
            thread::spawn(move || log.append(1))
        };
        let waiter = log.submit(0);
        let theirs = other.join().expect("the other");
        let mine = wait(&waiter);
        assert_eq!(mine + theirs, 3);
        // If the other caller led for this request, the helper was not called. This call ends it.
        log.end.store(true, Ordering::SeqCst);
        log.call_helper();
        helper.join().expect("the helper");
    });
}

#[test]
fn one_that_waits_for_the_idle_queue_sees_all_that_was_answered() {
    model(Some(2), || {
        let log = Log::new();
        let other = {
            let log = Arc::clone(&log);
            thread::spawn(move || log.append(1))
        };
        let mine = log.append(0);
        let queue = log.queue.wait_until_idle(log.queue.lock());
        assert!(queue.waiting().next().is_none());
        drop(queue);
        assert_eq!(mine + other.join().expect("the other"), 3);
    });
}

#[test]
fn no_thread_appends_behind_one_that_closed_the_log_and_waited_for_the_idle_queue() {
    model(None, || {
        let log = Log::new();
        let other = {
            let log = Arc::clone(&log);
            thread::spawn(move || log.append_alone(1))
        };
        // Relaxed: `wait_until_idle` orders it.
        log.closed.store(true, Ordering::Relaxed);
        drop(log.queue.wait_until_idle(log.queue.lock()));
        let count = log.count();
        // `None`: the other thread came while this one had the target, which is after the close.
        let answer = other.join().expect("the other").unwrap_or(0);
        assert_eq!(count, answer, "either before the close, or not at all");
    });
}

#[test]
fn a_borrower_of_the_target_and_two_that_append_alone_have_it_in_turn() {
    model(Some(3), || {
        let log = Log::new();
        let alone = {
            let log = Arc::clone(&log);
            thread::spawn(move || log.append_alone(1).is_some())
        };
        let calling_back = {
            let log = Arc::clone(&log);
            thread::spawn(move || log.append_and_call_back(2).is_some())
        };
        let count = log.count();
        let appended = [alone, calling_back].map(|other| other.join().expect("another"));
        let appended = appended.into_iter().filter(|&appended| appended).count();
        assert!(count <= appended);
        assert_eq!(log.count(), appended);
    });
}

#[test]
fn borrowers_and_leaders_of_the_target_wait_for_each_other() {
    model(Some(3), || {
        let log = Log::new();
        let append = {
            let log = Arc::clone(&log);
            thread::spawn(move || log.append(1))
        };
        let borrow = {
            let log = Arc::clone(&log);
            thread::spawn(move || log.count())
        };
        let count = log.count();
        assert!(count.max(borrow.join().expect("the borrower")) <= 1);
        assert_eq!(append.join().expect("the leader"), 1);
        assert_eq!(log.count(), 1);
    });
}

#[test]
fn a_thread_that_waits_for_a_bell_hears_each_ring() {
    model(Some(3), || {
        let bell = Arc::new(Bell::default());
        let done = Arc::new(AtomicBool::new(false));
        let waiters = [(); 2].map(|()| {
            let (bell, done) = (Arc::clone(&bell), Arc::clone(&done));
            thread::spawn(move || {
                loop {
                    let rings = bell.rings();
                    // Relaxed: the bell orders it.
                    if done.load(Ordering::Relaxed) {
                        return;
                    }
                    bell.wait(rings);
                }
            })
        });
        done.store(true, Ordering::Relaxed);
        bell.ring();
        for waiter in waiters {
            waiter.join().expect("a waiter");
        }
    });
}

#[test]
fn one_thread_takes_a_lead_that_is_offered() {
    model(Some(3), || {
        let (bell, led) = (Arc::new(Bell::default()), Arc::new(AtomicBool::new(false)));
        let waiters = [(); 2].map(|()| {
            let (bell, led) = (Arc::clone(&bell), Arc::clone(&led));
            thread::spawn(move || {
                loop {
                    let rings = bell.rings();
                    // Relaxed: the bell orders it.
                    if led.load(Ordering::Relaxed) {
                        return false;
                    }
                    if bell.take_lead() {
                        led.store(true, Ordering::Relaxed);
                        bell.ring();
                        return true;
                    }
                    bell.wait(rings);
                }
            })
        });
        bell.offer_lead();
        let leaders = waiters.map(|waiter| waiter.join().expect("a waiter"));
        assert_eq!(leaders.into_iter().filter(|&leads| leads).count(), 1);
    });
}
